"""What a board's front end does to a heart's voltage: band, sampling, counts. No bytes, and nothing but numpy.

`through` is the whole way, for whoever wants to know what a board would have seen.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from firmware_bridge.boards import Board
from firmware_bridge.frames import to_millivolts

Millivolts = NDArray[np.float64]

_SETTLES_S = 4.0  # an eighth of a percent of the slowest band's (0.5 Hz) memory is left after this
_FINE_HZ = 4000.0  # between the samples of a grid at least this fine a straight line is as good as the curve


def response(board: Board, frequency_hz: NDArray[np.float64]) -> NDArray[np.complex128]:
    """The analogue band at these frequencies, with the phase of the real, causal filters; 1 where there is no filter.

    Butterworth of the board's `poles`, one or two, at `high_pass_hz` and at `low_pass_hz`.
    """
    return band(frequency_hz, board.high_pass_hz, board.low_pass_hz, board.poles)


def band(
    frequency_hz: NDArray[np.float64], high_pass_hz: float | None, low_pass_hz: float | None, poles: tuple[int, int]
) -> NDArray[np.complex128]:
    """`response` of whatever filters."""
    gain = np.ones(len(frequency_hz), np.complex128)
    if high_pass_hz is not None:
        s = 1j * frequency_hz / high_pass_hz
        gain *= s / (s + 1) if poles[0] == 1 else s**2 / (s**2 + np.sqrt(2) * s + 1)
    if low_pass_hz is not None:
        s = 1j * frequency_hz / low_pass_hz
        gain *= 1 / (s + 1) if poles[1] == 1 else 1 / (s**2 + np.sqrt(2) * s + 1)
    return gain


def analogue(board: Board, samples_mv: Millivolts, sampling_rate_hz: float) -> tuple[Millivolts, float]:
    """The band, and the samples at the board's own rate.

    samples_mv: (n,) finite. Returns (m,) mV and the board's rate; m as many as fit into the same time. What lies above
    half of the board's rate and passes its filter folds down, as it does in life. A reflection of the beginning runs
    through the filters first, so that they have settled. Raises ValueError for samples that are not finite.
    """
    n = len(samples_mv)
    if not n or not np.isfinite(samples_mv).all():
        raise ValueError("a front end needs samples, all of them finite")
    rate = board.sampling_rate_hz or sampling_rate_hz
    before = round(_SETTLES_S * sampling_rate_hz)
    # Even reflections on both sides; the one behind keeps the end of a circular transform away from its beginning.
    padded = np.pad(samples_mv, (before, before), mode="reflect" if n > 1 else "edge")
    fine = int(np.ceil(_FINE_HZ / sampling_rate_hz))
    spectrum = np.fft.rfft(padded)
    spectrum *= response(board, np.arange(len(spectrum)) * (sampling_rate_hz / len(padded)))
    if fine > 1 and len(padded) % 2 == 0:
        spectrum[-1] *= 0.5  # the bin at half of the rate is shared by its two images once there is room for both
    curve = np.fft.irfft(spectrum, len(padded) * fine) * fine
    grid_hz = sampling_rate_hz * fine
    count = int(n / sampling_rate_hz * rate + 1e-9)
    at = before * fine + np.arange(count) * (grid_hz / rate)
    return np.interp(at, np.arange(len(curve)), curve), rate


def delay_s(board: Board, frequency_hz: float = 10.0) -> float:
    """How late the band lets a wave of this frequency through: what a fiducial moves by, in s."""
    step = 0.01 * frequency_hz
    phase = np.unwrap(np.angle(response(board, np.array([frequency_hz - step, frequency_hz + step]))))
    return float(-(phase[1] - phase[0]) / (2 * np.pi * 2 * step))


def to_counts(board: Board, samples_mv: Millivolts) -> NDArray[np.int32]:
    """(n,) mV to (n,) counts: rounded, and cut off at the ends of the converter. Raises ValueError for `native`."""
    low, high = board.count_range
    if board.picovolts_per_count is None or board.zero_count is None:
        raise ValueError(f"board {board.name}: its gain is known only from its stream")
    counts = np.round(samples_mv * (1e9 / board.picovolts_per_count)) + board.zero_count
    return np.clip(counts, low, high).astype(np.int32)


def through(board: Board, samples_mv: Millivolts, sampling_rate_hz: float) -> tuple[Millivolts, float]:
    """What a heart's signal is after it went through a board: band, sampling, quantization, clipping.

    Parameters
    ----------
    samples_mv : (n,) mV, finite, at `sampling_rate_hz`.

    Returns
    -------
    (m,) mV as the board's samples say them, and its sampling rate. `native` has no front end of its own: unchanged.
    """
    if board.picovolts_per_count is None or board.zero_count is None:
        return samples_mv, sampling_rate_hz
    seen, rate = analogue(board, samples_mv, sampling_rate_hz)
    return to_millivolts(to_counts(board, seen), board.picovolts_per_count, board.zero_count), rate
