"""Full windows out of a stream of samples: a window every hop, with its gaps kept as gaps."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from firmware_bridge.clock import Samples

WINDOW_S = 10.0


@dataclass(frozen=True)
class Window:
    """Raw samples of one lead. samples_mv: (n,) mV, NaN where there was none; `full`: it is as long as it has to be."""

    samples_mv: NDArray[np.float64]
    sampling_rate_hz: float
    start_s: float
    end_s: float
    lead: str
    full: bool = True
    lead_off: bool = False
    clipped: bool = False


class Windower:
    """Owns the buffer of one stream. `reset()` means empty: nothing of before is ever presented as data."""

    def __init__(self, window_s: float = WINDOW_S, hop_s: float = 1.0) -> None:
        self.window_s, self.hop_s = window_s, hop_s
        self.reset()

    def reset(self) -> None:
        self._rate = 0.0
        self._mv = np.empty(0)
        self._off = np.empty(0, np.bool_)
        self._clipped = np.empty(0, np.bool_)
        self._begin = 0  # timeline index of the first sample that belongs to this buffer
        self._end = 0  # timeline index behind the newest sample
        self._hops = 1  # number of the next boundary

    @property
    def end_s(self) -> float:
        return self._end / self._rate if self._rate else 0.0

    def push(self, samples: Samples) -> list[Window]:
        """The windows that these samples complete. Boundaries inside a gap of over a hop give none."""
        if samples.sampling_rate_hz != self._rate or samples.fresh:
            self._start(samples)
        gap = samples.index - self._end
        if gap < 0:
            raise ValueError("samples must not go back in time")
        windows: list[Window] = []
        if gap > self.hop_s * self._rate:
            self._append(np.full(min(gap, self._size), np.nan), False, False)
            self._end = samples.index
            self._hops = self._hop_after(samples.index)
        elif gap:
            windows += self._fill(np.full(gap, np.nan), False, False, samples.lead)
        return windows + self._fill(samples.millivolts, samples.lead_off, samples.clipped, samples.lead)

    def _start(self, samples: Samples) -> None:
        self._rate, self._begin, self._end = samples.sampling_rate_hz, samples.index, samples.index
        self._hops = self._hop_after(samples.index)
        self._mv, self._off, self._clipped = (np.full(self._size, v) for v in (np.nan, False, False))

    def _fill(self, values: NDArray[np.float64], lead_off: bool, clipped: bool, lead: str) -> list[Window]:
        """Append, stopping at each boundary on the way to cut a window there."""
        done, windows = 0, []
        while done < len(values):
            take = min(len(values) - done, self._boundary(self._hops) - self._end)
            self._append(values[done : done + take], lead_off, clipped)
            self._end += take
            done += take
            if self._end == self._boundary(self._hops):
                windows.append(self._window(lead))
                self._hops += 1
        return windows

    @property
    def _size(self) -> int:
        return round(self.window_s * self._rate)

    def _boundary(self, hop: int) -> int:
        return round(hop * self.hop_s * self._rate)

    def _hop_after(self, index: int) -> int:
        """The number of the first boundary behind an index."""
        hop = int(index / (self.hop_s * self._rate))
        while self._boundary(hop) <= index:
            hop += 1
        return hop

    def _append(self, values: NDArray[np.float64], lead_off: bool, clipped: bool) -> None:
        n, size = len(values), self._size
        for buffer, new in ((self._mv, values), (self._off, lead_off), (self._clipped, clipped)):
            if n < size:
                buffer[:-n] = buffer[n:]
                buffer[-n:] = new
            else:
                buffer[:] = new[-size:] if isinstance(new, np.ndarray) else new

    def _window(self, lead: str) -> Window:
        size = self._size
        seen = min(self._end - self._begin, size)
        start = self._end - seen
        return Window(
            self._mv[size - seen :].copy(),
            self._rate,
            start / self._rate,
            self._end / self._rate,
            lead,
            full=seen == size,
            lead_off=bool(self._off[size - seen :].any()),
            clipped=bool(self._clipped[size - seen :].any()),
        )


def windows_of(
    samples_mv: NDArray[np.float64], rate: float, lead: str, hop_s: float, window_s: float = WINDOW_S
) -> list[Window]:
    """All windows of a whole recording: every `hop_s`, and a last one that ends with it; a short one gives one."""
    size = round(window_s * rate)
    last = len(samples_mv) - size
    if last < 0:
        return [Window(samples_mv, rate, 0.0, len(samples_mv) / rate, lead, full=False)]
    starts, hop = [], 0
    while (first := round((hop * hop_s + window_s) * rate) - size) <= last:
        starts.append(first)
        hop += 1
    if not starts or starts[-1] < last:
        starts.append(last)
    return [Window(samples_mv[s : s + size], rate, s / rate, (s + size) / rate, lead) for s in starts]
