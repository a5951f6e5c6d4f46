"""When the waves of a heart happen: the schedule of P, QRS and T onsets for a stretch of time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from train.generators.draws import held, one_of

SUPRAVENTRICULAR, PREMATURE_ATRIAL, VENTRICULAR, PACED_VENTRICLE = 0, 1, 2, 3


@dataclass(frozen=True)
class Beat:
    """One cycle: seconds on the schedule's clock. No `p_onset_s`: no P wave; no `qrs_onset_s`: a blocked P."""

    p_onset_s: float | None
    qrs_onset_s: float | None
    qt_s: float = 0.0
    focus: int = SUPRAVENTRICULAR


@dataclass(frozen=True)
class Rhythm:
    """A schedule with what lies under it. fibrillation_mv, flutter_mv: peak of the atrial activity, 0 for none."""

    name: str
    beats: tuple[Beat, ...]
    p_waves: bool
    fibrillation_mv: float = 0.0
    flutter_mv: float = 0.0
    atrial_hz: float = 0.0


@dataclass(frozen=True)
class Heart:
    """Rates and intervals of one heart, s."""

    rr_s: float
    pr_s: float
    qtc_s: float
    rsa: float
    breath_hz: float

    def qt_s(self, rr_s: float) -> float:
        """Follows the mean rate by Fridericia's cube root, bounded by the cycle itself."""
        return held(self.qtc_s * rr_s ** (1 / 3), 0.22, min(0.66, 0.90 * rr_s + 0.02))


def heart(rng: np.random.Generator, bpm_low: float = 25.0, bpm_high: float = 200.0) -> Heart:
    bpm = float(rng.lognormal(np.log(74), 0.32))
    if rng.random() < 0.15 or not bpm_low <= bpm <= bpm_high:
        bpm = rng.uniform(bpm_low, bpm_high)
    rr = 60.0 / bpm
    pr = held(rng.normal(0.160, 0.030), 0.08, 0.34)
    if rng.random() < 0.15:
        pr = rng.uniform(0.08, 0.34)
    qtc = held(rng.normal(0.408, 0.034), 0.30, 0.56)
    if rng.random() < 0.25:  # short and long QT, and what drugs, ions and scars make of it
        qtc = rng.uniform(0.32, 0.66)
    return Heart(
        rr_s=rr,
        pr_s=float(min(pr, 0.6 * rr)),
        qtc_s=float(qtc),
        rsa=float(rng.uniform(0.0, 0.07) if rng.random() < 0.9 else rng.uniform(0.07, 0.2)),
        breath_hz=float(rng.uniform(0.15, 0.4)),
    )


def _sinus_rr(rng: np.random.Generator, h: Heart, t: float) -> float:
    return float(h.rr_s * (1 + h.rsa * np.sin(2 * np.pi * h.breath_hz * t) + rng.normal(0, 0.012)))


def _pr(rng: np.random.Generator, h: Heart) -> float:
    return held(h.pr_s + rng.normal(0, 0.003), 0.08, 0.35)


def sinus(rng: np.random.Generator, span_s: float) -> Rhythm:
    h = heart(rng)
    t, beats = -rng.uniform(0, h.rr_s), []
    while t < span_s:
        beats.append(Beat(t - _pr(rng, h), t, h.qt_s(h.rr_s)))
        t += _sinus_rr(rng, h, t)
    return Rhythm("sinus", tuple(beats), True)


def ectopy(rng: np.random.Generator, span_s: float) -> Rhythm:
    """Sinus rhythm with early beats from the atria or a ventricle, sometimes in bigeminy."""
    h = heart(rng, 35, 120)
    share = 0.5 if rng.random() < 0.2 else rng.uniform(0.05, 0.35)
    ventricular = rng.random() < 0.6
    early = rng.uniform(0.52, 0.8)
    ectopic_pr = held(h.pr_s + rng.normal(0, 0.02), 0.09, 0.3)
    t, beats, last_ectopic = -rng.uniform(0, h.rr_s), [], True
    while t < span_s:
        beats.append(Beat(t - _pr(rng, h), t, h.qt_s(h.rr_s)))
        rr = _sinus_rr(rng, h, t)
        if not last_ectopic and (rng.random() < share or share == 0.5):
            at = t + max(early * rr * rng.normal(1, 0.02), beats[-1].qt_s + 0.06)
            if ventricular:
                beats.append(Beat(None, at, min(h.qt_s(h.rr_s) * 1.1, 0.6), VENTRICULAR))
                t = max(t + 2 * rr, at + 0.55)  # fully compensatory
            else:
                beats.append(Beat(at - ectopic_pr, at, h.qt_s(h.rr_s), PREMATURE_ATRIAL))
                t = at + rr * rng.uniform(1.0, 1.15)
            last_ectopic = True
        else:
            t += rr
            last_ectopic = False
    return Rhythm("ectopy", tuple(beats), True)


def fibrillation(rng: np.random.Generator, span_s: float) -> Rhythm:
    h = heart(rng, 40, 180)
    spread = rng.uniform(0.12, 0.28)
    t, beats = -rng.uniform(0, h.rr_s), []
    while t < span_s:
        rr = held(h.rr_s * rng.lognormal(0, spread), 0.28, 2.5)
        wide = rng.random() < 0.02
        beats.append(Beat(None, t, min(h.qt_s(h.rr_s), rr * 0.9), VENTRICULAR if wide else SUPRAVENTRICULAR))
        t += rr
    return Rhythm("af", tuple(beats), False, fibrillation_mv=rng.uniform(0.01, 0.12), atrial_hz=rng.uniform(4, 8))


def flutter(rng: np.random.Generator, span_s: float) -> Rhythm:
    atrial_hz = rng.uniform(3.8, 5.6)
    blocks = 2 + one_of(rng, (0.4, 0.2, 0.4)) if rng.random() < 0.7 else 0  # 0: varying
    h = heart(rng)
    t, beats = -rng.uniform(0, 0.5), []
    while t < span_s:
        rr = (blocks or 2 + one_of(rng, (1, 1, 1))) / atrial_hz * rng.normal(1, 0.005)
        beats.append(Beat(None, t, h.qt_s(rr)))
        t += rr
    return Rhythm("flutter", tuple(beats), False, flutter_mv=rng.uniform(0.05, 0.25), atrial_hz=atrial_hz)


def blocked(rng: np.random.Generator, span_s: float) -> Rhythm:
    """Second-degree block: Wenckebach's growing PR, or every nth P without a QRS."""
    h = heart(rng, 45, 130)
    wenckebach = rng.random() < 0.5
    cycle = int(rng.integers(2, 6))
    step = rng.uniform(0.02, 0.07) if wenckebach else 0.0
    p, beats, i = -rng.uniform(0, h.rr_s) - h.pr_s, [], 0
    while p < span_s:
        dropped = i % cycle == cycle - 1
        onset = None if dropped else p + min(h.pr_s + step * (i % cycle), 0.34)
        beats.append(Beat(p, onset, h.qt_s(h.rr_s)))
        p += _sinus_rr(rng, h, p)
        i += 1
    return Rhythm("av_block", tuple(beats), True)


def dissociated(rng: np.random.Generator, span_s: float) -> Rhythm:
    """Third-degree block: P waves and a slow escape rhythm that know nothing of each other."""
    atria, escape = heart(rng, 60, 110), rng.uniform(60 / 55, 60 / 28)
    focus = VENTRICULAR if rng.random() < 0.5 else SUPRAVENTRICULAR
    p = np.arange(-rng.uniform(0, atria.rr_s), span_s, atria.rr_s) + 0.0
    qrs = np.arange(-rng.uniform(0, escape), span_s, escape)
    beats = [Beat(float(t), None) for t in p] + [Beat(None, float(t), atria.qt_s(escape), focus) for t in qrs]
    return Rhythm("complete_block", tuple(beats), True)


def junctional(rng: np.random.Generator, span_s: float) -> Rhythm:
    """No P wave to be seen, regular: junctional, or a supraventricular tachycardia that hides it."""
    h = heart(rng) if rng.random() < 0.5 else heart(rng, 130, 230)
    t, beats = -rng.uniform(0, h.rr_s), []
    while t < span_s:
        beats.append(Beat(None, t, h.qt_s(h.rr_s)))
        t += h.rr_s * rng.normal(1, 0.01)
    return Rhythm("junctional", tuple(beats), False)


def runs(rng: np.random.Generator, span_s: float) -> Rhythm:
    """Sinus rhythm broken by a run of fast beats from the atria or a ventricle."""
    h, fast = heart(rng, 40, 110), heart(rng, 110, 230)
    ventricular = rng.random() < 0.5
    starts = rng.uniform(1.0, span_s - 2.0)
    length = int(rng.integers(3, 12))
    t, beats = -rng.uniform(0, h.rr_s), []
    while t < span_s:
        if t >= starts and length > 0:
            focus = VENTRICULAR if ventricular else PREMATURE_ATRIAL
            beats.append(Beat(None, t, min(fast.qt_s(fast.rr_s), 0.9 * fast.rr_s), focus))
            length -= 1
            t += fast.rr_s * rng.normal(1, 0.02) if length else 1.3 * h.rr_s
        else:
            beats.append(Beat(t - _pr(rng, h), t, h.qt_s(h.rr_s)))
            rr = _sinus_rr(rng, h, t)
            begins = t < starts <= t + rr and length > 0
            t += max(0.7 * rr, beats[-1].qt_s + 0.06) if begins else rr
    return Rhythm("runs", tuple(beats), True)


def pauses(rng: np.random.Generator, span_s: float) -> Rhythm:
    """Sinus rhythm in which a beat fails to come now and then, or comes early and is not conducted."""
    h = heart(rng, 40, 110)
    share, blocked_early = rng.uniform(0.08, 0.25), rng.random() < 0.5
    t, beats = -rng.uniform(0, h.rr_s), []
    while t < span_s:
        beats.append(Beat(t - _pr(rng, h), t, h.qt_s(h.rr_s)))
        rr = _sinus_rr(rng, h, t)
        if rng.random() < share:
            if blocked_early:  # its P wave lies on or just behind the T wave
                beats.append(Beat(t + max(0.25, rng.uniform(0.4, 0.62) * rr), None))
            rr *= rng.uniform(1.3, 2.1)
        t += min(rr, 4.0)
    return Rhythm("pauses", tuple(beats), True)


def ventricular(rng: np.random.Generator, span_s: float) -> Rhythm:
    """Every beat from a ventricle: idioventricular."""
    h = heart(rng, 35, 120)
    t, beats = -rng.uniform(0, h.rr_s), []
    while t < span_s:
        beats.append(Beat(None, t, min(h.qt_s(h.rr_s) * 1.08, 0.66), VENTRICULAR))
        t += h.rr_s * rng.normal(1, 0.004)
    return Rhythm("ventricular", tuple(beats), False)


def paced(rng: np.random.Generator, span_s: float) -> Rhythm:
    """A ventricle paced behind a sensed or paced atrium, or alone over one that fibrillates."""
    h = heart(rng, 50, 110)
    delay_s = rng.uniform(0.12, 0.22) if rng.random() < 0.5 else None
    t, beats = -rng.uniform(0, h.rr_s), []
    while t < span_s:
        p = None if delay_s is None else t - delay_s
        beats.append(Beat(p, t, min(h.qt_s(h.rr_s) * 1.08, 0.66), PACED_VENTRICLE))
        t += h.rr_s * rng.normal(1, 0.002)
    fibrillating = delay_s is None and rng.random() < 0.6
    return Rhythm(
        "paced",
        tuple(beats),
        delay_s is not None,
        fibrillation_mv=rng.uniform(0.01, 0.08) if fibrillating else 0.0,
        atrial_hz=rng.uniform(4, 8),
    )


RHYTHMS: tuple[tuple[float, Callable[[np.random.Generator, float], Rhythm]], ...] = (
    (0.55, sinus),
    (0.14, ectopy),
    (0.11, fibrillation),
    (0.03, flutter),
    (0.05, blocked),
    (0.02, dissociated),
    (0.04, junctional),
    (0.02, runs),
    (0.02, pauses),
    (0.01, ventricular),
    (0.02, paced),
)


def rhythm(rng: np.random.Generator, span_s: float) -> Rhythm:
    """A rhythm drawn by its weight."""
    return RHYTHMS[one_of(rng, [w for w, _ in RHYTHMS])][1](rng, span_s)
