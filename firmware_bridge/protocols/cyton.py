"""OpenBCI Cyton: `A0 | counter u8 | 8 x i24 BE | 6 aux | C0..C6`, 33 bytes, 250 a second.

No checksum, and A0 occurs inside samples: a frame is taken on both of its ends and on the counter. The counter has 8
bits: a loss of 256 frames shows only in time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from firmware_bridge.frames import Frame, Sent
from firmware_bridge.protocols.fixed import FixedFrames

if TYPE_CHECKING:
    from firmware_bridge.boards import Board

_CHANNELS, _HEAD, _FIRST_FOOT, _LAST_FOOT = 8, 0xA0, 0xC0, 0xC6


class CytonParser(FixedFrames):
    length, sequence_bits = 33, 8

    def __init__(self, board: Board) -> None:
        super().__init__()
        self._sample = 2 + 3 * board.channel

    def counter(self, data: bytearray, at: int) -> int | None:
        if data[at] == _HEAD and _FIRST_FOOT <= data[at + 32] <= _LAST_FOOT:
            return data[at + 1]
        return None

    def decode(self, data: bytearray, at: int, arrival_s: float) -> Frame:
        first = at + self._sample
        count = int.from_bytes(data[first : first + 3], "big", signed=True)
        return Frame(arrival_s, data[at + 1], None, np.array([count], np.int32))


class CytonEncoder:
    """The other channels and the accelerometer are zero."""

    def __init__(self, board: Board) -> None:
        self._channel = board.channel

    def encode(self, sent: Sent) -> bytes:
        samples = bytearray(3 * _CHANNELS)
        samples[3 * self._channel : 3 * self._channel + 3] = int(sent.counts[0]).to_bytes(3, "big", signed=True)
        return bytes([_HEAD, sent.sequence & 0xFF, *samples, *bytes(6), _FIRST_FOOT])
