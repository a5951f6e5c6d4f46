"""Pure protocols: bytes to frames and back. `feed(bytes, arrival_s) -> frames`, any chunking, no port and no clock.

Each has a parser, and an encoder that says what a device of the same row would send; a board's row says the rest.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from firmware_bridge.frames import Frame, FrameStatistics, Sent
from firmware_bridge.protocols.ascii import AsciiEncoder, AsciiParser
from firmware_bridge.protocols.bitalino import BitalinoEncoder, BitalinoParser
from firmware_bridge.protocols.chords import ChordsEncoder, ChordsParser
from firmware_bridge.protocols.cyton import CytonEncoder, CytonParser
from firmware_bridge.protocols.native import NativeEncoder, NativeParser
from firmware_bridge.protocols.openview import OpenViewEncoder, OpenViewParser

if TYPE_CHECKING:
    from firmware_bridge.boards import Board


class Parser(Protocol):
    """sequence_bits: of the frames' counter; 0 where the protocol has none. Whatever the bytes: no exception."""

    statistics: FrameStatistics
    sequence_bits: int

    def feed(self, data: bytes, arrival_s: float) -> list[Frame]: ...

    def reset(self) -> None: ...


class Encoder(Protocol):
    """What the protocol has no place for is left out."""

    def encode(self, sent: Sent) -> bytes: ...


PARSERS: dict[str, Callable[[Board], Parser]] = {
    "ascii": AsciiParser,
    "bitalino": BitalinoParser,
    "chords": ChordsParser,
    "cyton": CytonParser,
    "native": NativeParser,
    "openview": OpenViewParser,
}
ENCODERS: dict[str, Callable[[Board], Encoder]] = {
    "ascii": AsciiEncoder,
    "bitalino": BitalinoEncoder,
    "chords": ChordsEncoder,
    "cyton": CytonEncoder,
    "native": NativeEncoder,
    "openview": OpenViewEncoder,
}
