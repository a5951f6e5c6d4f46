"""The newest seconds of one lead at a rate for the eye: bounded, with its gaps, and the same for any chunking."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from edge_runtime.quality import runs_of
from firmware_bridge.clock import Samples

DISPLAY_HZ = 250.0  # points a second at most: a screen has some 100 to 300 pixels for a second at 25 mm/s
KEPT_S = 16.0  # what a client is given when it connects; the page shows at most 13 s
_MOST_WAITING = 64  # pieces, until they are folded into the ring
_LARGEST_UV = 10_000_000
_MISSING = np.iinfo(np.int32).min


class Trace:
    """A ring of points in microvolts. A point's position counts points on the stream's timeline: position / rate_hz is
    its time there.

    A stream of up to DISPLAY_HZ is kept as it is. Of a faster one every 2 k samples give two points, the lowest and the
    highest in the order in which they came, so that no R peak is lost. While electrodes are off there is no point.
    epoch: points of another one (another rate or lead) are not on the same line.
    """

    def __init__(self) -> None:
        self.epoch = 0
        self.lead, self.arrival_s = "", -math.inf
        self.rate_hz = 0.0  # of the points
        self.end = 0  # position behind the newest point
        self._rate = 0.0  # of the samples
        self._size = 1  # samples that make two points; 1: a sample is a point
        self._begin = 0  # position of the oldest point that may be asked for
        self._ring = np.empty(0, np.int32)
        self._off = np.empty(0, np.bool_)  # electrodes were off
        self._waiting: list[Samples] = []
        self._tail = np.empty(0)  # samples of the bucket that is not full yet, mV
        self._next = 0  # index behind the newest sample that was folded

    def push(self, samples: Samples) -> None:
        """Cheap: the work is done when somebody looks, or when much is waiting."""
        self.arrival_s = samples.arrival_s
        self._waiting.append(samples)
        if len(self._waiting) >= _MOST_WAITING:
            self.fold()

    def fold(self) -> None:
        """Take in what is waiting: neighbours together, since most boards send few samples at once."""
        waiting, self._waiting = [s for s in self._waiting if len(s.millivolts)], []
        begin = 0
        for i in range(1, len(waiting) + 1):
            if i == len(waiting) or not _follows(waiting[i - 1], waiting[i]):
                run = waiting[begin:i]
                self._take(run[0], np.concatenate([s.millivolts for s in run]))
                begin = i

    def since(self, position: int) -> tuple[int, list[int | None], list[tuple[int, int]]]:
        """What came from `position` on, or from the oldest that is kept: the first one's position, the points in
        microvolts with None where there is none, and the positions [from, to) at which electrodes were off."""
        first = max(position, self._begin, self.end - len(self._ring))
        if first >= self.end:
            return self.end, [], []
        where = np.arange(first, self.end) % len(self._ring)
        points = [None if v == _MISSING else v for v in self._ring[where].tolist()]
        return first, points, [(first + a, first + b) for a, b in runs_of(self._off[where])]

    def _take(self, samples: Samples, millivolts: NDArray[np.float64]) -> None:
        """samples: the first of those whose values they are."""
        rate, index = samples.sampling_rate_hz, samples.index
        if rate != self._rate or samples.lead != self.lead or index < self._next:
            self._start(rate, samples.lead, index)
        if samples.lead_off:
            millivolts = np.full(len(millivolts), np.nan)
        if self._size == 1:
            self._write(index, millivolts, samples.lead_off)
            self._next = index + len(millivolts)
            return
        if index - self._next >= self._size:  # the bucket that was begun gets no more
            self._write(self._next // self._size * 2, self._points(self._tail), False)
            self._tail = np.full(index % self._size, np.nan)
        else:
            self._tail = np.concatenate([self._tail, np.full(index - self._next, np.nan)])
        values = np.concatenate([self._tail, millivolts])
        full = len(values) // self._size * self._size
        at = (index - len(self._tail)) // self._size * 2
        self._write(at, self._points(values[:full]), samples.lead_off)
        self._tail, self._next = values[full:], index + len(millivolts)

    def _start(self, rate: float, lead: str, index: int) -> None:
        self.epoch += 1
        self.lead, self._rate = lead, rate
        factor = max(1, math.ceil(rate / DISPLAY_HZ))
        self._size = 1 if factor == 1 else 2 * factor
        self.rate_hz = rate / factor
        size = max(1, round(KEPT_S * self.rate_hz))
        if len(self._ring) != size:
            self._ring, self._off = np.empty(size, np.int32), np.empty(size, np.bool_)
        self._next = index
        self._begin = self.end = index if self._size == 1 else index // self._size * 2
        self._tail = np.full(0 if self._size == 1 else index % self._size, np.nan)

    def _points(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Two a bucket. values: (n,) mV, NaN where there is none; a last bucket may be cut short."""
        if not len(values):
            return values
        padded = np.concatenate([values, np.full(-len(values) % self._size, np.nan)]).reshape(-1, self._size)
        gone = np.isnan(padded)
        low, high = np.where(gone, np.inf, padded), np.where(gone, -np.inf, padded)
        rows, first, second = np.arange(len(padded)), low.argmin(1), high.argmax(1)
        swap = first > second
        first[swap], second[swap] = second[swap], first[swap]
        return np.stack([padded[rows, first], padded[rows, second]], axis=1).ravel()

    def _write(self, at: int, values: NDArray[np.float64], off: bool) -> None:
        """At this position and on; what lies between is missing."""
        size = len(self._ring)
        if not len(values):
            return
        end, values = at + len(values), values[-size:]
        gap = np.arange(max(self.end, end - size), end - len(values)) % size
        self._ring[gap], self._off[gap] = _MISSING, False
        where = np.arange(end - len(values), end) % size
        absent = np.isnan(values)
        microvolts = np.clip(np.rint(np.where(absent, 0.0, values) * 1e3), -_LARGEST_UV, _LARGEST_UV)
        self._ring[where] = np.where(absent, _MISSING, microvolts.astype(np.int32))
        self._off[where] = off
        self.end = end


def _follows(before: Samples, after: Samples) -> bool:
    return (
        after.index == before.index + len(before.millivolts)
        and after.sampling_rate_hz == before.sampling_rate_hz
        and after.lead_off == before.lead_off
        and after.lead == before.lead
    )
