"""What a recorder's own front end does to a heart: its analogue band, its counts and its rails.

Half of the windows pass through one whose numbers are drawn around those of the boards that people own; the other half
stay as a good machine would have them.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

SHARE = 0.5
_HIGH_PASS_HZ = (0.03, 0.6)  # first order: single-lead front ends couple at up to half a hertz
_LOW_PASS_HZ = (25.0, 150.0)
_BITS = (10, 24)


def band(x_mv: Array, rate: float, high_pass_hz: float, low_pass_hz: float) -> Array:
    """A first-order high pass and a second-order low pass (Butterworth), as the circuits have them: not zero phase."""
    n = len(x_mv)
    spectrum = np.fft.rfft(np.pad(x_mv, n // 2, mode="reflect"))
    f = np.fft.rfftfreq(2 * (n // 2) + n, 1 / rate)
    high = 1j * f / (1j * f + high_pass_hz)
    s = 1j * f / low_pass_hz
    low = 1.0 / (1.0 + np.sqrt(2.0) * s + s * s)
    delay_s = np.sqrt(2.0) / (2 * np.pi * low_pass_hz)  # of the low pass at 0 Hz: the fiducials move with their waves
    whole = np.fft.irfft(spectrum * high * low * np.exp(2j * np.pi * f * delay_s), 2 * (n // 2) + n)
    return np.asarray(whole[n // 2 : n // 2 + n])


def recorded(rng: np.random.Generator, x_mv: Array, rate: float) -> Array:
    """(n,) mV as a recorder would give it; with probability SHARE it has a narrow band, few counts, or both."""
    if rng.random() >= SHARE:
        return x_mv
    y = x_mv
    if rng.random() < 0.7:
        y = band(y, rate, np.exp(rng.uniform(*np.log(_HIGH_PASS_HZ))), np.exp(rng.uniform(*np.log(_LOW_PASS_HZ))))
    bits = rng.integers(*_BITS)
    rail_mv = rng.uniform(1.5, 6.0)
    step = 2 * rail_mv / 2**bits
    return np.clip(np.round(y / step) * step, -rail_mv, rail_mv)
