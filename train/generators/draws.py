"""Draws of one number, by what costs a tenth of numpy's own calls for it: a window needs hundreds."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate

import numpy as np


def one_of(rng: np.random.Generator, weights: Sequence[float]) -> int:
    """The index of one of the weights, which need not add up to one."""
    up_to = list(accumulate(weights))
    return bisect_right(up_to, rng.random() * up_to[-1], hi=len(up_to) - 1)


def sign(rng: np.random.Generator) -> int:
    return 1 if rng.random() < 0.5 else -1


def held(value: float, low: float, high: float) -> float:
    """The value, or the bound that it lies beyond."""
    return float(min(max(value, low), high))
