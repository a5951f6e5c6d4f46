"""Whether a window may be measured at all, and how probable it is that its heart rate is right.

The gates look at the raw samples; each has its own reason. The probability is a logistic function, fitted on annotated
windows with noise on top, of how sure the net is of its QRS complexes and how regular they come.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from edge_runtime.delineation import QRS, Beat, probability_of

FLAT_S = 2.0  # an ADC that repeats itself for this long measures nothing
FLAT_MV = 0.005
CLIPPED_S = 0.02  # a run at the rail of this length is clipping, not a peak
CLIPPED_SHARE = 0.01
CLIPPED_REACH = 0.35  # of the peak to peak: a rail lies far from the middle, a quiet baseline does not
LOW_AMPLITUDE_MV = 0.06
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


def gate(samples_mv: NDArray[np.float64], conditioned_mv: NDArray[np.float32], rate: float) -> str | None:
    """Why the window is not fit to be measured: flat, clipped or low_amplitude; None where it is."""
    same = np.diff(samples_mv) == 0
    if conditioned_mv.std() < FLAT_MV or longest_run(same) >= FLAT_S * rate:
        return "flat"
    at_rail = np.zeros(len(samples_mv), np.bool_)
    reach = CLIPPED_REACH * np.ptp(samples_mv)
    for rail in (samples_mv.max(), samples_mv.min()):
        at = samples_mv == rail
        if abs(rail - np.median(samples_mv)) >= reach and longest_run(at) >= max(3, CLIPPED_S * rate):
            at_rail |= at
    if at_rail.mean() >= CLIPPED_SHARE:
        return "clipped"
    low, high = np.percentile(conditioned_mv, (0.5, 99.5))
    return "low_amplitude" if high - low < LOW_AMPLITUDE_MV else None


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
