"""What a wearable adds to a heart: wander, muscle, mains and motion."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def shaped(rng: np.random.Generator, n: int, rate: float, low_hz: float, high_hz: float, slope: float = 0.0) -> Array:
    """Gaussian noise of unit RMS between two frequencies; its power falls as f^-slope."""
    f = np.fft.rfftfreq(n, 1 / rate)
    inside = (f >= low_hz) & (f <= high_hz)
    gain = np.where(inside, np.maximum(f, 1e-3) ** (-slope / 2), 0.0)
    x = np.fft.irfft(gain * (rng.normal(size=len(f)) + 1j * rng.normal(size=len(f))), n)
    return np.asarray(x / (x.std() + 1e-12))


def wander(rng: np.random.Generator, n: int, rate: float) -> Array:
    return shaped(rng, n, rate, 0.05, 0.8, 1.5)


def muscle(rng: np.random.Generator, n: int, rate: float) -> Array:
    """Bursts of broadband noise."""
    x = shaped(rng, n, rate, 5, min(150.0, rate / 2), 0.3)
    if rng.random() < 0.5:
        x *= np.clip(0.3 + shaped(rng, n, rate, 0.05, 0.7), 0, None)
    return x


def mains(rng: np.random.Generator, n: int, rate: float) -> Array:
    hz = 50.0 if rng.random() < 0.6 else 60.0
    return np.asarray(np.sin(2 * np.pi * (hz * np.arange(n) / rate + rng.random())))


def motion(rng: np.random.Generator, n: int, rate: float) -> Array:
    """Steps and swings of an electrode: they look like waves."""
    x = shaped(rng, n, rate, 0.3, 8, 1.2) * np.clip(shaped(rng, n, rate, 0.05, 0.5), 0, None)
    for at in rng.uniform(0, n, rng.poisson(0.6)).astype(int):
        length = min(n - at, int(rate * rng.uniform(0.3, 2.0)))
        x[at : at + length] += rng.normal(0, 2.0) * np.exp(-np.arange(length) / (0.3 * length))
    return x


def residual(rng: np.random.Generator, n: int, rate: float) -> Array:
    """The noise of an ordinary good recording, mV."""
    x = wander(rng, n, rate) * rng.uniform(0.0, 0.15)
    x += muscle(rng, n, rate) * min(rng.lognormal(np.log(0.008), 0.8), 0.06)
    if rng.random() < 0.3:
        x += mains(rng, n, rate) * rng.uniform(0, 0.04)
    return x
