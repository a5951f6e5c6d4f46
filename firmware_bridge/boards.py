"""Boards as data: what is on the other end of the cable."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Board:
    """One row of the table. None where the stream itself says it (the native INFO frame)."""

    name: str
    baud: int
    protocol: str
    sampling_rate_hz: float | None = None
    picovolts_per_count: float | None = None
    zero_count: int | None = None
    bits: int | None = None
    high_pass_hz: float | None = None
    low_pass_hz: float | None = None
    channel: int = 0
    lead: str | None = None
    lead_off: bool = False
    handshake: tuple[str, ...] = ()
    note: str = ""


BOARDS: dict[str, Board] = {
    board.name: board
    for board in (
        Board(
            name="native",
            baud=115200,
            protocol="native",
            lead_off=True,
            handshake=("hello", "start"),
            note="any device that speaks Leadwire's own frame; rate, gain and lead come with the stream",
        ),
    )
}
