"""`python -m benchmarks beats`: does the backbone carry the AAMI beat classes? MIT-BIH, DS1 to DS2, one lead.

The transferred net is frozen. A beat is what its encoder's levels hold around the R peak, its RR intervals, and what
the masks say of it; a small perceptron on that, trained on DS1, names its class. Each record of DS2 goes through the
net of the fold that never saw its patient (15 of the database's records have excerpts in QTDB), with a perceptron of
that net's own. The beats are the annotator's, as in the literature. Research: none of this is in the bundle.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F
from tqdm import tqdm

from edge_runtime.conditioning import condition
from edge_runtime.library import cache_folder
from train import folds
from train.datasets import mitdb
from train.loop import to_input
from train.nets import STEPS, Net
from train.rr import rr_features
from train.run import Run, commit
from train.windows import GRID, SAMPLES, WINDOW_S

HOP_S = 5.0  # each beat is taken from the window in whose middle it is
_HIDDEN, _EPOCHS, _BATCH, _RATE = 48, 12, 256, 2e-3
_AROUND = (-2, -1, 0, 1, 2)  # steps of each level about the R peak
SEEDS = (1, 2, 3, 4, 5)


@torch.no_grad()
def features(net: Net, record: mitdb.MitdbRecord) -> NDArray[np.float32]:
    """(beats, k): encoder levels about each R peak, mask probabilities about it, and RR intervals."""
    held: list[Tensor] = []
    hooks = [level.register_forward_hook(lambda m, i, out: held.append(out)) for level in net.levels]
    rate, size = record.sampling_rate_hz, round(WINDOW_S * record.sampling_rate_hz)
    peaks_s = record.beat_samples / rate
    last_s = len(record.samples_mv) / rate - WINDOW_S
    starts = np.append(np.arange(0.0, last_s, HOP_S), last_s)
    window_of = np.abs(peaks_s[:, None] - (starts + WINDOW_S / 2)[None]).argmin(1)
    rows: dict[int, NDArray[np.float32]] = {}
    for chunk in np.array_split(np.arange(len(starts)), max(1, len(starts) // 32)):
        firsts = [min(round(starts[w] * rate), len(record.samples_mv) - size) for w in chunk]
        x = np.stack([condition(record.samples_mv[f : f + size], rate)[:SAMPLES] for f in firsts])
        held.clear()
        masks = torch.sigmoid(net(to_input(torch.from_numpy(x)))["masks"][:, :, 0])
        for k, (w, first) in enumerate(zip(chunk, firsts, strict=True)):
            for beat in np.flatnonzero(window_of == w):
                step = (peaks_s[beat] - first / rate) * GRID.sampling_rate_hz + GRID.margin
                rows[int(beat)] = np.concatenate(
                    [*(_about(level[k, :, 0], step) for level in held), _about(masks[k], step, 12)]
                )
    for hook in hooks:
        hook.remove()
    return np.column_stack([np.stack([rows[i] for i in range(len(peaks_s))]), rr_features(peaks_s)]).astype(np.float32)


def _about(level: Tensor, step: float, stride: int = 1) -> NDArray[np.float32]:
    """Channels at _AROUND steps of a level about mask step `step`, flat."""
    at = step * level.shape[-1] / STEPS
    index = torch.tensor([min(max(0, round(at) + stride * d), level.shape[-1] - 1) for d in _AROUND])
    return level[:, index].flatten().numpy()


def fit(x: NDArray[np.float32], y: NDArray[np.int64], seed: int) -> nn.Module:
    """A perceptron of one hidden layer over standardised features; classes weighed by n^-1/2."""
    torch.manual_seed(seed)
    mean, spread = x.mean(0), x.std(0) + 1e-6
    z, labels = torch.from_numpy((x - mean) / spread), torch.from_numpy(y)
    counts = np.bincount(y, minlength=len(mitdb.AAMI)).clip(1)
    shares = torch.tensor(counts**-0.5 / np.mean(counts**-0.5), dtype=torch.float32)
    first, second = nn.Linear(x.shape[1], _HIDDEN), nn.Linear(_HIDDEN, len(mitdb.AAMI))
    net = nn.Sequential(nn.Dropout(0.2), first, nn.ReLU(), nn.Dropout(0.2), second)
    optimizer = torch.optim.AdamW(net.parameters(), _RATE, weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, _EPOCHS)
    for _ in range(_EPOCHS):
        for rows in torch.randperm(len(z)).split(_BATCH):
            loss = F.cross_entropy(net(z[rows] + 0.1 * torch.randn(len(rows), z.shape[1])), labels[rows], shares)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        schedule.step()
    return nn.Sequential(_Standardise(mean, spread), net.eval())


class _Standardise(nn.Module):
    def __init__(self, mean: NDArray[np.float32], spread: NDArray[np.float32]) -> None:
        super().__init__()
        self.mean, self.spread = torch.from_numpy(mean), torch.from_numpy(spread)

    def forward(self, x: Tensor) -> Tensor:
        return (x - self.mean) / self.spread


def table(confusion: NDArray[np.int64]) -> dict[str, Any]:
    """Sensitivity and precision of each class, and the confusion (rows truth)."""
    right, truth, said = np.diag(confusion), confusion.sum(1), confusion.sum(0)
    return {
        "sensitivity": {c: float(right[k] / truth[k]) if truth[k] else None for k, c in enumerate(mitdb.AAMI)},
        "precision": {c: float(right[k] / said[k]) if said[k] else None for k, c in enumerate(mitdb.AAMI)},
        "confusion": confusion.tolist(),
        "n": int(confusion.sum()),
    }


def measure(run: Run, results: Path) -> dict[str, Any]:
    """Write `beats.json`: DS2 with and without the record whose patient is in DS1 too, the mean over SEEDS."""
    torch.set_num_threads(1)
    folder = cache_folder() / "mitdb"
    records = {name: mitdb.read(folder, name) for name in tqdm((*mitdb.DS1, *mitdb.DS2), desc="mitdb")}
    said: dict[str, list[NDArray[np.int64]]] = {}
    for fold in tqdm(run.config.folds, desc="folds"):
        net = run.load("transfer", str(fold))
        own = [n for n in mitdb.DS2 if folds.fold_of("mitdb", n) == fold]
        if not own:
            continue
        x = np.concatenate([features(net, records[n]) for n in mitdb.DS1])
        y = np.concatenate([records[n].beat_classes for n in mitdb.DS1])
        heads = [fit(x, y, seed) for seed in SEEDS]
        for name in own:
            z = torch.from_numpy(features(net, records[name]))
            with torch.no_grad():
                said[name] = [head(z).argmax(1).numpy() for head in heads]
    out: dict[str, Any] = {"measured_at_commit": commit(), "seeds": list(SEEDS)}
    for label, left_out in (("DS2", ()), ("DS2 without 202", mitdb.SHARED_WITH_DS1)):
        each = []
        for k in range(len(SEEDS)):
            confusion = np.zeros((len(mitdb.AAMI),) * 2, np.int64)
            for name, guesses in said.items():
                if name not in left_out:
                    np.add.at(confusion, (records[name].beat_classes, guesses[k]), 1)
            each.append(table(confusion))
        out[label] = {"by_seed": each, **_mean(each)}
    results.mkdir(parents=True, exist_ok=True)
    (results / "beats.json").write_text(json.dumps(out, indent=1) + "\n")
    return out


def _mean(each: list[dict[str, Any]]) -> dict[str, Any]:
    out: dict[str, Any] = {"n": each[0]["n"]}
    for key in ("sensitivity", "precision"):
        for name in mitdb.AAMI:
            values = [t[key][name] for t in each if t[key][name] is not None]
            out.setdefault(key, {})[name] = [float(np.mean(values)), float(np.std(values))] if values else None
    return out
