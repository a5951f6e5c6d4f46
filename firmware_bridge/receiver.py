"""Bytes and link events to samples: one protocol parser and one clock, as a pure function of what arrives and when."""

from __future__ import annotations

from firmware_bridge.boards import Board
from firmware_bridge.clock import Clock, Samples
from firmware_bridge.diagnosis import Doubt
from firmware_bridge.protocols import PARSERS


class Receiver:
    """What stands between a link and a monitor. Any chunking of the same bytes gives the same samples."""

    def __init__(self, board: Board) -> None:
        self.board = board
        self.parser = PARSERS[board.protocol](board)
        self.clock = Clock(board, self.parser.sequence_bits)
        self.doubt = Doubt(board, self.parser.statistics)

    def opened(self) -> None:
        self.parser.reset()
        self.clock.link_opened()
        self.doubt.opened()

    def feed(self, data: bytes, arrival_s: float) -> list[Samples]:
        self.doubt.heard(data)
        return self.clock.feed(*self.parser.feed(data, arrival_s))
