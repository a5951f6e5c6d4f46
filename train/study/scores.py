"""What a task is scored by, at once for many weightings of its records: a bootstrap is a matrix of weights."""

from __future__ import annotations

import base64
import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def weighted_auc(truth: NDArray[np.bool_], score: Array, weights: Array) -> Array:
    """(b,) areas under the ROC, ties counting half, of n records under (b, n) weights; NaN where a class is missing."""
    order = np.argsort(score, kind="stable")
    starts = np.flatnonzero(np.r_[True, np.diff(score[order]) > 0])
    w, y = weights[:, order], truth[order]
    positive = np.add.reduceat(w * y, starts, 1)
    negative = np.add.reduceat(w * ~y, starts, 1)
    below = np.cumsum(negative, 1) - negative / 2
    pairs = positive.sum(1) * negative.sum(1)
    with np.errstate(invalid="ignore"):
        return np.asarray((positive * below).sum(1) / np.where(pairs > 0, pairs, np.nan))


def macro_auc(truth: NDArray[np.bool_], score: Array, weights: Array) -> Array:
    """(b,) the mean over the k classes of (n, k) truth and score that are neither empty nor full."""
    seen = [k for k in range(truth.shape[1]) if 0 < truth[:, k].sum() < len(truth)]
    if not seen:
        return np.full(len(weights), np.nan)
    areas = np.array([weighted_auc(truth[:, k], score[:, k], weights) for k in seen])
    there = ~np.isnan(areas)
    return np.where(there.any(0), np.nansum(areas, 0) / np.maximum(there.sum(0), 1), np.nan)


def confusions(truth: NDArray[np.int64], said: NDArray[np.int64], classes: int, weights: Array) -> Array:
    """(b, k, k), rows truth."""
    cells = np.zeros((len(truth), classes * classes))
    cells[np.arange(len(truth)), truth * classes + said] = 1.0
    return np.asarray((weights @ cells).reshape(-1, classes, classes))


def f1(confusion: Array) -> Array:
    """(b, k) of (b, k, k); a class that nobody has or says scores 0."""
    total = confusion.sum(1) + confusion.sum(2)
    return np.asarray(2 * np.diagonal(confusion, axis1=1, axis2=2) / np.maximum(total, 1e-12))


def pack(values: NDArray[Any]) -> dict[str, Any]:
    """An array of integers as JSON."""
    data = base64.b64encode(zlib.compress(np.ascontiguousarray(values).tobytes(), 9)).decode()
    return {"dtype": str(values.dtype), "shape": list(values.shape), "data": data}


def unpack(packed: dict[str, Any]) -> NDArray[Any]:
    raw = zlib.decompress(base64.b64decode(packed["data"]))
    return np.frombuffer(raw, packed["dtype"]).reshape(packed["shape"])
