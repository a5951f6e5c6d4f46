"""The bundle: one folder with the int8 net for each back end and `model.json`, which says all that is true of it.

A bundle whose hash, format or shape does not match is refused, and the message says which.
"""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge_runtime.conditioning import Conditioning
from edge_runtime.delineation import WAVES, MaskGrid
from edge_runtime.errors import BundleError
from edge_runtime.quality import FEATURES
from edge_runtime.ranges import FEATURES as RANGE_FEATURES
from edge_runtime.ranges import INTERVALS, Target
from edge_runtime.report import FINDINGS, RHYTHMS
from edge_runtime.rhythms import FEATURES as RHYTHM_FEATURES

FORMAT = 2
MANIFEST = "model.json"
TFLITE, ONNX = "model.tflite", "model.onnx"
FLOAT = {ONNX: "model.float.onnx", TFLITE: "model.float.tflite"}  # beside them where `--with-float` was asked for
DEFAULT = Path(__file__).parent / "bundles" / "default"
MEASURED = tuple(INTERVALS)


@dataclass(frozen=True)
class Model:
    """What the runtime has to know of a net, whatever runs it.

    targets: by measure, what makes its range. quality: the logistic of `quality.FEATURES`; record_rhythm: that of
    `rhythms.FEATURES`. thresholds: p_wave, rhythm and quality, probabilities. findings: slope and offset on the
    logit of each of FINDINGS.
    """

    id: str
    samples: int
    window_s: float
    conditioning: Conditioning
    grid: MaskGrid
    classes: tuple[str, ...]
    targets: dict[str, Target]
    thresholds: dict[str, float]
    quality: dict[str, Any]
    record_rhythm: dict[str, Any]
    findings: dict[str, tuple[float, float]]
    max_bridged_ms: float


@dataclass(frozen=True)
class Bundle:
    folder: Path
    model: Model
    manifest: dict[str, Any]
    files: dict[str, bytes]  # as they were when their hashes were checked


def load_bundle(folder: Path = DEFAULT) -> Bundle:
    """Raises BundleError."""
    path = folder / MANIFEST
    try:
        text = path.read_bytes()
        manifest = json.loads(text)
    except OSError as error:
        raise BundleError(f"{path}: cannot be read ({error.strerror}); a bundle is a folder with {MANIFEST}") from error
    except (ValueError, RecursionError) as error:
        raise BundleError(f"{path}: no JSON ({error}); the bundle is damaged, export it again") from error
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        found = manifest.get("format") if isinstance(manifest, dict) else None
        raise BundleError(
            f"{path}: bundle format {found!r}; this version reads {FORMAT}: export it again, or update leadwire"
        )
    try:
        model = _model(manifest)
        files = {name: _verified(folder / name, said["sha256"]) for name, said in manifest["files"].items()}
    except (KeyError, TypeError, ValueError, AttributeError, IndexError, OverflowError) as error:
        raise BundleError(
            f"{path}: {type(error).__name__} {error}; the manifest is damaged, export it again"
        ) from error
    if not set(files) & {TFLITE, ONNX}:
        raise BundleError(f"{path}: names neither {TFLITE} nor {ONNX}; export it again")
    return Bundle(folder, model, manifest, files)


def _verified(path: Path, sha256: str) -> bytes:
    if path.name not in (TFLITE, ONNX) or len(sha256) != 64:
        raise BundleError(f"{path}: not a file that a bundle holds; export it again")
    try:
        content = path.read_bytes()
    except OSError as error:
        raise BundleError(
            f"{path}: cannot be read ({error.strerror}); the bundle is not whole, copy it again"
        ) from error
    if hashlib.sha256(content).hexdigest() != sha256:
        raise BundleError(
            f"{path}: its hash is not the one in {MANIFEST}; the bundle was changed or damaged, copy it again"
        )
    return content


_DECIDES = ("conditioning", "targets", "thresholds", "quality", "record_rhythm", "findings", "max_bridged_ms")


def identity(manifest: dict[str, Any]) -> str:
    """`name@` and seven digits that change with any of its nets and with whatever else decides what is stated."""
    nets = [manifest["files"][f]["sha256"] for f in sorted(manifest["files"])]
    rest = json.dumps([manifest[key] for key in _DECIDES], sort_keys=True)
    return f"{manifest['name']}@{hashlib.sha256(''.join([*nets, rest]).encode()).hexdigest()[:7]}"


def _target(t: dict[str, Any]) -> Target:
    return Target(
        centre=float(t["centre"]),
        scale=float(t["scale"]),
        blend=float(t["blend"]),
        weights=tuple(float(w) for w in t["weights"]),
        bias=float(t["bias"]),
        low=float(t["range"][0]),
        high=float(t["range"][1]),
    )


def _model(m: dict[str, Any]) -> Model:
    """Everything that the runtime will use, read and held together once; what does not fit is named."""
    masks, rhythm, given = m["heads"]["masks"], m["heads"]["rhythm"], m["input"]
    grid = MaskGrid(float(masks["sampling_rate_hz"]), int(masks["shape"][1]), int(masks["margin"]))
    conditioning = Conditioning.from_dict(m["conditioning"])
    rate, window_s, samples = float(given["sampling_rate_hz"]), float(given["window_s"]), int(given["samples"])
    classes = tuple(str(c) for c in rhythm["classes"])
    targets = {name: _target(t) for name, t in m["targets"].items()}
    aggregate = m["record_rhythm"]
    rows = [[float(w) for w in row] for row in aggregate["weights"]]
    offsets = [float(b) for b in aggregate["bias"]]
    findings = {name: (float(said[0]), float(said[1])) for name, said in m["findings"].items()}
    thresholds = {name: float(m["thresholds"][name]) for name in ("p_wave", "rhythm", "quality")}
    weights, bias = [float(w) for w in m["quality"]["weights"]], float(m["quality"]["bias"])
    numbers = [grid.sampling_rate_hz, rate, window_s, bias, *thresholds.values(), *weights, *offsets]
    numbers += [n for t in targets.values() for n in (t.centre, t.scale, t.blend, t.bias, t.low, t.high, *t.weights)]
    numbers += [n for row in (*rows, *findings.values()) for n in row]
    finite = all(math.isfinite(n) for n in numbers)
    steps = window_s * grid.sampling_rate_hz + 2 * grid.margin
    missing = [name for name in MEASURED if name not in targets]
    shapes = {"p_wave": [1], "intervals": [len(INTERVALS)], "spread": [len(INTERVALS)], "findings": [len(FINDINGS)]}
    odd = [
        f"{head} head of shape {m['heads'][head]['shape']}"
        for head in shapes
        if m["heads"][head]["shape"] != shapes[head]
    ]
    checks: list[tuple[bool, str]] = [
        (finite, "a number that is none"),
        (rate == conditioning.sampling_rate_hz, f"input of {rate:g} Hz, not the conditioning's"),
        (finite and round(window_s * rate) == samples > 0, f"{samples} samples are not {window_s:g} s at {rate:g} Hz"),
        (tuple(masks["waves"]) == WAVES and masks["shape"][0] == len(WAVES), f"masks of {masks['waves']}"),
        (abs(steps - grid.length) < 1, f"{grid.length} mask steps, where {steps:g} would be {window_s:g} s"),
        (classes == RHYTHMS and rhythm["shape"] == [len(classes)], f"rhythm head of {rhythm['shape']} for {classes}"),
        (not odd, ", ".join(odd)),
        (len(weights) == len(FEATURES), f"{len(weights)} quality weights for {len(FEATURES)} features"),
        (not missing, f"no range for {', '.join(missing)}"),
        (all(len(t.weights) == len(RANGE_FEATURES) for t in targets.values()), "range weights for other features"),
        (all(t.low <= 0 <= t.high for t in targets.values()), "a range that its own value is outside of"),
        (all(0 <= t.blend <= 1 for t in targets.values()), "a blend that is no share"),
        (all(t.scale > 0 for t in targets.values()), "a target without a scale"),
        (len(rows) == len(offsets) == len(classes), f"a record's rhythm among {len(rows)} classes"),
        (all(len(row) == len(RHYTHM_FEATURES) for row in rows), "record rhythm weights for other features"),
        (tuple(m["range_features"]) == RANGE_FEATURES, "range features of another order"),
        (tuple(m["quality"]["features"]) == FEATURES, "quality features of another order"),
        (tuple(aggregate["features"]) == RHYTHM_FEATURES, "record rhythm features of another order"),
        (tuple(m["heads"]["findings"]["classes"]) == FINDINGS, "findings of another order"),
        (all(tuple(m["heads"][h]["targets"]) == MEASURED for h in ("intervals", "spread")), "targets of another order"),
        (conditioning.compand_mv > 0, "a companding of nothing"),
        (tuple(findings) == FINDINGS, f"findings {', '.join(findings)}"),
        (0 <= float(m["max_bridged_ms"]) <= 1000, f"max_bridged_ms of {m['max_bridged_ms']}"),
        (all(isinstance(m["cost"][k], int) for k in ("macs", "parameters", "peak_activation_bytes")), "no cost"),
        (isinstance(m["allowed"], list) and isinstance(m["card"], str), "no list of what was allowed, or no card"),
    ]
    for holds, what in checks:
        if not holds:
            raise BundleError(f"{MANIFEST}: {what}; the bundle would lie, export it again")
    return Model(
        id=identity(m),
        samples=samples,
        window_s=window_s,
        conditioning=conditioning,
        grid=grid,
        classes=classes,
        targets={name: targets[name] for name in MEASURED},
        thresholds=thresholds,
        quality={"weights": weights, "bias": bias},
        record_rhythm={"weights": rows, "bias": offsets},
        findings=findings,
        max_bridged_ms=float(m["max_bridged_ms"]),
    )
