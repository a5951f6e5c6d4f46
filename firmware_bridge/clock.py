"""Frames to samples on one timeline: the device's own clock, unwrapped, with its gaps.

The timeline counts samples from the first one that was received. It never goes backwards; what was lost leaves a jump
of the index. A native stream says its rate. Every other board's is measured, on the device's clock where it tells the
time and on ours where it does not; until it is known within 1 % its samples are held back, and then all of them come
with the rate that was found. So are, for a moment, those behind a silence, until it is known whether it was a loss.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from firmware_bridge.boards import BOARDS, Board
from firmware_bridge.frames import Frame, Info, to_millivolts
from firmware_bridge.gaps import ByCounter, ByDeviceTime, BySilence, ClockStatistics
from firmware_bridge.rate import FASTEST_HZ, SLOWEST_HZ, WITHIN, RateMeter

_DEVICE_US_PER_S = (1e3, 1e9)  # of ours: a simulated device may be played faster than life
_DRIFT_POINT_S, _DRIFT_LONGEST_S = 1.0, 600.0
_MOST_HELD = 20_000  # frames whose rate is not known yet; the oldest go first


@dataclass(frozen=True)
class Scale:
    """What a count means. bits: of a count, None where nobody says. count_range: at its ends the converter may have
    been overdriven.
    """

    picovolts_per_count: float = 1000.0
    zero_count: int = 0
    lead: str = "ECG"
    bits: int | None = None
    count_range: tuple[int, int] | None = None


@dataclass(frozen=True)
class Samples:
    """Neighbouring samples. `index`: place of the first on the timeline; a jump from the last end is a gap.

    fresh: nothing before them belongs with them, since the device restarted or became another lead or rate. scale: what
    made millivolts of the device's counts.
    """

    index: int
    millivolts: NDArray[np.float64]
    sampling_rate_hz: float
    lead: str
    arrival_s: float
    lead_off: bool = False
    clipped: bool = False
    fresh: bool = False
    scale: Scale = Scale()


@dataclass(slots=True)
class _Placed:
    index: int
    frame: Frame
    rate_hz: float
    scale: Scale
    fresh: bool = False


class Clock:
    """Places frames on the timeline. Pure: arrival times come with the frames."""

    def __init__(self, board: Board = BOARDS["native"], sequence_bits: int = 16) -> None:
        self.statistics = ClockStatistics()
        self.info: Info | None = None
        self.meter = RateMeter()
        self._drift = RateMeter(*_DEVICE_US_PER_S, point_s=_DRIFT_POINT_S, longest_s=_DRIFT_LONGEST_S)
        self._board = board
        self._describes_itself = board.picovolts_per_count is None
        self._gaps: ByDeviceTime | ByCounter | BySilence
        if board.tells_time:
            self._gaps = ByDeviceTime(self.statistics, sequence_bits, says_restarts=self._describes_itself)
        elif sequence_bits:
            self._gaps = ByCounter(self.statistics, sequence_bits)
        else:
            self._gaps = BySilence(self.statistics)
        self._scale = _scale_of(board)
        self._confirmed = not self._describes_itself  # an INFO was seen since the link was opened
        self._rate: float | None = None  # stated by the stream, or measured
        self._last_rate: float | None = None  # the one that the timeline's indices are in
        self._held: list[tuple[int, Frame]] = []
        self._end = 0  # next index
        self._counted = 0  # samples, whatever the rate of their time: what the meter sees
        self._fresh = False
        self._lead_was_off = False

    @property
    def rate_hz(self) -> float | None:
        """The sampling rate that is in use: stated by the stream, or measured; None while it is not known."""
        return self._rate

    @property
    def drift_ppm(self) -> float | None:
        """How much faster the device's clock is than this machine's, where the device tells the time; from 20 s on."""
        return None if self._drift.hz is None else self._drift.hz - 1e6

    @property
    def measuring(self) -> bool:
        """Samples come, and are held back until it is known how fast."""
        return self._rate is None and bool(self._held)

    def link_opened(self) -> None:
        """The link is new: whoever is there must say again what it is, and what is missing was not lost on the wire."""
        self._confirmed = not self._describes_itself
        self._gaps.link_opened()
        self.meter.restart()
        self._drift.skip()
        self._drop_held(len(self._held))

    def feed(self, *frames: Frame) -> list[Samples]:
        """The frames' samples in their places, behind those that were held back; none for what cannot be placed.

        Neighbours of one arrival are joined: most boards send a sample a frame, and what follows works by the piece.
        """
        placed = [p for frame in frames for p in self._place(frame)]
        runs: list[list[_Placed]] = []
        for one in placed:
            if runs and _follows(runs[-1][-1], one):
                runs[-1].append(one)
            else:
                runs.append([one])
        return [samples for run in runs for samples in _samples_of(run)]

    def _place(self, frame: Frame) -> list[_Placed]:
        if frame.info is not None:
            self._describe(frame.info)
        if not self._confirmed:
            self.statistics.before_info += len(frame.counts)
            return []
        if frame.command is not None:
            return []
        claimed = self._board.sampling_rate_hz or SLOWEST_HZ
        gap = self._gaps.before(frame, self._rate or self._last_rate or claimed, self._rate is not None)
        if gap is None or not len(frame.counts):
            return []
        if isinstance(self._gaps, ByDeviceTime):
            if self._gaps.guessed:
                self._drift.skip()
            self._drift.add(frame.arrival_s, round(self._gaps.elapsed_s * 1e6))
        decided = self._decided()
        gap = self._continue(frame, gap)
        self._held.append((self._end + gap, frame))
        self._end += gap + len(frame.counts)
        self._counted += gap + len(frame.counts)
        if not self._describes_itself and self.meter.add(self._time_s(frame), self._counted):
            self._retime(self.meter.hz)
        if self._rate is None or self._gaps.undecided:
            if len(self._held) > _MOST_HELD:
                self._drop_held(_MOST_HELD // 2)
            return decided
        return decided + self._release(self._rate)

    def _decided(self) -> list[_Placed]:
        """What was held behind a silence moves to where it belongs; and goes, where another silence came after it."""
        if self._gaps.found:
            self._held = [(index + self._gaps.found, frame) for index, frame in self._held]
            self._end += self._gaps.found
        return self._release(self._rate) if self._gaps.guessed and self._rate is not None else []

    def _release(self, rate_hz: float) -> list[_Placed]:
        ready, self._held = self._held, []
        placed = [_Placed(index, frame, rate_hz, self._scale) for index, frame in ready]
        if self._fresh and placed:
            self._fresh = False
            placed[0] = replace(placed[0], fresh=True)
        return placed

    def _continue(self, frame: Frame, gap: int) -> int:
        """The gap before the frame; begins a new measurement where what comes does not go on from what was."""
        repaced = self._board.off_changes_pace and frame.lead_off != self._lead_was_off
        self._lead_was_off = frame.lead_off
        if repaced:
            self.meter.restart()
            self._rate = None
        elif self._gaps.guessed:
            self.meter.skip()
        if repaced or (self._gaps.guessed and self._rate is None):
            self._drop_held(len(self._held))
        return gap if self._last_rate is not None or self._held else 0  # nothing is before the timeline's beginning

    def _time_s(self, frame: Frame) -> float:
        return self._gaps.elapsed_s if isinstance(self._gaps, ByDeviceTime) else frame.arrival_s

    def _retime(self, measured_hz: float | None) -> None:
        """From the oldest sample that is still held the timeline goes on at this rate, where it is another."""
        if measured_hz is None or (self._rate is not None and abs(measured_hz / self._rate - 1) <= WITHIN):
            return
        if self._last_rate is not None:
            first = self._held[0][0]
            shift = round(first * measured_hz / self._last_rate) - first
            self._held = [(index + shift, frame) for index, frame in self._held]
            self._end += shift
            self.statistics.retimed += abs(measured_hz / self._last_rate - 1) > WITHIN
        self._rate = self._last_rate = measured_hz
        self._fresh = True

    def _drop_held(self, count: int) -> None:
        self.statistics.before_info += sum(len(frame.counts) for _, frame in self._held[:count])
        del self._held[:count]

    def _describe(self, info: Info) -> None:
        if not SLOWEST_HZ <= info.sampling_rate_hz <= FASTEST_HZ or not info.picovolts_per_count:
            self.statistics.refused_info += 1
            return
        before = self.info
        if before is not None and info.boot_id != before.boot_id:
            self.statistics.restarts += 1
            self._gaps.restarted()
        if before is not None and info != before:
            self._fresh = True
            self._end = round(self._end * info.sampling_rate_hz / before.sampling_rate_hz)
            self.meter.restart()
        self.info, self._confirmed = info, True
        self._rate = self._last_rate = info.sampling_rate_hz
        self._scale = Scale(info.picovolts_per_count, info.zero_count, info.lead or "ECG", info.bits)


def _follows(before: _Placed, after: _Placed) -> bool:
    a, b = before.frame, after.frame
    return (
        not after.fresh
        and after.index == before.index + len(a.counts)
        and (after.rate_hz, after.scale) == (before.rate_hz, before.scale)
        and (b.arrival_s, b.lead_off, b.clipped) == (a.arrival_s, a.lead_off, a.clipped)
    )


def _samples_of(run: list[_Placed]) -> list[Samples]:
    first, scale = run[0], run[0].scale
    counts = first.frame.counts if len(run) == 1 else np.concatenate([placed.frame.counts for placed in run])
    clipped = first.frame.clipped
    if scale.count_range is not None and not clipped:
        clipped = bool(counts.min() <= scale.count_range[0] or counts.max() >= scale.count_range[1])
        if clipped and len(run) > 1:  # only those frames that are, however many came at once
            return [samples for placed in run for samples in _samples_of([placed])]
    return [
        Samples(
            first.index,
            to_millivolts(counts, scale.picovolts_per_count, scale.zero_count),
            first.rate_hz,
            scale.lead,
            first.frame.arrival_s,
            first.frame.lead_off,
            clipped,
            first.fresh,
            scale,
        )
    ]


def _scale_of(board: Board) -> Scale:
    """What the row says; nothing yet for a stream that describes itself."""
    if board.picovolts_per_count is None or board.zero_count is None:
        return Scale()
    return Scale(board.picovolts_per_count, board.zero_count, board.lead or "ECG", board.bits, board.count_range)
