"""One heart's waves: shapes with compact support, so that each begins and ends at one exact instant.

A wave is a table over its own duration (0 at both ends), stretched to where the rhythm puts it. A `Morphology` is what
one focus of one heart looks like in one lead: its P, its QRS and its T.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from train.generators.conditions import Seen
from train.generators.draws import held, one_of, sign

TABLE = 257
_U = np.linspace(0.0, 1.0, TABLE)
_TURN_NUMBERS = (0.0, 1.0, 2.0, 3.0)
Array = NDArray[np.float64]


def bump(start: float = 0.0, end: float = 1.0, lean: float = 0.5, power: float = 2.0) -> Array:
    """A lobe on [start, end] that peaks at `lean` of the way: sin^power of a warped phase."""
    u = np.minimum(np.maximum((_U - start) / (end - start), 0.0), 1.0)
    phase = u ** (np.log(0.5) / np.log(min(max(lean, 0.15), 0.85)))
    return np.asarray(np.sin(np.pi * phase) ** power)


def skewed(rise: float, fall: float) -> Array:
    """u^rise (1 - u)^fall, of peak 1: a slope on one side and a tail on the other, as repolarisation has them."""
    peak = rise / (rise + fall)
    return np.asarray(_U**rise * (1 - _U) ** fall / (peak**rise * (1 - peak) ** fall))


def p_table(rng: np.random.Generator) -> Array:
    """A P wave: plain, notched, peaked, biphasic or inverted; peak of about 1."""
    kind = one_of(rng, (0.56, 0.18, 0.09, 0.09, 0.08))
    power = rng.uniform(1.1, 2.2)
    if kind == 1:  # notched: two atria
        split = rng.uniform(0.52, 0.72)
        y = bump(0, split, 0.5, power) + rng.uniform(0.6, 1.2) * bump(1 - split, 1, 0.5, power)
    elif kind == 2:
        y = bump(lean=rng.uniform(0.4, 0.6), power=rng.uniform(2.2, 3.2))
    elif kind == 3:
        split = rng.uniform(0.35, 0.65)
        y = bump(0, split + 0.08, 0.5, power) - rng.uniform(0.3, 1.1) * bump(split - 0.08, 1, 0.5, power)
    else:
        y = bump(lean=rng.uniform(0.4, 0.62), power=power)
    y = y / np.abs(y).max()
    return -y if kind == 4 else y


def qrs_table(rng: np.random.Generator, seen: Seen) -> Array:
    """A QRS complex of the condition: its lobes with sizes, widths, overlaps and leans drawn around the typical."""
    condition = seen.condition
    complexes = condition.complexes[seen.lead]
    lobes = complexes[one_of(rng, [w for w, _ in complexes])][1]
    sizes = np.array([size for size, _ in lobes]) * rng.lognormal(0, 0.3, len(lobes))
    widths = (np.sqrt(np.abs(sizes)) * rng.lognormal(0, 0.25, len(lobes)) + 0.12) * [width for _, width in lobes]
    edges = np.concatenate([[0.0], np.cumsum(widths) / widths.sum()])
    overlap = rng.uniform(0.0, 0.35)
    y = np.zeros(TABLE)
    wide = condition.qrs_s[0] > 0.12
    for i, size in enumerate(sizes):
        width = edges[i + 1] - edges[i]
        start = max(0.0, edges[i] - overlap * width * (i > 0))
        end = min(1.0, edges[i + 1] + overlap * width * (i + 1 < len(sizes)))
        power = rng.uniform(1.0, 1.6) if wide else rng.uniform(1.2, 2.4)
        y += size * bump(start, end, rng.uniform(0.35, 0.65), power)
    main = np.sign(y[np.abs(y).argmax()])
    if rng.random() < condition.slur:  # a slur or notch on the way
        at, width = rng.uniform(0.25, 0.8), rng.uniform(0.12, 0.3)
        y += rng.uniform(-0.45, 0.45) * np.abs(y).max() * bump(max(0, at - width), min(1, at + width))
    if condition.delta:  # pre-excitation: a slow ramp before the fast complex
        ramp = rng.uniform(0.3, 0.5)
        squeezed = np.interp((_U - 0.7 * ramp) / (1 - 0.7 * ramp), _U, y, left=0.0)
        y = squeezed + main * rng.uniform(0.15, 0.35) * bump(0, min(1.0, 2 * ramp), 0.5, 1.0)
    elif rng.random() < 0.25:  # a slow start or end
        y += main * rng.uniform(0.05, 0.2) * bump(lean=rng.uniform(0.25, 0.75), power=1.0)
    return np.asarray(y / np.abs(y).max())


def t_table(rng: np.random.Generator) -> Array:
    """A T wave: plain, skewed, tailed, notched, biphasic or peaked; first peak positive, of about 1."""
    kind = one_of(rng, (0.42, 0.32, 0.06, 0.11, 0.09))
    if kind == 1:  # a slow rise and a fast fall, or a long tail
        y = skewed(rng.uniform(1.4, 3.5), rng.uniform(1.0, 2.6))
    elif kind == 2:
        power = rng.uniform(1.2, 2.4)
        y = bump(0, 0.75, 0.5, power) + rng.uniform(0.6, 1.0) * bump(0.3, 1, 0.6, power)
    elif kind == 3:
        split = rng.uniform(0.35, 0.65)
        power = rng.uniform(1.2, 2.4)
        y = bump(0, split + 0.1, 0.55, power) - rng.uniform(0.2, 1.4) * bump(split - 0.1, 1, 0.45, power)
    elif kind == 4:
        y = bump(lean=rng.uniform(0.38, 0.55), power=rng.uniform(2.0, 3.5))
    else:
        y = bump(lean=rng.uniform(0.48, 0.70), power=rng.uniform(1.2, 2.6))
    return np.asarray(y / np.abs(y).max())


@dataclass(frozen=True)
class Morphology:
    """What one focus looks like in one lead. Amplitudes in mV, durations in s; `st_mv` is the level at the J point."""

    p: Array
    p_mv: float
    p_s: float
    qrs: Array
    qrs_mv: float
    qrs_s: float
    t: Array
    t_mv: float
    st_mv: float
    st_slope: float
    t_fraction: float  # share of the time from J point to T offset that the T wave takes
    u_mv: float
    u_after_s: float  # from the T wave's end
    spike_mv: float  # of a pacemaker, at the QRS onset; 0 for none


def morphology(rng: np.random.Generator, seen: Seen) -> Morphology:
    """One focus of a heart with that condition, in that lead."""
    c, lead = seen.condition, seen.lead
    qrs = qrs_table(rng, seen)
    main = np.sign(qrs[np.abs(qrs).argmax()])
    # A normal T follows the main deflection; the condition's sign says whether it does here.
    concordant = main if rng.random() < 0.88 else -main
    t_mv = concordant * c.t[lead] * held(rng.lognormal(np.log(0.22), 0.65), 0.02, 1.2)
    st_spread = 0.03 if rng.random() < 0.75 else 0.12
    spike = float(rng.uniform(0.2, 4.0) * sign(rng)) if c.spike and rng.random() < 0.8 else 0.0
    return Morphology(
        p=p_table(rng),
        p_mv=held(rng.lognormal(np.log(0.09), 0.55), 0.015, 0.4),
        p_s=held(rng.normal(0.104, 0.019), 0.05, 0.17),
        qrs=qrs,
        qrs_mv=held(rng.lognormal(np.log(0.75 * c.qrs_gain), 0.5), 0.08, 5.0),
        qrs_s=held(rng.normal(*c.qrs_s), 0.05, 0.20),
        t=t_table(rng),
        t_mv=t_mv,
        st_mv=float(c.st_mv[lead] * rng.lognormal(0, 0.4) + rng.normal(0, st_spread)),
        st_slope=float(rng.uniform(-0.5, 1.5)),
        t_fraction=held(rng.normal(0.62, 0.15), 0.30, 0.98),
        u_mv=float(rng.uniform(0.01, 0.08) * np.sign(t_mv or 1.0)) if rng.random() < 0.15 else 0.0,
        u_after_s=float(rng.uniform(0.0, 0.04)),
        spike_mv=spike,
    )


def add_table(x: Array, rate: float, onset_s: float, duration_s: float, table: Array, millivolts: float) -> None:
    """Add a stretched table to the samples of `x` that lie inside [onset, onset + duration]."""
    first = max(0, int(np.ceil(onset_s * rate)))
    last = min(len(x) - 1, int(np.floor((onset_s + duration_s) * rate)))
    if last < first:
        return
    u = (np.arange(first, last + 1) / rate - onset_s) / duration_s
    x[first : last + 1] += millivolts * np.interp(u, _U, table)


def add_st(
    x: Array, rate: float, onset_s: float, duration_s: float, m: Morphology, qrs_share: float, t_start: float
) -> None:
    """Add the ST level over [QRS onset, T offset]: it rises late in the QRS, slopes to the T wave, is gone at its end.

    qrs_share, t_start: where on that way the QRS ends and the T wave begins, 0 to 1.
    """
    first = max(0, int(np.ceil((onset_s + 0.55 * qrs_share * duration_s) * rate)))
    last = min(len(x) - 1, int(np.floor((onset_s + duration_s) * rate)))
    if last < first:
        return
    u = (np.arange(first, last + 1) / rate - onset_s) / duration_s
    turns = (0.55 * qrs_share, qrs_share, max(t_start, qrs_share + 0.02), 1.0)
    way = np.interp(u, turns, _TURN_NUMBERS)
    turn = np.minimum(way.astype(np.intp), 2)
    levels = np.array((0.0, m.st_mv, m.st_mv * m.st_slope, 0.0))
    before, after = levels[turn], levels[turn + 1]
    x[first : last + 1] += before + (after - before) * (0.5 - 0.5 * np.cos(np.pi * (way - turn)))
