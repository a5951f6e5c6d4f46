"""The way from a device's encoder to the host's port, as pieces of bytes, and what can happen to them on it.

Each function takes pieces and gives pieces, and writes into the ledger what it did; none knows what is in a frame. The
same pieces, numbers and random source give the same pieces.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field, replace
from random import Random

_BANNER = b"\r\nboot: power on\r\nfirmware 1.0, ready\r\n"
_LONGEST_GARBAGE = 32
_NEVER = 1e18  # bits, at any rate
_BITS = 10  # of a byte on the line: one that starts, eight, one that stops


@dataclass(frozen=True, slots=True)
class Piece:
    """Bytes that are written at once. No bytes: they were lost, and their time passes.

    due_s: when the last of them arrives. number: of the frame, as the device counts; below 0 for what is none. first,
    samples: which of the device's samples it carries; none where it only describes. damaged: not as the encoder made
    it. copy: it was there before. plugged: whether there is a cable at that time.
    """

    due_s: float
    data: bytes
    number: int = -1
    first: int = 0
    samples: int = 0
    damaged: bool = False
    copy: bool = False
    plugged: bool = True


@dataclass
class Ledger:
    """Exactly what the simulated device and its cable did.

    A frame of samples has one fate: sent (whole, whatever else was), dropped, stalled, unplugged or corrupted; so have
    its samples. Of a frame that went twice both are whole, or both are not. clipped_samples, lead_off_samples: of those
    that were made. overrun_bytes: did not fit into the pty. unasked_bytes: nobody had asked for them.
    """

    frames: int = 0
    samples: int = 0
    sent_frames: int = 0
    sent_samples: int = 0
    dropped_frames: int = 0
    dropped_samples: int = 0
    stalled_frames: int = 0
    stalled_samples: int = 0
    unplugged_frames: int = 0
    unplugged_samples: int = 0
    corrupted_frames: int = 0
    corrupted_samples: int = 0
    duplicated_frames: int = 0
    reordered_frames: int = 0
    reordered_samples: int = 0
    flipped_bits: int = 0
    misread_bytes: int = 0
    garbage_bytes: int = 0
    banner_bytes: int = 0
    clipped_samples: int = 0
    lead_off_samples: int = 0
    unplugged: list[tuple[float, float]] = field(default_factory=list)
    lead_off: list[tuple[float, float]] = field(default_factory=list)
    overrun_bytes: int = 0
    unasked_bytes: int = 0

    def to_dict(self) -> dict[str, object]:
        return asdict(self)

    def book(self, piece: Piece, how: str) -> None:
        """A frame of samples, and they, were dropped, stalled, unplugged, corrupted, reordered or sent."""
        if piece.samples:
            frames, samples = f"{how}_frames", f"{how}_samples"
            setattr(self, frames, getattr(self, frames) + 1)
            setattr(self, samples, getattr(self, samples) + piece.samples)


class Spans:
    """Stretches of time, from and to in s; they may overlap."""

    def __init__(self, spans_s: Iterable[tuple[float, float]] = ()) -> None:
        self._starts: list[float] = []
        self._ends: list[float] = []
        for start, end in sorted(span for span in spans_s if span[0] < span[1]):
            if self._ends and start <= self._ends[-1]:
                self._ends[-1] = max(end, self._ends[-1])
            else:
                self._starts.append(start)
                self._ends.append(end)

    def __bool__(self) -> bool:
        return bool(self._starts)

    def hold(self, at_s: float) -> bool:
        found = bisect_right(self._starts, at_s)
        return found > 0 and at_s < self._ends[found - 1]


@dataclass(frozen=True)
class Setting:
    """What a fault works with. amount: the number behind its `=`; during: on the device's time; baud: at which the host
    listens."""

    amount: float
    during: Spans
    random: Random
    baud: int
    ledger: Ledger


Pieces = Iterator[Piece]


def dropped(pieces: Pieces, on: Setting) -> Pieces:
    for piece in pieces:
        if piece.samples and piece.data and on.random.random() < on.amount:
            on.ledger.book(piece, "dropped")
            piece = replace(piece, data=b"")
        yield piece


def stalled(pieces: Pieces, on: Setting) -> Pieces:
    """Its counter and its clock go on, and nothing comes."""
    for piece in pieces:
        if piece.data and on.during.hold(piece.due_s):
            on.ledger.book(piece, "stalled")
            piece = replace(piece, data=b"")
        yield piece


def unplugged(pieces: Pieces, on: Setting) -> Pieces:
    """There is no port, either."""
    for piece in pieces:
        if on.during.hold(piece.due_s):
            if piece.data:
                on.ledger.book(piece, "unplugged")
            piece = replace(piece, data=b"", plugged=False)
        yield piece


def flipped(pieces: Pieces, on: Setting) -> Pieces:
    """Each bit by itself, so that the gap to the next one is geometric."""
    ahead = _until_next(on)
    for piece in pieces:
        bits, data = 8 * len(piece.data), bytearray(piece.data)
        while ahead < bits:
            data[ahead >> 3] ^= 1 << (ahead & 7)
            on.ledger.flipped_bits += 1
            ahead += 1 + _until_next(on)
        ahead -= bits
        yield _damaged(piece, bytes(data), on.ledger)


def _until_next(on: Setting) -> int:
    """Bits that stay as they are before the next that does not."""
    if on.amount >= 1:
        return 0
    return int(min(math.log(1 - on.random.random()) / math.log1p(-on.amount), _NEVER))


def _damaged(piece: Piece, data: bytes, ledger: Ledger) -> Piece:
    if data == piece.data:
        return piece
    if not piece.damaged:
        ledger.book(piece, "corrupted")
    return replace(piece, data=data, damaged=True)


def misread(data: bytes, sent_baud: float, read_baud: float) -> bytes:
    """What a receiver of 8N1 at one rate makes of bytes that were sent back to back at another, on a line that rests
    before and behind them.

    It waits for the line to fall, looks at the middle of nine bits (the first must be low), and waits for the next fall
    from the middle of the tenth on. A tty passes a byte on whose stop bit is wrong.
    """
    step = sent_baud / read_baud  # bits that are sent in the time in which one is read
    line = [level for byte in data for level in (0, *(byte >> i & 1 for i in range(8)), 1)]
    falls = [i for i, level in enumerate(line) if not level and (i == 0 or line[i - 1])]
    out, fall = bytearray(), 0
    while fall < len(falls):
        start = falls[fall]
        looked = [line[at] if (at := int(start + (k + 0.5) * step)) < len(line) else 1 for k in range(_BITS - 1)]
        if looked[0]:  # too short for a start
            read_until = start + 0.5 * step
        else:
            out.append(sum(level << i for i, level in enumerate(looked[1:])))
            read_until = start + (_BITS - 0.5) * step
        fall = max(fall + 1, bisect_left(falls, read_until))
    return bytes(out)


def at_another_baud(pieces: Pieces, on: Setting) -> Pieces:
    for piece in pieces:
        if piece.data:
            data = misread(piece.data, on.amount, on.baud)
            on.ledger.misread_bytes += len(piece.data) if data != piece.data else 0
            piece = _damaged(piece, data, on.ledger)
        yield piece


def reordered(pieces: Pieces, on: Setting) -> Pieces:
    """A frame changes places with the one behind it, where that one comes."""
    held: Piece | None = None
    for piece in pieces:
        if held is not None:
            if piece.data and piece.plugged:
                on.ledger.book(held, "reordered")
                yield from (piece, replace(held, due_s=piece.due_s))
            else:
                yield from (held, piece)
            held = None
        elif piece.samples and piece.data and on.random.random() < on.amount:
            held = piece
        else:
            yield piece
    if held is not None:
        yield held


def duplicated(pieces: Pieces, on: Setting) -> Pieces:
    for piece in pieces:
        yield piece
        if piece.samples and piece.data and on.random.random() < on.amount:
            on.ledger.duplicated_frames += 1
            yield replace(piece, copy=True)


def with_garbage(pieces: Pieces, on: Setting) -> Pieces:
    """Any bytes between two pieces."""
    for piece in pieces:
        if piece.data and on.random.random() < on.amount:
            noise = on.random.randbytes(1 + on.random.randrange(_LONGEST_GARBAGE))
            on.ledger.garbage_bytes += len(noise)
            yield Piece(piece.due_s, noise)
        yield piece


def behind_a_banner(pieces: Pieces, on: Setting) -> Pieces:
    for number, piece in enumerate(pieces):
        if number == 0:
            on.ledger.banner_bytes += len(_BANNER)
            yield Piece(piece.due_s, _BANNER)
        yield piece


def in_bursts(pieces: Pieces, on: Setting) -> Pieces:
    """Held back, and given together at the end of each such time."""
    for piece in pieces:
        yield replace(piece, due_s=math.ceil(piece.due_s / on.amount) * on.amount)


def drifting(pieces: Pieces, on: Setting) -> Pieces:
    """The device's crystal is fast by so many ppm: everything on its own clock, and all of it sooner on ours."""
    for piece in pieces:
        yield replace(piece, due_s=piece.due_s / (1 + on.amount * 1e-6))


def booked(pieces: Pieces, ledger: Ledger) -> Pieces:
    """The last of them: what came through it all."""
    for piece in pieces:
        if piece.data and not piece.damaged and not piece.copy:
            ledger.book(piece, "sent")
        yield piece
