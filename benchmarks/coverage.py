"""Do the ranges hold? Coverage, width and interval score of windows out of fold, beside those of two neighbours: the
constant predictor with its own conformal range, and the net's values with one width for all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.statistics import bootstrap_by_patient
from edge_runtime.analysis import analyse_window
from edge_runtime.backends import Backend
from edge_runtime.bundle import MEASURED, Model
from edge_runtime.ranges import INTERVALS
from train import folds
from train.datasets.truth import Case
from train.evaluate import window_of
from train.ranges import COVERAGE, Residual, conformal_factor, constant_width

RATE_BANDS = ((0.0, 60.0), (60.0, 80.0), (80.0, 100.0), (100.0, 1e3))
WAYS = ("ours", "one_width", "constant")


@dataclass(frozen=True)
class RangeRow:
    """One window's measure: truth, and low and high by each of WAYS."""

    dataset: str
    patient: str
    measure: str
    rate_bpm: float | None
    truth: float
    bounds: tuple[tuple[float, float], ...]


def range_rows(
    cases: list[Case], fold: int, model: Model, backend: Backend, calibration: dict[str, Any]
) -> list[RangeRow]:
    """Of each window of the fold in which the truth is known and a value is stated."""
    others = [c for c in cases if c.fold != fold]
    rows = []
    neighbours = {}
    for name in MEASURED:
        known = [
            Residual.from_row(r)
            for f, by in calibration["residuals_by_fold"].items()
            if f != str(fold)
            for r in by[name]
        ]
        one = constant_width(name, known)
        truths = [
            (folds.subject(c.dataset, c.record), v)
            for c in others
            for t in c.window_truth
            if (v := t[name]) is not None
        ]
        middle = float(np.median([v for _, v in truths])) if truths else INTERVALS[name][0]
        reach = conformal_factor(np.array([abs(v - middle) for _, v in truths]), [p for p, _ in truths])
        neighbours[name] = one.high * one.scale, middle, reach
    for case in (c for c in cases if c.fold == fold):
        patient = folds.subject(case.dataset, case.record)
        for mv, truth in zip(case.windows_mv, case.window_truth, strict=True):
            report = analyse_window(window_of(mv, case.sampling_rate_hz, case.lead), model, backend)
            for name in MEASURED:
                said, true = report.measures[name], truth[name]
                if said.value is None or said.low is None or said.high is None or true is None:
                    continue
                width, middle, reach = neighbours[name]
                bounds = (
                    (said.low, said.high),
                    (said.value - width, said.value + width),
                    (middle - reach, middle + reach),
                )
                rows.append(RangeRow(case.dataset, patient, name, truth["hr_bpm"], true, bounds))
    return rows


def interval_score(
    low: NDArray[np.float64], high: NDArray[np.float64], truth: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Width plus 2 / alpha of what the truth is outside by (Gneiting and Raftery 2007); less is better."""
    alpha = 1 - COVERAGE
    return np.asarray((high - low) + 2 / alpha * (np.maximum(low - truth, 0) + np.maximum(truth - high, 0)))


def _judged(rows: Sequence[RangeRow], way: int) -> dict[str, Any]:
    low, high = np.array([r.bounds[way] for r in rows]).T
    truth, patients = np.array([r.truth for r in rows]), [r.patient for r in rows]
    # Each patient weighs the same: the mean over patients of the mean over their windows.
    names, inverse = np.unique(patients, return_inverse=True)
    counts = np.bincount(inverse)

    def by_patient(values: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.bincount(inverse, values) / counts

    inside = by_patient(((low <= truth) & (truth <= high)).astype(np.float64))
    return {
        "coverage": float(inside.mean()),
        "coverage_ci95": list(bootstrap_by_patient(inside, names.tolist())),
        "mean_width": float(by_patient(high - low).mean()),
        "interval_score": float(by_patient(interval_score(low, high, truth)).mean()),
        "n": len(rows),
        "patients": len(names),
    }


def coverage_tables(rows: Sequence[RangeRow]) -> dict[str, Any]:
    """Measure -> group -> way -> coverage with its interval, mean width, interval score, n. Groups: all, each data set,
    and bands of the true rate."""
    out: dict[str, Any] = {}
    for name in MEASURED:
        own = [r for r in rows if r.measure == name]
        groups = {"all": own}
        groups |= {d: [r for r in own if r.dataset == d] for d in dict.fromkeys(r.dataset for r in own)}
        for low, high in RATE_BANDS:
            label = f"{low:g} to {high:g} bpm" if high < 1e3 else f"over {low:g} bpm"
            groups[label] = [r for r in own if r.rate_bpm is not None and low <= r.rate_bpm < high]
        out[name] = {g: {w: _judged(chosen, k) for k, w in enumerate(WAYS)} for g, chosen in groups.items() if chosen}
    return out
