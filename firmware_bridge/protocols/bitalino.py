"""BITalino (r)evolution: packed frames without a sync word, known by a CRC of 4 bits and a counter of 4 bits.

Read from the last byte to the first, most significant bit first: sequence 4 | crc 4 | I1 I2 O1 O2 | the acquired inputs
in their order, four of 10 bits and then 6 bits each. The CRC (x^4 + x + 1, over the frame with its own bits zero) lets
one damaged frame in sixteen through, and a loss of 16 frames shows only in time.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from firmware_bridge.frames import Frame, Sent
from firmware_bridge.protocols.fixed import FixedFrames

if TYPE_CHECKING:
    from firmware_bridge.boards import Board

_RATES_HZ = (1, 10, 100, 1000)
_WIDE, _NARROW, _WIDE_INPUTS = 10, 6, 4


def rate_command(sampling_rate_hz: int) -> bytes:
    """Raises ValueError for a rate that the board does not have."""
    return bytes([_RATES_HZ.index(sampling_rate_hz) << 6 | 3])


def start_command(inputs: tuple[int, ...]) -> bytes:
    """Acquire these inputs: 0 is A1, 5 is A6."""
    return bytes([1 | sum(1 << 2 + i for i in inputs)])


def _remainders() -> tuple[bytes, ...]:
    """[remainder so far][next byte] to the remainder of both modulo x^4 + x + 1."""

    def reduced(value: int) -> int:
        for bit in range(11, 3, -1):
            if value >> bit & 1:
                value ^= 0b10011 << bit - 4
        return value

    return tuple(bytes(reduced(so_far << 8 | byte) for byte in range(256)) for so_far in range(16))


_REMAINDER = _remainders()


def crc4(frame: bytes | bytearray) -> int:
    """Of a whole frame, its own crc bits (the low half of the last byte) taken as zero."""
    crc = 0
    for byte in frame[:-1]:
        crc = _REMAINDER[crc][byte]
    return _REMAINDER[crc][frame[-1] & 0xF0]


@dataclass(frozen=True)
class Packet:
    """inputs: those that are acquired, in order; 0 is A1, 5 is A6."""

    inputs: tuple[int, ...]

    @property
    def length(self) -> int:
        n = len(self.inputs)
        bits = 12 + _WIDE * n if n <= _WIDE_INPUTS else 12 + _WIDE * _WIDE_INPUTS + _NARROW * (n - _WIDE_INPUTS)
        return -(-bits // 8)

    def shift(self, place: int) -> int:
        """How far the input at this place is above the lowest bit of the frame."""
        wide = min(place + 1, _WIDE_INPUTS)
        return 8 * self.length - 12 - _WIDE * wide - _NARROW * (place + 1 - wide)


def _packet(board: Board) -> tuple[Packet, int]:
    """The row's packet, and the place of its channel among the acquired inputs."""
    if not isinstance(board.body, Packet) or board.channel not in board.body.inputs[:_WIDE_INPUTS]:
        raise ValueError(f"board {board.name}: its row needs a bitalino.Packet with its channel among the first four")
    return board.body, board.body.inputs.index(board.channel)


class BitalinoParser(FixedFrames):
    sequence_bits = 4
    confirmations = 2  # four bits of CRC and four of counter are little
    _damage = "bad_checksum"

    def __init__(self, board: Board) -> None:
        super().__init__()
        packet, place = _packet(board)
        self.length = packet.length
        self._shift = packet.shift(place)

    def counter(self, data: bytearray, at: int) -> int | None:
        last = at + self.length - 1
        crc = 0
        for i in range(at, last):
            crc = _REMAINDER[crc][data[i]]
        tail = data[last]
        return tail >> 4 if _REMAINDER[crc][tail & 0xF0] == tail & 0x0F else None

    def decode(self, data: bytearray, at: int, arrival_s: float) -> Frame:
        bits = int.from_bytes(data[at : at + self.length], "little")
        count = bits >> self._shift & (1 << _WIDE) - 1
        return Frame(arrival_s, data[at + self.length - 1] >> 4, None, np.array([count], np.int32))


class BitalinoEncoder:
    """The other inputs rest at mid-scale; the digital lines are low."""

    def __init__(self, board: Board) -> None:
        self._packet, self._place = _packet(board)
        self._resting = sum(
            1 << self._packet.shift(place) + (_WIDE if place < _WIDE_INPUTS else _NARROW) - 1
            for place in range(len(self._packet.inputs))
            if place != self._place
        )

    def encode(self, sent: Sent) -> bytes:
        length = self._packet.length
        count, counter = int(sent.counts[0]), sent.sequence & 0x0F
        bits = self._resting | count << self._packet.shift(self._place) | counter << 8 * length - 4
        frame = bytearray(bits.to_bytes(length, "little"))
        frame[-1] |= crc4(frame)
        return bytes(frame)
