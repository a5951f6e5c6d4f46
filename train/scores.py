"""How right a classifier is: F1 and the area under the ROC."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray


def f1_scores(truth: Sequence[int], said: Sequence[int], classes: Sequence[str]) -> dict[str, Any]:
    """F1 of each class and the confusion (rows truth). A class nobody has or says scores 0."""
    confusion = np.zeros((len(classes), len(classes)), np.int64)
    np.add.at(confusion, (np.asarray(truth), np.asarray(said)), 1)
    total = confusion.sum(0) + confusion.sum(1)
    f1 = np.where(total > 0, 2 * np.diag(confusion) / np.maximum(total, 1), 0.0)
    return {
        "n": int(confusion.sum()),
        "f1": dict(zip(classes, (float(v) for v in f1), strict=True)),
        "confusion": confusion.tolist(),
    }


def roc(truth: ArrayLike, score: ArrayLike) -> tuple[float, NDArray[np.float64], NDArray[np.float64]]:
    """Area under the curve (ties count half), and the curve as false and true positive rates. Both classes are
    needed."""
    y, s = np.asarray(truth, bool), np.asarray(score, np.float64)
    order = np.argsort(-s, kind="stable")
    last = np.append(np.flatnonzero(np.diff(s[order])), len(s) - 1)
    tpr = np.concatenate([[0.0], np.cumsum(y[order])[last] / y.sum()])
    fpr = np.concatenate([[0.0], np.cumsum(~y[order])[last] / (~y).sum()])
    return float(np.sum(np.diff(fpr) * (tpr[1:] + tpr[:-1]) / 2)), fpr, tpr
