"""Errors with their neighbours: MAE beside the constant predictor's, bias, SD, n, coverage, intervals by patient."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

_BOOTSTRAPS = 2000


def bootstrap_by_patient(values: NDArray[np.float64], patients: Sequence[str], seed: int = 0) -> tuple[float, float]:
    """95 % interval of the mean when patients, not windows, are drawn again (percentile bootstrap, Efron 1979)."""
    names, inverse = np.unique(np.asarray(patients), return_inverse=True)
    sums = np.bincount(inverse, values, len(names))
    counts = np.bincount(inverse, minlength=len(names))
    rng = np.random.default_rng(seed)
    drawn = rng.integers(len(names), size=(_BOOTSTRAPS, len(names)))
    means = sums[drawn].sum(1) / counts[drawn].sum(1)
    low, high = np.percentile(means, (2.5, 97.5))
    return float(low), float(high)


def error_table(
    truth: NDArray[np.float64],
    value: NDArray[np.float64],
    low: NDArray[np.float64],
    high: NDArray[np.float64],
    constant: NDArray[np.float64],
    patients: Sequence[str],
    share: NDArray[np.float64] | None = None,
) -> dict[str, Any]:
    """Of n annotated cases, all with a truth; value is NaN where none was stated.

    `constant_mae` is over the stated cases too; `mae_all` and `constant_mae_all` are over all n, what is refused
    counted as the constant predictor's: whole cases, and of a case of several windows the part (1 - `share`) of
    them. bias = value - truth.
    """
    stated = np.isfinite(value)
    if not stated.any():
        return {"n": len(truth), "stated": 0}
    error = (value - truth)[stated]
    who = np.asarray(patients)[stated].tolist()
    inside = ((low <= truth) & (truth <= high))[stated]
    of_windows = stated.astype(np.float64) if share is None else np.where(stated, share, 0.0)
    refused = np.abs(constant - truth)
    everything = of_windows * np.where(stated, np.abs(value - truth), 0.0) + (1 - of_windows) * refused
    ranges = {}
    if np.isfinite(low[stated]).any():  # a peer has none
        ranges = {
            "coverage": float(inside.mean()),
            "coverage_ci95": bootstrap_by_patient(inside.astype(float), who),
            "width": float(np.mean((high - low)[stated])),
        }
    return {
        **ranges,
        "windows_stated": float(of_windows.mean()),
        "n": len(truth),
        "stated": int(stated.sum()),
        "mae": float(np.abs(error).mean()),
        "mae_ci95": bootstrap_by_patient(np.abs(error), who),
        "median_abs": float(np.median(np.abs(error))),
        "bias": float(error.mean()),
        "sd": float(error.std(ddof=1)) if len(error) > 1 else 0.0,
        "mae_all": float(everything.mean()),
        "constant_mae": float(np.abs(constant - truth)[stated].mean()),
        "constant_mae_all": float(np.abs(constant - truth).mean()),
    }


def bootstrap_auc(
    nets: Sequence[Sequence[Any]], area: Callable[[Sequence[Any]], float | None], draws: int = 200, seed: int = 0
) -> tuple[float, float]:
    """95 % interval of the mean over nets of an area, when patients are drawn again, the same for every net."""
    patients = sorted({row.patient for row in nets[0]})
    by_patient = [{p: [r for r in net if r.patient == p] for p in patients} for net in nets]
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(draws):
        drawn = rng.choice(patients, len(patients))
        areas = [area([r for p in drawn for r in net[p]]) for net in by_patient]
        if all(a is not None for a in areas):
            found.append(float(np.mean([a for a in areas if a is not None])))
    low, high = np.percentile(found, (2.5, 97.5)) if found else (float("nan"), float("nan"))
    return float(low), float(high)
