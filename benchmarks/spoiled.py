"""What spoils a window: noise of given strength on top of a heart, and faults with and without one.

A fault's `means` are the reasons that name it; where there is no heart in the window, whatever is stated is wrong.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from edge_runtime.library import cache_folder
from edge_runtime.records import read_record
from train.augment import EM_TRAINING_SHARE
from train.generators import noise

Array = NDArray[np.float64]
Rng = np.random.Generator
Make = Callable[[Rng, int, float], Array]
LEVELS_DB = (24.0, 18.0, 12.0, 6.0, 0.0, -6.0)
_NSTDB = {"em": EM_TRAINING_SHARE, "ma": 0.0, "bw": 0.0}  # by record: how much of it training has seen
_MADE: dict[str, Make] = {"muscle, made": noise.muscle, "motion, made": noise.motion, "wander, made": noise.wander}


def at_rate(mv: Array, rate: float, hz: float) -> Array:
    """The same ten seconds at another rate, nothing folded down."""
    n = round(len(mv) / rate * hz)
    spectrum = np.fft.rfft(mv)[: n // 2 + 1]
    return np.asarray(np.fft.irfft(spectrum, n) * (n / len(mv)))


@cache
def _recorded(name: str) -> Make | None:
    """Pieces of a record of the Noise Stress Test Database, what training has seen left out; None where it is not at
    hand."""
    path = cache_folder() / "nstdb" / name
    if not path.with_suffix(".hea").exists():
        return None
    record = read_record(path)
    whole = np.stack([lead.millivolts for lead in record.leads])
    mv, own_hz = whole[:, round(_NSTDB[name] * whole.shape[1]) :], record.sampling_rate_hz

    def piece(rng: Rng, n: int, rate: float) -> Array:
        size = round(n / rate * own_hz)
        first = rng.integers(mv.shape[1] - size)
        cut = mv[rng.integers(len(mv)), first : first + size]
        return np.interp(np.linspace(0, size - 1, n), np.arange(size), cut)

    return piece


def noises() -> dict[str, Make]:
    """By name: recorded noise that no training saw, as far as it is at hand, and new draws of the generators'."""
    return {name: piece for name in _NSTDB if (piece := _recorded(name)) is not None} | _MADE


def without_phase(rng: Rng, mv: Array) -> Array:
    """The same spectrum, its order lost: `em` has its wearer's own heart in it, faint, at 58 to 60 bpm."""
    spectrum = np.fft.rfft(mv)
    turned = np.abs(spectrum) * np.exp(2j * np.pi * rng.random(len(spectrum)))
    return np.fft.irfft(turned, len(mv))


@dataclass(frozen=True)
class Fault:
    """spoil: from a heart's window, mV at RATE_HZ, to what is seen, at `rate_hz`."""

    name: str
    means: tuple[str, ...]
    heart: bool
    spoil: Callable[[Rng, Array], Array]
    rate_hz: float = 250.0


RATE_HZ = 250.0
_N = round(10 * RATE_HZ)
_T = np.arange(_N) / RATE_HZ


def _size(mv: Array) -> float:
    """A QRS complex from top to bottom, mV."""
    low, high = np.percentile(mv, (0.2, 99.8))
    return float(high - low)


def _mains(hz: float, times: float, rate: float) -> Fault:
    def spoil(rng: Rng, mv: Array) -> Array:
        x = mv if rate == RATE_HZ else at_rate(mv, RATE_HZ, rate)
        return x + times * _size(x) * np.sin(2 * np.pi * (hz * np.arange(len(x)) / rate + rng.random()))

    where = "" if rate == RATE_HZ else f", {rate:g} Hz converter"
    return Fault(f"mains {hz:g} Hz, {times:g} x QRS{where}", ("mains",), True, spoil, rate)


def _off(name: str, means: tuple[str, ...], end: Callable[[Rng, Array, int], Array | float]) -> Fault:
    """An electrode that goes off four seconds before the window's end."""

    def spoil(rng: Rng, mv: Array) -> Array:
        first = round(0.6 * len(mv))
        out = mv + rng.normal(0, 0.003, len(mv))
        out[first:] = end(rng, mv, len(mv) - first)
        return out

    return Fault(f"electrode off for the last 4 s, {name}", means, True, spoil)


def _alone(name: str, means: tuple[str, ...], make: Callable[[Rng, int], Array]) -> Fault:
    return Fault(f"no heart: {name}", means, False, lambda rng, mv: make(rng, len(mv)))


def _impulses(rng: Rng, mv: Array, times: float, a_second: float) -> Array:
    at = rng.random(len(mv)) < a_second / RATE_HZ
    return mv + times * _size(mv) * at * rng.choice((-1, 1), len(mv))


def _saturated(rng: Rng, mv: Array) -> Array:
    low, high = np.percentile(mv, (0.5, 97))
    return np.clip(mv, low, high)


def _antenna(mv: float) -> Callable[[Rng, int], Array]:
    return lambda rng, n: mv * np.sin(2 * np.pi * (50 * _T[:n] + rng.random())) + rng.normal(0, 0.005, n)


def _em_without_phase(rng: Rng, n: int) -> Array:
    make = noises().get("em", noise.motion)
    return without_phase(rng, make(rng, n, RATE_HZ))


_ANY_NOISE = ("muscle", "motion", "noise", "low_amplitude", "implausible_rate")
_DEAD = ("flat", "lead_off", "low_amplitude")

FAULTS: tuple[Fault, ...] = (
    Fault("none", (), True, lambda rng, mv: mv),
    *(_mains(hz, times, RATE_HZ) for hz in (50.0, 60.0) for times in (1.0, 10.0)),
    *(_mains(60.0, times, 100.0) for times in (0.5, 2.0, 10.0)),
    Fault("gain too high, cut at both ends", ("clipped",), True, _saturated),
    Fault("a twentieth of the amplitude", ("low_amplitude", "flat"), True, lambda rng, mv: mv / 20),
    Fault("ramp of 2 mV/s", ("motion",), True, lambda rng, mv: mv + 2 * _T),
    Fault("steps of 5 mV", ("motion",), True, lambda rng, mv: mv + 5 * (np.cumsum(rng.random(_N) < 2 / _N) % 2)),
    Fault("impulses, 2 x QRS, 1 a second", ("muscle", "noise"), True, lambda rng, mv: _impulses(rng, mv, 2, 1)),
    Fault("impulses, 5 x QRS, 2 a second", ("muscle", "noise"), True, lambda rng, mv: _impulses(rng, mv, 5, 2)),
    _off("at the rail", ("lead_off",), lambda rng, mv, n: float(mv.max()) + 1.0),
    _off("held in the middle", ("flat",), lambda rng, mv, n: float(np.median(mv))),
    _off("an antenna of 3 mV", ("mains", "lead_off"), lambda rng, mv, n: _antenna(3.0)(rng, n)),
    _off("10 uV of hiss", ("few_beats", *_ANY_NOISE), lambda rng, mv, n: rng.normal(0, 0.01, n)),
    _alone("zeros", _DEAD, lambda rng, n: np.zeros(n)),
    _alone("an antenna of 0.3 mV", ("lead_off", "mains"), _antenna(0.3)),
    _alone("an antenna of 3 mV", ("lead_off", "mains"), _antenna(3.0)),
    _alone("hiss of 10 uV", _DEAD, lambda rng, n: rng.normal(0, 0.01, n)),
    _alone("hiss of 0.1 mV", _ANY_NOISE, lambda rng, n: rng.normal(0, 0.1, n)),
    _alone("hiss of 1 mV", _ANY_NOISE, lambda rng, n: rng.normal(0, 1.0, n)),
    _alone("1/f of 0.2 mV", _ANY_NOISE, lambda rng, n: 0.2 * noise.shaped(rng, n, RATE_HZ, 0.05, 125, 1.5)),
    _alone("muscle of 0.3 mV", _ANY_NOISE, lambda rng, n: 0.3 * noise.muscle(rng, n, RATE_HZ)),
    _alone("em, its order lost", _ANY_NOISE, _em_without_phase),
    _alone("em / 20, its order lost", _ANY_NOISE, lambda rng, n: _em_without_phase(rng, n) / 20),
    _alone("square wave, 1 Hz", ("clipped",), lambda rng, n: ((_T[:n] + rng.random()) % 1 < 0.5) - 0.5),
    _alone("triangle, 1 Hz", _ANY_NOISE, lambda rng, n: np.abs((_T[:n] + rng.random()) % 1 - 0.5)),
    _alone("ramp of 2 mV/s", _ANY_NOISE, lambda rng, n: 2 * _T[:n] + rng.normal(0, 0.002, n)),
)  # fmt: skip
