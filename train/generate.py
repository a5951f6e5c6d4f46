"""Synthetic training windows: made once a run from its seed, on all cores, and kept in its cache."""

from __future__ import annotations

import multiprocessing
import os
from pathlib import Path

import numpy as np
from tqdm import tqdm

from train.generators.hearts import RATE_HZ, synthetic_window
from train.windows import GRID, UNKNOWN, Collector, Windows

_CHUNK = 200


def _chunk(job: tuple[int, int, int]) -> Windows:
    seed, first, count = job
    out = Collector()
    for index in range(first, first + count):
        window = synthetic_window(np.random.default_rng([seed, index]))
        mask = np.round(GRID.draw(window.waves) * 255).astype(np.uint8)
        p_wave = int(window.p_waves) if window.rhythm != "complete_block" else UNKNOWN
        out.add(window.samples_mv, RATE_HZ, UNKNOWN, index, (mask, np.ones_like(mask)), p_wave)
    return out.windows()


def synthetic_windows(seed: int, count: int, first: int = 0, cache: Path | None = None) -> Windows:
    """Windows number `first` to `first + count` of a seed; the same whatever the number of cores."""
    if cache is not None and cache.exists():
        kept = Windows.load(cache)
        if len(kept) == count:
            return kept
    jobs = [(seed, i, min(_CHUNK, first + count - i)) for i in range(first, first + count, _CHUNK)]
    processes = min(len(jobs), len(os.sched_getaffinity(0)))
    with multiprocessing.get_context("spawn").Pool(processes) as pool:
        parts = list(
            tqdm(pool.imap(_chunk, jobs), total=len(jobs), desc="synthetic", unit=f" x{_CHUNK}", mininterval=5)
        )
    names = Windows.__dataclass_fields__
    whole = Windows(*(np.concatenate([getattr(p, name) for p in parts]) for name in names))
    if cache is not None:
        whole.save(cache)
    return whole
