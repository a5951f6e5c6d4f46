"""What runs the net: a companded window in, named heads out. One thread each: the net is too small to share.

Each back end is held to the bundle's shapes when it is opened.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Iterator
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from edge_runtime.bundle import ONNX, TFLITE, Bundle
from edge_runtime.errors import BundleError, UsageError

Heads = dict[str, NDArray[np.float32]]


class Backend(Protocol):
    """(samples,) float32 -> the bundle's heads, float32: masks (3, length), rhythm (4,), p_wave (1,), findings (5,) as
    logits; intervals (4,) and the log of their spread (4,) in the targets' units."""

    name: str

    def __call__(self, companded: NDArray[np.float32]) -> Heads: ...


class Tflite:
    """Any of the three TFLite interpreters; quantizes and dequantizes at its edges where the graph is int8."""

    def __init__(self, name: str, interpreter: Any, shapes: dict[str, tuple[int, ...]]) -> None:
        self.name = name
        self._interpreter = interpreter
        interpreter.allocate_tensors()
        self._input = interpreter.get_input_details()[0]
        outputs = {o["name"]: o for o in interpreter.get_output_details()}
        for head, shape in shapes.items():
            if head not in outputs or np.prod(outputs[head]["shape"]) != np.prod(shape):
                raise BundleError(f"{TFLITE}: no output for the head {head} of shape {list(shape)}; export it again")
        self._outputs = {head: outputs[head] for head in shapes}

    def __call__(self, companded: NDArray[np.float32]) -> Heads:
        detail = self._input
        values = companded.reshape(detail["shape"])
        scale, zero = detail["quantization"]
        if scale:
            limits = np.iinfo(detail["dtype"])
            values = np.clip(np.round(values / scale) + zero, limits.min, limits.max)
        self._interpreter.set_tensor(detail["index"], values.astype(detail["dtype"]))
        self._interpreter.invoke()
        return {head: self._read(output) for head, output in self._outputs.items()}

    def _read(self, detail: dict[str, Any]) -> NDArray[np.float32]:
        values = self._interpreter.get_tensor(detail["index"])[0, 0]  # (width, channels)
        scale, zero = detail["quantization"]
        if scale:
            values = (values.astype(np.float32) - zero) * np.float32(scale)
        return np.ascontiguousarray(values.T if values.shape[0] > 1 else values[0], np.float32)


class _Onnx:
    def __init__(self, name: str, session: Any, shapes: dict[str, tuple[int, ...]]) -> None:
        self.name = name
        self._session = session
        self._input = session.get_inputs()[0]
        outputs = {o.name: o.shape for o in session.get_outputs()}
        for head, shape in shapes.items():
            if head not in outputs or np.prod(outputs[head]) != np.prod(shape):
                raise BundleError(f"{ONNX}: no output for the head {head} of shape {list(shape)}; export it again")
        self._shapes = shapes

    def __call__(self, companded: NDArray[np.float32]) -> Heads:
        values = self._session.run(list(self._shapes), {self._input.name: companded.reshape(self._input.shape)})
        return {head: v.reshape(shape) for (head, shape), v in zip(self._shapes.items(), values, strict=True)}


def _open_litert(content: bytes) -> Any:
    from ai_edge_litert.interpreter import Interpreter

    return Interpreter(model_content=content, num_threads=1)


def _open_tflite_runtime(content: bytes) -> Any:
    from tflite_runtime.interpreter import Interpreter

    return Interpreter(model_content=content, num_threads=1)


def _open_onnxruntime(content: bytes) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    # u8 weights instead of s8: without VNNI an x86-64 adds products of u8 and s8 in 16 bits, which saturate. Where it
    # would not, the answer is the same (docs/arm.md).
    options.add_session_config_entry("session.x64quantprecision", "1")
    return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])


# In the order in which they are tried: name, what opens it, its wrapper, its file, the extra that installs it.
_TABLE: tuple[tuple[str, Callable[[bytes], Any], Any, str, str], ...] = (
    ("ai-edge-litert", _open_litert, Tflite, TFLITE, "tflite"),
    ("tflite-runtime", _open_tflite_runtime, Tflite, TFLITE, "tflite-legacy"),
    ("onnxruntime", _open_onnxruntime, _Onnx, ONNX, "onnx"),
)
BACKENDS = tuple(row[0] for row in _TABLE)


def head_shapes(bundle: Bundle) -> dict[str, tuple[int, ...]]:
    return {head: tuple(int(n) for n in said["shape"]) for head, said in bundle.manifest["heads"].items()}


def open_backend(
    bundle: Bundle, name: str | None = None, tell: Callable[[str], None] = lambda message: None
) -> Backend:
    """The named back end, or the first that works; `tell` hears of each that does not. Warmed up once.

    Raises UsageError when none can be had, BundleError when the bundle is at fault.
    """
    if name is not None and name not in BACKENDS:
        raise UsageError(f"no back end {name!r}; there are {', '.join(BACKENDS)}")
    shapes = head_shapes(bundle)
    reasons = []
    for known, opener, wrapper, file, extra in _TABLE:
        if (name is not None and known != name) or file not in bundle.files:
            continue
        try:
            with _quiet():
                backend: Backend = wrapper(known, opener(bundle.files[file]), shapes)
                backend(np.zeros(bundle.model.samples, np.float32))
            return backend
        except ImportError:
            reasons.append(f"{known} is not installed (pip install 'leadwire[{extra}]')")
        except BundleError:
            raise
        except Exception as error:  # each runtime has its own, and one at odds with numpy any of Python's
            why = (str(error) or type(error).__name__).splitlines()[0]
            reasons.append(f"{known} does not work here ({why})")
        tell(reasons[-1])
    raise UsageError("no back end for the net: " + "; ".join(reasons or [f"the bundle has no file for {name}"]))


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """The runtimes' C++ greets on standard error, in the middle of the live line."""
    if sys.stderr is None:
        yield
        return
    sys.stderr.flush()
    kept, null = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(null)
