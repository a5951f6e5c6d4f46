"""Scales at which the int8 sum of two tensors has one right answer, whatever the processor.

ONNX Runtime adds in float on x86-64 (one multiplication after the other, or fused), and in fixed point on Arm, and the
two round a tie in two ways. They part where the exact sum lies in the middle between two steps of the result, or
nearer to it than either's arithmetic is exact. So the addends' scales are made whole multiples p and q of a power of
two of the sum's: p a + q b is then a whole number that float32 and the fixed point both hold exactly, and p and q are
the nearest to what was calibrated for which none of the 65,536 pairs lies in the middle. A scale moves by some
ten-thousandths.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_runtime.errors import LeadwireError

_MANTISSA_BITS = 24  # of float32
_MOST_BITS = 14  # of the power of two; Arm's fixed point has 21 for ratios up to 1, and fewer for larger ones
_LEVELS = np.arange(256)
_REACH = 48  # how far from the calibrated one a multiple is looked for


@dataclass(frozen=True)
class Scaled:
    """A quantized tensor: value = (u8 - zero) * scale. name: of the scale, which all share that must have the same."""

    name: str
    scale: float
    zero: int


@dataclass(frozen=True)
class Sum:
    a: Scaled
    b: Scaled
    y: Scaled


def bits_for(a: Scaled, b: Scaled, y: Scaled) -> int:
    """The finest power of two of y's scale at which no step of the float kernel leaves the whole numbers of float32."""
    ratios = a.scale / y.scale, b.scale / y.scale
    offset = ratios[0] * a.zero + ratios[1] * b.zero
    largest = max(offset, y.zero + offset, y.zero + 255 * sum(ratios))
    return min(_MOST_BITS, _MANTISSA_BITS - int(np.ceil(np.log2(1.05 * largest))))


def ties(p: int, q: int, bits: int, zeros: tuple[int, int, int]) -> int:
    """How many pairs of u8 have a sum of p (a - za) + q (b - zb), in 2^-bits of a step, that lies in the middle between
    two of the steps that can be stated. zeros: za, zb and the sum's."""
    za, zb, zy = zeros
    sums = p * (_LEVELS[:, None] - za) + q * (_LEVELS[None] - zb) + (zy << bits)
    middle = sums % (1 << bits) == 1 << (bits - 1)
    return int((middle & (sums > 0) & (sums < 255 << bits)).sum())


def exact(given: Sum, fixed: str | None) -> tuple[np.float32, np.float32, np.float32]:
    """Scales of a, b and y, next to those given, that make the sum exact and without ties.

    fixed: the name of the addend whose scale may not move (then y's does), or None. Raises LeadwireError where there
    are none.
    """
    a, b, y = given.a, given.b, given.y
    bits = bits_for(a, b, y)
    unit = 2.0**-bits
    for p, q in _near(a.scale / y.scale / unit, b.scale / y.scale / unit):
        if fixed == a.name:
            sum_scale = np.float32(a.scale / (p * unit))
        elif fixed == b.name:
            sum_scale = np.float32(b.scale / (q * unit))
        else:
            sum_scale = np.float32(y.scale)
        scales = [np.float32(x.scale if fixed == x.name else n * unit * float(sum_scale)) for x, n in ((a, p), (b, q))]
        as_divided = [scale / sum_scale for scale in scales]  # in float32, as the kernels do
        if as_divided == [p * unit, q * unit] and not ties(p, q, bits, (a.zero, b.zero, y.zero)):
            return scales[0], scales[1], sum_scale
    raise LeadwireError(f"no scales near the calibrated ones make the sum {y.name} exact; calibrate on other windows")


def _near(p: float, q: float) -> Iterator[tuple[int, int]]:
    """Whole numbers around both, the nearest first."""
    moved = [
        (abs(i) + abs(j), round(p) + i, round(q) + j)
        for i in range(-_REACH, _REACH + 1)
        for j in range(-_REACH, _REACH + 1)
    ]
    return ((m, n) for _, m, n in sorted(moved) if m > 0 and n > 0)


def exact_scales(model: Any) -> dict[str, tuple[np.float32, np.uint8]]:
    """Scale and zero point of the tensors of a QDQ graph, by name, that have to move so that all its sums are exact.

    Raises LeadwireError where the scales of two sums that are added have been settled already.
    """
    names: dict[str, str] = {}  # the first tensor that has a scale, by the scale's name
    for node in model.graph.node:
        if node.op_type == "QuantizeLinear":
            names.setdefault(node.input[1], node.input[0])
    moved: dict[str, np.float32] = {}
    zeros: dict[str, int] = {}
    for given in sums_of(model):
        known = [x.name for x in (given.a, given.b) if x.name in moved]
        if len(known) == 2:
            raise LeadwireError(f"{given.y.name}: a sum of two sums cannot be made exact here; change the net")
        given = Sum(*(_moved(x, moved) for x in (given.a, given.b, given.y)))
        found = exact(given, known[0] if known else None)
        for tensor, scale in zip((given.a, given.b, given.y), found, strict=True):
            moved[tensor.name], zeros[tensor.name] = scale, tensor.zero
    return {names[name]: (scale, np.uint8(zeros[name])) for name, scale in moved.items()}


def _moved(tensor: Scaled, moved: dict[str, np.float32]) -> Scaled:
    return Scaled(tensor.name, float(moved.get(tensor.name, tensor.scale)), tensor.zero)


def sums_of(model: Any) -> Iterator[Sum]:
    """Of a QDQ graph, in order: what is added as u8."""
    from onnx import numpy_helper

    graph = model.graph
    constants = {tensor.name: tensor for tensor in graph.initializer}
    maker = {output: node for node in graph.node for output in node.output}
    reader = {word: node for node in graph.node for word in node.input}

    def value(name: str) -> NDArray[Any]:
        return np.asarray(numpy_helper.to_array(constants[name]))

    def scaled(node: Any) -> Scaled:
        return Scaled(node.input[1], float(value(node.input[1])), int(value(node.input[2])))

    for node in graph.node:
        if node.op_type != "Add":
            continue
        around = [*(maker.get(word) for word in node.input), reader.get(node.output[0])]
        if [n.op_type for n in around if n] == ["DequantizeLinear", "DequantizeLinear", "QuantizeLinear"]:
            yield Sum(*(scaled(n) for n in around))
