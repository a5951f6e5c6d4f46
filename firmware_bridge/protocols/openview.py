"""ProtoCentral's OpenView family: `0A FA | length u16 LE | type u8 | payload | (00) 0B`.

The same type and length mean different bodies on different boards, so a board's row says where its ECG is. There is no
checksum and (but for HeartyPatch) no counter: a damaged sample passes, and a lost packet shows only in time.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from firmware_bridge.frames import Frame, FrameStatistics, Sent

if TYPE_CHECKING:
    from firmware_bridge.boards import Board

_HEAD, _TAIL = b"\x0a\xfa", 0x0B
_HEADER = 5
LONGEST_PAYLOAD = 256  # no board of the family sends more than 50; more is a damaged length
_PARTIAL_S = 0.5  # a packet that was begun so long ago will not be finished
_RESPIRATION = 2  # where a packet without leads is told from a sample of zero


@dataclass(frozen=True)
class Packet:
    """Where a board's ECG is. Offsets in bytes inside the payload, little endian.

    kind, length: of the packets that carry it. width: bytes of a sample, `samples` of them, valid from bit `shift` on.
    lead_off: (offset, mask) of a byte that says so; zeros_are_off: a payload of zeros says so.
    sequence: offset of a u32 counter; seconds: of the device's time, u32 s and u32 us.
    """

    kind: int
    length: int
    ecg: int
    width: int
    samples: int = 1
    shift: int = 0
    lead_off: tuple[int, int] | None = None
    zeros_are_off: bool = False
    sequence: int | None = None
    seconds: int | None = None


def _packet(board: Board) -> Packet:
    if not isinstance(board.body, Packet):
        raise ValueError(f"board {board.name}: its row needs an openview.Packet")
    return board.body


class OpenViewParser:
    def __init__(self, board: Board) -> None:
        self.statistics = FrameStatistics()
        self._packet = _packet(board)
        self.sequence_bits = 32 if self._packet.sequence is not None else 0
        self._dtype = np.dtype(f"<i{self._packet.width}")
        self._pending = bytearray()
        self._arrival_s = 0.0

    def reset(self) -> None:
        """Forget a packet that was begun: the link was lost."""
        self.statistics.partial += bool(self._pending)
        self.statistics.resynchronised_bytes += len(self._pending)
        self._pending.clear()

    def feed(self, data: bytes, arrival_s: float) -> list[Frame]:
        if self._pending and arrival_s - self._arrival_s > _PARTIAL_S:
            self.reset()
        self._arrival_s = arrival_s
        pending, frames, at = self._pending, [], 0
        pending += data
        while True:
            found = pending.find(_HEAD, at)
            if found < 0:
                found = len(pending) - pending.endswith(_HEAD[:1])
            self.statistics.resynchronised_bytes += found - at
            at = found
            size = self._size(pending, at)
            if size is None:
                break
            if size == 0:
                self.statistics.malformed += 1
                self.statistics.resynchronised_bytes += 1
                at += 1
                continue
            frame = self._decode(bytes(pending[at + 2 : at + size]), arrival_s)
            if frame is None:
                self.statistics.unknown_type += 1
            else:
                self.statistics.good += 1
                frames.append(frame)
            at += size
        del pending[:at]
        return frames

    @staticmethod
    def _size(data: bytearray, at: int) -> int | None:
        """Bytes of the packet that begins at `at`: 0 where none can be, None while that cannot be told."""
        if len(data) - at < _HEADER:
            return None
        length = data[at + 2] | data[at + 3] << 8
        if not 1 <= length <= LONGEST_PAYLOAD:
            return 0
        end = at + _HEADER + length
        tail = data[end : end + 2]
        if not tail:
            return None
        if tail[0] == _TAIL:
            return end + 1 - at
        if tail[0] != 0:
            return 0
        if len(tail) < 2:
            return None
        return end + 2 - at if tail[1] == _TAIL else 0

    def _decode(self, data: bytes, arrival_s: float) -> Frame | None:
        """data: from the length on. None for a packet that carries something else."""
        packet, payload = self._packet, data[3:]
        if data[2] != packet.kind or int.from_bytes(data[:2], "little") != packet.length:
            return None
        raw = np.frombuffer(payload, self._dtype, packet.samples, packet.ecg)
        off = packet.lead_off is not None and payload[packet.lead_off[0]] & packet.lead_off[1] != 0
        off |= packet.zeros_are_off and not any(payload[: packet.length])
        sequence = time_us = None
        if packet.sequence is not None:
            (sequence,) = struct.unpack_from("<I", payload, packet.sequence)
        if packet.seconds is not None:
            seconds, us = struct.unpack_from("<II", payload, packet.seconds)
            time_us = (seconds * 1_000_000 + us) & 0xFFFFFFFF
        return Frame(arrival_s, sequence, time_us, raw.astype(np.int32) >> packet.shift, lead_off=off)


class OpenViewEncoder:
    """Whatever is no ECG is zero, but for what keeps a worn lead from looking like one that is off."""

    def __init__(self, board: Board) -> None:
        self._packet = _packet(board)
        self._dtype = np.dtype(f"<i{self._packet.width}")

    def encode(self, sent: Sent) -> bytes:
        packet = self._packet
        payload = bytearray(packet.length)
        if packet.zeros_are_off and not sent.lead_off:
            payload[_RESPIRATION] = 1
        if not (packet.zeros_are_off and sent.lead_off):
            raw = (np.asarray(sent.counts, np.int32) << packet.shift).astype(self._dtype).tobytes()
            payload[packet.ecg : packet.ecg + len(raw)] = raw
        if packet.lead_off is not None and sent.lead_off:
            payload[packet.lead_off[0]] |= packet.lead_off[1]
        if packet.sequence is not None:
            struct.pack_into("<I", payload, packet.sequence, sent.sequence & 0xFFFFFFFF)
        if packet.seconds is not None:
            struct.pack_into("<II", payload, packet.seconds, *divmod(sent.device_time_us, 1_000_000))
        return _HEAD + struct.pack("<HB", packet.length, packet.kind) + payload + bytes([0, _TAIL])
