"""Bytes that make no sense: which board could be speaking, and what is likely wrong. Suggestions, never decisions."""

from __future__ import annotations

from firmware_bridge.boards import BOARDS, Board
from firmware_bridge.frames import FrameStatistics
from firmware_bridge.protocols import PARSERS

_KEPT = 8192  # bytes that are looked at
_FEWEST = 64  # fewer say nothing
_JUDGED_AFTER_S = 3.0
_GOOD_FRAMES = 5
_EXPLAINED = 0.5  # of the bytes, by frames of a board that may be suggested
_TEXT = frozenset(b"\t\r\n" + bytes(range(32, 127)))


def suggest(data: bytes) -> tuple[str, ...]:
    """Boards that could have sent this, those first whose frames explain more of it; several may look the same."""
    found = []
    for board in BOARDS.values():
        parser = PARSERS[board.protocol](board)
        parser.feed(data, 0.0)
        said = parser.statistics
        explained = 1 - said.resynchronised_bytes / max(1, len(data))
        if _makes_sense(said) and explained >= _EXPLAINED:
            found.append((-explained, board.name))
    return tuple(name for _, name in sorted(found, key=lambda pair: pair[0]))


def _makes_sense(said: FrameStatistics) -> bool:
    return said.good >= _GOOD_FRAMES and 4 * (said.malformed + said.bad_checksum + said.unknown_type) < said.good


class Doubt:
    """Watches what comes through a link that was just opened, until it makes sense or there is something to say."""

    def __init__(self, board: Board, statistics: FrameStatistics) -> None:
        self._board, self._statistics = board, statistics
        self.opened()

    def opened(self) -> None:
        self._data = b""
        self._since_s: float | None = None
        self._settled = False
        self._before = (self._statistics.good, self._bad())

    def heard(self, data: bytes) -> None:
        if not self._settled:
            self._data = (self._data + data)[-_KEPT:]

    def says(self, now_s: float) -> str | None:
        """One line, once a link, some seconds after it was opened, if what comes makes no sense; None otherwise."""
        if self._settled:
            return None
        if self._since_s is None:
            self._since_s = now_s
        if now_s - self._since_s < _JUDGED_AFTER_S:
            return None
        data, self._data, self._settled = self._data, b"", True
        good, bad = self._statistics.good - self._before[0], self._bad() - self._before[1]
        if good >= _GOOD_FRAMES and bad <= 4 * good:
            return None
        return self._explain(data)

    def _bad(self) -> int:
        return self._statistics.malformed + self._statistics.bad_checksum

    def _explain(self, data: bytes) -> str:
        board = self._board
        if len(data) < _FEWEST:
            much = "next to nothing" if data else "nothing"
            return (
                f"open, and {much} comes: silent. Is the device switched on? Is it a {board.name}? "
                f"Its wires, its battery and its sketch are the usual reasons"
            )
        others = [name for name in suggest(data) if name != board.name]
        if others:
            names = ", ".join(others[:4])
            return (
                f"these bytes are not from a {board.name}; they look like {names}: wrong board? Try --board {others[0]}"
            )
        if sum(byte in _TEXT for byte in data) > 0.9 * len(data):
            line = data.split(b"\n")[-2 if data.count(b"\n") else -1].strip()[:40].decode("ascii", "replace")
            return f"it sends text and no samples ({line!r}): wrong board, or another sketch than the {board.name} has"
        return (
            f"bytes come that no board of the table sends: wrong baud rate? It is open at {board.baud}; "
            f"the device has to be set to that"
        )
