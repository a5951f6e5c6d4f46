"""One window of raw millivolts to what the net sees. Training and the device share this file.

A window is resampled to one rate, freed of baseline wander and of what lies above the ECG's band in a single pass
through the frequency domain (zero phase, no state, so nothing crosses a gap), and companded: `asinh(mV / 0.1)` keeps
the amplitude, which is information, and gives a P wave of 0.1 mV a quarter of the int8 steps of a QRS of 5 mV, where a
linear scale over +-5 mV would leave it two.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.float64]
_LONGEST_REFLECTED_S = 60.0


@dataclass(frozen=True)
class Conditioning:
    """The numbers of the conditioning; they travel in the bundle, so that a net never meets another's.

    The band is -6 dB at the middle of each pair of edges (raised cosine between them).
    """

    sampling_rate_hz: float = 250.0
    high_pass_edges_hz: tuple[float, float] = (0.3, 0.7)
    low_pass_edges_hz: tuple[float, float] = (30.0, 50.0)
    reflect_s: float = 2.5
    compand_mv: float = 0.1

    @property
    def slowest_hz(self) -> float:
        """The lowest sampling rate that carries the band."""
        return 2 * self.low_pass_edges_hz[1]

    def to_dict(self) -> dict[str, object]:
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Conditioning:
        """Raises TypeError for a key that this version does not know, TypeError or ValueError for no such number."""
        read = {key: _edges(v) if key.endswith("_edges_hz") else float(v) for key, v in values.items()}
        found = cls(**read)  # type: ignore[arg-type]
        if not 0 <= found.reflect_s <= _LONGEST_REFLECTED_S:
            raise ValueError(f"{found.reflect_s:g} s to reflect")
        return found


def _edges(values: Any) -> tuple[float, float]:
    low, high = (float(hz) for hz in values)
    if not 0 < low < high < math.inf:
        raise ValueError(f"a band that goes from {low:g} to {high:g} Hz")
    return low, high


DEFAULT = Conditioning()


@lru_cache(maxsize=32)
def _response(n_in: int, n_reflected: int, rate: float, spec: Conditioning) -> tuple[NDArray[np.complex128], int, int]:
    """Transfer function on the kept bins, length of the output before cropping, and where the window starts in it."""
    total = n_in + 2 * n_reflected
    n_out = round(total * spec.sampling_rate_hz / rate)
    bins = min(total, n_out) // 2 + 1
    f = np.arange(bins) * (rate / total)

    def rise(edges: tuple[float, float]) -> NDArray[np.float64]:
        x = np.clip((f - edges[0]) / (edges[1] - edges[0]), 0.0, 1.0)
        return 0.5 - 0.5 * np.cos(np.pi * x)

    start = round(n_reflected * n_out / total)
    shift_s = start * total / (n_out * rate) - n_reflected / rate  # so that output 0 lies exactly on input 0
    gain = rise(spec.high_pass_edges_hz) * (1.0 - rise(spec.low_pass_edges_hz)) * (n_out / total)
    return gain * np.exp(2j * np.pi * f * -shift_s), n_out, start


@lru_cache(maxsize=32)
def _reflection(n: int, rate: float, spec: Conditioning) -> int:
    """How many samples to reflect at each end: about `reflect_s`, such that a whole number of samples comes out.

    Rounding the output's length would stretch time: at 190.3 Hz by a millisecond over the window.
    """
    least = round(spec.reflect_s * rate)

    def rounding(reflected: int) -> float:
        exact = (n + 2 * reflected) * spec.sampling_rate_hz / rate
        return round(abs(round(exact) - exact), 9)

    return min(n - 1, min(range(least, least + round(0.4 * rate) + 1), key=rounding))


def extended(x: Samples, n: int) -> Samples:
    """Reflected by n < len(x) samples at each end: `np.pad(x, n, mode="reflect")`, at a fraction of its cost."""
    return np.concatenate([x[n:0:-1], x, x[-2 : -n - 2 : -1]])


def condition(samples_mv: Samples, sampling_rate_hz: float, spec: Conditioning = DEFAULT) -> NDArray[np.float32]:
    """Filter and resample one window.

    Parameters
    ----------
    samples_mv : (n,) millivolts, finite, n >= 2, at `sampling_rate_hz` (at least twice the upper band edge).
    spec : the bundle's conditioning.

    Returns
    -------
    (round(n / sampling_rate_hz * spec.sampling_rate_hz),) float32, millivolts at `spec.sampling_rate_hz`.

    Raises
    ------
    ValueError : for a rate that cannot carry the band, or samples that are not finite.
    """
    n = len(samples_mv)
    if sampling_rate_hz < spec.slowest_hz:
        raise ValueError(f"{sampling_rate_hz:g} Hz is too slow: at least {spec.slowest_hz:g} Hz needed")
    if n < 2 or not np.isfinite(samples_mv).all():
        raise ValueError("a window to condition has at least two samples, all of them finite")
    reflected = _reflection(n, sampling_rate_hz, spec)
    transfer, n_out, start = _response(n, reflected, sampling_rate_hz, spec)
    spectrum = np.fft.rfft(extended(samples_mv, reflected))
    kept = np.zeros(n_out // 2 + 1, np.complex128)
    kept[: len(transfer)] = spectrum[: len(transfer)] * transfer
    length = round(n / sampling_rate_hz * spec.sampling_rate_hz)
    return np.fft.irfft(kept, n_out)[start : start + length].astype(np.float32)


def compand(conditioned_mv: NDArray[np.float32], spec: Conditioning = DEFAULT) -> NDArray[np.float32]:
    """Millivolts to the net's input: `asinh(mV / compand_mv)`, about -5 to 5."""
    return np.arcsinh(conditioned_mv / np.float32(spec.compand_mv)).astype(np.float32)
