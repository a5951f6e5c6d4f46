"""Hand-written fakes: hearts whose waves are known, and a net that sees nothing but them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edge_runtime.backends import Heads
from edge_runtime.bundle import Model
from edge_runtime.conditioning import Conditioning
from edge_runtime.delineation import QRS, MaskGrid, P, T, Wave
from edge_runtime.quality import FEATURES
from edge_runtime.ranges import FEATURES as RANGE_FEATURES
from edge_runtime.ranges import INTERVALS, Target
from edge_runtime.report import FINDINGS
from edge_runtime.rhythms import FEATURES as RHYTHM_FEATURES

GRID = MaskGrid()
CLASSES = ("normal", "af", "other", "noisy")


def regular_waves(
    rr_s: float = 0.8,
    pr_s: float = 0.16,
    qrs_s: float = 0.09,
    qt_s: float = 0.38,
    seconds: float = 10.0,
    start_s: float = 0.3,
) -> list[Wave]:
    waves = []
    for t in np.arange(start_s, seconds - 0.05, rr_s):
        waves += [Wave(P, t - pr_s, t - pr_s + 0.1), Wave(QRS, t, t + qrs_s), Wave(T, t + qt_s - 0.18, t + qt_s)]
    return [w for w in waves if w.onset_s > 0 and w.offset_s < seconds]


def ecg_of(waves: list[Wave], rate: float, seconds: float = 10.0, p_mv: float = 0.12) -> NDArray[np.float64]:
    """Half-sine bumps where the waves are, mV."""
    x = np.zeros(round(seconds * rate))
    for wave, size in ((w, (p_mv, 1.0, 0.3)[w.kind]) for w in waves):
        first, last = int(np.ceil(wave.onset_s * rate)), int(wave.offset_s * rate)
        i = np.arange(max(0, first), min(len(x), last + 1))
        x[i] += size * np.sin(np.pi * (i / rate - wave.onset_s) / (wave.offset_s - wave.onset_s)) ** 2
    return x


def logits_of(waves: list[Wave]) -> NDArray[np.float32]:
    coverage = GRID.draw(waves).clip(1e-3, 1 - 1e-3)
    return np.log(coverage / (1 - coverage)).astype(np.float32)


class FakeBackend:
    """Answers what it was told to, whatever the window; counts its calls."""

    name = "fake"

    def __init__(self, waves: list[Wave] | None = None, rhythm: str = "normal", p_wave: float = 5.0) -> None:
        self.waves = regular_waves() if waves is None else waves
        self.rhythm, self.p_wave = rhythm, p_wave
        self.calls = 0

    def __call__(self, companded: NDArray[np.float32]) -> Heads:
        self.calls += 1
        assert companded.shape == (2500,) and companded.dtype == np.float32
        rhythm = np.array([4.0 if c == self.rhythm else 0.0 for c in CLASSES], np.float32)
        return {
            "masks": logits_of(self.waves),
            "rhythm": rhythm,
            "p_wave": np.array([self.p_wave], np.float32),
            "intervals": np.zeros(len(INTERVALS), np.float32),
            "spread": np.zeros(len(INTERVALS), np.float32),
            "findings": np.arange(len(FINDINGS), dtype=np.float32) - 2,
        }


def mean_of_logs() -> dict[str, list]:
    """A record's rhythm as the likeliest by the mean of its windows' log probabilities."""
    rows = np.zeros((len(CLASSES), len(RHYTHM_FEATURES)))
    for i, name in enumerate(CLASSES):
        rows[i, RHYTHM_FEATURES.index(f"log_{name}")] = 1.0
    return {"weights": rows.tolist(), "bias": [0.0] * len(CLASSES)}


def model_that_states_all() -> Model:
    return Model(
        id="test@0000000",
        samples=2500,
        window_s=10.0,
        conditioning=Conditioning(),
        grid=GRID,
        classes=CLASSES,
        targets={
            name: Target(centre, scale, 0.0, (0.0,) * len(RANGE_FEATURES), float(np.log(1 / scale)), -10.0, 10.0)
            for name, (centre, scale) in INTERVALS.items()
        },
        thresholds={"p_wave": 0.5, "rhythm": 0.5, "quality": 0.5},
        quality={"weights": [0.0] * len(FEATURES), "bias": 3.0},
        record_rhythm=mean_of_logs(),
        findings=dict.fromkeys(FINDINGS, (1.0, 0.0)),
        max_bridged_ms=48.0,
    )
