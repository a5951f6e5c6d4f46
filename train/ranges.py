"""Fits what makes a bundle's ranges: the expected error on some patients, its conformal factor on the others."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_runtime.bundle import MEASURED
from edge_runtime.ranges import FEATURES, INTERVALS, MOST_BLENDED, Target

COVERAGE = 0.90
WIDEST = 1e9
_FLOOR = 0.01  # of a scale: an error under it is as good as none
_RIDGE = 1.0
LEAST_GAIN = 0.01  # of the error: for less the masks are kept to
Array = NDArray[np.float64]


@dataclass(frozen=True)
class Residual:
    """truth - the masks' value of one window in its unit, the direct head's value less the masks', and what its range
    may know."""

    patient: str
    residual: float
    apart: float
    features: tuple[float, ...]

    def left(self, target: Target) -> float:
        """truth - what is stated with the target's blend."""
        reach = MOST_BLENDED * target.scale
        return self.residual - target.blend * min(max(self.apart, -reach), reach)

    def to_row(self) -> list[Any]:
        figures = (round(self.residual, 3), round(self.apart, 3), *(round(f, 4) for f in self.features))
        return [self.patient, *figures]

    @classmethod
    def from_row(cls, row: Sequence[Any]) -> Residual:
        return cls(str(row[0]), float(row[1]), float(row[2]), tuple(float(f) for f in row[3:]))


def open_target(name: str) -> Target:
    """A target whose range holds everything: for measuring what it has to be."""
    return Target(*INTERVALS[name], 0.0, (0.0,) * len(FEATURES), 0.0, -WIDEST, WIDEST)


def blend_of(name: str, rows: Sequence[Residual]) -> float:
    """How much of the way from the masks' value to the direct one makes the mean absolute error least, each patient
    weighing the same; 0 for too few patients."""
    if name == "hr_bpm" or len({r.patient for r in rows}) < 10:  # a rate is counted, and not guessed
        return 0.0
    weights = _weights(rows)
    targets = [replace(open_target(name), blend=float(b)) for b in np.linspace(0, 1, 21)]
    costs = [float(np.average(_errors(rows, t), weights=weights)) for t in targets]
    best = int(np.argmin(costs))
    return targets[best].blend if costs[best] < (1 - LEAST_GAIN) * costs[0] else 0.0


def expected_error(features: Array, errors: Array, weights: Array, steps: int = 60) -> tuple[Array, float]:
    """Weights and bias of the log of Laplace's scale: the likelihood's Newton steps, ridge on standardised weights.

    features (n, k); errors (n,) absolute, in scales; weights (n,) of each row.
    """
    mean, spread = features.mean(0), features.std(0) + 1e-6
    z = np.column_stack([(features - mean) / spread, np.ones(len(features))])
    e, share = np.maximum(errors, _FLOOR), weights / weights.sum() * len(weights)
    w = np.zeros(z.shape[1])
    w[-1] = float(np.log(np.average(e, weights=share)))
    penalty = np.diag([_RIDGE] * (z.shape[1] - 1) + [1e-6])
    for _ in range(steps):
        relative = e * np.exp(-np.clip(z @ w, -8, 8))
        gradient = z.T @ (share * (1 - relative)) + penalty @ w
        hessian = (z * (share * relative)[:, None]).T @ z + penalty
        step = np.linalg.solve(hessian, gradient)
        w -= step * min(1.0, 1.0 / (np.abs(step).max() + 1e-12))
        if np.abs(step).max() < 1e-7:
            break
    scaled = w[:-1] / spread
    return scaled, float(w[-1] - scaled @ mean)


def conformal_factor(scores: Array, patients: Sequence[str]) -> float:
    """The factor under which COVERAGE of a new patient's scores lie, each patient weighing the same however many
    windows there are of one; with the finite-sample correction of split conformal prediction for that many (Vovk
    2005)."""
    if len(scores) == 0:
        return WIDEST
    _, inverse, counts = np.unique(np.asarray(patients), return_inverse=True, return_counts=True)
    n = len(counts)
    order = np.argsort(scores)
    mass = np.cumsum(1.0 / counts[inverse[order]]) / n
    level = min(1.0, (n + 1) / n * COVERAGE)
    return float(scores[order[min(int(np.searchsorted(mass, level - 1e-12)), len(order) - 1)]])


def _first_half(patient: str) -> bool:
    return hashlib.sha256(b"ranges" + patient.encode()).digest()[0] % 2 == 0


def fit_target(name: str, rows: Sequence[Residual]) -> Target:
    """The expected error from one half of the patients, the factor from the other, and the other way round; the means
    of the two. That is cross-conformal, hence approximate: the benchmark says how it holds. Too few rows: a range that
    holds everything."""
    plain = replace(open_target(name), blend=blend_of(name, rows))
    centre, scale, blend = plain.centre, plain.scale, plain.blend
    halves = [[r for r in rows if _first_half(r.patient) is half] for half in (True, False)]
    if min(len({r.patient for r in half}) for half in halves) < 5:
        return plain
    fits, factors = [], []
    for fitted, held in (halves, halves[::-1]):
        weights, bias = expected_error(_features(fitted), _errors(fitted, plain) / scale, _weights(fitted))
        fits.append((weights, bias))
        expected = np.exp(np.clip(bias + _features(held) @ weights, -6, 4))
        factors.append(conformal_factor(_errors(held, plain) / scale / expected, [r.patient for r in held]))
    weights = (fits[0][0] + fits[1][0]) / 2
    factor = float(np.mean(factors))
    return Target(centre, scale, blend, tuple(weights.tolist()), (fits[0][1] + fits[1][1]) / 2, -factor, factor)


def constant_width(name: str, rows: Sequence[Residual]) -> Target:
    """The neighbour: one width for every window, the conformal quantile of the absolute error."""
    plain = replace(open_target(name), blend=blend_of(name, rows))
    centre, scale, blend = plain.centre, plain.scale, plain.blend
    factor = conformal_factor(_errors(rows, plain) / scale, [r.patient for r in rows])
    return Target(centre, scale, blend, (0.0,) * len(FEATURES), 0.0, -factor, factor)


def targets(by_fold: Sequence[dict[str, list[Residual]]]) -> dict[str, Target]:
    """By measure, from the residuals of some folds."""
    return {name: fit_target(name, [r for fold in by_fold for r in fold[name]]) for name in MEASURED}


def _features(rows: Sequence[Residual]) -> Array:
    return np.array([r.features for r in rows], np.float64)


def _errors(rows: Sequence[Residual], target: Target) -> Array:
    return np.abs(np.array([r.left(target) for r in rows], np.float64))


def _weights(rows: Sequence[Residual]) -> Array:
    """Of each row, so that each patient weighs the same."""
    _, inverse, counts = np.unique([r.patient for r in rows], return_inverse=True, return_counts=True)
    return np.asarray(1.0 / counts[inverse])
