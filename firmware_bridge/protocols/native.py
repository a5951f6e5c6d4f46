"""The native frame: COBS-delimited, little endian, CRC-16/CCITT-FALSE, with sequence, device time, lead-off and units.

    0 version u8 = 1 | 1 type u8 | 2 sequence u16 | 4 device_time_us u32 | payload | crc u16

The stream describes itself (INFO), so that nobody types a gain; the layout is documented in docs/native-frame.md.
"""

from __future__ import annotations

import binascii
import struct
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from firmware_bridge.frames import Frame, FrameStatistics, Info, Sent

if TYPE_CHECKING:
    from firmware_bridge.boards import Board

VERSION = 1
SAMPLES, INFO, HELLO, START, STOP = 1, 2, 3, 4, 5
COMMANDS = {HELLO: "hello", START: "start", STOP: "stop"}
LEAD_OFF, CLIPPED, OVERRUN, LOW_BATTERY, WIDE = 1, 2, 4, 8, 16
LONGEST_FRAME = 1100  # 255 samples of 24 bits, or an INFO with three strings of 255 bytes, with COBS on top

_CRC_ORDER: Literal["little", "big"] = "little"
_HEADER = struct.Struct("<BBHI")
_INFO = struct.Struct("<IIIIiBBHH")
_INT16 = np.dtype("<i2")


def crc16(data: bytes) -> int:
    """CRC-16/CCITT-FALSE: 0x29B1 over b"123456789"."""
    return binascii.crc_hqx(data, 0xFFFF)


def residual(body: bytes) -> int:
    """Zero for a frame before COBS whose checksum is right."""
    return crc16(body[:-2]) ^ int.from_bytes(body[-2:], _CRC_ORDER)


def cobs_encode(data: bytes) -> bytes:
    """Consistent overhead byte stuffing (Cheshire and Baker 1999), without the delimiter."""
    out = bytearray()
    parts = data.split(b"\0")
    for number, part in enumerate(parts, 1):
        while len(part) >= 254:
            out += b"\xff" + part[:254]
            part = part[254:]
            if not part and number == len(parts):
                return bytes(out)  # a block of 254 that ends the data needs no empty block behind it
        out += bytes([len(part) + 1]) + part
    return bytes(out)


def cobs_decode(data: bytes) -> bytes | None:
    """None for what no encoder makes."""
    out, i = bytearray(), 0
    while i < len(data):
        code = data[i]
        block = data[i + 1 : i + code]
        if code == 0 or len(block) != code - 1 or 0 in block:
            return None
        out += block
        i += code
        if code < 255 and i < len(data):
            out.append(0)
    return bytes(out)


def _frame(kind: int, sequence: int, device_time_us: int, payload: bytes = b"") -> bytes:
    body = _HEADER.pack(VERSION, kind, sequence & 0xFFFF, device_time_us & 0xFFFFFFFF) + payload
    return cobs_encode(body + crc16(body).to_bytes(2, _CRC_ORDER)) + b"\0"


def encode_samples(
    sequence: int, device_time_us: int, counts: Sequence[int] | NDArray[np.integer], flags: int = 0
) -> bytes:
    """A SAMPLES frame of 1 to 255 counts; 24 bits each where one needs it. Raises ValueError beyond that."""
    values = np.asarray(counts, np.int64)
    if not 1 <= len(values) <= 255 or values.min() < -(1 << 23) or values.max() >= 1 << 23:
        raise ValueError("a SAMPLES frame holds 1 to 255 samples of at most 24 bits")
    if values.min() < -32768 or values.max() > 32767:
        flags |= WIDE
        raw = values.astype("<i4").view(np.uint8).reshape(-1, 4)[:, :3].tobytes()
    else:
        flags &= ~WIDE
        raw = values.astype("<i2").tobytes()
    return _frame(SAMPLES, sequence, device_time_us, bytes([flags, len(values)]) + raw)


def encode_info(sequence: int, device_time_us: int, info: Info) -> bytes:
    fixed = _INFO.pack(
        info.boot_id,
        info.rate_num,
        info.rate_den,
        info.picovolts_per_count,
        info.zero_count,
        info.bits,
        info.samples_per_frame,
        info.high_pass_mhz,
        info.low_pass_dhz,
    )
    strings = b"".join(bytes([len(s)]) + s for s in (x.encode()[:255] for x in (info.board, info.firmware, info.lead)))
    return _frame(INFO, sequence, device_time_us, fixed + strings)


def encode_command(command: str) -> bytes:
    """`hello`, `start` or `stop`, host to device."""
    return _frame({name: kind for kind, name in COMMANDS.items()}[command], 0, 0)


class NativeEncoder:
    """SAMPLES frames; what describes the stream is `encode_info`."""

    def __init__(self, board: Board | None = None) -> None:
        pass

    def encode(self, sent: Sent) -> bytes:
        flags = LEAD_OFF * sent.lead_off | CLIPPED * sent.clipped
        return encode_samples(sent.sequence, sent.device_time_us, sent.counts, flags)


class NativeParser:
    """Bytes to frames. A damaged frame is dropped whole; a damaged delimiter costs its two neighbours."""

    sequence_bits = 16

    def __init__(self, board: Board | None = None) -> None:
        self.statistics = FrameStatistics()
        self._pending = bytearray()
        self._skipping = False  # up to the next delimiter, whatever the chunks

    def reset(self) -> None:
        """Forget a frame that was begun: the link was lost."""
        self.statistics.partial += bool(self._pending)
        self.statistics.resynchronised_bytes += len(self._pending)
        self._pending.clear()
        self._skipping = False

    def feed(self, data: bytes, arrival_s: float) -> list[Frame]:
        self._pending += data
        *whole, rest = bytes(self._pending).split(b"\0")
        if whole and self._skipping:
            self.statistics.resynchronised_bytes += len(whole.pop(0)) + 1
            self._skipping = False
        if self._skipping or len(rest) > LONGEST_FRAME:  # no delimiter for longer than any frame: not our protocol
            self.statistics.resynchronised_bytes += len(rest)
            rest, self._skipping = b"", True
        self._pending = bytearray(rest)
        frames = [self._decode(chunk, arrival_s) for chunk in whole if chunk]
        return [frame for frame in frames if frame is not None]

    def _decode(self, chunk: bytes, arrival_s: float) -> Frame | None:
        body = cobs_decode(chunk) if len(chunk) <= LONGEST_FRAME else None
        if body is None or len(body) < _HEADER.size + 2:
            self.statistics.resynchronised_bytes += len(chunk) + 1
            return None
        if residual(body):
            self.statistics.bad_checksum += 1
            return None
        version, kind, sequence, time_us = _HEADER.unpack_from(body)
        payload = body[_HEADER.size : -2]
        if version != VERSION or kind not in (SAMPLES, INFO, *COMMANDS):
            self.statistics.unknown_type += 1
            return None
        if kind in COMMANDS:
            frame: Frame | None = Frame(arrival_s, sequence, time_us, command=COMMANDS[kind])
        elif kind == SAMPLES:
            frame = _samples(payload, arrival_s, sequence, time_us)
        else:
            info = _info(payload)
            frame = None if info is None else Frame(arrival_s, sequence, time_us, info=info)
        if frame is None:
            self.statistics.malformed += 1
        else:
            self.statistics.good += 1
        return frame


def _samples(payload: bytes, arrival_s: float, sequence: int, time_us: int) -> Frame | None:
    if len(payload) < 2:
        return None
    flags, count = payload[0], payload[1]
    width = 3 if flags & WIDE else 2
    if count == 0 or len(payload) != 2 + count * width:
        return None
    if width == 2:
        counts = np.frombuffer(payload, _INT16, offset=2).astype(np.int32)
    else:
        wide = np.zeros((count, 4), np.uint8)
        wide[:, 1:] = np.frombuffer(payload, np.uint8, offset=2).reshape(count, 3)
        counts = wide.view("<i4")[:, 0].astype(np.int32) >> 8
    return Frame(
        arrival_s,
        sequence,
        time_us,
        counts,
        lead_off=bool(flags & LEAD_OFF),
        clipped=bool(flags & CLIPPED),
        overrun=bool(flags & OVERRUN),
        low_battery=bool(flags & LOW_BATTERY),
    )


def _info(payload: bytes) -> Info | None:
    if len(payload) < _INFO.size:
        return None
    values = _INFO.unpack_from(payload)
    strings, at = [], _INFO.size
    for _ in range(3):
        if at >= len(payload):
            return None
        text = payload[at + 1 : at + 1 + payload[at]]
        if len(text) != payload[at]:
            return None
        strings.append(text.decode("utf-8", "replace"))
        at += 1 + payload[at]
    info = Info(*values, *strings)
    return info if info.rate_num > 0 and info.rate_den > 0 and info.picovolts_per_count > 0 else None
