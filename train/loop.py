"""The one training loop. Every stage is this loop over another mix of windows; labels that are unknown cost nothing.

It checkpoints after each epoch, resumes where it was, and keeps an exponential mean of the weights (a copy, not an
alias): that mean is what a stage hands on.
"""

from __future__ import annotations

import copy
import json
import math
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from tqdm import tqdm

from edge_runtime.conditioning import DEFAULT
from edge_runtime.delineation import WAVES
from edge_runtime.ranges import INTERVALS
from edge_runtime.report import RHYTHMS
from train import parallel
from train.augment import Batch, augment
from train.codings import COMPANDED, coded
from train.config import SOURCES, Stage, Weights
from train.nets import STEPS, Net
from train.targets import interval_targets
from train.windows import MOST_BEATS, UNKNOWN, Windows


def to_input(signal_mv: Tensor, coding: str = COMPANDED) -> Tensor:
    """(n, 2500) conditioned mV to the net's (n, channels, 1, 2500)."""
    companded = torch.asinh(signal_mv / DEFAULT.compand_mv)
    return coded(companded, coding).contiguous(memory_format=torch.channels_last)


def losses(out: Mapping[str, Tensor], batch: Batch, classes: Tensor, asked: Tensor) -> dict[str, tuple[Tensor, Tensor]]:
    """Each head's loss as (sum, count) over what is known of it, so that parts of a batch add up to the whole.

    classes: (4,) weights of the rhythms; asked: (4,) 1 for the INTERVALS that the direct head is trained on.
    """
    bce = F.binary_cross_entropy_with_logits
    masks = bce(out["masks"][:, :, 0], batch.mask, weight=batch.known, reduction="sum")
    has_p, has_rhythm, has_findings = (
        (x != UNKNOWN).float() for x in (batch.p_wave, batch.rhythm, batch.findings[:, 0])
    )
    p_wave = bce(out["p_wave"].flatten(), batch.p_wave.clamp(min=0).float(), weight=has_p, reduction="sum")
    logits, labels = out["rhythm"].flatten(1), batch.rhythm.clamp(min=0).long()
    rhythm = F.cross_entropy(logits, labels, classes, label_smoothing=0.05, reduction="none")
    wanted = batch.findings.clamp(min=0).float()
    findings = bce(out["findings"].flatten(1), wanted, weight=has_findings[:, None], reduction="sum")
    target = interval_targets(batch.beats)
    known = (~target.isnan()).float() * asked
    scale = out["spread"].flatten(1).clamp(-4, 3)
    error = (out["intervals"].flatten(1) - target.nan_to_num()).abs()
    intervals = ((error * torch.exp(-scale) + scale) * known).sum()  # Laplace's negative log likelihood
    return {
        "masks": (masks, batch.known.sum()),
        "p_wave": (p_wave, has_p.sum()),
        "rhythm": ((rhythm * has_rhythm).sum(), (classes[labels] * has_rhythm).sum()),
        "findings": (findings, has_findings.sum()),
        "intervals": (intervals, known.sum()),
    }


def class_weights(windows: Windows | None) -> Tensor:
    """Weights of n^-1/2 by class, of mean 1 over the windows: between one vote a record and one a class."""
    if windows is None:
        return torch.ones(len(RHYTHMS))
    counts = np.bincount(windows.rhythm[windows.rhythm >= 0], minlength=len(RHYTHMS)).clip(1)
    weights = counts**-0.5
    return torch.tensor(weights * counts.sum() / (weights * counts).sum(), dtype=torch.float32)


def batches(sources: Mapping[str, Windows], stage: Stage, rng: np.random.Generator) -> Iterator[Batch]:
    """One epoch: from each source its number of windows, of each record at most one until all were used."""
    drawn: list[tuple[str, int]] = []
    for name in SOURCES:
        count, windows = getattr(stage.mix, name), sources.get(name)
        if not count or windows is None or not len(windows):
            continue
        order = rng.permutation(len(windows))
        _, first = np.unique(windows.group[order], return_index=True)
        once = order[rng.permutation(first)]
        rest = np.setdiff1d(order, once, assume_unique=True)
        picked = np.concatenate([once, rng.permutation(rest)])
        drawn += [(name, int(i)) for i in np.resize(picked, count)]
    order = rng.permutation(len(drawn))
    for start in range(0, len(order) - stage.batch // 2, stage.batch):
        chosen: dict[str, list[int]] = {}
        for k in order[start : start + stage.batch]:
            chosen.setdefault(drawn[k][0], []).append(drawn[k][1])
        yield _join([_take(sources[name], np.array(rows)) for name, rows in chosen.items()])


def _take(windows: Windows, rows: np.ndarray) -> Batch:
    n = len(rows)
    if windows.mask is not None and windows.known is not None and windows.beats is not None:
        mask = torch.from_numpy(windows.mask[rows]).float() / 255.0
        known = torch.from_numpy(windows.known[rows]).float()
        beats = torch.from_numpy(windows.beats[rows])
    else:
        mask = known = torch.zeros(n, len(WAVES), STEPS)
        beats = torch.full((n, MOST_BEATS, 4), torch.nan)
    labels = (torch.from_numpy(x[rows]) for x in (windows.p_wave, windows.rhythm, windows.findings))
    return Batch(torch.from_numpy(windows.signal_uv[rows]).float() * 1e-3, mask, known, beats, *labels)


def _join(parts: list[Batch]) -> Batch:
    return Batch(*(torch.cat([getattr(p, name) for p in parts]) for name in Batch.__dataclass_fields__))


def device_of(choice: str) -> torch.device:
    return torch.device(
        "cuda" if choice == "auto" and torch.cuda.is_available() else "cpu" if choice == "auto" else choice
    )


@dataclass(frozen=True)
class Task:
    """What a stage works on. bank: (n, 2500) noise; validation: windows of patients that are not in `sources`."""

    sources: Mapping[str, Windows]
    validation: Mapping[str, Windows]
    bank: np.ndarray
    stage: Stage
    measures: tuple[str, ...]
    seed: int
    device: str = "auto"


def total(parts: Mapping[str, tuple[Tensor, Tensor]], weights: Weights) -> Tensor:
    """The weighted sum of the heads' mean losses."""
    wanted = [(w, *parts[name]) for name, w in vars(weights).items() if w]
    return torch.stack([w * loss / count.clamp(min=1.0) for w, loss, count in wanted]).sum()


def train_stage(net: Net, task: Task, folder: Path, name: str) -> Net:
    """Train `net` from where `folder` left off; returns the mean net of the best epoch on validation, in eval mode.

    Writes `NAME.log.jsonl` (a row an epoch) and `NAME.resume.pt` while it runs. Under `torchrun` each process takes its
    share of every batch, and only the first writes.
    """
    stage, seed = task.stage, task.seed
    folder.mkdir(parents=True, exist_ok=True)
    resume, log = folder / f"{name}.resume.pt", folder / f"{name}.log.jsonl"
    where = device_of(task.device)
    net.to(where, memory_format=torch.channels_last)  # type: ignore[call-overload]
    mean = copy.deepcopy(net).eval()
    optimizer = torch.optim.AdamW(net.parameters(), lr=stage.learning_rate, weight_decay=stage.weight_decay)
    classes = class_weights(task.sources.get("cinc2017")).to(where)
    asked = torch.tensor([float(m in task.measures) for m in INTERVALS], device=where)
    noise = torch.from_numpy(task.bank)
    first = step = 0
    best: tuple[float, dict[str, Tensor]] | None = None
    if resume.exists():
        state = torch.load(resume, weights_only=True, map_location=where)
        net.load_state_dict(state["net"])
        mean.load_state_dict(state["mean"])
        optimizer.load_state_dict(state["optimizer"])
        first, step = state["epoch"], state["step"]
        best = (state["best_loss"], state["best"]) if state["best"] else None
    elif parallel.rank() == 0:
        log.unlink(missing_ok=True)
    per_epoch = sum(1 for _ in range(0, sum(vars(stage.mix).values()) - stage.batch // 2, stage.batch))
    steps = max(1, per_epoch * stage.epochs)
    for epoch in range(first, stage.epochs):
        rng = np.random.default_rng([seed, epoch])
        torch_rng = torch.Generator().manual_seed(seed * 1000 + epoch)
        torch.manual_seed(seed * 1000 + epoch)  # dropout's, so that a resumed run draws what an unbroken one would
        net.train()
        sums: dict[str, list[float]] = {}
        started, seen = time.monotonic(), 0
        bar = tqdm(
            batches(task.sources, stage, rng),
            desc=f"{name} {epoch + 1}/{stage.epochs}",
            total=per_epoch,
            mininterval=5,
            disable=parallel.rank() > 0,
        )
        for batch in bar:
            seen += len(batch.signal_mv)
            batch = parallel.share(augment(batch, noise, torch_rng, stage.noise, stage.warp)).map(lambda x: x.to(where))
            for group in optimizer.param_groups:
                group["lr"] = stage.learning_rate * schedule(step / steps)
            parts = parallel.whole(losses(net(to_input(batch.signal_mv, net.spec.coding)), batch, classes, asked))
            optimizer.zero_grad(set_to_none=True)
            total(parts, stage.weights).backward()
            parallel.add_gradients(net)
            nn.utils.clip_grad_norm_(net.parameters(), 1.0)
            optimizer.step()
            step += 1
            move_mean(mean, net, min(0.997, (1 + step) / (10 + step)))
            _gather(sums, parts)
        row: dict[str, Any] = {
            "epoch": epoch + 1,
            **_means(sums),
            "windows_per_s": round(seen / (time.monotonic() - started), 1),
        }
        if task.validation:
            judged, loss = validate(mean, task, classes, asked, where)
            row["validation"] = {**judged, "total": round(loss, 5)}
            if best is None or loss < best[0]:  # a copy: the mean goes on moving
                best = loss, {k: v.detach().clone() for k, v in mean.state_dict().items()}
        if parallel.rank() == 0:
            state = {"net": net.state_dict(), "mean": mean.state_dict(), "optimizer": optimizer.state_dict()}
            kept = {"best": best[1] if best else {}, "best_loss": best[0] if best else 0.0}
            part = resume.with_suffix(".part")
            torch.save({**state, **kept, "epoch": epoch + 1, "step": step}, part)
            part.replace(resume)
            with log.open("a") as file:  # after the checkpoint, so that a kill between the two does not repeat the row
                file.write(json.dumps(row) + "\n")
    if best is not None:
        mean.load_state_dict(best[1])
    return mean.cpu()


def _gather(sums: dict[str, list[float]], parts: Mapping[str, tuple[Tensor, Tensor]]) -> None:
    for key, (loss, count) in parts.items():
        held = sums.setdefault(key, [0.0, 0.0])
        held[0] += float(loss.detach())
        held[1] += float(count)


def _means(sums: Mapping[str, list[float]]) -> dict[str, float]:
    return {k: round(loss / count, 5) for k, (loss, count) in sums.items() if count}


@torch.no_grad()
def validate(
    net: Net, task: Task, classes: Tensor, asked: Tensor, where: torch.device
) -> tuple[dict[str, float], float]:
    """Each head's mean loss over the validation windows as they are, and the weighted total."""
    sums: dict[str, list[float]] = {}
    for windows in task.validation.values():
        for start in range(0, len(windows), 64):
            batch = _take(windows, np.arange(start, min(start + 64, len(windows)))).map(lambda x: x.to(where))
            _gather(sums, losses(net(to_input(batch.signal_mv, net.spec.coding)), batch, classes, asked))
    means = _means(sums)
    return means, sum(w * means.get(name, 0.0) for name, w in vars(task.stage.weights).items())


def schedule(done: float) -> float:
    """Share of the learning rate at a share of the steps: a tenth of warm-up, then a cosine to a hundredth."""
    return done / 0.1 if done < 0.1 else 0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * (done - 0.1) / 0.9))


@torch.no_grad()
def move_mean(mean: nn.Module, net: nn.Module, decay: float) -> None:
    for held, now in zip(mean.state_dict().values(), net.state_dict().values(), strict=True):
        if held.dtype.is_floating_point:
            held.lerp_(now, 1 - decay)
        else:
            held.copy_(now)
