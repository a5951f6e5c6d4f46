"""One heart's waves: shapes with compact support, so that each begins and ends at one exact instant.

A wave is a table over its own duration (0 at both ends), stretched to where the rhythm puts it. A `Morphology` is what
one focus of one heart looks like in one lead: its P, its QRS and its T.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

TABLE = 257
_U = np.linspace(0.0, 1.0, TABLE)
Array = NDArray[np.float64]


def bump(start: float = 0.0, end: float = 1.0, lean: float = 0.5, power: float = 2.0) -> Array:
    """A lobe on [start, end] that peaks at `lean` of the way: sin^power of a warped phase."""
    u = np.clip((_U - start) / (end - start), 0.0, 1.0)
    phase = u ** (np.log(0.5) / np.log(np.clip(lean, 0.15, 0.85)))
    return np.asarray(np.sin(np.pi * np.clip(phase, 0.0, 1.0)) ** power)


def p_table(rng: np.random.Generator) -> Array:
    """A P wave: plain, notched, peaked, biphasic or inverted; peak of about 1."""
    kind = rng.choice(5, p=[0.55, 0.18, 0.09, 0.10, 0.08])
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


# Deflections of the common complexes: sign and typical size of each lobe, first to last.
_COMPLEXES = (
    (0.20, ((1, 1.0),)),  # R
    (0.17, ((-1, 0.15), (1, 1.0))),  # qR
    (0.13, ((1, 1.0), (-1, 0.3))),  # Rs
    (0.17, ((-1, 0.12), (1, 1.0), (-1, 0.25))),  # qRs
    (0.13, ((1, 0.3), (-1, 1.0))),  # rS
    (0.05, ((-1, 1.0),)),  # QS
    (0.05, ((1, 0.35), (-1, 0.7), (1, 0.8))),  # rSR'
    (0.03, ((-1, 0.5), (1, 0.8), (-1, 0.5))),  # QRS, pathological Q
    (0.04, ((1, 0.8), (-1, 0.15), (1, 0.7))),  # RsR', notched
    (0.03, ((1, 0.25), (-1, 0.8), (1, 0.25))),  # rSr'
)


def qrs_table(rng: np.random.Generator, wide: bool) -> Array:
    """A QRS complex; `wide` ones are slurred and notched, as in bundle-branch block or from a ventricle."""
    weights = np.array([w for w, _ in _COMPLEXES])
    lobes = _COMPLEXES[rng.choice(len(_COMPLEXES), p=weights / weights.sum())][1]
    sizes = np.array([sign * size * rng.lognormal(0, 0.3) for sign, size in lobes])
    widths = np.sqrt(np.abs(sizes)) * rng.lognormal(0, 0.25, len(lobes)) + 0.12
    edges = np.concatenate([[0.0], np.cumsum(widths) / widths.sum()])
    overlap = rng.uniform(0.0, 0.35)
    y = np.zeros(TABLE)
    for i, size in enumerate(sizes):
        width = edges[i + 1] - edges[i]
        start = max(0.0, edges[i] - overlap * width * (i > 0))
        end = min(1.0, edges[i + 1] + overlap * width * (i + 1 < len(sizes)))
        power = rng.uniform(1.0, 1.6) if wide else rng.uniform(1.2, 2.4)
        y += size * bump(start, end, rng.uniform(0.35, 0.65), power)
    if wide or rng.random() < 0.15:  # a slur or notch on the way
        at, width = rng.uniform(0.3, 0.75), rng.uniform(0.15, 0.3)
        y += rng.uniform(-0.45, 0.45) * np.abs(y).max() * bump(max(0, at - width), min(1, at + width))
    if rng.random() < 0.25:  # a slow start (delta) or end
        y += np.sign(y[np.abs(y).argmax()]) * rng.uniform(0.05, 0.2) * bump(lean=rng.uniform(0.25, 0.75), power=1.0)
    return np.asarray(y / np.abs(y).max())


def t_table(rng: np.random.Generator) -> Array:
    """A T wave: skewed, notched or biphasic; positive first peak of about 1."""
    kind = rng.choice(4, p=[0.74, 0.06, 0.10, 0.10])
    lean, power = rng.uniform(0.48, 0.70), rng.uniform(1.2, 2.6)
    if kind == 1:
        y = bump(0, 0.75, 0.5, power) + rng.uniform(0.6, 1.0) * bump(0.3, 1, 0.6, power)
    elif kind == 2:
        split = rng.uniform(0.4, 0.65)
        y = bump(0, split + 0.1, 0.55, power) - rng.uniform(0.2, 1.2) * bump(split - 0.1, 1, 0.45, power)
    elif kind == 3:
        y = bump(lean=rng.uniform(0.38, 0.55), power=rng.uniform(2.0, 3.5))
    else:
        y = bump(lean=lean, power=power)
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


def morphology(rng: np.random.Generator, wide: bool = False) -> Morphology:
    """A supraventricular focus, or (`wide`) one that the ventricles conduct slowly."""
    qrs_mv = float(np.clip(rng.lognormal(np.log(0.75), 0.55), 0.12, 4.0)) * (1.4 if wide else 1.0)
    qrs_s = float(
        np.clip(rng.normal(0.150, 0.022), 0.11, 0.21) if wide else np.clip(rng.normal(0.094, 0.014), 0.05, 0.13)
    )
    qrs = qrs_table(rng, wide)
    sign = np.sign(qrs[np.abs(qrs).argmax()])
    upright = -sign if wide else (sign if rng.random() < 0.75 else -sign)
    t_mv = upright * np.clip(rng.lognormal(np.log(0.24), 0.65), 0.02, 1.4) * (1.5 if wide else 1.0)
    st = rng.normal(0, 0.03) if rng.random() < 0.7 else rng.normal(0, 0.14)
    return Morphology(
        p=p_table(rng),
        p_mv=float(np.clip(rng.lognormal(np.log(0.10), 0.5), 0.02, 0.4)),
        p_s=float(np.clip(rng.normal(0.102, 0.018), 0.05, 0.16)),
        qrs=qrs,
        qrs_mv=qrs_mv,
        qrs_s=qrs_s,
        t=t_table(rng),
        t_mv=float(t_mv),
        st_mv=float(st + (0.12 * upright * abs(rng.normal()) if wide else 0.0)),
        st_slope=float(rng.uniform(-0.5, 1.5)),
        t_fraction=float(np.clip(rng.normal(0.62, 0.13), 0.35, 0.97)),
        u_mv=float(rng.uniform(0.01, 0.06) * np.sign(t_mv)) if rng.random() < 0.1 else 0.0,
    )


def add_table(x: Array, rate: float, onset_s: float, duration_s: float, table: Array, millivolts: float) -> None:
    """Add a stretched table to the samples of `x` that lie inside [onset, onset + duration]."""
    first = max(0, int(np.ceil(onset_s * rate)))
    last = min(len(x) - 1, int(np.floor((onset_s + duration_s) * rate)))
    if last < first:
        return
    u = (np.arange(first, last + 1) / rate - onset_s) / duration_s
    x[first : last + 1] += millivolts * np.interp(u, _U, table)


def st_table(m: Morphology, qrs_share: float, t_start: float) -> Array:
    """The ST level over [QRS onset, T offset]: rises late in the QRS, slopes to the T wave, is gone at its end."""
    points = (0.55 * qrs_share, qrs_share, max(t_start, qrs_share + 0.02), 1.0)
    levels = (0.0, 1.0, m.st_slope, 0.0)
    segment = np.clip(np.searchsorted(points, _U, side="right") - 1, 0, 2)
    left, right = np.array(points)[segment], np.array(points)[segment + 1]
    w = np.clip((_U - left) / (right - left), 0.0, 1.0)
    w = 0.5 - 0.5 * np.cos(np.pi * w)
    table = np.array(levels)[segment] * (1 - w) + np.array(levels)[segment + 1] * w
    table[points[0] > _U] = 0.0
    return np.asarray(table)
