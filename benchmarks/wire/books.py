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
    """What a receiver has to count: frames that are good, or came twice or late; samples before it was known what they
    are, and samples missing while the link was up."""

    good: int = 0
    duplicates: int = 0
    late: int = 0
    before_info: int = 0
    lost_samples: int = 0


class Books:
    """fates: samples of the frames that came whole, by what became of them. spoiled: joined to what was in front.
    gap_samples: missing between those that are received, for whatever reason.

    Of a board without a counter only `good` means anything.
    """

    def __init__(self, board: Board) -> None:
        self.counts = Counts()
        self.fates = dict.fromkeys(("received", "spoiled", "late", "before_info"), 0)
        self.gap_samples = 0
        self._delimiter = _DELIMITERS.get(board.protocol)
        self._describes_itself = board.picovolts_per_count is None
        self._lines = board.protocol == "ascii"
        self._last: int | None = None  # number of the last frame in order
        self._end: int | None = None  # behind the last sample that was received
        self._fate = ""  # of the last frame that came whole
        self._link_was_lost = False
        self.opened()

    def opened(self) -> None:
        self._at_start = not self._lines  # a line may have lost its beginning, a frame shows it
        self._confirmed = not self._describes_itself
        self._link_was_lost = self._last is not None

    def hear(self, piece: Piece) -> bool:
        """Whether the samples of this piece have to come out of a receiver."""
        if not piece.data:
            return False
        at_start = self._at_start
        if self._delimiter is not None:
            self._at_start = piece.data.endswith(self._delimiter)
        if piece.number < 0 or piece.damaged:
            return False
        fate = self._fate_of(piece) if at_start else "spoiled"
        if piece.samples and not piece.copy:
            self.fates[fate] += piece.samples
            self._fate = fate
        elif piece.samples and fate == "received":  # where the first of the two was not
            self.fates[self._fate] -= piece.samples
            self.fates[fate] += piece.samples
        return piece.samples > 0 and fate == "received"

    def _fate_of(self, piece: Piece) -> str:
        """Of a frame that stands by itself."""
        counts = self.counts
        counts.good += 1
        if self._describes_itself and not piece.samples:
            self._confirmed = True
        if not self._confirmed:
            counts.before_info += piece.samples
            return "before_info"
        if self._last is not None and not self._link_was_lost and piece.number <= self._last:
            counts.duplicates += piece.number == self._last
            counts.late += piece.number < self._last
            return "late"
        self._last = piece.number
        if piece.samples:
            gap = 0 if self._end is None else piece.first - self._end
            self.gap_samples += gap
            counts.lost_samples += 0 if self._link_was_lost else gap
            self._link_was_lost = False
            self._end = piece.first + piece.samples
        return "received"


@dataclass(frozen=True)
class Heard:
    """One piece, whether its samples had to come out, and what did; lead_off_samples: in frames that say so."""

    piece: Piece
    wanted: bool
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
