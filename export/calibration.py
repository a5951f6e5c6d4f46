"""The windows whose activations set the int8 ranges: drawn from what the net may see, all sources alike."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edge_runtime.conditioning import compand
from train.config import SOURCES
from train.run import Run

PER_SOURCE = 100
NOISY_SHARE = 0.3


def calibration_windows(run: Run, fold: str) -> NDArray[np.float32]:
    """(n, samples) companded windows of the fold's training patients, some with noise on top. Seeded."""
    rng = np.random.default_rng([run.config.seed, 9])
    sources = run.sources(run.config.transfer, fold)
    rows = []
    for name in SOURCES:
        if name not in sources:
            continue
        windows = sources[name]
        for i in rng.choice(len(windows), min(PER_SOURCE, len(windows)), replace=False):
            mv = windows.signal_uv[i].astype(np.float32) * 1e-3
            if rng.random() < NOISY_SHARE:
                mv = mv + run.noise[rng.integers(len(run.noise))] * np.float32(rng.lognormal(-3.0, 0.8))
            rows.append(compand(mv))
    return np.stack(rows)
