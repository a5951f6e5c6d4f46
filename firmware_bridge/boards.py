"""Boards as data: what is on the other end of the cable. A board of a known protocol is one row here.

Gains: where a board's text does not state one, the row has its front end's data sheet value with the gain that the
board's own firmware sets, and a comment that says so. Where the amplifier is the user's choice the gain is nominal and
the note says it: intervals and rhythm hold, amplitudes in mV do not.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from firmware_bridge.protocols import ascii, bitalino, chords, native, openview

Body = ascii.Columns | openview.Packet | chords.Packet | bitalino.Packet


@dataclass(frozen=True)
class Step:
    """One step of a handshake: send this, then wait for an answer that ends with `until` (nothing: go on at once)."""

    send: bytes
    until: bytes = b""


@dataclass(frozen=True)
class Board:
    """One row of the table. None where the stream itself says it (the native INFO frame) or nobody knows.

    sampling_rate_hz: as declared; without device time it is measured. bits: of a count, which is unsigned where
    `zero_count` is above zero and two's complement where it is zero. high_pass_hz, low_pass_hz: the analogue band (-3
    dB), with the `poles` of the two filters. channel: which of the board's inputs, from 0. lead_off: the board can say
    that its electrodes are off. body: where things are inside the protocol's frame. farewell: sent before closing.
    """

    name: str
    baud: int
    protocol: str
    sampling_rate_hz: float | None = None
    picovolts_per_count: float | None = None
    zero_count: int | None = None
    bits: int | None = None
    high_pass_hz: float | None = None
    low_pass_hz: float | None = None
    poles: tuple[int, int] = (1, 2)
    channel: int = 0
    lead: str | None = None
    lead_off: bool = False
    handshake: tuple[Step, ...] = ()
    farewell: bytes = b""
    body: Body | None = None
    note: str = ""

    @property
    def count_range(self) -> tuple[int, int]:
        """Lowest and highest count. Raises ValueError where only the stream knows."""
        if self.bits is None or self.zero_count is None:
            raise ValueError(f"board {self.name}: its counts are known only from its stream")
        return (0, (1 << self.bits) - 1) if self.zero_count else (-(1 << self.bits - 1), (1 << self.bits - 1) - 1)

    @property
    def tells_time(self) -> bool:
        """Its samples carry the device's own time."""
        if isinstance(self.body, ascii.Columns):
            return self.body.time_ms is not None
        if isinstance(self.body, openview.Packet):
            return self.body.seconds is not None
        return self.protocol == "native"

    @property
    def off_changes_pace(self) -> bool:
        """While its leads are off its samples take another time: a `!` is a shorter line than a number."""
        return isinstance(self.body, ascii.Columns) and self.body.leads_off is None

    @property
    def samples_per_frame(self) -> int:
        return self.body.samples if isinstance(self.body, openview.Packet) else 1


_NOMINAL = "gain nominal: mV depend on the amplifier in front of it"

# AD8232 in the data sheet's cardiac monitor circuit, which the breakouts copy: gain 1100, two poles at 0.5 Hz and two
# at 40 Hz, its output around half of a 3.3 V supply. The ADC's reference decides the rest.
_AD8232: dict[str, Any] = {"protocol": "ascii", "high_pass_hz": 0.5, "low_pass_hz": 40.0, "poles": (2, 2)}
_AD8232_10_BIT = 3.3e12 / 1100 / 1024
_AD8232_ESP32: dict[str, Any] = {
    **_AD8232,
    "baud": 115200,
    "picovolts_per_count": 3.3e12 / 1100 / 4096,
    "zero_count": 2048,
    "bits": 12,
    "lead_off": True,
}

# ADS1292R: 2.42 V reference, 24 bits cut to the upper 16. ProtoCentral's firmware writes 0x60 into CH2SET, which is a
# gain of 12 (its comment says 6). The band: the converter's at 125 samples a second (0.262 of the rate), and the
# firmware's 0.5 Hz.
_ADS1292R: dict[str, Any] = {
    "protocol": "openview",
    "sampling_rate_hz": 125.0,
    "picovolts_per_count": 2.42e12 / 12 / (2**23 - 1) * 256,
    "zero_count": 0,
    "bits": 16,
    "high_pass_hz": 0.5,
    "low_pass_hz": 32.75,
}

# MAX30001 and MAX30003: 18 bits over +-1 V behind a gain of 20 (CNFG_ECG 0x805000: 20 V/V, 0.5 Hz, 40 Hz, 128 samples
# a second). Older firmware left-justifies the FIFO's word and puts its two lowest bits in the wrong place: the upper 16
# are right.
_MAX3000X: dict[str, Any] = {"protocol": "openview", "zero_count": 0, "high_pass_hz": 0.5, "low_pass_hz": 40.0}
_MAX3000X_18_BIT: dict[str, Any] = {**_MAX3000X, "bits": 18, "picovolts_per_count": 1e12 / 20 / 2**17}
_MAX3000X_16_BIT: dict[str, Any] = {**_MAX3000X, "bits": 16, "picovolts_per_count": 1e12 / 20 / 2**15}

# Chords: whatever is in front of the microcontroller's ADC; a gain of 1000 is what users of its amplifiers find.
_CHORDS: dict[str, Any] = {
    "baud": 230400,
    "protocol": "chords",
    "handshake": (Step(b"WHORU\n", until=b"\n"), Step(b"START\n")),
    "farewell": b"STOP\n",
}

# BITalino's ECG sensor: 3.3 V, 10 bits, gain 1100, 0.5 to 40 Hz (its data sheet); it sits on A2.
_BITALINO: dict[str, Any] = {
    "baud": 115200,
    "protocol": "bitalino",
    "sampling_rate_hz": 1000.0,
    "picovolts_per_count": 3.3e12 / 1100 / 1024,
    "zero_count": 512,
    "bits": 10,
    "high_pass_hz": 0.5,
    "low_pass_hz": 40.0,
    "channel": 1,
    "farewell": b"\x00",
}

_ROWS: tuple[dict[str, Any], ...] = (
    {
        "name": "native",
        "baud": 115200,
        "protocol": "native",
        "lead_off": True,
        "handshake": (Step(native.encode_command("hello")), Step(native.encode_command("start"))),
        "note": "any device that speaks Leadwire's own frame; rate, gain and lead come with the stream",
    },
    {
        **_AD8232,
        "name": "ad8232",
        "baud": 9600,
        "sampling_rate_hz": 190.0,
        "picovolts_per_count": _AD8232_10_BIT,
        "zero_count": 512,
        "bits": 10,
        "lead_off": True,
        "body": ascii.Columns(),
        "note": "SparkFun's sketch on a 3.3 V Arduino: a number a line, ! while leads are off; 9600 baud carry 190 Hz",
    },
    {
        **_AD8232,
        "name": "ad8232-5v",
        "baud": 9600,
        "sampling_rate_hz": 190.0,
        "picovolts_per_count": 5e12 / 1100 / 1024,
        "zero_count": 338,  # half of the chip's 3.3 V, seen by a converter of 5 V
        "bits": 10,
        "lead_off": True,
        "body": ascii.Columns(),
        "note": "the same on a 5 V Arduino",
    },
    {
        **_AD8232_ESP32,
        "name": "ad8232-esp32",
        "sampling_rate_hz": 500.0,
        "body": ascii.Columns(),
        "note": "the same on an ESP32, 12 bits; what it calls 500 Hz is measured",
    },
    {
        **_AD8232_ESP32,
        "name": "ad8232-plotter",
        "sampling_rate_hz": 500.0,
        "body": ascii.Columns(fields=3),
        "note": "three values a line, with labels (ECG:512) or without; the first is the ECG",
    },
    {
        **_AD8232_ESP32,
        "name": "ad8232-csv",
        "sampling_rate_hz": 250.0,
        "body": ascii.Columns(fields=4, time_ms=0, value=1, leads_off=2),
        "note": "timestamp_ms,raw,leads_off,bpm a line; time comes from the device",
    },
    {
        **_ADS1292R,
        "name": "healthypi-v3",
        "baud": 115200,
        "lead_off": True,
        "body": openview.Packet(2, 20, ecg=0, width=2, lead_off=(19, 0x01)),
        "note": "by USB; on a Pi's own UART take healthypi-v3-uart",
    },
    {
        **_ADS1292R,
        "name": "healthypi-v3-uart",
        "baud": 57600,
        "lead_off": True,
        "body": openview.Packet(2, 20, ecg=0, width=2, lead_off=(19, 0x01)),
    },
    {
        **_ADS1292R,
        "name": "healthypi-v4",
        "baud": 115200,
        "lead_off": True,
        "body": openview.Packet(2, 20, ecg=0, width=2, lead_off=(19, 0x1F)),
    },
    {
        **_MAX3000X_18_BIT,
        "name": "healthypi-5",
        "baud": 115200,
        "sampling_rate_hz": 125.0,
        "body": openview.Packet(2, 22, ecg=0, width=4),
        "note": "USB; a sample a packet",
    },
    {
        **_MAX3000X_18_BIT,
        "name": "healthypi-5-zephyr",
        "baud": 115200,
        "sampling_rate_hz": 125.0,
        "body": openview.Packet(3, 50, ecg=0, width=4, samples=8),
        "note": "USB; eight samples a packet",
    },
    {
        **_ADS1292R,
        "name": "ads1292r",
        "baud": 57600,
        "lead_off": True,
        "body": openview.Packet(2, 8, ecg=0, width=2, zeros_are_off=True),
        "note": "breakout and shield; a packet of zeros says that leads are off",
    },
    {
        **_ADS1292R,
        "name": "ads1292r-old",
        "baud": 57600,
        "body": openview.Packet(2, 20, ecg=0, width=2),
        "note": "breakout and shield with the older example: it does not say that leads are off",
    },
    {
        **_MAX3000X_18_BIT,
        "name": "max30001",
        "baud": 57600,
        "sampling_rate_hz": 128.0,
        "body": openview.Packet(2, 12, ecg=0, width=4),
    },
    {
        **_MAX3000X_16_BIT,
        "name": "max30001-old",
        "baud": 57600,
        "sampling_rate_hz": 128.0,
        "body": openview.Packet(2, 12, ecg=0, width=4, shift=16),
        "note": "library before 2: samples are left-justified, 65536 times as large",
    },
    {
        **_MAX3000X_16_BIT,
        "name": "max30003",
        "baud": 57600,
        "sampling_rate_hz": 125.0,
        "body": openview.Packet(2, 17, ecg=5, width=4, shift=16),
    },
    {
        **_MAX3000X_16_BIT,
        "name": "max30003-old",
        "baud": 57600,
        "sampling_rate_hz": 125.0,
        "body": openview.Packet(2, 12, ecg=5, width=4, shift=16),
    },
    {
        **_MAX3000X,
        "name": "heartypatch",
        "baud": 115200,
        "sampling_rate_hz": 128.0,
        "picovolts_per_count": 1e6,  # its own client divides by 1000 for mV
        "bits": 18,
        "body": openview.Packet(3, 48, ecg=16, width=4, samples=8, sequence=0, seconds=4),
        "note": "TCP 4567: socat pty,raw,echo=0,link=/tmp/heartypatch tcp:ADDRESS:4567 makes it a port",
    },
    {
        "name": "cyton",
        "baud": 115200,
        "protocol": "cyton",
        "sampling_rate_hz": 250.0,
        "picovolts_per_count": 4.5e12 / 24 / (2**23 - 1),
        "zero_count": 0,
        "bits": 24,
        "low_pass_hz": 65.0,  # ADS1299's own, 0.262 of the rate; it is coupled to DC
        "handshake": (Step(b"v", until=b"$$$"), Step(b"d", until=b"$$$"), Step(b"b")),
        "farewell": b"s",
        "note": "OpenBCI, first channel, gain 24 as the board starts",
    },
    {
        **_CHORDS,
        "name": "chords-uno-r3",
        "sampling_rate_hz": 250.0,
        "picovolts_per_count": 5e12 / 1000 / 2**10,
        "zero_count": 512,
        "bits": 10,
        "body": chords.Packet(6),
        "note": f"Arduino UNO R3; {_NOMINAL}",
    },
    {
        **_CHORDS,
        "name": "chords-uno-r4",
        "sampling_rate_hz": 500.0,
        "picovolts_per_count": 5e12 / 1000 / 2**14,
        "zero_count": 8192,
        "bits": 14,
        "body": chords.Packet(6),
        "note": f"Arduino UNO R4; {_NOMINAL}",
    },
    {
        **_CHORDS,
        "name": "chords-nano",
        "sampling_rate_hz": 250.0,
        "picovolts_per_count": 5e12 / 1000 / 2**10,
        "zero_count": 512,
        "bits": 10,
        "body": chords.Packet(8),
        "note": f"Arduino Nano; many clones need 115200 baud; {_NOMINAL}",
    },
    {
        **_CHORDS,
        "name": "chords-pico",
        "sampling_rate_hz": 500.0,
        "picovolts_per_count": 3.3e12 / 1000 / 2**12,
        "zero_count": 2048,
        "bits": 12,
        "body": chords.Packet(3),
        "note": f"Raspberry Pi Pico; {_NOMINAL}",
    },
    {
        **_CHORDS,
        "name": "chords-mega",
        "sampling_rate_hz": 250.0,
        "picovolts_per_count": 5e12 / 1000 / 2**10,
        "zero_count": 512,
        "bits": 10,
        "body": chords.Packet(16),
        "note": f"Arduino Mega; {_NOMINAL}",
    },
    {
        **_BITALINO,
        "name": "bitalino",
        "handshake": (Step(bitalino.rate_command(1000)), Step(bitalino.start_command((1,)))),
        "body": bitalino.Packet((1,)),
        "note": "(r)evolution, the ECG on A2 alone",
    },
    {
        **_BITALINO,
        "name": "bitalino-6",
        "handshake": (Step(bitalino.rate_command(1000)), Step(bitalino.start_command((0, 1, 2, 3, 4, 5)))),
        "body": bitalino.Packet((0, 1, 2, 3, 4, 5)),
        "note": "(r)evolution with all six inputs on, the ECG on A2",
    },
)

BOARDS: dict[str, Board] = {row["name"]: Board(**row) for row in _ROWS}
