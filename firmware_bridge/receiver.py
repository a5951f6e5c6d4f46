"""Bytes and link events to samples: one protocol parser and one clock, as a pure function of what arrives and when."""

from __future__ import annotations

from firmware_bridge.boards import Board
from firmware_bridge.clock import Clock, Samples
from firmware_bridge.diagnosis import Doubt
from firmware_bridge.protocols import PARSERS

_REMARKABLE = 0.02  # of the declared rate


class Receiver:
    """What stands between a link and a monitor. Any chunking of the same bytes gives the same samples."""

    def __init__(self, board: Board) -> None:
        self.board = board
        self.parser = PARSERS[board.protocol](board)
        self.clock = Clock(board, self.parser.sequence_bits)
        self.doubt = Doubt(board, self.parser.statistics)
        self._remarked_hz: float | None = None

    def opened(self) -> None:
        self.parser.reset()
        self.clock.link_opened()
        self.doubt.opened()

    def feed(self, data: bytes, arrival_s: float) -> list[Samples]:
        self.doubt.heard(data)
        return self.clock.feed(*self.parser.feed(data, arrival_s))

    def says(self, now_s: float) -> str | None:
        """A line for whoever looks after the device, when there is one: a wrong rate, or bytes that make no sense."""
        declared, measured = self.board.sampling_rate_hz, self.clock.rate_hz
        if declared and measured and measured != self._remarked_hz and abs(measured / declared - 1) > _REMARKABLE:
            self._remarked_hz = measured
            return f"{self.board.name} says {declared:g} Hz and sends {measured:.1f}: the measured rate is used"
        return self.doubt.says(now_s)
