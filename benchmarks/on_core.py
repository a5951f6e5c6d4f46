"""What runs on the core that is measured, with nothing but what is installed there.

`on_core.py FOLDER BACKEND`: FOLDER holds `raw_mv.npy` (m, samples) with `rate.npy`, the windows to report, and
`companded.npy` (n, samples), the windows to ask the net of. It leaves the heads of each in `heads.npz`.

`on_core.py FOLDER`: FOLDER holds int8 nets, `NAME.tflite`, and beside each in `NAME.npy` the (n, ...) inputs to ask it.

Both leave in `loops.json` the names of the loops whose instructions may be counted: a getsid() stands before and behind
each, which `instructions.c` takes as a mark.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from edge_runtime import quality
from edge_runtime.analysis import analyse_window, bridge, read
from edge_runtime.backends import Tflite, head_shapes, open_backend
from edge_runtime.bundle import load_bundle
from edge_runtime.conditioning import compand, condition
from edge_runtime.windows import Window

NOTHING, REPORT, CONDITIONING, NET, QUALITY = "nothing", "report", "conditioning", "net", "quality"


Loops = dict[str, Callable[[int], Any]]


def reports(folder: Path, name: str) -> tuple[Loops, int]:
    """The loops of a report and of its stages, and how many windows there are to go through."""
    bundle = load_bundle()
    model, spec = bundle.model, bundle.model.conditioning
    backend = open_backend(bundle, name)
    companded = np.load(folder / "companded.npy", allow_pickle=False)
    found = [backend(window) for window in companded]
    np.savez(folder / "heads.npz", **{head: np.array([heads[head] for heads in found]) for head in found[0]})

    raw, rate = np.load(folder / "raw_mv.npy", allow_pickle=False), float(np.load(folder / "rate.npy"))
    windows = [Window(mv, rate, 0.0, len(mv) / rate, "I") for mv in raw]
    readings = [read(mv, rate, model, backend) for mv in raw]

    def judged(i: int) -> float:
        seen = readings[i]
        quality.gate(seen.filled_mv, seen.conditioned_mv, rate)
        noisy = float(seen.heads["rhythm"][model.classes.index("noisy")])
        return quality.probability(quality.features(seen.doubt, seen.beats, noisy, seen.conditioned_mv), model.quality)

    return {
        NOTHING: lambda i: None,
        REPORT: lambda i: analyse_window(windows[i], model, backend).to_json(),
        CONDITIONING: lambda i: compand(condition(bridge(raw[i])[0], rate, spec), spec),
        NET: lambda i: backend(companded[i]),
        QUALITY: judged,
    }, len(raw)


def nets(folder: Path) -> tuple[Loops, int]:
    """A loop a net."""
    from ai_edge_litert.interpreter import Interpreter

    shapes = head_shapes(load_bundle())
    loops: Loops = {NOTHING: lambda i: None}
    turns = []
    for path in sorted(folder.glob("*.tflite")):
        net = Tflite(path.stem, Interpreter(model_content=path.read_bytes(), num_threads=1), shapes)
        inputs = np.load(path.with_suffix(".npy"), allow_pickle=False)
        loops[path.stem] = lambda i, net=net, inputs=inputs: net(inputs[i])  # type: ignore[misc]
        turns.append(len(inputs))
    return loops, min(turns)


def count(loops: Loops, turns: int, folder: Path) -> None:
    for work in loops.values():  # what is done once is done here
        _each(work, range(turns))
    for work in loops.values():
        os.getsid(0)
        _each(work, range(turns))
        os.getsid(0)
    (folder / "loops.json").write_text(json.dumps({"loops": list(loops), "turns": turns}))


def _each(work: Callable[[int], Any], turns: Sequence[int]) -> None:
    for i in turns:
        work(i)


if __name__ == "__main__":
    place, *backend_name = Path(sys.argv[1]), *sys.argv[2:]
    count(*(reports(place, *backend_name) if backend_name else nets(place)), place)
