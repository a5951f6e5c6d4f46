"""Upside Down Labs Chords: `C7 7C | counter u8 | N x u16 BE | 01`.

No checksum: a frame is taken on both of its ends and on the counter, which has 8 bits; a loss of 256 frames shows only
in time.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from firmware_bridge.frames import Frame, Sent
from firmware_bridge.protocols.fixed import FixedFrames

if TYPE_CHECKING:
    from firmware_bridge.boards import Board

_HEAD, _FOOT = b"\xc7\x7c", 0x01


@dataclass(frozen=True)
class Packet:
    """channels: how many the board sends."""

    channels: int


def _packet(board: Board) -> Packet:
    if not isinstance(board.body, Packet) or not 0 <= board.channel < board.body.channels:
        raise ValueError(f"board {board.name}: its row needs a chords.Packet that has its channel")
    return board.body


class ChordsParser(FixedFrames):
    sequence_bits = 8

    def __init__(self, board: Board) -> None:
        super().__init__()
        self.length = 4 + 2 * _packet(board).channels
        self._sample = 3 + 2 * board.channel

    def counter(self, data: bytearray, at: int) -> int | None:
        if data[at] == _HEAD[0] and data[at + 1] == _HEAD[1] and data[at + self.length - 1] == _FOOT:
            return data[at + 2]
        return None

    def decode(self, data: bytearray, at: int, arrival_s: float) -> Frame:
        first = at + self._sample
        return Frame(arrival_s, data[at + 2], None, np.array([data[first] << 8 | data[first + 1]], np.int32))


class ChordsEncoder:
    """The other channels rest at mid-scale."""

    def __init__(self, board: Board) -> None:
        self._resting = [board.zero_count or 0] * _packet(board).channels
        self._channel = board.channel

    def encode(self, sent: Sent) -> bytes:
        values = list(self._resting)
        values[self._channel] = int(sent.counts[0])
        return _HEAD + bytes([sent.sequence & 0xFF]) + b"".join(v.to_bytes(2, "big") for v in values) + bytes([_FOOT])
