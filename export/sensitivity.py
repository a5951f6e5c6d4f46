"""`python -m export.sensitivity RUN`: which convolution's int8 costs how much, one at a time (RUN/sensitivity.json).

Each convolution of the float graph is quantized alone, and what is then stated lies so far from what the float graph
states. Where one of them stands out, it is the one to keep in float; what that would give stands beside them.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from edge_runtime.analysis import analyse_window
from edge_runtime.backends import open_backend
from edge_runtime.bundle import DEFAULT, MEASURED, ONNX, Bundle, load_bundle
from edge_runtime.errors import exit_with
from edge_runtime.windows import Window
from export.agreement import LOSSES
from export.bundle_writer import agreement_windows
from export.calibration import calibration_windows
from export.to_onnx import float_onnx, int8_onnx
from train.run import ALL, Run, commit
from train.windows import SAMPLES

RANGES_FROM = 100  # calibration windows: one layer's ranges need fewer than a whole graph's
Stated = list[dict[str, float | None]]


def stated(bundle: Bundle, content: bytes, windows: list[Window]) -> Stated:
    backend = open_backend(replace(bundle, files={ONNX: content}), "onnxruntime")
    reports = [analyse_window(window, bundle.model, backend) for window in windows]
    return [{name: report.measures[name].value for name in MEASURED} for report in reports]


def apart(a: Stated, b: Stated) -> dict[str, float | None]:
    """By measure the mean absolute difference where both state a value; None where none does."""
    out: dict[str, float | None] = {}
    for name in MEASURED:
        pairs = [(x[name], y[name]) for x, y in zip(a, b, strict=True) if x[name] is not None and y[name] is not None]
        out[name] = round(float(np.mean([abs(x - y) for x, y in pairs])), 4) if pairs else None  # type: ignore[operator]
    return out


def _size(row: dict[str, float | None]) -> float:
    """Of a row of differences, in units of what the gates let through."""
    return sum((row[name] or 0.0) / LOSSES[name] for name in MEASURED)


def measure(run: Run, bundle: Bundle) -> dict[str, Any]:
    """Every convolution alone, all of them with everything between, and that without the one that moves most. Writes
    `sensitivity.json`."""
    import onnx

    windows = agreement_windows(run)
    ranges = calibration_windows(run, ALL)
    ranges = ranges[np.random.default_rng(0).permutation(len(ranges))[:RANGES_FROM]]
    with tempfile.TemporaryDirectory() as scratch:
        whole, part = Path(scratch) / "float.onnx", Path(scratch) / "part.onnx"
        float_onnx(run.load("transfer", ALL), whole, SAMPLES)
        graph = onnx.load(str(whole)).graph
        nodes = [node.name for node in graph.node if node.op_type == "Conv"]
        reference = stated(bundle, whole.read_bytes(), windows)
        layers = {}
        for name in tqdm(nodes, desc="layers"):
            int8_onnx(whole, part, ranges, [name])
            layers[name] = apart(stated(bundle, part.read_bytes(), windows), reference)
        int8_onnx(whole, part, ranges)
        everything = apart(stated(bundle, part.read_bytes(), windows), reference)
        farthest = max(layers, key=lambda name: _size(layers[name]))
        int8_onnx(whole, part, ranges, [node.name for node in graph.node if node.name != farthest])
        all_but = {farthest: apart(stated(bundle, part.read_bytes(), windows), reference)}
    found = {
        "what": "mean absolute difference from the float graph when one convolution alone is int8",
        "weights": run.digest(ALL),
        "commit": commit(),
        "windows": len(windows),
        "everything": everything,
        "all_but": all_but,
        "layers": layers,
    }
    (run.folder / "sensitivity.json").write_text(json.dumps(found, indent=1) + "\n")
    return found


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m export.sensitivity", description=__doc__)
    parser.add_argument("run", type=Path, help="a run's folder, such as runs/default")
    parser.add_argument("--bundle", type=Path, default=DEFAULT, help="whose ranges and thresholds are used")
    chosen = parser.parse_args(arguments)
    found = measure(Run.open(chosen.run), load_bundle(chosen.bundle))
    rows = sorted(found["layers"].items(), key=lambda row: -(row[1]["qt_ms"] or 0.0))
    but = [(f"all but {name}", row) for name, row in found["all_but"].items()]
    for name, row in [("everything", found["everything"]), *but, *rows]:
        print(f"{name:44} " + ", ".join(f"{k} {v}" for k, v in row.items()))
    return 0


if __name__ == "__main__":
    exit_with("export.sensitivity", main)
