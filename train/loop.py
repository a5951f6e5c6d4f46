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
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from tqdm import tqdm

from edge_runtime.conditioning import DEFAULT
from edge_runtime.report import RHYTHMS
from train.augment import Batch, augment
from train.config import SOURCES, Stage
from train.nets import Net
from train.windows import UNKNOWN, Windows

P_WAVE_WEIGHT, RHYTHM_WEIGHT = 0.1, 0.35


def to_input(signal_mv: Tensor) -> Tensor:
    """(n, 2500) conditioned mV to the net's (n, 1, 1, 2500)."""
    return torch.asinh(signal_mv / DEFAULT.compand_mv)[:, None, None].contiguous(memory_format=torch.channels_last)


def losses(out: Mapping[str, Tensor], batch: Batch, class_weights: Tensor) -> dict[str, Tensor]:
    """Each head's loss over what is known of it; 0 where nothing is."""
    zero = out["masks"].sum() * 0.0
    known = batch.known
    masks = F.binary_cross_entropy_with_logits(out["masks"][:, :, 0], batch.mask, weight=known, reduction="sum")
    has_p = batch.p_wave != UNKNOWN
    has_rhythm = batch.rhythm != UNKNOWN
    p_wave = out["p_wave"].flatten()[has_p]
    rhythm = out["rhythm"].flatten(1)[has_rhythm]
    return {
        "masks": masks / known.sum().clamp(min=1.0),
        "p_wave": F.binary_cross_entropy_with_logits(p_wave, batch.p_wave[has_p].float()) if has_p.any() else zero,
        "rhythm": F.cross_entropy(rhythm, batch.rhythm[has_rhythm].long(), class_weights, label_smoothing=0.05)
        if has_rhythm.any()
        else zero,
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
    if windows.mask is not None and windows.known is not None:
        mask = torch.from_numpy(windows.mask[rows]).float() / 255.0
        known = torch.from_numpy(windows.known[rows]).float()
    else:
        mask = known = torch.zeros(len(rows), 3, 1280)
    signal = torch.from_numpy(windows.signal_uv[rows]).float() * 1e-3
    return Batch(signal, mask, known, torch.from_numpy(windows.p_wave[rows]), torch.from_numpy(windows.rhythm[rows]))


def _join(parts: list[Batch]) -> Batch:
    return Batch(*(torch.cat([getattr(p, name) for p in parts]) for name in Batch.__dataclass_fields__))


def device_of(choice: str) -> torch.device:
    return torch.device(
        "cuda" if choice == "auto" and torch.cuda.is_available() else "cpu" if choice == "auto" else choice
    )


def train_stage(
    net: Net,
    sources: Mapping[str, Windows],
    bank: np.ndarray,
    stage: Stage,
    folder: Path,
    name: str,
    seed: int,
    device: str = "auto",
) -> Net:
    """Train `net` in place from where `folder` left off; returns the mean net, in eval mode.

    Writes `NAME.log.jsonl` (a row an epoch) and `NAME.resume.pt` while it runs.
    """
    folder.mkdir(parents=True, exist_ok=True)
    resume, log = folder / f"{name}.resume.pt", folder / f"{name}.log.jsonl"
    where = device_of(device)
    net.to(where, memory_format=torch.channels_last)  # type: ignore[call-overload]
    mean = copy.deepcopy(net).eval()
    optimizer = torch.optim.AdamW(net.parameters(), lr=stage.learning_rate, weight_decay=stage.weight_decay)
    weights = class_weights(sources.get("cinc2017")).to(where)
    noise = torch.from_numpy(bank)
    first = step = 0
    if resume.exists():
        state = torch.load(resume, weights_only=True, map_location=where)
        net.load_state_dict(state["net"])
        mean.load_state_dict(state["mean"])
        optimizer.load_state_dict(state["optimizer"])
        first, step = state["epoch"], state["step"]
    else:
        log.unlink(missing_ok=True)
    per_epoch = sum(1 for _ in range(0, sum(vars(stage.mix).values()) - stage.batch // 2, stage.batch))
    total = max(1, per_epoch * stage.epochs)
    for epoch in range(first, stage.epochs):
        rng = np.random.default_rng([seed, epoch])
        torch_rng = torch.Generator().manual_seed(seed * 1000 + epoch)
        torch.manual_seed(seed * 1000 + epoch)  # dropout's, so that a resumed run draws what an unbroken one would
        net.train()
        sums: dict[str, float] = {}
        started, seen = time.monotonic(), 0
        bar = tqdm(
            batches(sources, stage, rng), desc=f"{name} {epoch + 1}/{stage.epochs}", total=per_epoch, mininterval=5
        )
        for batch in bar:
            batch = augment(batch, noise, torch_rng, stage.noise, stage.warp)
            batch = Batch(*(getattr(batch, f).to(where) for f in Batch.__dataclass_fields__))
            for group in optimizer.param_groups:
                group["lr"] = stage.learning_rate * _schedule(step / total)
            parts = losses(net(to_input(batch.signal_mv)), batch, weights)
            loss = parts["masks"] + P_WAVE_WEIGHT * parts["p_wave"] + RHYTHM_WEIGHT * parts["rhythm"]
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            nn.utils.clip_grad_norm_(net.parameters(), 1.0)
            optimizer.step()
            step += 1
            _move_mean(mean, net, min(0.997, (1 + step) / (10 + step)))
            seen += len(batch.signal_mv)
            for key, value in parts.items():
                sums[key] = sums.get(key, 0.0) + float(value.detach()) * len(batch.signal_mv)
        row = {"epoch": epoch + 1, **{k: round(v / max(seen, 1), 5) for k, v in sums.items()}}
        row["windows_per_s"] = round(seen / (time.monotonic() - started), 1)
        state = {"net": net.state_dict(), "mean": mean.state_dict(), "optimizer": optimizer.state_dict()}
        part = resume.with_suffix(".part")
        torch.save({**state, "epoch": epoch + 1, "step": step}, part)
        part.replace(resume)
        with log.open("a") as file:  # after the checkpoint, so that a kill between the two does not repeat the row
            file.write(json.dumps(row) + "\n")
    return mean.cpu()


def _schedule(done: float) -> float:
    """A tenth of warm-up, then a cosine to a hundredth."""
    return done / 0.1 if done < 0.1 else 0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * (done - 0.1) / 0.9))


@torch.no_grad()
def _move_mean(mean: Net, net: Net, decay: float) -> None:
    for held, now in zip(mean.state_dict().values(), net.state_dict().values(), strict=True):
        if held.dtype.is_floating_point:
            held.lerp_(now, 1 - decay)
        else:
            held.copy_(now)
