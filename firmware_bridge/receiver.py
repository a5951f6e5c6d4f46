"""Bytes and link events to samples: one protocol parser and one clock, as a pure function of what arrives and when."""

from __future__ import annotations

import numpy as np

from firmware_bridge.boards import Board
from firmware_bridge.clock import Clock, Samples
from firmware_bridge.protocols import PARSERS


class Receiver:
    """What stands between a link and a monitor. Any chunking of the same bytes gives the same samples."""

    def __init__(self, board: Board) -> None:
        self.board = board
        self.parser = PARSERS[board.protocol](board)
        self.clock = Clock(board, self.parser.sequence_bits)

    def opened(self) -> None:
        self.parser.reset()
        self.clock.link_opened()

    def feed(self, data: bytes, arrival_s: float) -> list[Samples]:
        return _joined([s for frame in self.parser.feed(data, arrival_s) for s in self.clock.feed(frame)])


def _joined(samples: list[Samples]) -> list[Samples]:
    """Neighbours of one read as one: most boards send a sample a frame, and what follows works by the piece."""
    out: list[Samples] = []
    run: list[Samples] = []
    for one in samples:
        if run and not _follows(run[-1], one):
            out.append(_one(run))
            run = []
        run.append(one)
    return [*out, _one(run)] if run else out


def _follows(before: Samples, after: Samples) -> bool:
    return (
        not after.fresh
        and after.index == before.index + len(before.millivolts)
        and after.sampling_rate_hz == before.sampling_rate_hz
        and (after.lead, after.lead_off, after.clipped) == (before.lead, before.lead_off, before.clipped)
        and after.arrival_s == before.arrival_s
    )


def _one(run: list[Samples]) -> Samples:
    if len(run) == 1:
        return run[0]
    first = run[0]
    return Samples(
        first.index,
        np.concatenate([s.millivolts for s in run]),
        first.sampling_rate_hz,
        first.lead,
        first.arrival_s,
        first.lead_off,
        first.clipped,
        first.fresh,
    )
