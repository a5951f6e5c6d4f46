"""`python -m benchmarks disagreement`: where the int8 net and its float original differ most, as pictures.

The nets of the five folds on their own patients (`export.proof` has the averages over all forms): torch's float and
int8 TFLite as it ships, window by window, through the product's own code.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from benchmarks.accuracy import fold_bundle
from benchmarks.cases import all_cases
from benchmarks.traces import SHOWN_S, Drawn, Trace, sheet
from edge_runtime.analysis import analyse_window, read
from edge_runtime.backends import Backend, open_backend
from edge_runtime.bundle import MEASURED, Model
from edge_runtime.conditioning import condition
from edge_runtime.delineation import QRS, MaskGrid, P, T, probability_of
from train.datasets.truth import Case
from train.evaluate import TorchBackend, window_of
from train.run import Run, commit

PICTURE = "int8-and-float.png"
MOST = 4  # windows shown of each measure, one a record and lead; and of those that only one of the two states
ONE_SIDED = "stated by one alone"
_KINDS = {"hr_bpm": (QRS,), "pr_ms": (P, QRS), "qrs_ms": (QRS,), "qt_ms": (QRS, T)}  # what a measure is read from


@dataclass(frozen=True)
class Pair:
    """One measure of a case's window by both; None: not stated."""

    case: Case
    window: int
    measure: str
    truth: float | None
    float_: float | None
    int8: float | None

    @property
    def apart(self) -> float | None:
        return None if self.float_ is None or self.int8 is None else abs(self.int8 - self.float_)


def pairs_of(cases: Iterable[Case], model: Model, float_: Backend, int8: Backend) -> list[Pair]:
    out = []
    for case in cases:
        for k, (mv, truth) in enumerate(zip(case.windows_mv, case.window_truth, strict=True)):
            window = window_of(mv, case.sampling_rate_hz, case.lead)
            a, b = (analyse_window(window, model, backend).measures for backend in (float_, int8))
            out += [Pair(case, k, name, truth[name], a[name].value, b[name].value) for name in MEASURED]
    return out


def worst_of(pairs: Iterable[Pair], most: int = MOST) -> list[Pair]:
    """By measure the farthest apart, then those that only one states; each record and lead once a measure."""
    out: list[Pair] = []
    alone: dict[tuple[str, str], Pair] = {}
    by: dict[str, dict[tuple[str, str], Pair]] = {name: {} for name in MEASURED}
    for pair in pairs:
        place = pair.case.record, pair.case.lead
        if pair.apart is not None:
            held = by[pair.measure].get(place)
            if held is None or (held.apart or 0.0) < pair.apart:
                by[pair.measure][place] = pair
        elif pair.float_ is not pair.int8 and place not in alone:
            alone[place] = pair
    for own in by.values():
        out += sorted(own.values(), key=lambda p: -(p.apart or 0.0))[:most]
    return [*out, *list(alone.values())[:most]]


def table_of(pairs: Sequence[Pair]) -> dict[str, dict[str, float | int]]:
    """By measure: windows that both state, quantiles of how far they are apart, and windows that only one states."""
    out: dict[str, dict[str, float | int]] = {}
    for name in MEASURED:
        own = [p for p in pairs if p.measure == name]
        apart = np.array([p.apart for p in own if p.apart is not None])
        out[name] = {
            "windows": len(apart),
            "mean": round(float(apart.mean()), 3),
            **{f"p{q}": round(float(np.percentile(apart, q)), 3) for q in (50, 90, 99)},
            "most": round(float(apart.max()), 2),
            "one_sided": sum((p.float_ is None) != (p.int8 is None) for p in own),
        }
    return out


def trace_of(pair: Pair, model: Model, float_: Backend, int8: Backend) -> Trace:
    """Where the two masks that the measure is read from differ most."""
    mv, rate = pair.case.windows_mv[pair.window], pair.case.sampling_rate_hz
    drawn = []
    for backend in (float_, int8):
        seen = read(mv, rate, model, backend)
        drawn.append(Drawn(seen.waves, probability_of(seen.heads["masks"])))
    first, second = (d.probability for d in drawn)
    assert first is not None and second is not None
    from_s = _where(np.abs(first - second)[list(_KINDS[pair.measure])].sum(0), len(mv) / rate)
    name, unit = pair.measure.rsplit("_", 1)
    said = ["none" if v is None else f"{v:.{1 if unit == 'bpm' else 0}f}" for v in (pair.float_, pair.int8, pair.truth)]
    place = f"{pair.case.dataset}/{pair.case.record} {pair.case.lead}"
    title = f"{place}: {name.upper()} {said[0]} / {said[1]} {unit}, by hand {said[2]}"
    return Trace(title, condition(mv, rate), from_s, *drawn)


def _where(apart: NDArray[np.float32], length_s: float) -> float:
    """Start of the SHOWN_S that hold most of `apart` (length,)."""
    grid = MaskGrid()
    size = round(SHOWN_S * grid.sampling_rate_hz)
    last = round((length_s - SHOWN_S) * grid.sampling_rate_hz)
    sums = np.convolve(apart[grid.margin :], np.ones(size), "valid")[: max(1, last + 1)]
    return float(sums.argmax()) / grid.sampling_rate_hz


def measure(run: Run, results: Path) -> dict[str, Any]:
    """Write `disagreement.json` and the picture."""
    torch.set_num_threads(1)
    cases = all_cases(run)
    pairs: list[Pair] = []
    judges: dict[int, tuple[Model, Backend, Backend]] = {}
    for fold in tqdm(run.config.folds, desc="folds"):
        bundle = fold_bundle(run, fold)
        both = TorchBackend(run.load("transfer", str(fold))), open_backend(bundle, "ai-edge-litert")
        judges[fold] = bundle.model, *both
        pairs += pairs_of([c for c in cases if c.fold == fold], bundle.model, *both)
    chosen = worst_of(pairs)
    out = {
        "what": "five folds by patient; int8 (LiteRT) beside torch's float, of nets that never saw the patient",
        "weights": {str(fold): run.digest(str(fold)) for fold in run.config.folds},
        "measured_at_commit": commit(),
        "apart": table_of(pairs),
        "shown": [
            {
                "window": f"{p.case.dataset}/{p.case.record} {p.case.lead} from {p.case.starts_s[p.window]:.0f} s",
                "measure": p.measure,
                **{
                    who: None if value is None else round(value, 2)
                    for who, value in (("float", p.float_), ("int8", p.int8), ("by_hand", p.truth))
                },
            }
            for p in chosen
        ],
    }
    results.mkdir(parents=True, exist_ok=True)
    (results / "disagreement.json").write_text(json.dumps(out, indent=1) + "\n")
    sheet(
        [trace_of(p, *judges[p.case.fold]) for p in chosen],
        results / PICTURE,
        "above: float, below: int8 (and so in the titles); hills: the masks, lines: what was read from them",
    )
    return out
