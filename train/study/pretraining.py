"""What a trunk may learn before it classifies: each source is a target of the same windows.

Every seed pretrains anew: its own hearts, its own order, its own first weights, and a fifth of the annotated patients
left out, on whom what was learnt is judged. No patient of PTB-XL, CinC 2017 or MIT-BIH is among them.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from edge_runtime.delineation import WAVES
from edge_runtime.ranges import INTERVALS
from train import folds
from train.augment import Batch, augment
from train.config import Mix, Stage
from train.loop import batches, device_of, move_mean, schedule, to_input
from train.nets import Net
from train.study.cells import THEN_REAL, Cell
from train.study.config import StudyConfig
from train.study.data import Data
from train.study.fitting import autocast
from train.study.nets import BODIES, Drawn, Weights, Whole, put_weights, weights_of
from train.targets import interval_targets
from train.windows import GRID, Windows

_MEASURES = tuple(INTERVALS)
_REAL_SHARE = 0.7  # of the annotated windows that are LUDB's
_HIDDEN_SHARE = 0.5  # of a window, when it is to be filled in
_HIDDEN_STEPS = 40  # of the masks' 125 Hz: 320 ms in a piece
_MEAN_DECAY = 0.995
_JUDGED = 256  # windows of a batch that is only looked at


@dataclass(frozen=True)
class Source:
    """measures: the intervals that are asked for; drawn: channels that a decoder draws instead, 0 for none."""

    title: str
    measures: tuple[str, ...] = ()
    drawn: int = 0


SOURCES = {
    "hr": Source("heart rate", ("hr_bpm",)),
    "pr": Source("PR", ("pr_ms",)),
    "qrs": Source("QRS", ("qrs_ms",)),
    "qt": Source("QT", ("qt_ms",)),
    "all": Source("all four", _MEASURES),
    "delineation": Source("delineation", drawn=len(WAVES)),
    "masking": Source("self-supervised masking", drawn=1),
}


def module_of(cell: Cell, config: StudyConfig) -> nn.Module:
    body, source = BODIES[cell.net](config.trunk), SOURCES[cell.source]
    if source.drawn:
        return Drawn(body, source.drawn, config.trunk)
    return Whole(body, len(_MEASURES), config.trunk.dropout)


def hidden(n: int, rng: torch.Generator) -> Tensor:
    """(n, 1280) 1 where a window is hidden: whole pieces, at another phase in every window."""
    pieces = GRID.length // _HIDDEN_STEPS + 2
    chosen = (torch.rand(n, pieces, generator=rng) < _HIDDEN_SHARE).float().repeat_interleave(_HIDDEN_STEPS, 1)
    first = torch.randint(_HIDDEN_STEPS, (n, 1), generator=rng)
    return chosen.gather(1, first + torch.arange(GRID.length)[None])


def _on_grid(x: Tensor) -> Tensor:
    """(n, 2500) to the masks' 1280 steps: each the mean of its two samples, 0 beyond the window's ends."""
    return F.avg_pool1d(F.pad(x[:, None], (30, 30)), 2)[:, 0]


def loss(module: nn.Module, batch: Batch, source: Source, config: StudyConfig, rng: torch.Generator) -> Tensor:
    """The mean absolute error of the intervals asked for, in INTERVALS' scales; the masks' cross-entropy; or the mean
    squared error of what was hidden."""
    where = next(module.parameters()).device
    x, hide = to_input(batch.signal_mv), torch.empty(0)
    if not source.measures and source.drawn == 1:
        hide = hidden(len(x), rng)
        samples = hide.repeat_interleave(2, 1)[:, 30 : 30 + x.shape[-1]]
        whole, x = x, x * (1 - samples)[:, None, None]
    with autocast(config, where):
        out = module(x.to(where)).float().cpu()
    if source.measures:
        target = interval_targets(batch.beats)
        asked = torch.tensor([float(m in source.measures) for m in _MEASURES])
        known = (~target.isnan()).float() * asked
        return ((out - target.nan_to_num()).abs() * known).sum() / known.sum().clamp(min=1.0)
    if source.drawn == 1:
        wanted = _on_grid(whole[:, 0, 0])
        return ((out[:, 0, 0] - wanted).square() * hide).sum() / hide.sum().clamp(min=1.0)
    total = F.binary_cross_entropy_with_logits(out[:, :, 0], batch.mask, weight=batch.known, reduction="sum")
    return total / batch.known.sum().clamp(min=1.0)


def _stage(cell: Cell, config: StudyConfig) -> tuple[Stage, bool]:
    """The stage of a cell as the loop's batches know it, and whether it is on annotated leads."""
    p = config.pretraining
    real = cell.pretraining in (THEN_REAL, "real")
    steps = p.real_steps if cell.pretraining == THEN_REAL else p.steps
    windows = steps * p.batch
    if real:
        ludb = round(_REAL_SHARE * windows)
        mix = Mix(ludb=ludb, qtdb=windows - ludb)
    else:
        mix = Mix(deepfake=windows) if cell.pretraining == "deepfake" else Mix(synthetic=windows)
    rate = p.real_learning_rate if cell.pretraining == THEN_REAL else p.learning_rate
    return Stage(1, rate, mix, p.batch, p.noise, p.warp if real else 0.0), real


def held_out(cell: Cell) -> int:
    """The fold of annotated patients that this seed does not learn from."""
    return cell.seed % folds.FOLDS


def _sources(cell: Cell, data: Data, labeller: Net | None) -> dict[str, Windows]:
    if labeller is not None:
        return {"deepfake": data.deepfake(cell.seed, labeller)}
    if cell.pretraining == "simulator":
        return {"synthetic": data.simulator(cell.seed)}
    return {name: w.select(w.fold != held_out(cell)) for name, w in data.annotated.items()}


def pretrained(
    cell: Cell, weights: Weights | None, data: Data, device: str, labeller: Net | None = None
) -> tuple[dict[str, Any], Weights]:
    """The row of a pretraining cell, and what it leaves; goes on from `weights` where there are some. labeller: where
    its windows are deepfake-ecg's, what labels them."""
    config, source = data.config, SOURCES[cell.source]
    started = time.monotonic(), time.process_time()
    stage, _ = _stage(cell, config)
    where = device_of(device)
    torch.manual_seed(cell.seed)
    module = module_of(cell, config).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    if weights is not None:
        put_weights(module, weights)
    module.to(where)
    mean = copy.deepcopy(module).eval()
    optimizer = torch.optim.AdamW(module.parameters(), lr=stage.learning_rate, weight_decay=stage.weight_decay)
    noise, sources = torch.from_numpy(data.noise), _sources(cell, data, labeller)
    rng, torch_rng = np.random.default_rng([cell.seed, 4]), torch.Generator().manual_seed(cell.seed)
    steps = sum(vars(stage.mix).values()) // stage.batch
    module.train()
    for step, batch in enumerate(batches(sources, stage, rng)):
        batch = augment(batch, noise, torch_rng, stage.noise, stage.warp)
        for group in optimizer.param_groups:
            group["lr"] = stage.learning_rate * schedule(step / steps)
        optimizer.zero_grad(set_to_none=True)
        loss(module, batch, source, config, torch_rng).backward()
        nn.utils.clip_grad_norm_(module.parameters(), 1.0)
        optimizer.step()
        move_mean(mean, module, min(_MEAN_DECAY, (1 + step) / (10 + step)))
    row = {
        "judged": judged(mean, cell, data),
        "windows": {name: len(w) for name, w in sources.items()},
        "parameters": sum(p.numel() for p in mean.parameters()),
        "seconds": round(time.monotonic() - started[0], 1),
        "cpu_seconds": round(time.process_time() - started[1], 1),
    }
    return row, weights_of(mean)


@torch.no_grad()
def judged(module: nn.Module, cell: Cell, data: Data) -> dict[str, Any]:
    """On annotated patients that no stage of this seed has seen: each interval's MAE over windows with the constant's
    (the median of what it could have learnt from), or the loss."""
    config, source = data.config, SOURCES[cell.source]
    unseen = {name: w.select(w.fold == held_out(cell)) for name, w in data.annotated.items()}
    seen = {name: w.select(w.fold != held_out(cell)) for name, w in data.annotated.items()}
    found: dict[str, Any] = {}
    for name, windows in unseen.items():
        rng, total = torch.Generator().manual_seed(0), 0.0
        said, wanted = [], []
        for start in range(0, len(windows), _JUDGED):
            part = windows.select(np.arange(start, min(start + _JUDGED, len(windows))))
            batch = next(batches({name: part}, Stage(1, 0.0, Mix(**{name: len(part)}), len(part)), _in_order()))
            if source.measures:
                where = next(module.parameters()).device
                with autocast(config, where):
                    said.append(module(to_input(batch.signal_mv).to(where)).float().cpu().numpy())
                wanted.append(interval_targets(batch.beats).numpy())
            else:
                total += float(loss(module, batch, source, config, rng)) * len(part)
        if source.measures and len(windows):
            learnt = interval_targets(torch.from_numpy(np.asarray(seen[name].beats))).numpy()
            found[name] = _errors(np.concatenate(said), np.concatenate(wanted), learnt, source)
        elif len(windows):
            found[name] = {"loss": round(total / len(windows), 5), "n": len(windows)}
    return found


def _errors(said: Any, wanted: Any, learnt: Any, source: Source) -> dict[str, Any]:
    found = {}
    for k, (name, (_, scale)) in enumerate(INTERVALS.items()):
        known = ~np.isnan(wanted[:, k])
        if name in source.measures and known.any():
            constant = np.nanmedian(learnt[:, k])
            found[name] = {
                "mae": round(float(np.abs(said[known, k] - wanted[known, k]).mean() * scale), 3),
                "constant_mae": round(float(np.abs(constant - wanted[known, k]).mean() * scale), 3),
                "n": int(known.sum()),
            }
    return found


def _in_order() -> np.random.Generator:
    return np.random.default_rng(0)


def trunk_of(weights: Mapping[str, Any]) -> Weights:
    """What is handed on: the body, without what was put on it."""
    return {k.removeprefix("body."): v for k, v in weights.items() if k.startswith("body.")}
