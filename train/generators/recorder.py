"""What a recorder's own front end does to a heart: its analogue band, its counts and its rails.

Half of the windows pass through one whose numbers are drawn around those of the boards that people own; the other half
stay as a good machine would have them.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from firmware_bridge.front_end import band

Array = NDArray[np.float64]

SHARE = 0.5
_HIGH_PASS_HZ = (0.03, 0.6)  # first order: single-lead front ends couple at up to half a hertz
_LOW_PASS_HZ = (25.0, 150.0)
_POLES = (1, 2)
_BITS = (10, 24)


def through(x_mv: Array, rate: float, high_pass_hz: float, low_pass_hz: float) -> Array:
    """A first-order high pass and a second-order low pass, as the circuits have them: not zero phase."""
    n = len(x_mv)
    spectrum = np.fft.rfft(np.pad(x_mv, n // 2, mode="reflect"))
    f = np.fft.rfftfreq(2 * (n // 2) + n, 1 / rate)
    delay_s = np.sqrt(2.0) / (2 * np.pi * low_pass_hz)  # of the low pass at 0 Hz: the fiducials move with their waves
    response = band(f, high_pass_hz, low_pass_hz, _POLES) * np.exp(2j * np.pi * f * delay_s)
    whole = np.fft.irfft(spectrum * response, 2 * (n // 2) + n)
    return np.asarray(whole[n // 2 : n // 2 + n])


def recorded(rng: np.random.Generator, x_mv: Array, rate: float) -> Array:
    """(n,) mV as a recorder would give it; with probability SHARE it has a narrow band, few counts, or both."""
    if rng.random() >= SHARE:
        return x_mv
    y = x_mv
    if rng.random() < 0.7:
        y = through(y, rate, np.exp(rng.uniform(*np.log(_HIGH_PASS_HZ))), np.exp(rng.uniform(*np.log(_LOW_PASS_HZ))))
    bits = rng.integers(*_BITS)
    rail_mv = rng.uniform(1.5, 6.0)
    step = 2 * rail_mv / 2**bits
    return np.clip(np.round(y / step) * step, -rail_mv, rail_mv)
