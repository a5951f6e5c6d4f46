"""What runs the net: a companded window in, named heads out. One thread each: the net is too small to share.

Each back end is held to the bundle's shapes when it is opened.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from edge_runtime.bundle import ONNX, TFLITE, Bundle
from edge_runtime.errors import BundleError, UsageError

Heads = dict[str, NDArray[np.float32]]


class Backend(Protocol):
    """(samples,) float32 -> the bundle's heads, float32: masks (3, length), rhythm (4,), p_wave (1,), findings (5,) as
    logits; intervals (4,) and the log of their spread (4,) in the targets' units."""

    @property
    def name(self) -> str: ...

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


class _Row(NamedTuple):
    """What opens a back end, what wraps it, the bundle's file that it runs, and the extra that installs it."""

    name: str
    open: Callable[[bytes], Any]
    wrapper: Any
    file: str
    extra: str


_TABLE = (  # in the order in which they are tried
    _Row("ai-edge-litert", _open_litert, Tflite, TFLITE, "tflite"),
    _Row("tflite-runtime", _open_tflite_runtime, Tflite, TFLITE, "tflite-legacy"),
    _Row("onnxruntime", _open_onnxruntime, _Onnx, ONNX, "onnx"),
)
BACKENDS = tuple(row.name for row in _TABLE)


def head_shapes(bundle: Bundle) -> dict[str, tuple[int, ...]]:
    return {head: tuple(int(n) for n in said["shape"]) for head, said in bundle.manifest["heads"].items()}


class Fallback:
    """The first back end that works; where it fails later, the next one, on the same window."""

    def __init__(self, bundle: Bundle, names: Sequence[str], tell: Callable[[str], None]) -> None:
        """Raises UsageError when none of `names` can be had, BundleError when the bundle is at fault."""
        self._bundle, self._tell = bundle, tell
        self._names = list(names)  # in the order in which they are to be tried
        reasons: list[str] = []
        opened = self._first(reasons)
        if opened is None:
            raise UsageError("no back end for the net: " + "; ".join(reasons or ["the bundle has no file for it"]))
        self._backend: Backend = opened

    @property
    def name(self) -> str:
        return self._backend.name

    def __call__(self, companded: NDArray[np.float32]) -> Heads:
        """Raises UsageError where each of them, opened anew, fails on this window."""
        reasons: list[str] = []
        for _ in range(len(self._names) + 1):
            failed = self.name
            try:
                return self._backend(companded)
            except Exception as error:  # each runtime has its own
                reasons.append(f"{failed} failed ({_line(error)})")
            self._names = [*(name for name in self._names if name != failed), failed]  # itself last of all, anew
            opened = self._first(reasons)
            if opened is None:
                break
            self._backend = opened
            self._tell(f"{reasons[-1]}; {self.name} goes on from here")
        raise UsageError("no back end runs the net any more: " + "; ".join(reasons))

    def _first(self, reasons: list[str]) -> Backend | None:
        """The first that can be opened. Says of each other why not."""
        for name in self._names:
            try:
                return _open(self._bundle, name)
            except _CannotBeHad as error:
                reasons.append(str(error))
                self._tell(reasons[-1])
        return None


class _CannotBeHad(Exception):
    """A back end, and why."""


def open_backend(
    bundle: Bundle, name: str | None = None, tell: Callable[[str], None] = lambda message: None
) -> Backend:
    """The named back end alone, or the first that works of those that the bundle has a file for; warmed up once.

    tell: hears of each that does not work, now or later. Raises UsageError when none can be had, BundleError when the
    bundle is at fault.
    """
    if name is not None and name not in BACKENDS:
        raise UsageError(f"no back end {name!r}; there are {', '.join(BACKENDS)}")
    names = [row.name for row in _TABLE if row.file in bundle.files and name in (None, row.name)]
    return Fallback(bundle, names, tell)


def _open(bundle: Bundle, name: str) -> Backend:
    (row,) = (row for row in _TABLE if row.name == name)
    try:
        with _quiet():
            backend: Backend = row.wrapper(name, row.open(bundle.files[row.file]), head_shapes(bundle))
            backend(np.zeros(bundle.model.samples, np.float32))
        return backend
    except ImportError:
        raise _CannotBeHad(f"{name} is not installed (pip install 'leadwire[{row.extra}]')") from None
    except BundleError:
        raise
    except Exception as error:  # each runtime has its own, and one at odds with numpy any of Python's
        raise _CannotBeHad(f"{name} does not work here ({_line(error)})") from error


def _line(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]


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
