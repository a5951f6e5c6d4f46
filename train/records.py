"""Fits what speaks of whole records: the rhythm over a record's windows, and the findings' probabilities."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional as F

from edge_runtime import rhythms
from edge_runtime.analysis import analyse_window
from edge_runtime.backends import Backend
from edge_runtime.bundle import Model
from edge_runtime.library import cache_folder
from edge_runtime.offline import SUMMARY_HOP_S, rhythm_features
from edge_runtime.report import FINDINGS, RHYTHMS
from edge_runtime.windows import windows_of
from train import folds
from train.datasets import cinc2017
from train.logistic import newton
from train.loop import to_input
from train.run import Run
from train.windows import Windows

_RIDGE = 3e-3
_CLASS_POWER = 0.5


@dataclass(frozen=True)
class RhythmRows:
    """features (n, len(rhythms.FEATURES)) and labels (n,) of records."""

    features: NDArray[np.float64]
    labels: NDArray[np.int64]


def rhythm_rows(run: Run, backend: Backend, model: Model, fold: str) -> RhythmRows:
    """Of each CinC record of the fold, seen as the product sees it, through a net that did not see it."""
    folder, few = cache_folder() / "cinc2017", run.config.records_per_set
    values, labels = [], []
    if folder.exists():
        own = [(n, c) for n, c in cinc2017.records(folder).items() if folds.fold_of("cinc2017", n) == int(fold)]
        for name, label in own[: few or None]:
            mv, rate = cinc2017.read(folder, name)
            reports = [analyse_window(w, model, backend) for w in windows_of(mv, rate, "I", SUMMARY_HOP_S)]
            seen = [r for r in reports if r.rhythm.distribution]
            if seen:
                values.append(rhythm_features(seen[: rhythms.MOST_WINDOWS]))
                labels.append(label)
    return RhythmRows(np.array(values).reshape(-1, len(rhythms.FEATURES)), np.array(labels, np.int64))


def fit_rhythm(parts: Sequence[RhythmRows]) -> dict[str, Any]:
    """The multinomial logistic over standardised features, ridge on its weights, classes weighed by n^-1/2."""
    x, y = np.concatenate([p.features for p in parts]), np.concatenate([p.labels for p in parts])
    if len(x) == 0 or len(np.unique(y)) < 2:  # nothing to learn from: the mean of the windows' logs
        return {"weights": _mean_of_logs(), "bias": [0.0] * len(RHYTHMS)}
    mean, spread = x.mean(0), x.std(0) + 1e-6
    z = torch.tensor((x - mean) / spread)
    labels = torch.tensor(y)
    counts = np.bincount(y, minlength=len(RHYTHMS)).clip(1)
    shares = torch.tensor(counts**-_CLASS_POWER / np.mean(counts**-_CLASS_POWER))
    weights = torch.zeros(len(RHYTHMS), x.shape[1], dtype=torch.float64, requires_grad=True)
    bias = torch.zeros(len(RHYTHMS), dtype=torch.float64, requires_grad=True)
    solver = torch.optim.LBFGS([weights, bias], max_iter=300, line_search_fn="strong_wolfe")

    def loss() -> torch.Tensor:
        solver.zero_grad()
        value = F.cross_entropy(z @ weights.T + bias, labels, shares) + _RIDGE * (weights**2).sum()
        value.backward()
        return value

    solver.step(loss)
    scaled = weights.detach().numpy() / spread
    return {"weights": scaled.tolist(), "bias": (bias.detach().numpy() - scaled @ mean).tolist()}


def _mean_of_logs() -> list[list[float]]:
    rows = np.zeros((len(RHYTHMS), len(rhythms.FEATURES)))
    for i, name in enumerate(RHYTHMS):
        rows[i, rhythms.FEATURES.index(f"log_{name}")] = 1.0
    return rows.tolist()


@torch.no_grad()
def findings_logits(run: Run, fold: str, windows: Windows) -> NDArray[np.float64]:
    """(n, 5) of the fold's net."""
    net, parts = run.load("transfer", fold), []
    for start in range(0, len(windows), 64):
        signal = torch.from_numpy(windows.signal_uv[start : start + 64].astype(np.float32) * 1e-3)
        parts.append(net(to_input(signal, net.spec.coding))["findings"].flatten(1).numpy())
    return np.concatenate(parts).astype(np.float64)


def fit_findings(run: Run, fold: str) -> dict[str, tuple[float, float]]:
    """By finding: slope and offset on the logit (Platt 1999), on PTB-XL's validation fold; 1 and 0 where it is not
    there."""
    windows = run.real.get("ptbxl")
    if windows is None or not windows.validates.any():
        return dict.fromkeys(FINDINGS, (1.0, 0.0))
    own = windows.select(windows.validates)
    logits = findings_logits(run, fold, own)
    return {name: platt(logits[:, k], own.findings[:, k] == 1) for k, name in enumerate(FINDINGS)}


def platt(logits: NDArray[np.float64], truth: NDArray[np.bool_]) -> tuple[float, float]:
    """Slope and offset with Platt's own targets, which keep them finite where the classes part."""
    positive, negative = int(truth.sum()), int((~truth).sum())
    if not positive or not negative:
        return 1.0, 0.0
    y = np.where(truth, (positive + 1) / (positive + 2), 1 / (negative + 2))
    w = newton(np.column_stack([logits, np.ones(len(logits))]), y, 1e-6 * np.eye(2), np.array([1.0, 0.0]))
    return float(w[0]), float(w[1])
