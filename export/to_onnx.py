"""Torch to ONNX, and ONNX to int8: static QDQ, per channel, u8 activations (with s8 eight convolutions stay float).

What comes out gives the same bits on every processor: its sums are exact (`export.exact_sums`), and ONNX Runtime can
make its weights u8, which it has to where u8 x s8 saturates (`slim`).
"""

from __future__ import annotations

import copy
import logging
import tempfile
import warnings
from collections import defaultdict
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from export.exact_sums import exact_scales
from export.fold import folded
from train.nets import WINDOW_HEADS, Net

HEADS = ("masks", *WINDOW_HEADS)
_OPSET = 17


class _Tuple(nn.Module):
    def __init__(self, net: Net) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        out = self.net(x)
        return tuple(out[h] for h in HEADS)


def float_onnx(net: Net, path: Path, samples: int) -> None:
    """Write the float graph: input `window` (1, 1, 1, samples), outputs HEADS."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter announces its successor at every call
        torch.onnx.export(
            _Tuple(folded(net)),
            (torch.zeros(1, 1, 1, samples),),
            str(path),
            input_names=["window"],
            output_names=list(HEADS),
            opset_version=_OPSET,
            dynamo=False,
        )


def int8_onnx(float_path: Path, path: Path, windows: NDArray[np.float32], nodes: list[str] | None = None) -> None:
    """Quantize with the activations' ranges over (n, samples) companded windows; all nodes, or those named."""
    from onnxruntime.quantization import (
        CalibrationDataReader,
        CalibrationMethod,
        QuantFormat,
        QuantType,
        quantize_static,
    )
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class Reader(CalibrationDataReader):
        def __init__(self) -> None:
            self._left: Iterator[NDArray[np.float32]] = iter(windows)

        def get_next(self) -> dict[str, NDArray[np.float32]] | None:
            window = next(self._left, None)
            return None if window is None else {"window": window[None, None, None]}

    level = logging.getLogger().level
    logging.getLogger().setLevel(logging.ERROR)
    try:
        with tempfile.TemporaryDirectory() as scratch:
            prepared = Path(scratch) / "prepared.onnx"
            quant_pre_process(str(float_path), str(prepared))

            def quantize(scales: dict[str, tuple[np.float32, np.uint8]]) -> onnx.ModelProto:
                """With these scales and zero points instead of the calibrated ones."""
                quantize_static(
                    str(prepared),
                    str(path),
                    Reader(),
                    quant_format=QuantFormat.QDQ,
                    nodes_to_quantize=nodes,
                    per_channel=True,
                    activation_type=QuantType.QUInt8,
                    weight_type=QuantType.QInt8,
                    calibrate_method=CalibrationMethod.MinMax,
                    extra_options={
                        "TensorQuantOverrides": {
                            tensor: [{"scale": np.array(scale), "zero_point": np.array(zero)}]
                            for tensor, (scale, zero) in scales.items()
                        }
                    },
                )
                return onnx.load(str(path))

            quantized = quantize({})
            if scales := exact_scales(quantized):
                quantized = quantize(scales)
    finally:
        logging.getLogger().setLevel(level)
    path.write_bytes(slim(quantized))


def slim(model: onnx.ModelProto) -> bytes:
    """The same graph with each constant written once, and names of a letter or two but for its input and outputs.

    A per-channel net says the whole way to each of its tensors five times, and repeats its constants: a third of the
    file. The zero points of its weights alone are left as many as there are: where ONNX Runtime makes u8 of the weights
    (`backends.py` asks it to), it makes another of each of them, and twice the same it does not.
    """
    model = copy.deepcopy(model)
    graph = model.graph
    number = count()
    names = defaultdict(lambda: f"t{next(number):x}", {"": ""})
    names |= {value.name: value.name for value in (*graph.input, *graph.output)}
    held: dict[bytes, str] = {}
    constants = []
    for constant in graph.initializer:
        name = constant.name
        if constant.data_type != onnx.TensorProto.INT8:
            constant.name = ""
        key = constant.SerializeToString()
        if key not in held:
            held[key] = constant.name = f"c{len(held):x}"
            constants.append(constant)
        names[name] = held[key]
    for node in graph.node:
        node.name = node.doc_string = ""
        for words in (node.input, node.output):
            words[:] = [names[word] for word in words]
    del graph.initializer[:], graph.value_info[:]
    graph.initializer.extend(constants)
    return bytes(model.SerializeToString())
