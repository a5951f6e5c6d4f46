"""A wearable without the wearable: any board of the table plays samples, with faults, on a pty.

`Wearable` is what the device sends and `Conversation` what it answers (both pure: asked for a time, they give bytes);
`play` is the pty and the pace around them.
"""

from __future__ import annotations

import contextlib
import errno
import os
import select
import time
import tty
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from firmware_bridge.boards import BOARDS, Board
from firmware_bridge.cable import Ledger, Piece
from firmware_bridge.faults import Faults
from firmware_bridge.frames import Info, Sent
from firmware_bridge.protocols import ENCODERS, native

_INFO_EVERY_S = 5.0
_OFF_COUNTS = 0.45  # of full scale: where a native device's amplifier goes when an electrode is off
_OVERDRIVE = 16  # times the usual gain, when it clips
_READ_S = 0.2  # for what is still in the pty, and goes with it
_LOOK_MS = 100  # whether there is room again
_LONGEST_WORD = 64  # of what a host may say


@dataclass(frozen=True)
class _Converter:
    """What its counts can be. off: where the amplifier goes when an electrode is off."""

    low: int
    high: int
    zero: int
    off: int

    def overdriven(self, counts: NDArray[np.int32]) -> NDArray[np.int32]:
        wide = (counts.astype(np.int64) - self.zero) * _OVERDRIVE + self.zero
        return np.clip(wide, self.low, self.high).astype(np.int32)


class Wearable:
    """The device and its cable: `pieces()` is what comes out of its end, and when; `ledger` what was done to it."""

    def __init__(
        self,
        counts: NDArray[np.int32],
        what: Info | Board,
        faults: Faults | None = None,
        seed: int = 0,
        missing: NDArray[np.bool_] | None = None,
    ) -> None:
        """what: a native device that says this of itself, or a board of the table, in whose counts `counts` are.

        missing: (n,) where the recording has no sample; a frame with one is never sent.
        """
        self.faults, self.seed = faults or Faults(), seed
        if isinstance(what, Info):
            self.board = BOARDS["native"]
            self.info: Info | None = what
            self.sampling_rate_hz, self._size = what.sampling_rate_hz, what.samples_per_frame
            half, zero = 1 << what.bits - 1, what.zero_count
            self._converter = _Converter(zero - half, zero + half - 1, zero, round(_OFF_COUNTS * half) + zero)
        elif what.sampling_rate_hz is None:
            raise ValueError(f"board {what.name} describes itself: it needs an Info")
        else:
            self.board, self.info = what, None
            self.sampling_rate_hz, self._size = what.sampling_rate_hz, what.samples_per_frame
            low, high = what.count_range
            self._converter = _Converter(
                low, high, what.zero_count or 0, off=high
            )  # all that it can show without a flag
            counts = counts[: len(counts) // self._size * self._size]  # its frames are never shorter
        self.counts = counts
        self.missing = np.zeros(len(counts), np.bool_) if missing is None else missing
        self.ledger = Ledger(
            unplugged=list(self.faults.spans_s("unplug")), lead_off=list(self.faults.spans_s("lead_off"))
        )
        self._encoder = ENCODERS[self.board.protocol](self.board)
        self._sequence = 0

    @property
    def frames_made(self) -> int:
        """Of any kind: what its counter would say, had it no end."""
        return self._sequence

    def describe(self, device_s: float) -> bytes:
        """What it says of itself: an INFO frame of the native protocol, nothing elsewhere."""
        if self.info is None:
            return b""
        data = native.encode_info(self._sequence, round(device_s * 1e6), self.info)
        self._sequence += 1
        return data

    def introduce(self, device_s: float) -> Piece:
        """The same as a piece."""
        number = self._sequence
        return Piece(device_s, self.describe(device_s), number)

    def frames(self) -> Iterator[tuple[float, bytes | None]]:
        """When and what arrives; None for what does not."""
        return ((piece.due_s, piece.data or None) for piece in self.pieces())

    def pieces(self) -> Iterator[Piece]:
        return self.faults.happen(self._made(), self.seed, self.board.baud, self.ledger)

    def _made(self) -> Iterator[Piece]:
        """As the device makes them."""
        rate, size, ledger = self.sampling_rate_hz, self._size, self.ledger
        next_info = _INFO_EVERY_S
        for first in range(0, len(self.counts), size):
            counts, start_s = self.counts[first : first + size], first / rate
            end_s = (first + len(counts)) / rate
            off, clipped = self.faults.active("lead_off", start_s), False
            if off:
                counts = np.full(len(counts), self._converter.off, np.int32)
                ledger.lead_off_samples += len(counts)
            elif self.faults.active("clip", start_s):
                counts = self._converter.overdriven(counts)
                cut = int(np.count_nonzero((counts == self._converter.low) | (counts == self._converter.high)))
                ledger.clipped_samples += cut
                clipped = cut > 0
            number = self._sequence
            data = self._encoder.encode(Sent(number, round(start_s * 1e6), counts, off, clipped))
            self._sequence += 1
            piece = Piece(end_s, data, number, first, len(counts))
            ledger.frames += 1
            ledger.samples += len(counts)
            if self.missing[first : first + size].any():
                ledger.book(piece, "dropped")
                piece = replace(piece, data=b"")
            yield piece
            if self.info is not None and end_s >= next_info:
                next_info += _INFO_EVERY_S
                yield self.introduce(end_s)


class Conversation:
    """The device's side of its board's handshake. A board that has none streams to whoever listens."""

    def __init__(self, wearable: Wearable) -> None:
        self._wearable, self._board = wearable, wearable.board
        self.hang_up()
        self._frames = native.NativeParser()
        self._heard = b""

    def hang_up(self) -> None:
        """Whoever comes next has to ask again."""
        self.streaming = not self._board.handshake

    def answer(self, data: bytes, device_s: float) -> bytes:
        """What it says to these bytes from the host."""
        reply = b""
        for word in self._words(data):
            self.streaming &= word != self._board.farewell
            for step in self._board.handshake:
                if word != step.send:
                    continue
                if step.until:  # it stops to answer
                    self.streaming = False
                    reply += self._board.name.encode() + step.until
                reply += self._wearable.describe(device_s)
                self.streaming |= step is self._board.handshake[-1]
        return reply

    def _words(self, data: bytes) -> Iterator[bytes]:
        """What of the handshake was said, in order; bytes between are passed over."""
        if self._board.protocol == "native":
            yield from (native.encode_command(f.command) for f in self._frames.feed(data, 0.0) if f.command)
            return
        known = [word for word in (*(step.send for step in self._board.handshake), self._board.farewell) if word]
        self._heard = (self._heard + data)[-4096:]
        while found := [(at, word) for word in known if (at := self._heard.find(word)) >= 0]:
            at, word = min(found)
            self._heard = self._heard[at + len(word) :]
            yield word
        self._heard = self._heard[-_LONGEST_WORD:]


class _Pty:
    """The cable: a pty whose path is kept at a stable link, as /dev/serial/by-id does for a real port."""

    def __init__(self, link: Path) -> None:
        self.link = link
        self.master = -1

    def plug(self) -> None:
        self.master, slave = os.openpty()
        tty.setraw(slave)
        os.set_blocking(self.master, False)
        path = os.ttyname(slave)
        os.close(slave)  # or nobody would see the hang-up
        if self.link.exists() and not self.link.is_symlink():
            raise FileExistsError(errno.EEXIST, "it is there already and no link")
        fresh = self.link.with_name(f".{self.link.name}.new")
        with contextlib.suppress(FileNotFoundError):
            fresh.unlink()
        fresh.symlink_to(path)
        fresh.replace(self.link)

    def unplug(self) -> None:
        if self.master >= 0:
            os.close(self.master)
            self.master = -1
            with contextlib.suppress(FileNotFoundError):
                self.link.unlink()

    def listen(self, wait_s: float) -> bytes | None:
        """What the host sent, after at most `wait_s`; None while nobody has the other end open."""
        if self.master < 0:
            time.sleep(max(0.0, wait_s))
            return None
        if not select.select([self.master], [], [], max(0.0, wait_s))[0]:
            return b""
        try:
            return os.read(self.master, 4096)
        except OSError:
            time.sleep(min(0.01, max(0.0, wait_s)))
            return None

    def send(self, data: bytes, patient: bool = False) -> int:
        """Bytes that did not fit: a real USB port overruns, so nothing waits for the host, unless it is `patient`."""
        if self.master < 0:
            return 0
        while data:
            try:
                data = data[os.write(self.master, data) :]
            except BlockingIOError:
                if patient and self._has_room():
                    continue
                break
            except OSError:
                break
            if not patient:
                break
        return len(data)

    def _has_room(self) -> bool:
        """Waits for it; False where nobody has the other end open any more."""
        poll = select.poll()
        poll.register(self.master, select.POLLOUT)
        return not any(event & select.POLLHUP for _, event in poll.poll(_LOOK_MS))


def play(
    wearable: Wearable,
    link: Path,
    speed: float = 1.0,
    on_ready: Callable[[], None] = lambda: None,
    stop: Callable[[], bool] = lambda: False,
    on_send: Callable[[Piece], None] = lambda piece: None,
    on_sent: Callable[[Piece], None] = lambda piece: None,
    patient: bool = False,
) -> Ledger:
    """Play the whole wearable on a pty behind `link`, `speed` times as fast as life, once its handshake was made.

    The device's own clock goes on while it is unplugged. patient: `speed` is the most; a host that is behind is waited
    for, where a real port would overrun, and so is the next one where nobody has the port open any more. Returns the
    ledger.
    """
    cable, talk = _Pty(link), Conversation(wearable)
    cable.plug()
    on_ready()
    try:
        started = False
        while not started and not stop():
            heard = cable.listen(0.05)
            if heard is not None:
                cable.send(talk.answer(heard, 0.0))
                started = talk.streaming
        zero = time.monotonic()
        for piece in wearable.pieces():
            if stop():
                break
            reply = _pace(cable, talk, zero, piece.due_s, speed, patient)
            if piece.plugged != (cable.master >= 0):
                if patient and not piece.plugged:
                    time.sleep(_READ_S)
                cable.plug() if piece.plugged else cable.unplug()
            if patient:
                while piece.plugged and not talk.streaming and not stop():
                    reply += talk.answer(cable.listen(_LOOK_MS / 1e3) or b"", piece.due_s)
                zero = max(zero, time.monotonic() - piece.due_s / speed)  # the time that it took is not made up for
            if talk.streaming:
                on_send(piece)  # before: a sender that is put aside behind its write would seem to have been late
                left = cable.send(piece.data, patient)
                wearable.ledger.overrun_bytes += left
                on_sent(replace(piece, damaged=True) if left else piece)
            else:
                wearable.ledger.unasked_bytes += len(piece.data)
            if reply:  # made after this frame, so that its number is behind the frame's
                cable.send(reply, patient)
        time.sleep(_READ_S)
        return wearable.ledger
    finally:
        cable.unplug()


def _pace(cable: _Pty, talk: Conversation, zero: float, due_s: float, speed: float, patient: bool) -> bytes:
    """Wait until a frame is due. Returns the answer to what the host said meanwhile."""
    reply = b""
    while True:
        left = zero + due_s / speed - time.monotonic()
        heard = cable.listen(max(0.0, left))
        if heard is None and patient:
            talk.hang_up()
        reply += talk.answer(heard or b"", due_s)
        if left <= 0:
            return reply
