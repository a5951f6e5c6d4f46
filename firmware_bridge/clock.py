"""Frames to samples on one timeline: the device's own clock, unwrapped, with its gaps.

The timeline counts samples from the first one that was received. It never goes backwards; what was lost leaves a jump
of the index, as long as the device's clock says.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from firmware_bridge.frames import Frame, Info, to_millivolts

_TIME_WRAP_US = 1 << 32
_SEQUENCE_WRAP = 1 << 16
SLOWEST_HZ, FASTEST_HZ = 20.0, 20_000.0  # beyond these a stated rate is damage or malice
_JUMP_SAMPLES = 1.5  # a step of the device's clock beyond this is a loss, even if no frame is missing


@dataclass(frozen=True)
class Samples:
    """Neighbouring samples. `index`: place of the first on the timeline; a jump from the last end is a gap.

    fresh: nothing before them belongs with them, since the device restarted or became another lead or rate.
    """

    index: int
    millivolts: NDArray[np.float64]
    sampling_rate_hz: float
    lead: str
    arrival_s: float
    lead_off: bool = False
    clipped: bool = False
    fresh: bool = False


@dataclass
class ClockStatistics:
    """lost_samples: missing while the link was up. before_info: samples that came before the stream said what it is."""

    lost_frames: int = 0
    lost_samples: int = 0
    duplicates: int = 0
    late: int = 0
    before_info: int = 0
    restarts: int = 0
    refused_info: int = 0


class Clock:
    """Places frames on the timeline by sequence and device time. Pure: arrival times come with the frames."""

    def __init__(self) -> None:
        self.statistics = ClockStatistics()
        self.info: Info | None = None
        self._confirmed = False  # an INFO was seen since the link was opened
        self._end = 0  # next index
        self._last: Frame | None = None  # the last frame of any kind that was accepted
        self._expected_us: float | None = None  # device time, still wrapped, of the next sample
        self._sample_arrival_s = 0.0
        self._frames_missing = False  # since the last samples
        self._link_was_lost = False
        self._restarted = False
        self._fresh = False

    def link_opened(self) -> None:
        """The link is new: whoever is there must say again what it is, and what is missing was not lost on the wire."""
        self._confirmed = False
        self._link_was_lost = self._last is not None

    def feed(self, frame: Frame) -> Samples | None:
        """The frame's samples in their place; None for a frame without any, or one that cannot be placed."""
        if frame.info is not None:
            self._describe(frame.info)
        if not self._confirmed or self.info is None:
            self.statistics.before_info += len(frame.counts)
            return None
        if frame.command is not None or not self._in_order(frame):
            return None
        if not len(frame.counts):
            return None
        rate = self.info.sampling_rate_hz
        self._end += self._gap(frame, rate)
        self._expected_us = (frame.device_time_us or 0) + len(frame.counts) * 1e6 / rate
        self._sample_arrival_s = frame.arrival_s
        millivolts = to_millivolts(frame.counts, self.info.picovolts_per_count, self.info.zero_count)
        lead = self.info.lead or "ECG"
        fresh, self._fresh = self._fresh, False
        placed = Samples(self._end, millivolts, rate, lead, frame.arrival_s, frame.lead_off, frame.clipped, fresh)
        self._end += len(millivolts)
        return placed

    def _describe(self, info: Info) -> None:
        if not SLOWEST_HZ <= info.sampling_rate_hz <= FASTEST_HZ:
            self.statistics.refused_info += 1
            return
        before = self.info
        if before is not None and info.boot_id != before.boot_id:
            self.statistics.restarts += 1
            self._restarted, self._last = True, None
        if before is not None and info != before:
            self._fresh = True
            self._end = round(self._end * info.sampling_rate_hz / before.sampling_rate_hz)
        self.info, self._confirmed = info, True

    def _in_order(self, frame: Frame) -> bool:
        """Whether the frame is newer than the last one; counts what lies between."""
        if self._last is not None and self._last.sequence is not None and frame.sequence is not None:
            ahead = (frame.sequence - self._last.sequence) % _SEQUENCE_WRAP
            if not self._link_was_lost:
                if ahead == 0:
                    self.statistics.duplicates += 1
                    return False
                # More than half a wrap ahead is behind, unless the device's clock went on: then that much was lost.
                step_us = ((frame.device_time_us or 0) - (self._last.device_time_us or 0)) % _TIME_WRAP_US
                if ahead >= _SEQUENCE_WRAP // 2 and step_us >= _TIME_WRAP_US // 2:
                    self.statistics.late += 1
                    return False
                self.statistics.lost_frames += ahead - 1
                self._frames_missing |= ahead > 1
        self._last = frame
        return True

    def _gap(self, frame: Frame, rate: float) -> int:
        """Samples missing before this frame."""
        if self._expected_us is None:
            return 0
        waited_s = frame.arrival_s - self._sample_arrival_s
        lost_link, self._link_was_lost = self._link_was_lost, False
        frames_missing, self._frames_missing = self._frames_missing, False
        if self._restarted:  # its clock began anew: only ours knows how long it was away
            self._restarted = False
            return max(0, round(waited_s * rate))
        step_us = ((frame.device_time_us or 0) - self._expected_us) % _TIME_WRAP_US
        if step_us > _TIME_WRAP_US / 2 and waited_s * 1e6 < _TIME_WRAP_US / 2:
            step_us -= _TIME_WRAP_US  # a little early: rounding, or a rate that is not quite the stated one
        else:
            step_us += max(0, round((waited_s * 1e6 - step_us) / _TIME_WRAP_US)) * _TIME_WRAP_US
        missing = step_us * 1e-6 * rate
        if missing < _JUMP_SAMPLES and not lost_link and not frames_missing:
            return 0
        gap = max(0, round(missing))
        if not lost_link:
            self.statistics.lost_samples += gap
        return gap
