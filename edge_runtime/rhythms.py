"""The rhythm of a whole record, from its windows: what the net says of each, and how regular their beats come.

A multinomial logistic over FEATURES, fitted on records that the nets had not seen; it comes with the bundle. An ectopic
beat is in one window of six and fibrillation in all: mean and largest probabilities tell them apart, a mean alone
does not.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from edge_runtime.report import RHYTHMS

FEATURES = (
    *(f"mean_{r}" for r in RHYTHMS),
    *(f"log_{r}" for r in RHYTHMS),
    *(f"most_{r}" for r in RHYTHMS),
    "irregular",
    "most_irregular",
    "jumps",
    "most_jumps",
    "rate",
    "no_beats",
    "windows",
)
MOST_WINDOWS = 12  # of a record of a minute, the longest that the logistic has seen
_JUMP = 0.15  # of an RR interval, to the next one


def features(distributions: Sequence[Sequence[float]], r_peaks_s: Sequence[Sequence[float]]) -> NDArray[np.float64]:
    """(len(FEATURES),) of a record: a distribution over RHYTHMS and the R peaks of each window, both one a window."""
    p = np.asarray(distributions, np.float64)
    irregular, jumps, rates = [], [], []
    for peaks in r_peaks_s:
        rr = np.diff(np.asarray(peaks))
        if len(rr) >= 3:
            change = np.abs(np.diff(rr)) / rr.mean()
            irregular.append(float(np.median(change)))
            jumps.append(float(np.mean(change > _JUMP)))
            rates.append(float(60 / rr.mean()))
    return np.array(
        [
            *p.mean(0),
            *np.log(p.clip(1e-3)).mean(0),
            *p.max(0),
            np.log(0.01 + np.mean(irregular)) if irregular else -2.0,
            np.log(0.01 + np.max(irregular)) if irregular else -2.0,
            np.mean(jumps) if jumps else 0.0,
            np.max(jumps) if jumps else 0.0,
            np.log(np.mean(rates) / 75) if rates else 0.0,
            1.0 - len(rates) / len(p),
            np.log(len(p)),
        ]
    )


def probabilities(values: NDArray[np.float64], model: Mapping[str, Sequence[object]]) -> NDArray[np.float64]:
    """(4,) by the fitted logistic: {"weights": (4, len(FEATURES)), "bias": (4,)}."""
    z = np.asarray(model["weights"], np.float64) @ values + np.asarray(model["bias"], np.float64)
    e = np.exp(z - z.max())
    return np.asarray(e / e.sum())
