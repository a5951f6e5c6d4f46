"""The logistic regression behind the quality model and the findings' probabilities."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edge_runtime.delineation import probability_of

Array = NDArray[np.float64]
_STEPS = 50
_SMALL = 1e-8


def newton(z: Array, y: Array, penalty: Array, start: Array) -> Array:
    """(k,) weights under which `probability_of(z @ weights)` is likeliest to give y, by Newton's method.

    z: (n, k); y: (n,) targets in 0 to 1; penalty: (k, k), of the weights' squares; start: (k,).
    """
    w = start.astype(np.float64)
    for _ in range(_STEPS):
        p = probability_of(z @ w)
        gradient = z.T @ (p - y) + penalty @ w
        step = np.linalg.solve((z * (p * (1 - p))[:, None]).T @ z + penalty, gradient)
        w -= step
        if np.abs(step).max() < _SMALL:
            break
    return w
