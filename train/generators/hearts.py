"""A whole synthetic window: rhythm and shapes put together, with the exact fiducials of every wave."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from edge_runtime.delineation import QRS, P, T, Wave
from train.generators import conditions, noise
from train.generators.beats import TABLE, Morphology, add_st, add_table, morphology
from train.generators.conditions import Seen
from train.generators.draws import sign
from train.generators.recorder import recorded
from train.generators.rhythms import (
    PACED_VENTRICLE,
    PREMATURE_ATRIAL,
    SUPRAVENTRICULAR,
    VENTRICULAR,
    Beat,
    Rhythm,
    rhythm,
)

RATE_HZ = 500.0
_SPIKE = np.pad(np.ones(TABLE - 2), 1)  # a pacemaker's pulse


@dataclass(frozen=True)
class SyntheticWindow:
    """samples_mv: (n,) at RATE_HZ; waves: exact onsets and offsets, s from its start, those cut by an edge included.

    beats: (P onset, QRS onset, QRS offset, T offset) of each beat; of foci that are not the commonest the QRS onset
    alone.
    """

    samples_mv: NDArray[np.float64]
    waves: tuple[Wave, ...]
    beats: tuple[tuple[float | None, ...], ...]
    rhythm: str
    p_waves: bool


_VENTRICLES = {VENTRICULAR: conditions.FROM_A_VENTRICLE, PACED_VENTRICLE: conditions.PACED}


def _foci(rng: np.random.Generator, seen: Seen, beats: Iterable[Beat]) -> dict[int, Morphology]:
    """What each focus of one heart looks like in one lead: the atria share their ventricles' complex."""
    base, found = morphology(rng, seen), {}
    for focus in sorted({beat.focus for beat in beats}):
        if focus in _VENTRICLES:
            found[focus] = morphology(rng, replace(seen, condition=_VENTRICLES[focus]))
        elif focus == PREMATURE_ATRIAL:
            other = morphology(rng, seen)
            found[focus] = replace(base, p=other.p, p_mv=other.p_mv, p_s=other.p_s)
        else:
            found[focus] = base
    return found


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
        # A QRS that is wide because it is slow delays repolarisation with it.
        qt_s = min(max(beat.qt_s + 0.6 * max(0.0, m.qrs_s - 0.11), qrs_s + 0.12), 0.70) * rng.normal(1, 0.006)
        t_s = m.t_fraction * (qt_s - qrs_s)
        add_table(x, RATE_HZ, on, qrs_s, m.qrs, m.qrs_mv * breath * rng.normal(1, 0.02))
        add_st(x, RATE_HZ, on, qt_s, m, qrs_s / qt_s, 1 - t_s / qt_s)
        add_table(x, RATE_HZ, on + qt_s - t_s, t_s, m.t, m.t_mv * breath * rng.normal(1, 0.03))
        if m.u_mv:
            u = np.sin(np.linspace(0, np.pi, len(m.t))) ** 2
            add_table(x, RATE_HZ, on + qt_s + m.u_after_s, 0.16, u, m.u_mv)
        if m.spike_mv:
            add_table(x, RATE_HZ, on, 0.004, _SPIKE, m.spike_mv)
        waves += [Wave(QRS, on, on + qrs_s), Wave(T, on + qt_s - t_s, on + qt_s)]
    return waves


def _beats(beats: tuple[Beat, ...], waves: list[Wave], seconds: float) -> tuple[tuple[float | None, ...], ...]:
    """Each QRS inside the window with its P onset and T offset; see SyntheticWindow."""
    foci = [_shape(b.focus) for b in beats if b.qrs_onset_s is not None]
    commonest = max(set(foci), key=foci.count) if foci else None
    p_onsets = [b.p_onset_s for b in beats if b.qrs_onset_s is not None]
    drawn = [(w, after) for w, after in pairwise(waves) if w.kind == QRS]  # its T is drawn with it
    rows: list[tuple[float | None, ...]] = []
    for focus, p_onset_s, (qrs, t) in zip(foci, p_onsets, drawn, strict=True):
        if qrs.onset_s >= 0 and qrs.offset_s <= seconds:
            known = (p_onset_s, qrs.onset_s, qrs.offset_s, t.offset_s)
            rows.append(known if focus == commonest else (None, qrs.onset_s, None, None))
    return tuple(rows)


def _shape(focus: int) -> int:
    """Atrial foci share the ventricles' complex."""
    return SUPRAVENTRICULAR if focus == PREMATURE_ATRIAL else focus


def _atrial_activity(rng: np.random.Generator, r: Rhythm, n: int) -> NDArray[np.float64]:
    t = np.arange(n) / RATE_HZ
    x = np.zeros(n)
    if r.fibrillation_mv:
        x += r.fibrillation_mv * noise.shaped(rng, n, RATE_HZ, r.atrial_hz * 0.75, r.atrial_hz * 1.3)
    if r.flutter_mv:
        phase = (t * r.atrial_hz + rng.random()) % 1.0
        rise = rng.uniform(0.55, 0.8)
        saw = np.where(phase < rise, phase / rise, (1 - phase) / (1 - rise)) - 0.5
        x += r.flutter_mv * sign(rng) * np.convolve(saw, np.ones(25) / 25, "same")
    return x


def synthetic_window(rng: np.random.Generator, seconds: float = 10.0) -> SyntheticWindow:
    """One window of one heart, before the noise that training adds on top of the recording's own."""
    seen = conditions.draw(rng)
    r = rhythm(rng, seconds + 1.0)
    beats = r.beats
    if seen.condition.pr_s is not None:
        pr_s = rng.uniform(*seen.condition.pr_s)
        beats = tuple(
            replace(b, p_onset_s=b.qrs_onset_s - pr_s) if b.p_onset_s is not None and b.qrs_onset_s is not None else b
            for b in beats
        )
    foci = _foci(rng, seen, beats)
    x = _atrial_activity(rng, r, round(seconds * RATE_HZ))
    breath_hz, depth = rng.uniform(0.15, 0.4), rng.uniform(0, 0.12)
    waves: list[Wave] = []
    for beat in beats:
        at = beat.qrs_onset_s if beat.qrs_onset_s is not None else beat.p_onset_s or 0.0
        breath = 1 + depth * np.sin(2 * np.pi * breath_hz * at)
        waves += _draw_beat(rng, x, beat, foci[beat.focus], breath)
    x = recorded(rng, x + noise.residual(rng, len(x), RATE_HZ), RATE_HZ)
    if rng.random() < 0.12:
        x = -x  # electrodes the other way round
    inside = tuple(w for w in waves if w.offset_s > 0 and w.onset_s < seconds)
    ordered = tuple(sorted(inside, key=lambda w: w.onset_s))
    return SyntheticWindow(x, ordered, _beats(beats, waves, seconds), r.name, r.p_waves)
