"""A full int8 TFLite file as steps of plain integer arithmetic, TFLite's reference arithmetic to the bit.

Everything here has height 1: a tensor is (width, channels). What only moves data is folded away: PAD into the
convolution behind it, RESIZE_NEAREST_NEIGHBOR into the ADD behind it. What has no form here is refused by name.

Requantization is gemmlowp's (Jacob 2018, arXiv:1712.05877): a scale below one is a 31-bit multiplier and a right shift,
each rounded. An ADD first moves both operands 20 bits up.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_runtime.errors import LeadwireError

ADD_BITS = 20  # reference_integer_ops::Add


@dataclass(frozen=True)
class Tensor:
    """(width, channels) int8, row by row: value = (q - zero) * scale."""

    index: int
    width: int
    channels: int
    scale: float
    zero: int

    @property
    def size(self) -> int:
        return self.width * self.channels


@dataclass(frozen=True)
class Rescale:
    """x * multiplier / 2^31 / 2^shift."""

    multiplier: int
    shift: int

    @classmethod
    def by(cls, real: float) -> Rescale:
        """TFLite's QuantizeMultiplier, for a scale below one."""
        mantissa, exponent = math.frexp(real)
        multiplier = math.floor(mantissa * 2**31 + 0.5)
        if multiplier == 2**31:
            multiplier, exponent = 2**30, exponent + 1
        if exponent > 0:
            raise LeadwireError(f"a rescaling by {real:g}, not below one, has no C form here; change the net")
        return cls(multiplier, -exponent) if exponent >= -31 else cls(0, 0)


@dataclass(frozen=True)
class Conv:
    """weights: (c_out, kernel, c_in), or of a depthwise one (kernel, channels). pad: columns of zeros on the left.
    low: the least output, where there is a ReLU its zero."""

    x: Tensor
    y: Tensor
    weights: NDArray[np.int8]
    bias: NDArray[np.int32]
    rescale: tuple[Rescale, ...]
    kernel: int
    stride: int
    pad: int
    low: int

    @property
    def depthwise(self) -> bool:
        return self.weights.ndim == 2

    @property
    def reads(self) -> tuple[Tensor, ...]:
        return (self.x,)


@dataclass(frozen=True)
class Add:
    """y = a + b, where each column of b stands for `repeat` of them."""

    a: Tensor
    b: Tensor
    y: Tensor
    repeat: int
    rescale_a: Rescale
    rescale_b: Rescale
    rescale_y: Rescale
    low: int

    @property
    def reads(self) -> tuple[Tensor, ...]:
        return (self.a, self.b)


@dataclass(frozen=True)
class Pool:
    """The largest value of each stretch, or its mean."""

    x: Tensor
    y: Tensor
    largest: bool
    kernel: int
    stride: int
    pad: int
    low: int

    @property
    def reads(self) -> tuple[Tensor, ...]:
        return (self.x,)


@dataclass(frozen=True)
class Concat:
    """Channels side by side."""

    reads: tuple[Tensor, ...]
    y: Tensor


Step = Conv | Add | Pool | Concat


@dataclass(frozen=True)
class Graph:
    window: Tensor
    heads: dict[str, Tensor]
    steps: tuple[Step, ...]

    @property
    def macs(self) -> int:
        """Multiplications by a weight."""
        return sum(s.y.size * s.weights.size // s.y.channels for s in self.steps if isinstance(s, Conv))


def read_graph(content: bytes) -> Graph:
    """Raises LeadwireError for a graph that has no form here."""
    return _Reader(content).graph()


class _Reader:
    def __init__(self, content: bytes) -> None:
        from ai_edge_litert import schema_py_generated as schema

        self._schema = schema
        self._model = schema.ModelT.InitFromPackedBuf(content, 0)
        self._graph = self._model.subgraphs[0]
        self._names = {code: name for name, code in vars(schema.BuiltinOperator).items() if isinstance(code, int)}
        self._padded: dict[int, tuple[Tensor, int, int]] = {}  # a PAD's output: what it pads, left and right
        self._repeated: dict[int, tuple[Tensor, int]] = {}

    def graph(self) -> Graph:
        if len(self._model.subgraphs) != 1 or len(self._graph.inputs) != 1:
            raise LeadwireError("a net with more than one input has no C form here")
        return Graph(
            window=self._tensor(self._graph.inputs[0]),
            steps=tuple(self._steps()),
            heads={self._graph.tensors[i].name.decode(): self._tensor(i) for i in self._graph.outputs},
        )

    def _steps(self) -> Iterator[Step]:
        table: dict[str, Callable[[Any, Any], Step | None]] = {
            "PAD": self._pad,
            "RESIZE_NEAREST_NEIGHBOR": self._resize,
            "CONV_2D": self._conv,
            "DEPTHWISE_CONV_2D": self._conv,
            "ADD": self._add,
            "AVERAGE_POOL_2D": self._pool,
            "MAX_POOL_2D": self._pool,
            "CONCATENATION": self._concat,
        }
        for operator in self._graph.operators:
            name = self._name(operator)
            if name not in table:
                raise LeadwireError(f"{name} has no C form here; add it to export/int8_graph.py")
            step = table[name](operator, operator.builtinOptions)
            if step is not None:
                yield step

    def _name(self, operator: Any) -> str:
        code = self._model.operatorCodes[operator.opcodeIndex]
        return self._names[max(code.builtinCode, code.deprecatedBuiltinCode)]

    def _tensor(self, index: int) -> Tensor:
        """Of activations."""
        if index in self._padded or index in self._repeated:
            raise LeadwireError("a PAD or a RESIZE that feeds anything but a convolution or an ADD has no C form here")
        found = self._graph.tensors[index]
        shape = [int(n) for n in found.shape]
        quantization = found.quantization
        per_tensor = quantization is not None and quantization.scale is not None and len(quantization.scale) == 1
        if found.type != self._schema.TensorType.INT8 or not per_tensor:
            raise LeadwireError("only a full int8 net has a C form; export the bundle without floats")
        if len(shape) != 4 or shape[:2] != [1, 1]:
            raise LeadwireError(f"a tensor of shape {shape} has no C form here: height and batch are 1")
        return Tensor(int(index), shape[2], shape[3], float(quantization.scale[0]), int(quantization.zeroPoint[0]))

    def _constant(self, index: int, dtype: type) -> NDArray[Any]:
        found = self._graph.tensors[index]
        data = np.asarray(self._model.buffers[found.buffer].data, np.uint8).tobytes()
        return np.frombuffer(data, dtype).reshape([int(n) for n in found.shape])

    def _low(self, activation: int, y: Tensor) -> int:
        known = self._schema.ActivationFunctionType
        if activation not in (known.NONE, known.RELU):
            raise LeadwireError("an activation other than ReLU has no C form here")
        return max(-128, y.zero) if activation == known.RELU else -128

    def _left(self, options: Any, x: Tensor, y: Tensor, kernel: int) -> int:
        """Columns of padding before the first, as TFLite's ComputePadding has it."""
        if options.padding == self._schema.Padding.VALID:
            return 0
        return int(max((y.width - 1) * options.strideW + kernel - x.width, 0) // 2)

    def _pad(self, operator: Any, _: Any) -> None:
        x, amounts = self._tensor(operator.inputs[0]), self._constant(operator.inputs[1], np.int32)
        y = self._tensor(operator.outputs[0])
        if amounts[[0, 1, 3]].any() or (x.scale, x.zero) != (y.scale, y.zero):
            raise LeadwireError("a PAD of anything but columns has no C form here")
        self._padded[y.index] = (x, int(amounts[2, 0]), int(amounts[2, 1]))

    def _resize(self, operator: Any, options: Any) -> None:
        x, y = self._tensor(operator.inputs[0]), self._tensor(operator.outputs[0])
        if y.width % x.width or options.alignCorners or options.halfPixelCenters:
            raise LeadwireError("a RESIZE by anything but a whole factor has no C form here")
        self._repeated[y.index] = (x, y.width // x.width)

    def _conv(self, operator: Any, options: Any) -> Conv:
        y, weights = self._tensor(operator.outputs[0]), self._constant(operator.inputs[1], np.int8)
        depthwise = hasattr(options, "depthMultiplier")
        kernel, stride = weights.shape[2], int(options.strideW)
        if int(operator.inputs[0]) in self._padded:
            x, left, right = self._padded[int(operator.inputs[0])]
            fits = options.padding == self._schema.Padding.VALID
            fits &= (x.width + left + right - kernel) // stride + 1 == y.width
        else:
            x = self._tensor(operator.inputs[0])
            left, fits = self._left(options, x, y, kernel), True
        fits &= (weights.shape[0] if depthwise else weights.shape[1]) == 1
        fits &= weights.shape[3] == x.channels and (not depthwise or options.depthMultiplier == 1)
        if not fits:
            raise LeadwireError("a grouped or doubly padded convolution has no C form here")
        if options.dilationWFactor != 1:
            raise LeadwireError("a dilated convolution has no C form here; change the net")
        quantization = self._graph.tensors[operator.inputs[1]].quantization
        scales = np.broadcast_to(quantization.scale, y.channels)
        return Conv(
            x,
            y,
            weights=weights[0, 0] if depthwise else weights[:, 0],
            bias=self._constant(operator.inputs[2], np.int32),
            rescale=tuple(Rescale.by(x.scale * float(scale) / y.scale) for scale in scales),
            kernel=kernel,
            stride=stride,
            pad=left,
            low=self._low(options.fusedActivationFunction, y),
        )

    def _add(self, operator: Any, options: Any) -> Add:
        indices = sorted((int(i) for i in operator.inputs), key=lambda i: i in self._repeated)
        a, y = self._tensor(indices[0]), self._tensor(operator.outputs[0])
        b, repeat = self._repeated[indices[1]] if indices[1] in self._repeated else (self._tensor(indices[1]), 1)
        if (a.width, a.channels) != (y.width, y.channels) or (b.width * repeat, b.channels) != (y.width, y.channels):
            raise LeadwireError("an ADD of tensors of different shapes has no C form here")
        both = 2.0 * max(a.scale, b.scale)
        return Add(
            a,
            b,
            y,
            repeat,
            Rescale.by(a.scale / both),
            Rescale.by(b.scale / both),
            Rescale.by(both / (2**ADD_BITS * y.scale)),
            self._low(options.fusedActivationFunction, y),
        )

    def _pool(self, operator: Any, options: Any) -> Pool:
        x, y = self._tensor(operator.inputs[0]), self._tensor(operator.outputs[0])
        if (x.scale, x.zero) != (y.scale, y.zero) or options.filterHeight != 1:
            raise LeadwireError("a pooling that rescales, or over rows, has no C form here")
        largest, kernel = self._name(operator) == "MAX_POOL_2D", int(options.filterWidth)
        low = self._low(options.fusedActivationFunction, y)
        return Pool(x, y, largest, kernel, int(options.strideW), self._left(options, x, y, kernel), low)

    def _concat(self, operator: Any, options: Any) -> Concat:
        parts, y = tuple(self._tensor(i) for i in operator.inputs), self._tensor(operator.outputs[0])
        alike = all((p.scale, p.zero, p.width) == (y.scale, y.zero, y.width) for p in parts)
        if options.axis not in (-1, 3) or not alike or self._low(options.fusedActivationFunction, y) != -128:
            raise LeadwireError("a CONCATENATION of anything but channels of one scale has no C form here")
        return Concat(parts, y)
