"""Whether a window may be measured at all, and how probable it is that its heart rate is right.

The gates look at the raw samples; each has its own reason. The probability is a logistic function, fitted on annotated
windows with noise on top, of how sure the net is of its QRS complexes and how regular they come. Why a window that the
probability refuses is as it is, `causes` says.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from edge_runtime.causes import interference
from edge_runtime.delineation import QRS, Beat, probability_of

FLAT_S = 2.0  # an ADC that repeats itself for this long measures nothing; at the end of its range, no electrode is on
FLAT_MV = 0.005
CLIPPED_S = 0.02  # a run at the rail of this length is clipping, not a peak
CLIPPED_SHARE = 0.01
CLIPPED_REACH = 0.35  # of the peak to peak: a rail lies far from the middle, a quiet baseline does not
LOW_AMPLITUDE_MV = 0.06
ANTENNA_MV = 0.1  # of mains and no heart beside it: a wire that ends in the air
UNSEEN_S, UNSEEN_RR = 3.0, 2.0  # no beat at a window's edge: longer than any common pause, and than two RR
_BLOCK_S, NOTHING = 0.5, 0.1  # of the window's range is less than what the smallest QRS complex has
PLAUSIBLE_BPM = (20.0, 300.0)

FEATURES = (
    "qrs_confidence",
    "qrs_doubt",
    "other_doubt",
    "noisy_logit",
    "shortest_rr",
    "longest_rr",
    "few",
    "amplitude",
)


def gate(
    samples_mv: NDArray[np.float64], conditioned_mv: NDArray[np.float32], rate: float, clipped: bool = False
) -> str | None:
    """Why the window is not fit to be measured: lead_off, flat, clipped or low_amplitude; None where it is.

    clipped: the device knows that it was at an end of its range.
    """
    if longest_run(samples_mv[1:] == samples_mv[:-1]) >= FLAT_S * rate:
        return "lead_off" if _at_an_end(samples_mv, FLAT_S * rate, clipped) else "flat"
    if clipped:
        return "clipped"
    at_rail, least = 0, max(3, CLIPPED_S * rate)
    for rail in (samples_mv.min(), samples_mv.max()):
        at = samples_mv == rail
        if np.count_nonzero(at) >= least and longest_run(at) >= least:  # mostly it is one sample, and soon told
            far = abs(rail - np.median(samples_mv)) >= CLIPPED_REACH * np.ptp(samples_mv)
            at_rail += int(np.count_nonzero(at)) if far else 0
    if at_rail >= CLIPPED_SHARE * len(samples_mv):
        return "clipped"
    last = len(conditioned_mv) - 1
    ends = round(0.005 * last), round(0.995 * last)
    low, high = np.partition(conditioned_mv, ends)[list(ends)]
    if high - low >= LOW_AMPLITUDE_MV:
        return "lead_off" if _partly_in_the_air(samples_mv, conditioned_mv, float(high - low), rate) else None
    if interference(samples_mv, rate).mains_mv >= ANTENNA_MV:
        return "lead_off"
    return "flat" if conditioned_mv.std() < FLAT_MV else "low_amplitude"


def _at_an_end(samples_mv: NDArray[np.float64], longest: float, clipped: bool) -> bool:
    """Whether the samples stay at their own highest or lowest for so many, far from where the others are; where there
    are no others, only the device knows."""
    for end in (samples_mv.min(), samples_mv.max()):
        at = samples_mv == end
        if at.all():
            return clipped
        if longest_run(at) >= longest:
            return bool(abs(end - np.median(samples_mv[~at])) >= CLIPPED_REACH * np.ptp(samples_mv))
    return False


def _partly_in_the_air(
    samples_mv: NDArray[np.float64], conditioned_mv: NDArray[np.float32], range_mv: float, rate: float
) -> bool:
    """Whether nothing is left in the ECG's band for UNSEEN_S while the raw samples are as loud as mains are: a pause is
    silent in both."""
    blocks = max(1, round(len(samples_mv) / rate / _BLOCK_S))
    size = len(conditioned_mv) // blocks
    parts = conditioned_mv[: blocks * size].reshape(blocks, size)
    silent = parts.max(axis=1) - parts.min(axis=1) < NOTHING * range_mv
    if longest_run(silent) * _BLOCK_S < UNSEEN_S:
        return False
    first, last = max(runs_of(silent), key=lambda run: run[1] - run[0])
    raw = samples_mv[round(first * _BLOCK_S * rate) : round(last * _BLOCK_S * rate)]
    return float(np.diff(raw).std()) >= ANTENNA_MV


def seen_throughout(beats: Sequence[Beat], duration_s: float) -> bool:
    """Whether the heart is seen from the window's beginning to its end: where it is not seen for much longer at either
    than anywhere between, an electrode may have gone off, and the rate of the rest is not the window's."""
    if len(beats) < 2:
        return True
    r = [b.r_peak_s for b in beats]
    longest_s = max(b - a for a, b in pairwise(r))
    return max(r[0], duration_s - r[-1]) <= max(UNSEEN_S, UNSEEN_RR * longest_s)


def _edges(mask: NDArray[np.bool_]) -> NDArray[np.intp]:
    """Where runs of True begin and end, in turn."""
    return np.flatnonzero(np.diff(np.concatenate([[0], mask.view(np.int8), [0]])))


def runs_of(mask: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Runs of True as (first, last + 1)."""
    edges = _edges(mask)
    return list(zip(edges[0::2].tolist(), edges[1::2].tolist(), strict=True))


def longest_run(mask: NDArray[np.bool_]) -> int:
    """Length of the longest run of True."""
    edges = _edges(mask)
    return int((edges[1::2] - edges[0::2]).max(initial=0))


def features(
    doubt: NDArray[np.float64], beats: Sequence[Beat], noisy_logit: float, conditioned_mv: NDArray[np.float32]
) -> NDArray[np.float64]:
    """(len(FEATURES),) of one window; doubt: (3,) of its masks, as `delineation.doubt_of` has it."""
    r = np.array([b.r_peak_s for b in beats])
    rr = np.diff(r)
    median = float(np.median(rr)) if len(rr) else 1.0
    return np.array(
        [
            float(np.mean([b.qrs.confidence for b in beats])) if beats else 0.5,
            np.sqrt(doubt[QRS]),
            np.sqrt(doubt.mean()),
            np.clip(noisy_logit, -8, 8) / 4,
            min(float(rr.min()) / median, 1.0) if len(rr) else 0.0,
            min(float(rr.max()) / median, 4.0) if len(rr) else 4.0,
            1.0 if len(beats) < 5 else 0.0,
            np.log10(float(conditioned_mv.std()) + 1e-3),
        ]
    )


def probability(values: NDArray[np.float64], model: Mapping[str, Sequence[float] | float]) -> float:
    """The fitted logistic: {"weights": one a feature, "bias": number}."""
    z = float(np.dot(values, np.asarray(model["weights"])) + float(model["bias"]))  # type: ignore[arg-type]
    return float(probability_of(z))
