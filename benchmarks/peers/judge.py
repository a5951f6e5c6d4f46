"""Answers to errors: of each case what a peer says of it, and how that stands beside the truth and beside ours."""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.accuracy import harmonic, true_value
from benchmarks.neighbour import ROWS
from benchmarks.statistics import bootstrap_by_patient, error_table
from edge_runtime.bundle import MEASURED
from train import folds
from train.datasets.truth import Case
from train.peers import Answer, measures

GROUPS: dict[str, Callable[[Case], bool]] = {
    "ludb I + II": lambda case: case.dataset == "ludb",
    "qtdb": lambda case: case.dataset == "qtdb",
    "both": lambda case: True,
}


_MIDDLE: dict[str, Callable[[NDArray[np.float64]], Any]] = {"hr_bpm": harmonic}  # of all else the median


@dataclass(frozen=True)
class Said:
    """Of one case by one peer. values: over its windows; stated: in how many of them, by measure."""

    windows: int
    failed: int
    values: dict[str, float | None]
    stated: dict[str, int]


def said_of(case: Case, answers: Sequence[Answer]) -> Said:
    """Intervals: medians. Heart rate is 60 / mean RR of the stretch, so mean RR are averaged, and not rates."""
    windows = [
        measures(answer, len(mv) / case.sampling_rate_hz) for mv, answer in zip(case.windows_mv, answers, strict=True)
    ]
    values: dict[str, float | None] = {}
    stated = {}
    for name in MEASURED:
        every = np.array([v for window in windows if (v := window[name]) is not None], np.float64)
        stated[name] = len(every)
        values[name] = round(float(_MIDDLE.get(name, np.median)(every)), 3) if len(every) else None
    return Said(len(windows), sum(answer.failed is not None for answer in answers), values, stated)


def by_case(cases: Sequence[Case], answers: Sequence[Answer]) -> list[Said]:
    """One a case, of answers in the order of their windows."""
    ends = np.cumsum([len(case.windows_mv) for case in cases]).tolist()
    return [said_of(case, answers[end - len(case.windows_mv) : end]) for case, end in zip(cases, ends, strict=True)]


def truths_of(cases: Sequence[Case]) -> dict[str, NDArray[np.float64]]:
    """By measure, one a case, NaN where the annotator gives none."""
    return {
        name: np.array([np.nan if (t := true_value(case, name)) is None else t for case in cases], np.float64)
        for name in MEASURED
    }


def tables(cases: Sequence[Case], said: Sequence[Said], ours: Sequence[Said]) -> dict[str, Any]:
    """Group -> measure -> errors of what it stated, and `beside_ours`: both over the cases where both state it."""
    truths, out = truths_of(cases), {}
    for group, belongs in GROUPS.items():
        inside = np.array([belongs(case) for case in cases])
        out[group] = {name: _table(cases, truths[name], said, ours, name, inside) for name in MEASURED}
    return out


def _table(
    cases: Sequence[Case],
    truth: NDArray[np.float64],
    said: Sequence[Said],
    ours: Sequence[Said],
    name: str,
    inside: NDArray[np.bool_],
) -> dict[str, Any]:
    own = np.flatnonzero(inside & np.isfinite(truth))
    if not len(own):
        return {"n": 0, "stated": 0}
    value, other = (_column(rows, name)[own] for rows in (said, ours))
    patients = [folds.subject(cases[i].dataset, cases[i].record) for i in own]
    share = np.array([said[i].stated[name] / said[i].windows for i in own])
    nothing, middle = np.full(len(own), np.nan), np.full(len(own), np.median(truth[own]))
    found = error_table(truth[own], value, nothing, nothing, middle, patients, share)
    kept = ("n", "stated", "windows_stated", "mae", "mae_ci95", "median_abs", "bias", "sd")
    table: dict[str, Any] = {key: found[key] for key in kept if key in found}
    both = np.isfinite(value) & np.isfinite(other)
    if both.any():
        table["beside_ours"] = beside(truth[own][both], value[both], other[both], np.array(patients)[both].tolist())
    return table


def _column(rows: Sequence[Said], name: str) -> NDArray[np.float64]:
    return np.array([np.nan if row.values[name] is None else row.values[name] for row in rows], np.float64)


def beside(
    truth: NDArray[np.float64], theirs: NDArray[np.float64], ours: NDArray[np.float64], patients: list[str]
) -> dict[str, Any]:
    """Both over the same cases. mae_more: theirs - ours, with its 95 % interval by patient."""
    errors = {"theirs": theirs - truth, "ours": ours - truth}
    more = np.abs(errors["theirs"]) - np.abs(errors["ours"])
    out: dict[str, Any] = {"n": len(truth)}
    for who, error in errors.items():
        out[f"mae_{who}"] = float(np.abs(error).mean())
        out[f"sd_{who}"] = float(error.std(ddof=1)) if len(error) > 1 else 0.0
    return out | {"mae_more": float(more.mean()), "mae_more_ci95": bootstrap_by_patient(more, patients)}


def counted(said: Sequence[Said]) -> dict[str, Any]:
    """Windows asked, failed, and by measure those in which it did not fail and yet said nothing."""
    windows, failed = sum(s.windows for s in said), sum(s.failed for s in said)
    silent = {name: windows - sum(s.stated[name] for s in said) for name in MEASURED}
    return {"windows": windows, "failed": failed, "not_stated": silent}


def write_rows(results: Path, cases: Sequence[Case], said: dict[str, list[Said]], versions: dict[str, str]) -> None:
    with (results / ROWS).open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["peer", "version", "dataset", "record", "lead", "windows", "failed", *MEASURED])
        for peer, rows in said.items():
            for case, row in zip(cases, rows, strict=True):
                values = ("" if (v := row.values[name]) is None else v for name in MEASURED)
                place = (case.dataset, case.record, case.lead)
                writer.writerow([peer, versions[peer], *place, row.windows, row.failed, *values])


def better_on_all(tables_of: dict[str, Any], group: str = "both") -> bool:
    """Whether ours has the lower MAE and SD of every interval that both state, over the cases where both do."""
    found = [tables_of[group][name].get("beside_ours") for name in MEASURED if name != "hr_bpm"]
    return all(b is not None and b["mae_ours"] < b["mae_theirs"] and b["sd_ours"] < b["sd_theirs"] for b in found)


def mean_interval_mae(tables_of: dict[str, Any], group: str = "both") -> float | None:
    """Of PR, QRS and QT, ms; None for a peer that does not give all three."""
    found = [tables_of[group][name].get("mae") for name in MEASURED if name != "hr_bpm"]
    return None if None in found else float(np.mean([v for v in found if v is not None]))
