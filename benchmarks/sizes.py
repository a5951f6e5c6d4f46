"""`python -m benchmarks sizes`: what nets of several sizes, and of several codings of the input, give and cost.

The nets are those of `train/configs/sizes.toml` that `python -m train compare` has trained. Each is judged in torch's
float and as int8 TFLite, with a scale a channel as it ships and with one a layer, by the product's own code on the
patients of the plan's fold; its instructions are counted on emulated cores. Each net's row is kept as soon as it is
known, and is not measured again unless its weights change.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from benchmarks.arm import COUNTED, ON_CORE, a_turn
from benchmarks.arm64 import Userland, build_wheel, call
from benchmarks.instructions import Plugin
from benchmarks.p_waves import Marked, code_error_uv, judge, marked, step_uv
from benchmarks.sizes_picture import codings_picture, picture
from benchmarks.sizes_tables import CORES
from edge_runtime.backends import Backend, Heads, Tflite, head_shapes
from edge_runtime.bundle import load_bundle
from edge_runtime.conditioning import compand, condition
from edge_runtime.errors import UsageError
from export.calibration import calibration_windows
from export.cost import cost
from export.to_tflite import tflite
from train.codings import channels_last
from train.compare import Plan, cases_of, judged, load_plan, score, without_rhythm
from train.datasets.truth import Case
from train.evaluate import TorchBackend
from train.run import Run, commit
from train.windows import SAMPLES

PLAN = Path(__file__).parent.parent / "train" / "configs" / "sizes.toml"
WAY = ("masks",)  # how intervals are read
FLOAT, INT8, PER_LAYER = "float", "int8", "int8, a scale a layer"


class Coded:
    """A TFLite file of any input's coding behind the runtime's interface; LiteRT, as on the device."""

    def __init__(self, content: bytes, coding: str) -> None:
        from ai_edge_litert.interpreter import Interpreter

        interpreter = Interpreter(model_content=content, num_threads=1)
        self.name = "ai-edge-litert"
        self.quantization: tuple[float, int] = interpreter.get_input_details()[0]["quantization"]
        self._coding = coding
        self._backend = Tflite(self.name, interpreter, head_shapes(load_bundle()))

    def __call__(self, companded: NDArray[np.float32]) -> Heads:
        return self._backend(channels_last(companded, self._coding))


def measure(run: Run, results: Path, root: Path) -> dict[str, Any]:
    """Write `sizes.json` and two pictures. root: the folder of `Userland`. Raises UsageError where nothing is trained
    and nothing was measured."""
    plan, path = load_plan(PLAN), results / "sizes.json"
    kept = json.loads(path.read_text())["nets"] if path.exists() else {}
    made = trained(plan, run.folder.parent / plan.name)

    def done(name: str) -> bool:
        row = kept.get(name, {})
        return row.get("weights") == digest(made[name], plan) and "instructions" in row

    new = {name: net for name, net in made.items() if not done(name)}
    if not kept and not new:
        raise UsageError(f"nothing trained: python -m train compare --config train/configs/{PLAN.name}")
    out: dict[str, Any] = {
        "what": f"nets of {PLAN.name} on fold {plan.fold}, whose patients none has seen; LUDB's 12 leads, QTDB's 2",
        "share_of_the_default_budget": dict(plan.share),
        "missing": [],
        "nets": kept,
    }

    def write() -> None:
        out["nets"] = {c.name: kept[c.name] for c in plan.candidates if c.name in kept}
        out["missing"] = [c.name for c in plan.candidates if c.name not in kept]
        path.write_text(json.dumps(out, indent=1) + "\n")

    results.mkdir(parents=True, exist_ok=True)
    if new:
        torch.set_num_threads(1)
        cases = cases_of(plan.fold)
        windows = marked(cases)
        with tempfile.TemporaryDirectory() as scratch:
            for name, net in tqdm(new.items(), desc="nets"):
                kept[name] = measured(net, plan, Path(scratch) / f"{name}.tflite", cases, windows)
                write()
            inputs = [compand(condition(c.windows_mv[0], c.sampling_rate_hz)) for c in cases[:COUNTED]]
            for name, by_core in counted(new, inputs, Path(scratch), root).items():
                kept[name]["instructions"] = by_core
    write()
    picture(out, results / "sizes.png")
    codings_picture(out, results / "codings.png")
    return out


def trained(plan: Plan, folder: Path) -> dict[str, Run]:
    """By candidate, the runs that have the plan's net."""
    runs = {c.name: Run(folder / (spec := plan.screened(c)).name, spec, folder / "cache") for c in plan.candidates}
    return {name: run for name, run in runs.items() if run.weights_path("regress", str(plan.fold)).exists()}


def digest(run: Run, plan: Plan) -> str:
    return hashlib.sha256(run.weights_path("regress", str(plan.fold)).read_bytes()).hexdigest()


def measured(run: Run, plan: Plan, path: Path, cases: list[Case], windows: list[Marked]) -> dict[str, Any]:
    """A net's row but for its instructions. Leaves its int8 file, as it would ship, at `path`."""
    net, ranges, model = run.load("regress", str(plan.fold)), calibration_windows(run, str(plan.fold)), without_rhythm()
    spec = net.spec
    backends: dict[str, Backend] = {FLOAT: TorchBackend(net)}
    tflite(net, path, SAMPLES, ranges, per_channel=False)
    backends[PER_LAYER] = Coded(path.read_bytes(), spec.coding)
    tflite(net, path, SAMPLES, ranges)
    backends[INT8] = int8 = Coded(path.read_bytes(), spec.coding)
    scale, zero = int8.quantization
    errors = {form: judged(backend, cases) for form, backend in backends.items()}
    return {
        "kind": spec.kind,
        "channels": list(spec.channels),
        "coding": spec.coding,
        "weights": digest(run, plan),
        "commit": commit(),
        **{key: value for key, value in cost(net, SAMPLES).items() if key in ("macs", "parameters")},
        "int8_bytes": path.stat().st_size,
        "input": {"scale": float(scale), "zero": int(zero), "step_uv": round(step_uv(spec.coding, float(scale)), 2)},
        "score": {form: round(score({"ways": WAY, "errors": by}), 5) for form, by in errors.items()},
        "errors": {form: {data: ways[WAY[0]] for data, ways in by.items()} for form, by in errors.items()},
        "p_waves": {form: judge(windows, model, backend) for form, backend in backends.items()},
        "code_error_uv": code_error_uv(windows, spec.coding, float(scale), int(zero)),
    }


def counted(
    nets: dict[str, Run], companded: list[NDArray[np.float32]], folder: Path, root: Path
) -> dict[str, dict[str, dict[str, int]]]:
    """By net and core, instructions a window by owner. folder: holds each net's NAME.tflite."""
    userland = Userland(root)
    wheel = build_wheel(userland.folder / "wheel")
    userland.build()
    site, plugin = userland.install(wheel, "tflite", arm=True), Plugin(folder)
    for name, run in nets.items():
        np.save(folder / f"{name}.npy", np.stack([channels_last(x, run.config.net.coding) for x in companded]))
    out: dict[str, dict[str, dict[str, int]]] = {name: {} for name in nets}
    for core in CORES:
        call([*userland.command(core, *plugin.arguments), ON_CORE, folder], userland.environment(site, "aarch64"))
        by_net = a_turn(json.loads((folder / "loops.json").read_text()), plugin.between())
        for name in nets:
            out[name][core] = dict(by_net[name])
    return out
