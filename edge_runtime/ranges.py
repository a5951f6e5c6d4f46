"""What is stated of a measure from the two things that the net says of it, and how wide its range has to be.

The masks and the direct head err in different ways, so a share of the way from one to the other, fitted on patients
that the net had not seen, is nearer to the truth than either.

The range is the error that its window leads one to expect, times a factor that held for others. The expected error
is log-linear in what the window shows (FEATURES), fitted on patients that the net had not seen; the factor is the
conformal quantile of error over expectation on others again (split conformal prediction, Vovk 2005, with the
expectation as its scale, Lei 2018). Both come with the bundle.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge_runtime.delineation import QRS, P, T
from edge_runtime.report import Evident, Value

FEATURES = ("spread", "apart", "scatter", "doubt", "beats")

# What the direct head names: the centre that is subtracted and the scale that is divided by, bpm and ms.
INTERVALS = {"hr_bpm": (75.0, 20.0), "pr_ms": (160.0, 30.0), "qrs_ms": (95.0, 20.0), "qt_ms": (395.0, 45.0)}
_WAVES = {"hr_bpm": (QRS,), "pr_ms": (P, QRS), "qrs_ms": (QRS,), "qt_ms": (QRS, T)}
MOST_BLENDED = 0.7  # scales: where the two are further apart than this, one of them is lost, and the masks are kept to
_LEAST, _MOST = -6.0, 4.0  # of the log of the expected error, in scales


@dataclass(frozen=True)
class Target:
    """One measure: centre and scale in its unit; `blend`, how much of the way from the masks' value to the direct
    one is gone; weights and bias of the expected error's log; and the factors on it that give the low and the high
    end of the 90 % range."""

    centre: float
    scale: float
    blend: float
    weights: tuple[float, ...]
    bias: float
    low: float
    high: float

    def expected_error(self, features: Sequence[float]) -> float:
        """In the measure's unit."""
        log = self.bias + sum(f * w for f, w in zip(features, self.weights, strict=True))
        return self.scale * math.exp(min(max(log, _LEAST), _MOST))

    def stated(self, drawn: float, direct: float, features: Sequence[float]) -> Value:
        """drawn: from the masks, in the measure's unit; direct: what the head says, in scales from the centre."""
        apart = self.centre + self.scale * direct - drawn
        reach = MOST_BLENDED * self.scale
        value = max(0.0, drawn + self.blend * min(max(apart, -reach), reach))
        expected = self.expected_error(features)
        low, high = value + self.low * expected, value + self.high * expected
        return Value(value, max(0.0, low), high, evidence=Evident(tuple(features), drawn, direct))


@dataclass(frozen=True)
class Evidence:
    """What one window's heads say: of each measure directly and of the log of that error's scale, both in target units
    (`intervals`, `spread`); and of each wave the doubt in its mask, in steps a window."""

    direct: Mapping[str, float]
    spread: Mapping[str, float]
    doubt: NDArray[np.float64]


def evidence_of(heads: Mapping[str, NDArray[np.float32]], doubt: NDArray[np.float64]) -> Evidence:
    """doubt: (3,) of the masks, as `delineation.doubt_of` has it."""
    direct, spread = (dict(zip(INTERVALS, map(float, heads[h]), strict=True)) for h in ("intervals", "spread"))
    return Evidence(direct, spread, doubt * heads["masks"].shape[1])


def median(values: Sequence[float]) -> float:
    """Of at least one. NumPy's costs many times as much on a dozen numbers."""
    ordered = sorted(values)
    half = len(ordered) // 2
    return ordered[half] if len(ordered) % 2 else (ordered[half - 1] + ordered[half]) / 2


def features(name: str, value: float, single: Sequence[float], evidence: Evidence, target: Target) -> tuple[float, ...]:
    """(len(FEATURES),) of a value that is the median of the beats' `single` ones (for the heart rate: of its RR
    rates)."""
    beats = max(1, len(single))
    scatter = 0.0
    if single:
        middle = median(single)
        scatter = median([abs(one - middle) for one in single]) / target.scale
    apart = abs((value - target.centre) / target.scale - evidence.direct[name])
    doubt = sum(float(evidence.doubt[wave]) for wave in _WAVES[name]) / beats
    return (
        min(max(evidence.spread[name], -4.0), 3.0),
        math.log(0.05 + apart),
        math.log(0.02 + scatter),
        math.log(0.05 + doubt),
        math.log(beats),
    )
