"""What is missing before a frame: told by the device's clock, by a counter, or by nothing but silence.

Each way has `before(frame, rate_hz, known)`: samples missing, or None for a frame that has no place any more. `known`:
the rate is measured, and not a mere claim. `guessed`: that number came from the host's clock. `undecided`: it is not
known yet, and `found` will be what is missing before everything that came since.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from firmware_bridge.frames import Frame

_TIME_WRAP_US = 1 << 32
_JUMP_SAMPLES = 1.5  # a step of the device's clock beyond this is a loss, even if no frame is missing
SILENCE_S = 0.5  # between two frames: only the host's clock can tell how much is missing in it
_SETTLED_S = 0.25  # behind a silence: until then what had piled up has come, or it will not
_NOTHING_S = 0.05  # missing behind a silence is nothing: it was a stall
_NARROW_BITS = 8  # with fewer a frame that comes late cannot be told from a loss
_CLAIMED_WITHIN = 4  # a board's rate is what its row claims within this factor
_BACK_S = 1.0  # a device's clock that goes back by more was started again


@dataclass
class ClockStatistics:
    """lost_samples: missing while the link was up and the rate known. before_info: samples from before it was known
    what or how fast they are, that are in no window. retimed: times that the rate turned out to be another.
    """

    lost_frames: int = 0
    lost_samples: int = 0
    duplicates: int = 0
    late: int = 0
    before_info: int = 0
    restarts: int = 0
    refused_info: int = 0
    retimed: int = 0


class _Gaps:
    def __init__(self, statistics: ClockStatistics) -> None:
        self.statistics = statistics
        self.guessed = self.undecided = False
        self.found = 0
        self._last: Frame | None = None  # the last frame of any kind that was accepted
        self._sample_arrival_s: float | None = None
        self._link_was_lost = False
        self._restarted = False

    def link_opened(self) -> None:
        """What is missing from here on to the next frame was not lost on the wire."""
        self._link_was_lost = self._last is not None

    def restarted(self) -> None:
        """The device began anew: neither its counter nor its clock goes on."""
        self._restarted, self._last = True, None

    def _waited_s(self, frame: Frame) -> float:
        return 0.0 if self._sample_arrival_s is None else frame.arrival_s - self._sample_arrival_s

    def _gap(self, missing: float, uncounted: bool) -> int:
        gap = max(0, round(missing))
        if not uncounted:
            self.statistics.lost_samples += gap
        return gap


class BySilence(_Gaps):
    """Nothing counts and nothing tells the time: a damaged frame goes unseen.

    A silence is a loss of as much as does not come at once when it ends: a host or an adapter that stalled delivers.
    """

    def __init__(self, statistics: ClockStatistics) -> None:
        super().__init__(statistics)
        self._silent_since_s = self._ended_s = 0.0  # of the silence that is undecided
        self._came = 0  # samples since

    def link_opened(self) -> None:
        super().link_opened()
        self.undecided = False

    def before(self, frame: Frame, rate_hz: float, known: bool) -> int | None:
        before_s, waited_s = self._sample_arrival_s, self._waited_s(frame)
        lost_link, self._link_was_lost = self._link_was_lost, False
        self._last, self._sample_arrival_s, self.found = frame, frame.arrival_s, 0
        self.guessed = before_s is not None and (waited_s > SILENCE_S or lost_link)
        if before_s is None:
            return 0
        if self.undecided and waited_s > 0 and (self.guessed or before_s - self._ended_s >= _SETTLED_S):
            self._decide(before_s, rate_hz)  # at the end of a moment: all of its samples are counted
        self._came += len(frame.counts)
        if not self.guessed:
            return 0
        if lost_link or not known:
            return self._gap(waited_s * rate_hz - len(frame.counts), uncounted=True)
        self.undecided, self._silent_since_s, self._ended_s = True, before_s, frame.arrival_s
        self._came = len(frame.counts)
        return 0

    def _decide(self, now_s: float, rate_hz: float) -> None:
        missing = (now_s - self._silent_since_s) * rate_hz - self._came
        self.undecided = False
        self.found = self._gap(missing, uncounted=False) if missing > _NOTHING_S * rate_hz else 0


class ByCounter(_Gaps):
    """A counter without time. Losses of more than a wrap of it show only where they were a silence, too.

    A counter that goes on behind a silence is believed: that a link stalled and then delivered is likelier than that
    exactly a wrap was lost.
    """

    def __init__(self, statistics: ClockStatistics, bits: int) -> None:
        super().__init__(statistics)
        self._wrap, self._bits = 1 << bits, bits

    def before(self, frame: Frame, rate_hz: float, known: bool) -> int | None:
        last, size = self._last, len(frame.counts)
        waited_s = self._waited_s(frame)
        self.guessed = False
        if last is None or last.sequence is None or frame.sequence is None:
            self._last, self._sample_arrival_s = frame, frame.arrival_s
            return 0
        lost_link, self._link_was_lost = self._link_was_lost, False
        by_time = waited_s * rate_hz / size  # frames
        if lost_link:  # whoever is there now may count from anywhere
            self._last, self._sample_arrival_s, self.guessed = frame, frame.arrival_s, True
            return self._gap((by_time - 1) * size, lost_link)
        ahead = (frame.sequence - last.sequence) % self._wrap
        if waited_s > SILENCE_S and ahead != 1:
            # No more than fit into the time; less, where what was sent meanwhile had piled up somewhere.
            wraps = max(0, int((by_time - ahead) / self._wrap + 0.1))
            self.guessed = wraps > 0
            ahead += wraps * self._wrap
        elif ahead == 0 and np.array_equal(frame.counts, last.counts):
            self.statistics.duplicates += 1
            return None
        elif self._bits >= _NARROW_BITS and ahead > self._wrap // 2 and by_time < self._wrap // 4:
            self.statistics.late += 1
            return None
        ahead = ahead or self._wrap
        self._last, self._sample_arrival_s = frame, frame.arrival_s
        self.statistics.lost_frames += ahead - 1
        return self._gap((ahead - 1) * size, lost_link)


class ByDeviceTime(_Gaps):
    """The device's own clock, unwrapped, and its counter where it has one.

    says_restarts: the device says by itself that it was started again; else a clock that went back says so.
    """

    def __init__(self, statistics: ClockStatistics, bits: int, says_restarts: bool) -> None:
        super().__init__(statistics)
        self._wrap, self._says_restarts = 1 << bits, says_restarts
        self.elapsed_s = 0.0  # on the device's clock, since the first samples
        self._time_us = 0  # device time, still wrapped, of the last samples
        self._size = 0  # how many those were
        self._took_us: float | None = None  # by the rate of their time, where that was known
        self._frames_missing = 0  # since then

    def before(self, frame: Frame, rate_hz: float, known: bool) -> int | None:
        if not self._in_order(frame):
            return None
        if not len(frame.counts):
            return 0
        gap = self._before_samples(frame, rate_hz, known)
        self._time_us, self._size = frame.device_time_us or 0, len(frame.counts)
        self._took_us = self._size * 1e6 / rate_hz if known else None
        self._sample_arrival_s = frame.arrival_s
        return gap

    def _in_order(self, frame: Frame) -> bool:
        """Whether the frame is newer than the last one; counts what lies between."""
        last = self._last
        if last is not None and last.sequence is not None and frame.sequence is not None and not self._link_was_lost:
            ahead = (frame.sequence - last.sequence) % self._wrap
            if ahead == 0:
                self.statistics.duplicates += 1
                return False
            # More than half a wrap ahead is behind, unless the device's clock went on: then that much was lost.
            step_us = ((frame.device_time_us or 0) - (last.device_time_us or 0)) % _TIME_WRAP_US
            if ahead >= self._wrap // 2 and step_us >= _TIME_WRAP_US // 2:
                if self._says_restarts or ahead >= self._wrap - self._wrap // 256:
                    self.statistics.late += 1
                    return False
                self.restarted()  # both its counter and its clock are far behind
                self.statistics.restarts += 1
            else:
                self.statistics.lost_frames += ahead - 1
                self._frames_missing += ahead - 1
        self._last = frame
        return True

    def _before_samples(self, frame: Frame, rate_hz: float, known: bool) -> int:
        self.guessed = False
        if self._sample_arrival_s is None:
            return 0
        waited_s = self._waited_s(frame)
        lost_link, self._link_was_lost = self._link_was_lost, False
        frames_missing, self._frames_missing = self._frames_missing, 0
        step_us = float((frame.device_time_us or 0) - self._time_us) % _TIME_WRAP_US
        if step_us > _TIME_WRAP_US / 2 and waited_s * 1e6 < _TIME_WRAP_US / 2:
            step_us -= _TIME_WRAP_US  # a little early: rounding, or a rate that is not quite the stated one
        else:
            step_us += max(0, round((waited_s * 1e6 - step_us) / _TIME_WRAP_US)) * _TIME_WRAP_US
        if not self._says_restarts and not self._restarted:
            began_anew = step_us < -1e6 * _BACK_S
            if lost_link:
                began_anew |= abs(step_us * 1e-6 - waited_s) > 2.0 + 0.05 * waited_s
            self._restarted = began_anew
            self.statistics.restarts += began_anew
        if self._restarted:  # its clock began anew: only ours knows how long it was away
            self._restarted, self.guessed = False, True
            self.elapsed_s += max(0.0, waited_s)
            return max(0, round(waited_s * rate_hz))
        self.elapsed_s += step_us * 1e-6
        took_us = self._size * 1e6 / rate_hz if self._took_us is None else self._took_us
        missing = (step_us - took_us) * 1e-6 * rate_hz
        if not known:  # a claimed rate must not make gaps, or it would be measured as what it claims
            self.guessed = step_us * 1e-6 > SILENCE_S
            counted = frames_missing * self._size  # needs no rate, but a damaged counter that no checksum tells of
            if not self.guessed:
                return self._gap(counted if counted <= _CLAIMED_WITHIN * missing else 0, lost_link)
        if missing < _JUMP_SAMPLES and not lost_link and not frames_missing:
            return 0
        return self._gap(missing, lost_link)
