"""A fold's net to a bundle folder: both int8 files, the manifest, and the card. Whole, or not at all."""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from edge_runtime import ranges, rhythms
from edge_runtime.backends import open_backend
from edge_runtime.bundle import FLOAT, FORMAT, MANIFEST, MEASURED, ONNX, TFLITE, Bundle, Model, load_bundle
from edge_runtime.conditioning import DEFAULT as CONDITIONING
from edge_runtime.delineation import WAVES
from edge_runtime.errors import UsageError
from edge_runtime.ranges import INTERVALS, Target
from edge_runtime.report import FINDINGS, RHYTHMS
from edge_runtime.windows import WINDOW_S, Window
from export.agreement import agreement, lost, over_the_gates, refuse
from export.calibration import calibration_windows
from export.cost import cost
from export.to_onnx import float_onnx, int8_onnx
from export.to_tflite import tflite
from train.augment import electrode_motion
from train.config import Config
from train.evaluate import TorchBackend, uncalibrated
from train.folds import VALIDATION_SHARE
from train.nets import Net
from train.ranges import COVERAGE, Residual
from train.run import ALL, Run, commit
from train.windows import GRID, SAMPLES

P_WAVE_THRESHOLD, RHYTHM_THRESHOLD = 0.5, 0.5
AGREEMENT_WINDOWS = 240
REFERENCE = "torch float"
PROOF = "proof.json"
_RUNTIME_MINIMA = {"ai-edge-litert": "1.2", "tflite-runtime": "2.14", "onnxruntime": "1.17"}


def calibration_of(run: Run, fold: str) -> dict[str, Any]:
    """The run's calibration; for a fold's bundle what was fitted on the other folds' patients only."""
    path = run.folder / "calibration.json"
    if not path.exists():
        raise UsageError(f"{path}: not there yet; run python -m train evaluate first (make bundle does)")
    calibration: dict[str, Any] = json.loads(path.read_text())
    return {**calibration, **calibration["without_fold"].get(fold, {}), "findings": calibration["findings"][fold]}


def targets_of(calibration: dict[str, Any]) -> dict[str, Target]:
    return {name: Target(**said) for name, said in calibration["targets"].items()}


def write_bundle(run: Run, out: Path, fold: str = ALL, allow: bool = False, with_float: bool = False) -> Bundle:
    """Export, hold to the gates, and put the bundle at `out` in one move. Raises BundleError when it would lie."""
    net = run.load("transfer", fold)
    calibration = calibration_of(run, fold)
    windows = calibration_windows(run, fold)
    out.parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix=f".{out.name}.", dir=out.parent))
    try:
        float_path = scratch / "float.onnx"
        float_onnx(net, float_path, SAMPLES)
        int8_onnx(float_path, scratch / ONNX, windows)
        tflite(net, scratch / TFLITE, SAMPLES, windows)
        if with_float:
            float_path.rename(scratch / FLOAT[ONNX])
            tflite(net, scratch / FLOAT[TFLITE], SAMPLES, None)
        else:
            float_path.unlink()
        manifest = _manifest(run.config, run, net, fold, calibration, scratch)
        manifest |= {"agreement": {}, "allowed": [], "card": ""}  # known once the files have been run
        (scratch / MANIFEST).write_text(json.dumps(manifest, indent=1) + "\n")
        manifest["agreement"], over = _agree(run, net, load_bundle(scratch), calibration)
        if fold == ALL:  # a fold's own net is what the proof is made of
            manifest["proof"], more = _proven(run)
            over += more
        refuse(over, allow)
        manifest["allowed"] = over
        manifest["card"] = card(manifest)
        (scratch / MANIFEST).write_text(json.dumps(manifest, indent=1) + "\n")
        load_bundle(scratch)
        _put(scratch, out)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return load_bundle(out)


def _put(scratch: Path, out: Path) -> None:
    scratch.chmod(0o755)
    if out.exists():
        old = out.with_name(f".{out.name}.old")
        shutil.rmtree(old, ignore_errors=True)
        out.rename(old)
        scratch.rename(out)
        shutil.rmtree(old)
    else:
        scratch.rename(out)


def agreement_windows(run: Run) -> list[Window]:
    """Real windows, all data sets alike; synthetic where none is at hand."""
    rng = np.random.default_rng([run.config.seed, 11])
    real = list(run.real.values()) or [run.synthetic]
    chosen = []
    for source in real:
        for i in rng.choice(len(source), min(len(source), AGREEMENT_WINDOWS // len(real)), replace=False):
            mv = source.signal_uv[i].astype(np.float64) * 1e-3
            chosen.append(Window(mv, CONDITIONING.sampling_rate_hz, 0.0, WINDOW_S, "I"))
    return chosen


def _agree(run: Run, net: Net, bundle: Bundle, calibration: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Each back end that can be had against torch."""
    chosen = agreement_windows(run)
    model: Model = replace(uncalibrated(), targets=targets_of(calibration))  # every value, as it is stated
    found, over = {}, []
    for name in ("ai-edge-litert", "tflite-runtime", "onnxruntime"):
        found[name] = agreement(TorchBackend(net), open_backend(bundle, name), model, chosen)
        over += over_the_gates(name, found[name])
    return found, over


def _proven(run: Run) -> tuple[dict[str, Any], list[str]]:
    """What `export.proof` found of the folds' nets, by form, and what of it is over a gate."""
    path = run.folder / PROOF
    proof = json.loads(path.read_text()) if path.exists() else {}
    if proof.get("weights") != {str(fold): run.digest(str(fold)) for fold in run.config.folds}:
        return {}, [f"{path} is not there or of other weights; python -m export.proof {run.folder} makes it"]
    said = {
        form: {name: {k: round(row[k], 4) for k in ("mae", "mae_reference")} for name, row in by.items() if row["n"]}
        for form, by in proof["forms"].items()
    }
    return said, lost(proof, REFERENCE)


def _manifest(
    config: Config, run: Run, net: Net, fold: str, calibration: dict[str, Any], folder: Path
) -> dict[str, Any]:
    files = {}
    for name in (ONNX, TFLITE):
        content = (folder / name).read_bytes()
        files[name] = {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
    targets = {
        name: {
            "unit": name.rsplit("_", 1)[1],
            "centre": t["centre"],
            "scale": t["scale"],
            "blend": t["blend"],
            "coverage": COVERAGE,
            "weights": t["weights"],
            "bias": t["bias"],
            "range": [t["low"], t["high"]],
        }
        for name, t in calibration["targets"].items()
    }
    made = json.loads((run.folder / "run.json").read_text())
    return {
        "format": FORMAT,
        "name": config.name if fold == ALL else f"{config.name}-fold{fold}",
        "input": {
            "sampling_rate_hz": CONDITIONING.sampling_rate_hz,
            "samples": SAMPLES,
            "window_s": WINDOW_S,
            "units": "asinh(mV / 0.1)",
            "lead": "one; judged on I, II and QTDB's first",
        },
        "conditioning": CONDITIONING.to_dict(),
        "heads": {
            "masks": {
                "shape": [3, GRID.length],
                "waves": list(WAVES),
                "sampling_rate_hz": GRID.sampling_rate_hz,
                "margin": GRID.margin,
            },
            "rhythm": {"shape": [len(RHYTHMS)], "classes": list(RHYTHMS)},
            "p_wave": {"shape": [1]},
            "findings": {"shape": [len(FINDINGS)], "classes": list(FINDINGS)},
            "intervals": {"shape": [len(INTERVALS)], "targets": list(INTERVALS)},
            "spread": {"shape": [len(INTERVALS)], "targets": list(INTERVALS)},
        },
        "targets": targets,
        "range_features": list(ranges.FEATURES),
        "thresholds": {
            "p_wave": P_WAVE_THRESHOLD,
            "rhythm": RHYTHM_THRESHOLD,
            "quality": calibration["quality"]["threshold"],
        },
        "quality": calibration["quality"],
        "record_rhythm": calibration["record_rhythm"] | {"features": list(rhythms.FEATURES)},
        "findings": calibration["findings"],
        "max_bridged_ms": calibration["max_bridged_ms"],
        "bridging_harm_ms": calibration["bridging_harm_ms"],
        "files": files,
        "cost": cost(net, SAMPLES),
        "quantization": "int8: per-channel weights, ranges from calibration windows; ONNX u8 activations, exact sums",
        "runtime_minima": _RUNTIME_MINIMA,
        "provenance": {
            "config": config.to_dict(),
            "seed": config.seed,
            "trained_at_commits": run.commits(fold),
            "exported_at_commit": commit(),
            "torch": made["torch"],
            "weights_sha256": run.digest(fold),
            "calibration_sha256": hashlib.sha256((run.folder / "calibration.json").read_bytes()).hexdigest(),
            "parameters": sum(p.numel() for p in net.parameters()),
            "data": {
                "synthetic": config.synthetic_windows,
                "real": [*run.real, *(["nstdb em"] if electrode_motion((0.0, 0.1)) else [])],
            },
            "split": "trained on all subjects but "
            + ("" if fold == ALL else f"those of fold {fold}, ")
            + f"one patient in {VALIDATION_SHARE}, who chose the epoch, and PTB-XL's folds 8 and 9",
        },
        "metrics": {"out_of_fold_residual": _summary(calibration), **_judged(run)},
    }


def _judged(run: Run) -> dict[str, Any]:
    """Float and int8 tables of the folds, where the accuracy benchmark has judged this run's weights."""
    path = run.folder / "accuracy.json"
    if not path.exists():
        return {}
    judged = json.loads(path.read_text())
    if judged["weights"] != {fold: run.digest(fold) for fold in judged["weights"]}:
        return {}
    return {"out_of_fold": {"intervals": judged["intervals"], "rhythm": judged["rhythm"]}}


def _summary(calibration: dict[str, Any]) -> dict[str, dict[str, float]]:
    out = {}
    for name in MEASURED:
        target = targets_of(calibration)[name]
        rows = [Residual.from_row(row) for by in calibration["residuals_by_fold"].values() for row in by[name]]
        r = np.array([row.left(target) for row in rows])
        if len(r):
            mae, sd = float(np.abs(r).mean()), float(r.std())
            out[name] = {"mae": round(mae, 3), "bias": round(float(-r.mean()), 3), "sd": round(sd, 3), "n": len(r)}
    return out


def card(manifest: dict[str, Any]) -> str:
    """The model card, as text."""
    made, metrics = manifest["provenance"], manifest["metrics"]["out_of_fold_residual"]
    commits = " / ".join(dict.fromkeys(made["trained_at_commits"].values()))
    lines = [
        f"{manifest['name']}: P, QRS and T masks, P-wave presence and rhythm from one ECG lead. Research use only;",
        "not a medical device.",
        f"{made['parameters']} parameters; seed {made['seed']}; {made['split']}; commits {commits}.",
        f"Pretrained on {made['data']['synthetic']} synthetic windows, then {', '.join(made['data']['real'])}.",
        "Float residuals of nets that never saw the patient (by window): "
        + "; ".join(f"{n} MAE {m['mae']:g}, SD {m['sd']:g}, n {m['n']}" for n, m in metrics.items()),
        "Fails on: leads other than I and II (seen in training, not judged), paced rhythm (few examples), P waves",
        "hidden in T waves, and recordings unlike those of a resting adult.",
    ]
    return "\n".join(lines)
