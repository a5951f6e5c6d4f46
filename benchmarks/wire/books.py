"""What a receiver can have of the pieces that a simulated device sent: the rules of its protocol, frame by frame.

The ledger says what was done. These books add what follows from it on the wire: where a frame ends with a delimiter,
bytes that stand in front of it are part of it; a frame that comes behind a later one is late; and a device that has to
say what it sends is not understood before it has.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from firmware_bridge.boards import Board
from firmware_bridge.cable import Piece
from firmware_bridge.clock import Samples
from firmware_bridge.receiver import Receiver
from firmware_bridge.simulator import Wearable

_DELIMITERS = {"native": b"\0", "ascii": b"\n"}


@dataclass
class Counts:
    """Frames, and samples where the name says so. spoiled: whole, and joined to what was in front of them."""

    good: int = 0
    spoiled: int = 0
    duplicates: int = 0
    late: int = 0
    before_info: int = 0
    received_samples: int = 0
    lost_samples: int = 0
    unplugged_samples: int = 0


class Books:
    """Of a board with a counter that is wide enough; where there is none, `good` and `spoiled` alone mean anything."""

    def __init__(self, board: Board) -> None:
        self.counts = Counts()
        self._delimiter = _DELIMITERS.get(board.protocol)
        self._describes_itself = board.picovolts_per_count is None
        self._lines = board.protocol == "ascii"
        self._last: int | None = None  # number of the last frame in order
        self._end: int | None = None  # behind the last sample that was received
        self._link_was_lost = False
        self.opened()

    def opened(self) -> None:
        self._at_start = not self._lines  # a line may have lost its beginning, a frame shows it
        self._confirmed = not self._describes_itself
        self._link_was_lost = self._last is not None

    def hear(self, piece: Piece) -> tuple[int, int] | None:
        """First and number of the samples that have to come out of a receiver for this piece; None for none."""
        if not piece.data:
            return None
        at_start = self._at_start
        if self._delimiter is not None:
            self._at_start = piece.data.endswith(self._delimiter)
        if piece.number < 0 or piece.damaged:
            return None
        if not at_start:
            self.counts.spoiled += 1
            return None
        self.counts.good += 1
        if not self._in_order(piece):
            return None
        if not piece.samples:
            return None
        lost = 0 if self._end is None else piece.first - self._end
        if self._link_was_lost:
            self.counts.unplugged_samples += lost
        else:
            self.counts.lost_samples += lost
        self._link_was_lost = False
        self._end = piece.first + piece.samples
        self.counts.received_samples += piece.samples
        return piece.first, piece.samples

    def _in_order(self, piece: Piece) -> bool:
        if self._describes_itself and not piece.samples:
            self._confirmed = True
        if not self._confirmed:
            self.counts.before_info += piece.samples
            return False
        if self._last is not None and not self._link_was_lost and piece.number <= self._last:
            if piece.number == self._last:
                self.counts.duplicates += 1
            else:
                self.counts.late += 1
            return False
        self._last = piece.number
        return True


@dataclass(frozen=True)
class Heard:
    """One piece, what had to come out of it, and what did. flagged: frames' samples whose leads were off."""

    piece: Piece
    wanted: tuple[int, int] | None
    samples: list[Samples]
    lead_off_samples: int


class Witness:
    """A host that reads each piece as it comes, does its side of the talk, and keeps books beside its receiver."""

    def __init__(self, device: Wearable) -> None:
        self.device, self.receiver, self.books = device, Receiver(device.board), Books(device.board)

    def listen(self) -> Iterator[Heard]:
        self.receiver.opened()
        yield from self._described(0.0)
        plugged = True
        for piece in self.device.pieces():
            back = piece.plugged and not plugged
            plugged = piece.plugged
            if back:
                self.receiver.opened()
                self.books.opened()
            yield self._hear(piece)
            if back:
                yield from self._described(piece.due_s)

    def _described(self, at_s: float) -> Iterator[Heard]:
        if self.device.info is not None:
            yield self._hear(self.device.introduce(at_s))

    def _hear(self, piece: Piece) -> Heard:
        receiver = self.receiver
        receiver.doubt.heard(piece.data)
        frames = receiver.parser.feed(piece.data, piece.due_s)
        off = sum(len(frame.counts) for frame in frames if frame.lead_off)
        return Heard(piece, self.books.hear(piece), receiver.clock.feed(*frames), off)
