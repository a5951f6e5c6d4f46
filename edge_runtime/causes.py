"""What spoiled a window that is not measured: mains, muscle or motion, each by evidence of its own in the raw samples.

Whether a window is measured is decided elsewhere (`quality`); this is asked only of one that is not, and says why. One
spectrum of the raw samples is parted as the noises are (Moody, Muldrow and Mark 1984): electrode motion and wander lie
below 2 Hz, an ECG has most of its power from 2 to 20 Hz, and muscle goes on where an ECG has little. What counts is the
share of the ECG's own band, so that neither gain nor lead matters. The bounds were chosen on synthetic hearts under the
noise that training knows (`nstdb/em`'s first part and the generators'), and are tested on annotated hearts under noise
that it does not: `python -m benchmarks quality`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

MAINS_HZ = (50.0, 60.0)
_LINE_HZ = 0.5  # on either side of the line: what a window of 10 s and the net's own drift make of it
_ASIDE_HZ = 3.0  # what lies so far on either side is what would be there without it
_MOTION_HZ, _HEART_HZ, _MUSCLE_HZ = (0.05, 2.0), (2.0, 20.0), (20.0, 40.0)  # the last as far as the slowest ADC sees
MAINS_SHARE = 0.5  # of the power from 2 Hz on
MUSCLE_RATIO, MOTION_RATIO = 0.3, 0.8  # RMS of the band to the RMS of the ECG's


@dataclass(frozen=True)
class Interference:
    """RMS in mV of each band, the line left out; `share`: of the power from 2 Hz on that is the line's."""

    mains_mv: float
    share: float
    motion_mv: float
    heart_mv: float
    muscle_mv: float

    @property
    def cause(self) -> str | None:
        """mains, muscle or motion; None where none of them stands out."""
        if self.share >= MAINS_SHARE:
            return "mains"
        heart = self.heart_mv + 1e-9
        muscle, motion = self.muscle_mv / heart / MUSCLE_RATIO, self.motion_mv / heart / MOTION_RATIO
        if max(muscle, motion) < 1:
            return None
        return "muscle" if muscle >= motion else "motion"


@lru_cache(maxsize=32)
def _plan(n: int, rate: float) -> tuple[NDArray[np.float64], tuple[tuple[slice, slice], ...], tuple[slice, ...]]:
    """A Hann taper; each line's bins and its neighbourhood's; the bands' bins and all from 2 Hz on."""
    bins = n // 2 + 1

    def between(low_hz: float, high_hz: float) -> slice:
        first, last = (round(hz * n / rate) for hz in (low_hz, high_hz))
        return slice(max(1, min(first, bins)), max(1, min(last + 1, bins)))

    lines = []
    for hz in MAINS_HZ:
        seen_hz = abs(hz - rate * round(hz / rate))  # a slow ADC folds it down
        if seen_hz >= _HEART_HZ[0]:
            lines.append(tuple(between(seen_hz - reach, seen_hz + reach) for reach in (_LINE_HZ, _ASIDE_HZ)))
    bands = tuple(between(*hz) for hz in (_MOTION_HZ, _HEART_HZ, _MUSCLE_HZ, (_HEART_HZ[0], rate / 2)))
    return np.hanning(n), tuple(lines), bands  # type: ignore[arg-type]


def interference(samples_mv: NDArray[np.float64], rate: float) -> Interference:
    """Of one window of raw samples. samples_mv: (n,) finite, n >= 2."""
    n = len(samples_mv)
    taper, lines, (motion, heart, muscle, above) = _plan(n, rate)
    spectrum = np.fft.rfft((samples_mv - samples_mv.mean()) * taper)
    scale = 2 / max(float(taper @ taper) * n, 1e-12)  # so that a band's sum is its mean square
    power = scale * (spectrum.real**2 + spectrum.imag**2)
    whole, line = float(power[above].sum()), 0.0
    for bins, aside in lines:
        floor = float(np.median(power[aside])) if aside.stop > aside.start else 0.0
        more = float(power[bins].sum()) - floor * (bins.stop - bins.start)
        if more > 0:
            line += more
            power[bins] = floor
    bands = (float(power[band].sum()) ** 0.5 for band in (motion, heart, muscle))
    return Interference(line**0.5, line / whole if whole > 0 else 0.0, *bands)
