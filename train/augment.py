"""What is done to a window each time that it is seen: gain, shift and stretch in time, noise."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from edge_runtime.conditioning import DEFAULT, condition
from edge_runtime.library import cache_folder
from edge_runtime.records import read_record
from train.generators import noise
from train.windows import GRID, SAMPLES, WINDOW_S

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
    """signal_mv (n, 2500); mask, known (n, 3, 1280); beats (n, MOST_BEATS, 4) s, NaN where not marked; p_wave, rhythm
    (n,) and findings (n, 5) with -1 where unknown."""

    signal_mv: Tensor
    mask: Tensor
    known: Tensor
    beats: Tensor
    p_wave: Tensor
    rhythm: Tensor
    findings: Tensor

    def map(self, change: Callable[[Tensor], Tensor]) -> Batch:
        return Batch(*(change(getattr(self, f)) for f in self.__dataclass_fields__))


_FINE_HZ, _LEAD_S = 250.0, 0.12  # the grid on which time is bent: it begins where the masks do
_FINE = 2560
_KNOT_S = 0.35
_CYCLES = torch.fft.rfftfreq(SAMPLES, 1 / DEFAULT.sampling_rate_hz)


def _smooth(n: int, rng: torch.Generator) -> Tensor:
    """(n, _FINE) Gaussian noise of unit variance at its knots, a line between them."""
    knots = torch.randn(n, 1, round(_FINE / _FINE_HZ / _KNOT_S) + 1, generator=rng)
    return F.interpolate(knots, size=_FINE, mode="linear", align_corners=True)[:, 0]


def _bent_time(n: int, rng: torch.Generator, share: float) -> Tensor:
    """(n, _FINE) for each instant of the new window the instant of the old one that it shows, s; some left as they are.

    The whole is shifted and stretched, and runs faster here and slower there, so that every wave and interval changes.
    """
    chosen = (torch.rand(n, 1, generator=rng) < share).float()
    speed = torch.exp(chosen * (0.12 * _smooth(n, rng) + 0.06 * torch.randn(n, 1, generator=rng)))
    t = (torch.cumsum(speed, 1) - speed / 2) / _FINE_HZ
    shift_s = chosen * (2 * torch.rand(n, 1, generator=rng) - 1)
    return t - t[:, _FINE // 2 :][:, :1] + (_FINE // 2 / _FINE_HZ - _LEAD_S) + shift_s


def _resample(x: Tensor, position: Tensor, linear: bool = True) -> tuple[Tensor, Tensor]:
    """Read (n, ..., m) at fractional positions (n, k), reflected at the edges; and where a position was inside."""
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


def _moved(beats: Tensor, bent_s: Tensor) -> Tensor:
    """Where instants of the old window are in the new one; NaN outside of it."""
    flat = beats.flatten(1)
    old = flat.nan_to_num(-1e3)
    k = torch.searchsorted(bent_s.contiguous(), old.contiguous()).clamp(1, _FINE - 1)
    before, after = bent_s.gather(1, k - 1), bent_s.gather(1, k)
    new = (k - 1 + (old - before) / (after - before)) / _FINE_HZ - _LEAD_S
    lost = flat.isnan() | (new < 0) | (new > WINDOW_S)
    return torch.where(lost, torch.nan, new).view_as(beats)


def _other_band(x: Tensor, rng: torch.Generator, share: float) -> Tensor:
    """Some windows as a recorder with a narrower band would give them; see generators.recorder."""
    n = len(x)
    chosen = torch.rand(n, 1, generator=rng) < share
    low_hz = 15.0 * torch.exp(torch.rand(n, 1, generator=rng) * 1.6)
    high_hz = 0.1 * torch.exp(torch.rand(n, 1, generator=rng) * 1.8)
    gain = (1j * _CYCLES / (1j * _CYCLES + high_hz)) / (1 + (_CYCLES / low_hz) ** 4) ** 0.5
    return torch.where(chosen, torch.fft.irfft(torch.fft.rfft(x) * gain, x.shape[-1]), x)


def augment(batch: Batch, bank: Tensor, rng: torch.Generator, noise_share: float, warp_share: float) -> Batch:
    """The signal is linear up to the companding, so noise that was conditioned alone may be added here."""
    n = len(batch.signal_mv)
    x = batch.signal_mv * torch.exp(0.2 * torch.randn(n, 1, generator=rng))
    mask, known, beats = batch.mask, batch.known, batch.beats
    if warp_share:
        bent_s = _bent_time(n, rng, warp_share)
        first = round(_LEAD_S * _FINE_HZ)
        x, _ = _resample(x, bent_s[:, first : first + SAMPLES] * DEFAULT.sampling_rate_hz)
        x = x * torch.exp(0.1 * warp_share * _smooth(n, rng)[:, first : first + SAMPLES])
        x = _other_band(x, rng, 0.3 * warp_share)
        if known.any():
            position = bent_s[:, ::2] * GRID.sampling_rate_hz + GRID.margin
            mask, inside = _resample(mask, position)
            known = _resample(known, position, linear=False)[0] * inside[:, None]
            beats = _moved(beats, bent_s)
    if noise_share:
        picked = bank[torch.randint(len(bank), (n,), generator=rng)]
        level_mv = torch.exp(torch.randn(n, 1, generator=rng) - 3.3).clamp(max=0.8)
        x = x + picked * level_mv * (torch.rand(n, 1, generator=rng) < noise_share)
    return Batch(x, mask, known, beats, batch.p_wave, batch.rhythm, batch.findings)
