"""Beats to HR, PR, QRS, QT and QTc, each valid or saying why not.

HR = 60 / mean RR over all beats. PR (P onset to QRS onset), QRS and QT are medians over at least three beats of the
dominant morphology that lie wholly inside the window. QTc: Fridericia 1920 (QT / RR^1/3), Bazett 1920 (QT / RR^1/2).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from edge_runtime.delineation import Beat
from edge_runtime.ranges import Evidence, Target, features, median
from edge_runtime.report import Value, invalid

MIN_BEATS = 3
MIN_BEATS_QTC_AF = 10
EDGE_S = 0.5  # the first and last half second give no interval
_SHAPE_S = (-0.12, 0.16)  # around the R peak: what a morphology is
_SAME_SHAPE = 0.80  # correlation from which two beats are of one morphology
_SAME_SIZE = 2.0  # and their sizes differ by less than this factor
_SAME_WIDTH_S = 0.050


def dominant(beats: Sequence[Beat], conditioned_mv: NDArray[np.float32], rate: float) -> list[Beat] | None:
    """The beats of the commonest morphology; None where no morphology has half of them."""
    low, high = round(_SHAPE_S[0] * rate), round(_SHAPE_S[1] * rate)
    groups: list[tuple[NDArray[np.float64], float, float, list[Beat]]] = []
    whole = 0
    for beat in beats:
        at = round(beat.r_peak_s * rate)
        if at + low < 0 or at + high > len(conditioned_mv):
            continue
        whole += 1
        shape = conditioned_mv[at + low : at + high].astype(np.float64)
        shape -= np.add.reduce(shape) / len(shape)
        size = math.sqrt(shape.dot(shape)) + 1e-12
        width = beat.qrs.offset_s - beat.qrs.onset_s
        for other, other_size, other_width, members in groups:
            alike = float(shape @ other) / size >= _SAME_SHAPE
            if (
                alike
                and max(size, other_size) < _SAME_SIZE * min(size, other_size)
                and abs(width - other_width) < _SAME_WIDTH_S
            ):
                members.append(beat)
                break
        else:
            groups.append((shape / size, size, width, [beat]))
    best = max((members for *_, members in groups), key=len, default=[])
    return best if 2 * len(best) >= whole else None


def heart_rate_bpm(beats: Sequence[Beat]) -> float | None:
    """None for fewer than MIN_BEATS."""
    if len(beats) < MIN_BEATS:
        return None
    return 60.0 * (len(beats) - 1) / (beats[-1].r_peak_s - beats[0].r_peak_s)


def measure(
    beats: Sequence[Beat],
    conditioned_mv: NDArray[np.float32],
    rate: float,
    duration_s: float,
    bridged_s: Sequence[tuple[float, float]],
    targets: Mapping[str, Target],
    evidence: Evidence,
    p_waves: bool,
    fibrillation: bool,
) -> dict[str, Value]:
    """Every measure of the report.

    bridged_s: stretches that were interpolated; a beat that touches one gives no interval. targets, evidence: what
    makes the ranges. p_waves, fibrillation: what the net says of the window's atria.
    """

    def stated(name: str, value: float, single: list[float]) -> Value:
        target = targets[name]
        return target.stated(value, evidence.direct[name], features(name, value, single, evidence, target))

    def clear(start_s: float, end_s: float) -> bool:
        inside = start_s >= EDGE_S and end_s <= duration_s - EDGE_S
        return inside and not any(start_s < b and end_s > a for a, b in bridged_s)

    out: dict[str, Value] = {}
    bpm = heart_rate_bpm(beats)
    rates = [60.0 / max(b.r_peak_s - a.r_peak_s, 0.1) for a, b in pairwise(beats)]
    out["hr_bpm"] = invalid("few_beats") if bpm is None else stated("hr_bpm", bpm, rates)
    chosen = dominant(beats, conditioned_mv, rate) if len(beats) >= MIN_BEATS else []
    if chosen is None:
        return {**out, **dict.fromkeys(("pr_ms", "qrs_ms", "qt_ms", "qtc_ms", "qtc_bazett_ms"), invalid("ectopy"))}

    def typical(name: str, spans: list[tuple[float, float]]) -> Value:
        spans = [(a, b) for a, b in spans if clear(a, b)]
        if len(spans) < MIN_BEATS:
            return invalid("few_beats")
        single = [1e3 * (b - a) for a, b in spans]
        return stated(name, median(single), single)

    with_p = [b for b in chosen if b.p is not None]
    if len(chosen) < MIN_BEATS:
        out["pr_ms"] = invalid("few_beats")
    elif not p_waves or fibrillation or 2 * len(with_p) < len(chosen):
        out["pr_ms"] = invalid("no_p_wave")
    else:
        out["pr_ms"] = typical("pr_ms", [(b.p.onset_s, b.qrs.onset_s) for b in with_p if b.p])
    out["qrs_ms"] = typical("qrs_ms", [(b.qrs.onset_s, b.qrs.offset_s) for b in chosen])
    out["qt_ms"] = typical("qt_ms", [(b.qrs.onset_s, b.t.offset_s) for b in chosen if b.t])
    out.update(_corrected(out["qt_ms"], bpm, len(beats), fibrillation))
    return out


def _corrected(qt: Value, bpm: float | None, beats: int, fibrillation: bool) -> dict[str, Value]:
    """QTc by Fridericia and by Bazett; in atrial fibrillation only from MIN_BEATS_QTC_AF beats on."""
    if qt.value is None or qt.low is None or qt.high is None or bpm is None:
        why = qt.why or "few_beats"
        return {"qtc_ms": invalid(why), "qtc_bazett_ms": invalid(why)}
    if fibrillation and beats < MIN_BEATS_QTC_AF:
        return {"qtc_ms": invalid("few_beats"), "qtc_bazett_ms": invalid("few_beats")}
    rr_s = 60.0 / bpm
    corrected = {}
    for name, factor in (("qtc_ms", rr_s ** (-1 / 3)), ("qtc_bazett_ms", rr_s**-0.5)):
        corrected[name] = Value(qt.value * factor, qt.low * factor, qt.high * factor)
    return corrected
