"""Paired differences of two arms, what they could have shown, and the sentence that follows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t as student

from train.study.config import Statistics

Array = NDArray[np.float64]

POSITIVE, SMALL, HARMS, NOTHING, UNDECIDED = (
    "positive",
    "positive, too small to matter",
    "negative: it harms",
    "negative: nothing that matters",
    "undecided",
)
ALPHA = 0.05


def patient_weights(patients: NDArray[np.str_], draws: int, seed: int) -> Array:
    """(draws, n): how often each of n records stands in a sample in which patients were drawn again."""
    names, inverse = np.unique(patients, return_inverse=True)
    drawn = np.random.default_rng(seed).integers(len(names), size=(draws, len(names)))
    counts = np.zeros((draws, len(names)))
    np.add.at(counts, (np.arange(draws)[:, None], drawn), 1.0)
    return np.asarray(counts[:, inverse])


@dataclass(frozen=True)
class Difference:
    """An arm less another over `seeds` folds. error: the standard error of `mean`; low, high: over seeds and folds;
    patients_low, patients_high: when patients are drawn again; p: of no difference; p_equivalent: of one that is beyond
    the bound."""

    mean: float
    error: float
    seeds: int
    low: float
    high: float
    patients_low: float
    patients_high: float
    p: float
    p_equivalent: float

    def detectable(self, alpha: float, power: float) -> float:
        """The difference that is found at a two-sided level `alpha` with that power, given the error that there is."""
        df = self.seeds - 1
        return float((student.ppf(1 - alpha / 2, df) + student.ppf(power, df)) * self.error)


def paired(each: Array, drawn: Array, ratio: float, how: Statistics) -> Difference:
    """each: (k,) differences by fold; drawn: (k, draws) the same of each patient bootstrap. ratio: see tasks.Task.

    Over folds that share training records the variance of the mean is s^2 (1/k + ratio), Nadeau and Bengio 2003. Where
    every seed is tested on the same patients (ratio 0) it is that of the seeds and that of the patients together.
    """
    k, mean = len(each), float(each.mean())
    over_patients = drawn.mean(0)
    variance = float(each.var(ddof=1))
    squared = variance * (1 / k + ratio) if ratio else variance / k + float(np.nanvar(over_patients))
    error, df = max(float(np.sqrt(squared)), 1e-9), k - 1
    half = float(student.ppf(0.5 + how.confidence / 2, df)) * error
    outside = 50 * (1 - how.confidence)
    low, high = np.nanpercentile(over_patients, (outside, 100 - outside))
    nearest = min(how.bound - mean, how.bound + mean)
    return Difference(
        mean=mean,
        error=error,
        seeds=k,
        low=mean - half,
        high=mean + half,
        patients_low=float(low),
        patients_high=float(high),
        p=float(2 * student.sf(abs(mean) / error, df)),
        p_equivalent=float(student.sf(nearest / error, df)),
    )


def holm(p: Sequence[float]) -> list[float]:
    """Adjusted p-values (Holm 1979), in the order given."""
    order, m = np.argsort(p), len(p)
    adjusted, least = [0.0] * m, 0.0
    for rank, i in enumerate(order):
        least = max(least, min(1.0, (m - rank) * p[i]))
        adjusted[int(i)] = least
    return adjusted


def verdict(d: Difference, p: float, p_equivalent: float) -> str:
    """From a difference and its family's corrected p-values."""
    equivalent = p_equivalent < ALPHA
    if p < ALPHA and d.mean > 0 and d.patients_low > 0:
        return SMALL if equivalent else POSITIVE
    if p < ALPHA and d.mean < 0 and d.patients_high < 0 and not equivalent:
        return HARMS
    return NOTHING if equivalent else UNDECIDED
