"""The windows that went worst, as one picture: what the annotator drew, what the net drew, and the error."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from benchmarks.cases import annotated
from benchmarks.traces import SHOWN_S, Drawn, Trace, sheet
from edge_runtime.analysis import read
from edge_runtime.backends import Backend
from edge_runtime.bundle import Model
from edge_runtime.conditioning import condition
from edge_runtime.delineation import Wave
from edge_runtime.ranges import INTERVALS
from train.datasets.truth import Case

COUNT = 20


@dataclass(frozen=True)
class Worst:
    """One case's worst measure: error = value - truth, ms; `size` is the error over the measure's usual spread."""

    case: Case
    measure: str
    truth: float
    error: float

    @property
    def size(self) -> float:
        return abs(self.error) / INTERVALS[self.measure][1]


def worst_of(found: Iterable[Worst], count: int = COUNT) -> list[Worst]:
    """The largest, one a record and lead; not heart rate, which goes wrong by whole beats: noise tables show that."""
    best: dict[tuple[str, str, str], Worst] = {}
    for w in found:
        key = (w.case.dataset, w.case.record, w.case.lead)
        if w.measure != "hr_bpm" and (key not in best or best[key].size < w.size):
            best[key] = w
    return sorted(best.values(), key=lambda w: -w.size)[:count]


def picture(rows: list[tuple[Worst, Model, Backend]], path: Path) -> None:
    """A PNG: above each trace the annotator's waves, below it the net's."""
    traces = []
    for worst, model, backend in rows:
        case = worst.case
        middle = len(case.windows_mv) // 2
        mv, rate = case.windows_mv[middle], case.sampling_rate_hz
        by_hand = [
            Wave(w.kind, w.onset_s if w.onset_s is not None else w.peak_s, w.offset_s)
            for w in annotated(case, middle)[0]
            if w.offset_s is not None
        ]
        name = worst.measure.split("_")[0].upper()
        title = f"{case.dataset}/{case.record} {case.lead}: {name} {worst.error:+.0f} of {worst.truth:.0f} ms"
        from_s = len(mv) / rate / 2 - SHOWN_S / 2
        drawn = Drawn(by_hand), Drawn(read(mv, rate, model, backend).waves)
        traces.append(Trace(title, condition(mv, rate), from_s, *drawn))
    sheet(traces, path, "above: annotator, below: net")
