"""Synthetic training windows: made once a run from its seed, on all cores, and kept in its cache."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from edge_runtime.delineation import QRS, P, T, Wave
from train.generators.hearts import RATE_HZ, synthetic_window
from train.windows import GRID, UNKNOWN, Collector, Labels, Windows, beat_table

_CHUNK = 200
_SYMBOLS = {P: "p", QRS: "N", T: "t"}
_GAIN = 1000.0  # counts a millivolt


def _chunk(job: tuple[int, int, int]) -> Windows:
    seed, first, count = job
    out = Collector()
    for index in range(first, first + count):
        window = synthetic_window(np.random.default_rng([seed, index]))
        mask = np.round(GRID.draw(window.waves) * 255).astype(np.uint8)
        p_wave = int(window.p_waves) if window.rhythm not in ("complete_block", "runs") else UNKNOWN
        labels = Labels((mask, np.ones_like(mask)), beat_table(list(window.beats)), p_wave)
        out.add(window.samples_mv, RATE_HZ, UNKNOWN, index, labels)
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
    whole = Windows(**{name: np.concatenate([getattr(p, name) for p in parts]) for name in vars(parts[0])})
    if cache is not None:
        whole.save(cache)
    return whole


def write_wfdb(samples_mv: NDArray[np.float64], waves: Iterable[Wave], comment: str, name: str, folder: Path) -> None:
    """One window as a WFDB record (format 16, a microvolt a count) with its onsets and offsets as `( p )` (`atr`).

    samples_mv: (n,) at 500 Hz; waves: s from its start; comment: the header's, on where it comes from.

    The middle symbol stands halfway between onset and offset, not on the peak.

    An annotation stands on the nearest sample; two of them on one sample is more than WFDB can hold, so of waves that
    touch the later one's onset moves on by a sample.
    """
    import wfdb

    folder.mkdir(parents=True, exist_ok=True)
    column = samples_mv.clip(-32, 32)[:, None]
    as_stored: dict[str, Any] = {"fmt": ["16"], "adc_gain": [_GAIN], "baseline": [0], "write_dir": str(folder)}
    wfdb.wrsamp(name, RATE_HZ, ["mV"], ["I"], column, comments=[comment], **as_stored)
    marks = [
        (t, symbol)
        for wave in waves
        for t, symbol in (
            (wave.onset_s, "("),
            ((wave.onset_s + wave.offset_s) / 2, _SYMBOLS[wave.kind]),
            (wave.offset_s, ")"),
        )
    ]
    samples, symbols, last = [], [], -1
    for t, symbol in sorted(marks, key=lambda mark: mark[0]):
        sample = max(round(t * RATE_HZ), last + 1)
        if t >= 0 and sample < len(samples_mv):
            samples.append(sample)
            symbols.append(symbol)
            last = sample
    if samples:
        wfdb.wrann(name, "atr", np.array(samples), symbols, write_dir=str(folder))
