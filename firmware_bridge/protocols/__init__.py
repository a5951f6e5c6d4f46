"""Pure protocol parsers: `feed(bytes, arrival_s) -> frames`, any chunking, no port and no clock."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from firmware_bridge.frames import Frame, FrameStatistics
from firmware_bridge.protocols.native import NativeParser


class Parser(Protocol):
    statistics: FrameStatistics

    def feed(self, data: bytes, arrival_s: float) -> list[Frame]: ...

    def reset(self) -> None: ...


PARSERS: dict[str, Callable[[], Parser]] = {"native": NativeParser}
