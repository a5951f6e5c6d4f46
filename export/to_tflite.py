"""Torch to TFLite: the folded net is traced, and each of its operations becomes one of TensorFlow's, in NHWC.

No Keras and no ONNX in between. A net that uses an operation not in the table is refused by name.
"""

from __future__ import annotations

import operator
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import fx, nn
from torch.nn import functional as F

from edge_runtime.errors import LeadwireError
from export.fold import folded
from export.to_onnx import HEADS
from train.codings import CODINGS, channels_last
from train.nets import Net


def _tensorflow() -> Any:
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
    # tflite-runtime cannot open a model in a process that has loaded tensorflow before it; the other way round it can.
    import tflite_runtime.interpreter  # noqa: F401, I001
    import tensorflow

    return tensorflow


def _conv(tf: Any, module: nn.Conv2d, x: Any) -> Any:
    """Explicit padding and VALID: TensorFlow's SAME pads a strided convolution elsewhere than torch does."""
    pad_h, pad_w = (int(p) for p in module.padding)
    if pad_h or pad_w:
        x = tf.pad(x, [[0, 0], [pad_h, pad_h], [pad_w, pad_w], [0, 0]])
    weight = module.weight.detach().numpy()
    if module.groups == 1:
        kernel = tf.constant(weight.transpose(2, 3, 1, 0))
        y = tf.nn.conv2d(x, kernel, list(module.stride), "VALID", dilations=list(module.dilation))
    elif module.groups == module.in_channels == module.out_channels:
        kernel = tf.constant(weight.transpose(2, 3, 0, 1))
        y = tf.nn.depthwise_conv2d(x, kernel, [1, *module.stride, 1], "VALID")
    else:
        raise LeadwireError("a grouped convolution that is not depthwise has no TFLite form here; change the net")
    return y if module.bias is None else tf.nn.bias_add(y, tf.constant(module.bias.detach().numpy()))


def _functions(tf: Any) -> dict[Any, Callable[..., Any]]:
    """Torch functions to TensorFlow ones on NHWC tensors."""

    def interpolate(x: Any, scale_factor: tuple[float, float], mode: str, **_: Any) -> Any:
        size = [int(x.shape[1] * scale_factor[0]), int(x.shape[2] * scale_factor[1])]
        return tf.compat.v1.image.resize_nearest_neighbor(x, size)

    def pool(function: Any) -> Callable[..., Any]:
        def pooled(x: Any, kernel: Any, stride: Any = None, padding: Any = (0, 0), **_: Any) -> Any:
            # The only padding in use is that of an odd kernel at stride 1, where TensorFlow's SAME is torch's.
            same = padding not in (0, (0, 0))
            return function(x, list(kernel), list(stride or kernel), "SAME" if same else "VALID")

        return pooled

    def channels(x: Any, index: Any) -> Any:
        """x[:, a:b] of NCHW is [..., a:b] of NHWC."""
        return x[index] if isinstance(x, tuple) else x[..., index[1]]

    return {
        F.relu: lambda x, **_: tf.nn.relu(x),
        F.interpolate: interpolate,
        F.dropout: lambda x, *_, **__: x,
        F.avg_pool2d: pool(tf.nn.avg_pool2d),
        F.max_pool2d: pool(tf.nn.max_pool2d),
        torch.cat: lambda xs, *_: tf.concat(list(xs), -1),
        operator.add: lambda a, b: a + b,
        operator.getitem: channels,
    }


class _ToTensorflow(fx.Interpreter):
    """Runs the traced net on NHWC TensorFlow tensors."""

    def __init__(self, traced: fx.GraphModule, tf: Any) -> None:
        super().__init__(traced)
        self._tf, self._known = tf, _functions(tf)

    def call_module(self, target: Any, args: Any, kwargs: Any) -> Any:
        module = self.fetch_attr(str(target))
        if isinstance(module, nn.Conv2d):
            return _conv(self._tf, module, args[0])
        if isinstance(module, nn.ReLU):
            return self._tf.nn.relu(args[0])
        if isinstance(module, nn.Identity):
            return args[0]
        raise LeadwireError(f"{type(module).__name__} has no TFLite form here; add it to export/to_tflite.py")

    def call_function(self, target: Any, args: Any, kwargs: Any) -> Any:
        if target not in self._known:
            raise LeadwireError(
                f"{getattr(target, '__name__', target)} has no TFLite form here; add it to export/to_tflite.py"
            )
        return self._known[target](*args, **kwargs)


def slim(content: bytes, outputs: list[str]) -> bytes:
    """The same graph with each vector written once, its input named `window` and its outputs as `outputs` say.

    A per-channel net repeats thousands of zero points and keeps the name of every tensor: a quarter of the file.
    """
    import flatbuffers
    from tensorflow.lite.python import schema_py_generated as schema

    class Once(flatbuffers.Builder):
        def __init__(self) -> None:
            super().__init__(len(content))
            self.held: dict[tuple[str, bytes], Any] = {}

        def CreateNumpyVector(self, x: Any) -> Any:
            key = (x.dtype.str, x.tobytes())
            if key not in self.held:
                self.held[key] = super().CreateNumpyVector(x)
            return self.held[key]

    model = schema.ModelT.InitFromPackedBuf(bytearray(content), 0)
    graph = model.subgraphs[0]
    names = {int(i): name for i, name in zip(graph.outputs, outputs, strict=True)} | {int(graph.inputs[0]): "window"}
    for index, tensor in enumerate(graph.tensors):
        tensor.name = names.get(index, "").encode()
    builder = Once()
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def tflite(net: Net, path: Path, samples: int, windows: NDArray[np.float32] | None, per_channel: bool = True) -> None:
    """Write the graph: int8 throughout with ranges over (n, samples) companded windows, or float without any.

    per_channel: a scale for each of a layer's channels; without, one a layer, which is only here to be compared with.
    """
    tf = _tensorflow()
    coding = net.spec.coding
    shape = (1, 1, samples, CODINGS[coding].channels)
    plain = folded(net)
    traced = fx.symbolic_trace(plain)

    @tf.function(autograph=False, input_signature=[tf.TensorSpec(shape, tf.float32)])
    def run(window: Any) -> dict[str, Any]:
        return dict(_ToTensorflow(traced, tf).run(window))

    converter = tf.lite.TFLiteConverter.from_concrete_functions([run.get_concrete_function()])
    if windows is not None:

        def representative() -> Iterator[list[NDArray[np.float32]]]:
            for window in windows:
                yield [channels_last(window, coding)[None, None]]

        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = representative
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter._experimental_disable_per_channel = not per_channel
        converter.inference_input_type = converter.inference_output_type = tf.int8
    path.write_bytes(slim(converter.convert(), sorted(HEADS)))
