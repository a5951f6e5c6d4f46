"""A bundle's int8 net and its manifest as C: `leadwire_net.c` and `leadwire_net.h`, C99, no heap, no library.

`leadwire_net.c` is the kernels of `kernels.c`, the weights, and one call a step over a static arena. Its outputs are
those of TFLite's reference kernels, bit for bit.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_runtime.bundle import TFLITE, Bundle
from edge_runtime.errors import BundleError
from export.arena import ALIGNED, Arena, plan
from export.c_manifest import header, tables
from export.int8_graph import ADD_BITS, Add, Concat, Conv, Graph, Pool, Rescale, Step, Tensor, read_graph

SOURCE, HEADER = "leadwire_net.c", "leadwire_net.h"
_KERNELS = Path(__file__).parent / "kernels.c"


@dataclass(frozen=True)
class Written:
    """graph: what was written. arena_bytes, and with the two patches ram_bytes: what it takes, all of it static."""

    graph: Graph
    arena_bytes: int
    ram_bytes: int


def write_c(bundle: Bundle, out: Path) -> Written:
    """Write both files into the folder `out`. Raises LeadwireError for a net that has no C form here."""
    if TFLITE not in bundle.files:
        raise BundleError(f"{bundle.folder}: has no {TFLITE}, which the C source is made from; export it again")
    graph = read_graph(bundle.files[TFLITE])
    missing = set(bundle.manifest["heads"]) ^ set(graph.heads)
    if missing:
        raise BundleError(f"{bundle.folder}: net and manifest differ in {', '.join(sorted(missing))}; export it again")
    arena = plan(graph)
    out.mkdir(parents=True, exist_ok=True)
    written = Written(graph, arena.size, arena.size + 2 * _patch(graph))
    (out / HEADER).write_text(header(bundle, graph, written.ram_bytes))
    (out / SOURCE).write_text("\n".join(_source(bundle, graph, arena)) + "\n")
    return written


def _row(step: Conv) -> int:
    """Weights of one dot product, filled up so that four at a time come out even."""
    size = step.kernel * step.x.channels
    return size if step.depthwise else -(-size // ALIGNED) * ALIGNED


def _patch(graph: Graph) -> int:
    widest = max((_row(s) for s in graph.steps if isinstance(s, Conv)), default=ALIGNED)
    return -(-widest // ALIGNED) * ALIGNED


def _source(bundle: Bundle, graph: Graph, arena: Arena) -> Iterator[str]:
    yield f"/* The net of {bundle.model.id}; written by `python -m export c`. Not to be edited: export it again. */"
    yield f'#include "{HEADER}"'
    yield "\n#ifdef __ARM_FEATURE_DSP\n#include <arm_acle.h>\n#endif\n"
    yield f"#define ADD_BITS {ADD_BITS}"
    yield "#define ALIGNED __attribute__((aligned(4))) /* GCC's and Clang's */\n"
    yield "#ifndef LEADWIRE_NET_ARENA\n#define LEADWIRE_NET_ARENA /* say, a section of the linker's script */\n#endif\n"
    yield f"static int8_t arena[{arena.size}] ALIGNED LEADWIRE_NET_ARENA;"
    yield f"static int8_t patches[2][{_patch(graph)}] ALIGNED LEADWIRE_NET_ARENA;\n"
    yield _KERNELS.read_text()
    calls: list[str] = []
    for number, step in enumerate(graph.steps):
        yield from _constants(number, step)
        calls += _calls(number, step, graph, arena)
    yield "\nvoid leadwire_net_run(const int8_t window[LEADWIRE_NET_SAMPLES], leadwire_net_heads *heads) {"
    yield from (f"    {call}" for call in calls)
    yield "}\n"
    yield from tables(bundle, graph)


def _constants(number: int, step: Step) -> Iterator[str]:
    if isinstance(step, Conv):
        weights, bias = _folded(step)
        yield f"\nstatic const int8_t weights_{number}[] ALIGNED = {{\n{_wrapped(weights.ravel().tolist())}}};"
        rows = (f"{{{b}, {_said(r)}}}" for b, r in zip(bias.tolist(), step.rescale, strict=True))
        yield f"static const channel_t channels_{number}[] = {{\n{_wrapped(rows)}}};"
        x, y = step.x, step.y
        numbers = [x.width, x.channels, y.width, y.channels, _row(step), step.kernel, step.stride, step.pad]
        numbers += [x.zero, y.zero, step.low]
        yield f"static const conv_t conv_{number} = {{weights_{number}, channels_{number}, {_list(numbers)}}};"
    elif isinstance(step, Add):
        a, b, y = step.a, step.b, step.y
        rescales = f"{a.zero}, {_said(step.rescale_a)}, {b.zero}, {_said(step.rescale_b)}, {_said(step.rescale_y)}"
        rest = _list([y.width, y.channels, step.repeat, y.zero, step.low])
        yield f"static const add_t add_{number} = {{{rescales}, {rest}}};"
    elif isinstance(step, Pool):
        numbers = [step.x.width, step.y.width, step.x.channels, step.kernel, step.stride, step.pad, step.low]
        yield f"static const pool_t pool_{number} = {{{_list(numbers)}}};"


def _folded(step: Conv) -> tuple[NDArray[np.int8], NDArray[np.int64]]:
    """Weights as the kernels read them, and biases that hold the input's zero point."""
    if step.depthwise:
        return step.weights, step.bias - step.x.zero * step.weights.sum(0, dtype=np.int64)
    rows = step.weights.reshape(len(step.weights), -1)
    bias = step.bias - step.x.zero * rows.sum(1, dtype=np.int64)
    return np.pad(rows, ((0, 0), (0, _row(step) - rows.shape[1]))), bias


def _calls(number: int, step: Step, graph: Graph, arena: Arena) -> Iterator[str]:
    outside = {tensor.index: f"heads->{name}" for name, tensor in graph.heads.items()} | {graph.window.index: "window"}

    def at(tensor: Tensor) -> str:
        return outside.get(tensor.index) or f"arena + {arena.offsets[tensor.index]}"

    y = at(step.y)
    if isinstance(step, Conv):
        function = "convolve_depthwise" if step.depthwise else "convolve"
        yield f"{function}(&conv_{number}, {at(step.x)}, {y});"
    elif isinstance(step, Add):
        yield f"add(&add_{number}, {at(step.a)}, {at(step.b)}, {y});"
    elif isinstance(step, Pool):
        yield f"pool(&pool_{number}, {at(step.x)}, {y}, {int(step.largest)});"
    elif isinstance(step, Concat):
        first = 0
        for part in step.reads:
            sizes = _list([part.width, part.channels, step.y.channels])
            yield f"put({at(part)}, {y} + {first}, {sizes});"
            first += part.channels


def _said(rescale: Rescale) -> str:
    return f"{rescale.multiplier}, {rescale.shift}"


def _list(numbers: Iterable[Any]) -> str:
    return ", ".join(str(n) for n in numbers)


def _wrapped(items: Iterable[Any]) -> str:
    lines = textwrap.wrap(_list(items), 116, break_long_words=False, break_on_hyphens=False)
    return "".join(f"    {line}\n" for line in lines)
