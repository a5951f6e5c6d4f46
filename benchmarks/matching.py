"""Found waves against annotated ones: who belongs to whom, the errors of each point, sensitivity and precision."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_runtime.delineation import WAVES
from train.datasets.annotations import AnnotatedWave

TOLERANCE_S = 0.150
POINTS = ("onset", "peak", "offset")
Spans = Sequence[tuple[float, float]]


@dataclass(frozen=True)
class Scored:
    """One annotated wave: by point the error in ms, found - annotated, where both have the point; None: not found."""

    kind: int
    errors_ms: dict[str, float] | None


@dataclass(frozen=True)
class Outcome:
    """One record (or one lead of it): its annotated waves, and by kind how many were found that nobody annotated.

    extra is None where that has no meaning, as for the better of two channels.
    """

    waves: tuple[Scored, ...]
    extra: tuple[int, ...] | None


def nearest_pairs(truth_s: NDArray[np.float64], found_s: NDArray[np.float64], tolerance_s: float) -> dict[int, int]:
    """Index of a true time to that of its found one, within the tolerance, the nearest first. found_s: ascending."""
    low = np.searchsorted(found_s, truth_s - tolerance_s, "left")
    high = np.searchsorted(found_s, truth_s + tolerance_s, "right")
    apart = sorted((abs(float(found_s[j] - t)), i, j) for i, t in enumerate(truth_s) for j in range(low[i], high[i]))
    pairs: dict[int, int] = {}
    taken: set[int] = set()
    for _, i, j in apart:
        if i not in pairs and j not in taken:
            pairs[i] = j
            taken.add(j)
    return pairs


def matched(
    truth: Sequence[AnnotatedWave], found: Sequence[AnnotatedWave], tolerance_s: float = TOLERANCE_S
) -> dict[int, int]:
    """Index of an annotated wave to that of its found one: same kind, peaks within the tolerance, the nearest first."""
    pairs: dict[int, int] = {}
    for kind in range(len(WAVES)):
        own = [i for i, t in enumerate(truth) if t.kind == kind]
        theirs = sorted((j for j, f in enumerate(found) if f.kind == kind), key=lambda j: found[j].peak_s)
        true_s, found_s = np.array([truth[i].peak_s for i in own]), np.array([found[j].peak_s for j in theirs])
        pairs |= {own[i]: theirs[j] for i, j in nearest_pairs(true_s, found_s, tolerance_s).items()}
    return pairs


def score(truth: Sequence[AnnotatedWave], found: Sequence[AnnotatedWave], spans_s: Spans) -> Outcome:
    """spans_s: stretches in which every wave was annotated; what is found to peak outside of them is not held false."""
    pairs = matched(truth, found)
    waves = tuple(Scored(t.kind, _errors_ms(t, found[pairs[i]]) if i in pairs else None) for i, t in enumerate(truth))
    unmatched = [
        f.kind
        for j, f in enumerate(found)
        if j not in pairs.values() and any(low <= f.peak_s <= high for low, high in spans_s)
    ]
    return Outcome(waves, tuple(unmatched.count(kind) for kind in range(len(WAVES))))


def _errors_ms(truth: AnnotatedWave, found: AnnotatedWave) -> dict[str, float]:
    pairs = {point: (getattr(truth, f"{point}_s"), getattr(found, f"{point}_s")) for point in POINTS}
    return {point: 1e3 * (b - a) for point, (a, b) in pairs.items() if a is not None and b is not None}


def better_of(channels: Sequence[Outcome]) -> Outcome:
    """Of outcomes against the same annotation: point by point the channel that is nearer to it.

    So the literature scores QTDB, whose annotator saw both channels (Martinez 2004). No device could choose like this.
    """
    waves = []
    for same in zip(*(c.waves for c in channels), strict=True):
        hits = [w.errors_ms for w in same if w.errors_ms is not None]
        every = {point: [e[point] for e in hits if point in e] for point in POINTS}
        nearest = {point: min(errors, key=abs) for point, errors in every.items() if errors}
        waves.append(Scored(same[0].kind, nearest if hits else None))
    return Outcome(tuple(waves), None)


def point_tables(outcomes: Sequence[Outcome]) -> dict[str, dict[str, Any]]:
    """'P onset' and so on -> n, mean, SD (ms) over all points; and as some papers have it, by record.

    record_mean: mean of the records' means; record_sd: mean of the SDs within a record, of those with two points at
    least. beyond: points of a found wave farther than the tolerance, which are counted in all of these.
    """
    out = {}
    for kind, wave in enumerate(WAVES):
        for point in POINTS:
            per_record = [
                [w.errors_ms[point] for w in o.waves if w.kind == kind and w.errors_ms and point in w.errors_ms]
                for o in outcomes
            ]
            errors = np.array([e for own in per_record for e in own])
            if len(errors) < 2:
                continue
            spreads = [float(np.std(own, ddof=1)) for own in per_record if len(own) > 1]
            out[f"{wave} {point}"] = {
                "n": len(errors),
                "mean": float(errors.mean()),
                "sd": float(errors.std(ddof=1)),
                "median": float(np.median(errors)),
                "median_abs": float(np.median(np.abs(errors))),
                "record_mean": float(np.mean([np.mean(own) for own in per_record if own])),
                "record_sd": float(np.mean(spreads)) if spreads else None,
                "beyond": int((np.abs(errors) > 1e3 * TOLERANCE_S).sum()),
            }
    return out


def wave_tables(outcomes: Sequence[Outcome]) -> dict[str, dict[str, Any]]:
    """'P', 'QRS', 'T' -> annotated, found, extra, sensitivity and precision; None where there is nothing to divide."""
    out: dict[str, dict[str, Any]] = {}
    for kind, wave in enumerate(WAVES):
        own = [w.errors_ms is not None for o in outcomes for w in o.waves if w.kind == kind]
        extras = [o.extra[kind] for o in outcomes if o.extra is not None]
        hits, extra = sum(own), sum(extras) if extras else None
        out[wave] = {
            "annotated": len(own),
            "found": hits,
            "extra": extra,
            "sensitivity": hits / len(own) if own else None,
            "precision": hits / (hits + extra) if extra is not None and hits + extra else None,
        }
    return out
