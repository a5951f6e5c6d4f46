"""What is done to a window each time that it is seen: gain, shift and stretch in time, noise."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from edge_runtime.conditioning import DEFAULT, condition
from edge_runtime.library import cache_folder
from edge_runtime.records import read_record
from train.generators import noise
from train.windows import SAMPLES, WINDOW_S

EM_TRAINING_SHARE = 0.6  # of nstdb/em; the rest is for tests


def electrode_motion(share: tuple[float, float]) -> tuple[NDArray[np.float64], float] | None:
    """(2, n) mV of nstdb/em between two shares of its length, and its rate; None where the data is not at hand."""
    path = cache_folder() / "nstdb" / "em"
    if not path.with_suffix(".hea").exists():
        return None
    record = read_record(path)
    mv = np.stack([lead.millivolts for lead in record.leads])
    return mv[:, round(share[0] * mv.shape[1]) : round(share[1] * mv.shape[1])], record.sampling_rate_hz


def noise_bank(seed: int, size: int) -> NDArray[np.float32]:
    """(size, 2500) conditioned noise of unit RMS: electrode motion where it is at hand, muscle, motion, wander."""
    rng = np.random.default_rng([seed, 77])
    em = electrode_motion((0.0, EM_TRAINING_SHARE))
    rows = []
    for i in range(size):
        rate, n = 500.0, round(500 * WINDOW_S)
        kind = i % 4
        if kind == 0 and em is not None:
            rate, n = em[1], round(em[1] * WINDOW_S)
            first = rng.integers(em[0].shape[1] - n)
            x = em[0][rng.integers(2), first : first + n] * rng.choice([-1, 1])
        elif kind == 1:
            x = noise.muscle(rng, n, rate)
        elif kind == 2:
            x = noise.muscle(rng, n, rate) + 2 * noise.wander(rng, n, rate) + 0.3 * noise.mains(rng, n, rate)
        else:
            x = noise.motion(rng, n, rate)
        y = condition(x, rate)[:SAMPLES]
        rows.append(y / (y.std() + 1e-9))
    return np.stack(rows).astype(np.float32)


@dataclass
class Batch:
    """signal_mv (n, 2500); mask, known (n, 3, 1280); p_wave, rhythm (n,) with -1 where unknown."""

    signal_mv: Tensor
    mask: Tensor
    known: Tensor
    p_wave: Tensor
    rhythm: Tensor


def _resample(x: Tensor, position: Tensor, linear: bool = True) -> tuple[Tensor, Tensor]:
    """Read (n, ..., m) at fractional positions (n, m), reflected at the edges; and where a position was inside."""
    m = x.shape[-1]
    inside = (position >= 0) & (position <= m - 1)
    folded = (m - 1) - ((m - 1) - position.abs()).abs()
    low = folded.floor().clamp(0, m - 2)
    part = folded - low
    index = low.long()
    if x.dim() == 3:
        index, part = index[:, None].expand(-1, x.shape[1], -1), part[:, None]
    left, right = x.gather(-1, index), x.gather(-1, index + 1)
    return (left + (right - left) * part if linear else torch.minimum(left, right)), inside


def augment(batch: Batch, bank: Tensor, rng: torch.Generator, noise_share: float, warp_share: float) -> Batch:
    """The signal is linear up to the companding, so noise that was conditioned alone may be added here."""
    n = len(batch.signal_mv)

    def uniform(low: float, high: float) -> Tensor:
        return torch.rand(n, 1, generator=rng) * (high - low) + low

    def normal() -> Tensor:
        return torch.randn(n, 1, generator=rng)

    x = batch.signal_mv * torch.exp(0.2 * normal())
    mask, known = batch.mask, batch.known
    if warp_share:
        chosen = (uniform(0, 1) < warp_share).float()
        stretch = 1 + chosen * (torch.exp(0.06 * normal()) - 1)
        shift_s = chosen * uniform(-1.0, 1.0)

        def at(count: int, rate: float, zero: float) -> Tensor:
            t = (torch.arange(count) - zero)[None] / rate
            return ((t - WINDOW_S / 2) * stretch + WINDOW_S / 2 + shift_s) * rate + zero

        x, _ = _resample(x, at(x.shape[-1], DEFAULT.sampling_rate_hz, 0.0))
        position = at(mask.shape[-1], 125.0, 15.0)
        mask, inside = _resample(mask, position)
        known = _resample(known, position, linear=False)[0] * inside[:, None]
    if noise_share:
        picked = bank[torch.randint(len(bank), (n,), generator=rng)]
        level_mv = torch.exp(normal() * 1.0 - 3.3).clamp(max=0.8) * (uniform(0, 1) < noise_share)
        x = x + picked * level_mv
    return Batch(x, mask, known, batch.p_wave, batch.rhythm)
