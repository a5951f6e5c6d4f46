"""A whole synthetic window: rhythm and shapes put together, with the exact fiducials of every wave."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge_runtime.delineation import QRS, P, T, Wave
from train.generators import noise
from train.generators.beats import Morphology, add_table, morphology, st_table
from train.generators.rhythms import PREMATURE_ATRIAL, SUPRAVENTRICULAR, VENTRICULAR, Beat, Rhythm, rhythm

RATE_HZ = 500.0


@dataclass(frozen=True)
class SyntheticWindow:
    """samples_mv: (n,) at RATE_HZ; waves: exact onsets and offsets, s from its start, those cut by an edge included."""

    samples_mv: NDArray[np.float64]
    waves: tuple[Wave, ...]
    rhythm: str
    p_waves: bool


def _variant(rng: np.random.Generator, base: Morphology, focus: int) -> Morphology:
    """The morphology of another focus of the same heart, in the same lead."""
    if focus == SUPRAVENTRICULAR:
        return base
    other = morphology(rng, wide=focus == VENTRICULAR)
    if focus == VENTRICULAR:
        return other
    fields = {**base.__dict__, "p": other.p, "p_mv": other.p_mv, "p_s": other.p_s}
    return Morphology(**fields)


def _draw_beat(
    rng: np.random.Generator, x: NDArray[np.float64], beat: Beat, m: Morphology, breath: float
) -> list[Wave]:
    waves = []
    if beat.p_onset_s is not None:
        p_s = m.p_s * rng.normal(1, 0.015)
        if beat.qrs_onset_s is not None:
            p_s = min(p_s, 0.95 * (beat.qrs_onset_s - beat.p_onset_s))
        add_table(x, RATE_HZ, beat.p_onset_s, p_s, m.p, m.p_mv * breath * rng.normal(1, 0.04))
        waves.append(Wave(P, beat.p_onset_s, beat.p_onset_s + p_s))
    if beat.qrs_onset_s is not None:
        on, qrs_s = beat.qrs_onset_s, m.qrs_s * rng.normal(1, 0.01)
        qt_s = max(beat.qt_s, qrs_s + 0.12) * rng.normal(1, 0.006)
        t_s = m.t_fraction * (qt_s - qrs_s)
        add_table(x, RATE_HZ, on, qrs_s, m.qrs, m.qrs_mv * breath * rng.normal(1, 0.02))
        add_table(x, RATE_HZ, on, qt_s, st_table(m, qrs_s / qt_s, 1 - t_s / qt_s), m.st_mv)
        add_table(x, RATE_HZ, on + qt_s - t_s, t_s, m.t, m.t_mv * breath * rng.normal(1, 0.03))
        if m.u_mv:
            u = np.sin(np.linspace(0, np.pi, len(m.t))) ** 2
            add_table(x, RATE_HZ, on + qt_s + 0.02, 0.16, u, m.u_mv)
        waves += [Wave(QRS, on, on + qrs_s), Wave(T, on + qt_s - t_s, on + qt_s)]
    return waves


def _atrial_activity(rng: np.random.Generator, r: Rhythm, n: int) -> NDArray[np.float64]:
    t = np.arange(n) / RATE_HZ
    x = np.zeros(n)
    if r.fibrillation_mv:
        x += r.fibrillation_mv * noise.shaped(rng, n, RATE_HZ, r.atrial_hz * 0.75, r.atrial_hz * 1.3)
    if r.flutter_mv:
        phase = (t * r.atrial_hz + rng.random()) % 1.0
        rise = rng.uniform(0.55, 0.8)
        saw = np.where(phase < rise, phase / rise, (1 - phase) / (1 - rise)) - 0.5
        x += r.flutter_mv * rng.choice([-1, 1]) * np.convolve(saw, np.ones(25) / 25, "same")
    return x


def synthetic_window(rng: np.random.Generator, seconds: float = 10.0) -> SyntheticWindow:
    """One window of one heart, before the noise that training adds on top of the recording's own."""
    r = rhythm(rng, seconds + 1.0)
    base = morphology(rng, wide=r.name == "ventricular" or rng.random() < 0.12)
    ventricular = base if r.name == "ventricular" else _variant(rng, base, VENTRICULAR)
    foci = {
        SUPRAVENTRICULAR: base,
        PREMATURE_ATRIAL: _variant(rng, base, PREMATURE_ATRIAL),
        VENTRICULAR: ventricular,
    }
    x = _atrial_activity(rng, r, round(seconds * RATE_HZ))
    breath_hz, depth = rng.uniform(0.15, 0.4), rng.uniform(0, 0.12)
    waves: list[Wave] = []
    for beat in r.beats:
        at = beat.qrs_onset_s if beat.qrs_onset_s is not None else beat.p_onset_s or 0.0
        breath = 1 + depth * np.sin(2 * np.pi * breath_hz * at)
        waves += _draw_beat(rng, x, beat, foci[beat.focus], breath)
    x += noise.residual(rng, len(x), RATE_HZ)
    if rng.random() < 0.12:
        x = -x  # electrodes the other way round
    inside = tuple(w for w in waves if w.offset_s > 0 and w.onset_s < seconds)
    return SyntheticWindow(x, tuple(sorted(inside, key=lambda w: w.onset_s)), r.name, r.p_waves)
