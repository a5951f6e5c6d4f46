"""Numbers as text, a line a sample: the AD8232 sketch and its many relatives.

`512`, `ECG:512`, `v1,v2,v3`, `timestamp_ms,raw,leads_off,bpm`; `!` alone says that leads are off; a banner may come
first. There is no checksum and no counter: `512` that loses a digit is a good `52`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from firmware_bridge.frames import Frame, FrameStatistics, Sent

if TYPE_CHECKING:
    from firmware_bridge.boards import Board

LONGEST_LINE = 256
_FIELD = re.compile(rb"^(?:[A-Za-z]\w{0,31}[:=])?([+-]?\d{1,10})$")
_LABEL_END = re.compile(rb"([:=])\s+")
_BETWEEN = re.compile(rb"\s*[,;\t]\s*|\s+")
_LEADS_OFF = b"!"


@dataclass(frozen=True)
class Columns:
    """fields: how many values a line has; the others are places among them, from 0."""

    fields: int = 1
    value: int = 0
    time_ms: int | None = None
    leads_off: int | None = None


def _columns(board: Board) -> Columns:
    if not isinstance(board.body, Columns):
        raise ValueError(f"board {board.name}: its row needs ascii.Columns")
    return board.body


class AsciiParser:
    sequence_bits = 0

    def __init__(self, board: Board) -> None:
        self.statistics = FrameStatistics()
        self._columns = _columns(board)
        self._low, self._high = board.count_range
        self._zero = board.zero_count or 0
        self._pending = bytearray()
        self._begun = False  # a line's end was seen: what comes next begins where it should
        self._skipping = False  # a line that is too long, up to its end

    def reset(self) -> None:
        """Forget a line that was begun: the link was lost. The next one may have lost its beginning."""
        self.statistics.partial += bool(self._pending)
        self.statistics.resynchronised_bytes += len(self._pending)
        self._pending.clear()
        self._begun = self._skipping = False

    def feed(self, data: bytes, arrival_s: float) -> list[Frame]:
        self._pending += data
        *lines, rest = bytes(self._pending).split(b"\n")
        frames = []
        for line in lines:
            if self._skipping or not self._begun or len(line) > LONGEST_LINE:
                self.statistics.partial += not self._begun and bool(line)
                self.statistics.resynchronised_bytes += len(line) + 1
                self._begun, self._skipping = True, False
                continue
            frame = self._line(line.strip(), arrival_s)
            if frame is not None:
                frames.append(frame)
        if self._skipping or len(rest) > LONGEST_LINE:
            self.statistics.resynchronised_bytes += len(rest)
            rest, self._skipping = b"", True
        self._pending = bytearray(rest)
        self.statistics.good += len(frames)
        return frames

    def _line(self, line: bytes, arrival_s: float) -> Frame | None:
        columns = self._columns
        if line == _LEADS_OFF:  # a sample's time with no sample in it
            return Frame(arrival_s, None, None, np.array([self._zero], np.int32), lead_off=True)
        if not line:
            return None
        found = [_FIELD.match(field) for field in _BETWEEN.split(_LABEL_END.sub(rb"\1", line))]
        values = [int(match[1]) for match in found if match is not None]
        if len(values) != len(found) or len(values) != columns.fields:
            self.statistics.malformed += 1
            return None
        value = values[columns.value]
        if not self._low <= value <= self._high:
            self.statistics.malformed += 1
            return None
        time_us = None if columns.time_ms is None else values[columns.time_ms] * 1000 & 0xFFFFFFFF
        off = columns.leads_off is not None and values[columns.leads_off] != 0
        return Frame(arrival_s, None, time_us, np.array([value], np.int32), lead_off=off)


class AsciiEncoder:
    """As the sketches print it; a column that no one asked for is zero."""

    def __init__(self, board: Board) -> None:
        self._columns = _columns(board)
        self._labelled = self._columns.fields > 1 and self._columns.time_ms is None

    def encode(self, sent: Sent) -> bytes:
        columns = self._columns
        if sent.lead_off and columns.leads_off is None:
            return _LEADS_OFF + b"\r\n"
        values = [0] * columns.fields
        values[columns.value] = int(sent.counts[0])
        if columns.time_ms is not None:
            values[columns.time_ms] = round(sent.device_time_us / 1000)
        if columns.leads_off is not None:
            values[columns.leads_off] = int(sent.lead_off)
        text = [f"V{place}:{value}" if self._labelled else str(value) for place, value in enumerate(values)]
        return ",".join(text).encode() + b"\r\n"
