"""Frames of one length with a counter and little or nothing else to know them by: found by what is around them.

Inside a stream that is understood, a frame is taken when it looks like one and its counter goes on. Everywhere else
(at the start, after damage, after a loss) the frames behind it must look right too and count on from it, without a hole
or, where it stands a little ahead of the last good one, with a small one. So a damaged counter is a damaged frame, and
no loss of a hundred.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

from firmware_bridge.frames import Frame, FrameStatistics


class FixedFrames(ABC):
    """A parser without its protocol: a subclass says what a frame looks like and what is in it."""

    length: int  # bytes of a frame
    sequence_bits: int
    confirmations = 1  # frames behind that must agree before one out of order is believed
    _damage = "malformed"  # the statistic that a frame which is none counts in

    def __init__(self) -> None:
        self.statistics = FrameStatistics()
        self._pending = bytearray()
        self._expected: int | None = None  # the next frame's counter; None while the stream is not understood
        self._good: int | None = None  # the counter behind the last good frame, whatever came since

    @abstractmethod
    def counter(self, data: bytearray, at: int) -> int | None:
        """The counter of the frame that begins at `at`, or None where none can be. All of its bytes are there."""

    @abstractmethod
    def decode(self, data: bytearray, at: int, arrival_s: float) -> Frame:
        """The frame that begins at `at`."""

    def reset(self) -> None:
        """Forget a frame that was begun: the link was lost."""
        self.statistics.partial += bool(self._pending)
        self.statistics.resynchronised_bytes += len(self._pending)
        self._pending.clear()
        self._expected = self._good = None

    def feed(self, data: bytes, arrival_s: float) -> list[Frame]:
        pending, length, wrap = self._pending, self.length, 1 << self.sequence_bits
        pending += data
        frames, at = [], 0
        while len(pending) - at >= length:
            counter = self.counter(pending, at)
            if counter is not None and counter != self._expected:
                if len(pending) - at < (1 + self.confirmations) * length:
                    break  # what follows decides
                if not self._agree(pending, at, counter):
                    counter = None
            if counter is None:
                if self._expected is not None:
                    self._expected = None
                    setattr(self.statistics, self._damage, getattr(self.statistics, self._damage) + 1)
                self.statistics.resynchronised_bytes += 1
                at += 1
                continue
            frames.append(self.decode(pending, at, arrival_s))
            self._expected = self._good = (counter + 1) % wrap
            at += length
        del pending[:at]
        self.statistics.good += len(frames)
        return frames

    def _agree(self, data: bytearray, at: int, counter: int) -> bool:
        """Whether the frames behind this one count on from it."""
        wrap = 1 << self.sequence_bits
        near = wrap // 4
        hole = near if self._good is not None and (counter - self._good) % wrap < near else 0
        for ahead in range(1, 1 + self.confirmations):
            following = self.counter(data, at + ahead * self.length)
            if following is None or (following - counter - 1) % wrap > hole:
                return False
            counter = following
        return True
