"""What is true of the annotated windows that everything is judged on: heart rate over all beats, medians by hand."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge_runtime.delineation import QRS
from edge_runtime.windows import WINDOW_S
from train import folds
from train.datasets import ludb, ludb_edges, qtdb
from train.datasets.annotations import AnnotatedBeat, beats_of, intervals_of, p_label

JUDGED_LUDB_LEADS = ("i", "ii")


Truth = dict[str, float | None]


@dataclass(frozen=True)
class Case:
    """One annotated stretch of one lead: the windows to analyse, and what they should give.

    windows_mv: (n,) each. truth: hr_bpm, pr_ms, qrs_ms, qt_ms of the stretch, None where the annotator gives none;
    window_truth: the same of each window by itself, from at least three annotated beats inside it.
    """

    dataset: str
    record: str
    lead: str
    fold: int
    sampling_rate_hz: float
    windows_mv: tuple[NDArray[np.float64], ...]
    truth: Truth
    window_truth: tuple[Truth, ...]
    p_waves: int
    starts_s: tuple[float, ...] = (0.0,)  # of each window in its record


def truth_of(beats_s: NDArray[np.float64], hand: list[AnnotatedBeat]) -> Truth:
    """Heart rate over all beats, intervals by hand."""
    found = intervals_of(hand)
    return {"hr_bpm": bpm(beats_s), "pr_ms": found.pr_ms, "qrs_ms": found.qrs_ms, "qt_ms": found.qt_ms}


def bpm(beats_s: NDArray[np.float64]) -> float | None:
    return None if len(beats_s) < 3 else float(60 * (len(beats_s) - 1) / (beats_s[-1] - beats_s[0]))


def ludb_cases(folder: Path, leads: tuple[str, ...] = JUDGED_LUDB_LEADS, most_records: int = 0) -> list[Case]:
    """A window a lead. Heart rate: the beats of the lead with the most marks, and the unmarked ones at the edges."""
    edges = ludb_edges.load()
    cases = []
    for record in ludb.records(folder)[: most_records or None]:
        every = ludb.read(folder, record)
        marked = max(([w.peak_s for w in lead.waves if w.kind == QRS] for lead in every), key=len)
        rate = every[0].sampling_rate_hz
        at_edges = edges[record] if record in edges else ludb_edges.edge_beats(every)
        beats = np.array(sorted(marked + [k / rate for k in at_edges]))
        for lead in every:
            if lead.lead not in leads or not lead.waves:
                continue
            hand = beats_of(lead.waves)
            truth, fold = truth_of(beats, hand), folds.fold_of("ludb", record)
            windows = (lead.samples_mv,)
            cases.append(Case("ludb", record, lead.lead, fold, rate, windows, truth, (truth,), p_label(hand)))
    return cases


def qtdb_cases(folder: Path, channel: int = 0, most_records: int = 0) -> list[Case]:
    """A case a record: 10-s windows over the annotated span, and the medians over its beats."""
    cases = []
    for name in qtdb.records(folder)[: most_records or None]:
        record = qtdb.read(folder, name)
        lead = record.record.leads[channel]
        rate, mv = record.record.sampling_rate_hz, lead.millivolts
        low, high = record.span_s
        count = max(1, int(np.ceil((high - low) / WINDOW_S)))
        middle = (low + high) / 2
        starts = [middle + (i - count / 2) * WINDOW_S for i in range(count)]
        size = round(WINDOW_S * rate)
        firsts = [min(max(0, round(s * rate)), len(mv) - size) for s in starts]
        hand = beats_of(record.waves)

        def between(begin: float, end: float, record: qtdb.QtdbRecord = record) -> NDArray[np.float64]:
            return record.beats_s[(record.beats_s >= begin) & (record.beats_s <= end)]

        own = []
        for start in (f / rate for f in firsts):
            inside = [b for b in hand if start <= b.qrs.peak_s <= start + WINDOW_S]
            own.append(truth_of(between(start, start + WINDOW_S), inside if len(inside) >= 3 else []))
        truth = truth_of(between(firsts[0] / rate, firsts[-1] / rate + WINDOW_S), hand)
        windows, fold = tuple(mv[f : f + size] for f in firsts), folds.fold_of("qtdb", name)
        starts_s = tuple(f / rate for f in firsts)
        place = ("qtdb", name, lead.name, fold, rate)
        cases.append(Case(*place, windows, truth, tuple(own), p_label(hand), starts_s))
    return cases
