"""The port: opened, read, lost and opened again. The one file that imports `serial`."""

from __future__ import annotations

import contextlib
import errno
import os
import select
import termios
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import serial

from firmware_bridge.boards import Board
from firmware_bridge.handshake import Handshake
from firmware_bridge.ports import STABLE_NAMES, access_to, by_id, way_in

State = Literal["absent", "opening", "identifying", "streaming", "silent", "backing off"]
EXIT_PORT = 3
_BACK_OFF_S = (0.1, 0.2, 0.5, 1.0)
_SILENT_AFTER_S = 2.0
_READ_SIZE = 4096  # at once: a port's turn is as long as what it read
_LONGEST_UNSAID = 4096


class PortError(Exception):
    """A port that cannot be used; the message says why and what to do next."""

    exit_code = EXIT_PORT


@dataclass(frozen=True)
class LinkEvent:
    """`arrival_s`: when the read that gave it returned, on the host's monotonic clock. A tick is the shell's: time went
    by, and everything that arrived before it has been told."""

    kind: Literal["opened", "lost", "data", "tick"]
    arrival_s: float
    data: bytes = b""
    reason: str = ""


def explain(port: str, error: Exception) -> str:
    """Why a port did not open, in one line."""
    number = getattr(error, "errno", None)
    if number == errno.ENOENT:
        return f"{port}: no such port; is the device plugged in? Look into /dev/serial/by-id/"
    if number in (errno.EACCES, errno.EPERM):
        return f"{port}: no permission; {way_in(access_to(port))}"
    if number == errno.EBUSY or "exclusively lock" in str(error):
        return f"{port}: another program has it open; close that one first"
    if number in (errno.ENOTTY, errno.EISDIR, errno.EINVAL) or "configure port" in str(error):
        return f"{port}: no serial port; give one such as /dev/serial/by-id/... or /dev/ttyUSB0"
    return f"{port}: cannot be opened ({error}); is it a serial port?"


def _why_lost(error: Exception) -> str:
    """Linux says one of these of a device that was unplugged."""
    gone = getattr(error, "errno", None) in (errno.EIO, errno.ENXIO, errno.ENODEV)
    return "unplugged" if gone else str(error)


class Link:
    """One serial port with back-off. Reading and writing never block; opening and closing may: a driver decides.

    So whoever has other ports to look after opens and closes apart from them, and meanwhile leaves this one alone:
    `due`, `open`, `read` and `close` are for that, `poll` is all of them in one.

    trouble: why a port that is there cannot be opened again; None while it can, or while it is simply away.
    """

    def __init__(
        self,
        port: str,
        board: Board,
        now: Callable[[], float] = time.monotonic,
        stable_names: Sequence[Path] = STABLE_NAMES,
    ) -> None:
        self.port, self.board = port, board
        self.state: State = "absent"
        self.trouble: str | None = None
        self._now, self._stable_names = now, stable_names
        self._path = port
        self._serial: serial.Serial | None = None
        self._fd = -1
        self._readable = select.poll()  # not select(): it ends at 1024 descriptors, and a ward has more
        self._unsaid = b""  # to the device, once it listens
        self._attempt = 0
        self._next_try_s = 0.0
        self._last_data_s = 0.0
        self._handshake = Handshake(board)

    def open(self) -> LinkEvent:
        """Open now. Raises PortError."""
        self.state = "opening"
        try:
            opened = serial.Serial(self._path, self.board.baud, timeout=0, exclusive=True)
        except (OSError, termios.error, ValueError) as error:
            self._back_off()
            said = explain(self.port, error)
            self.trouble = None if getattr(error, "errno", None) == errno.ENOENT else said
            raise PortError(said) from error
        self._fd = opened.fileno()
        try:
            self._say(self._handshake.begin(self._now()))
        except OSError as error:
            opened.close()
            self._back_off()
            raise PortError(f"{self.port}: closed while it was being opened ({error}); is the cable loose?") from error
        self._path = by_id(self._path, self._stable_names)
        self._readable.register(self._fd, select.POLLIN)
        self._serial, self.state, self.trouble = opened, "identifying", None
        self._last_data_s = self._now()
        return LinkEvent("opened", self._last_data_s)

    def _back_off(self) -> None:
        self.state, self._unsaid = "backing off", b""
        self._next_try_s = self._now() + _BACK_OFF_S[min(self._attempt, len(_BACK_OFF_S) - 1)]
        self._attempt += 1

    def fileno(self) -> int | None:
        return None if self._serial is None else self._fd

    @property
    def is_open(self) -> bool:
        return self._serial is not None

    def is_readable(self) -> bool:
        """Whether an open port has something, or has ended."""
        return bool(self._readable.poll(0))

    def due(self) -> bool:
        """Whether a port that is not open should be tried now. One that is not there is no try, and does not block."""
        if self._serial is not None or self._now() < self._next_try_s:
            return False
        if not os.path.lexists(self._path):
            self._back_off()
            self.trouble = None
            return False
        return True

    def read(self, ready: bool) -> LinkEvent | None:
        """What an open port gives. ready: the system says that there is something; nothing is then the device's end.

        After `lost` the port has to be closed.
        """
        try:
            data = os.read(self._fd, _READ_SIZE) if ready else b""
            if ready and not data:
                raise OSError(errno.EIO, "it returned no data")
            self._say(self._handshake.hear(data, self._now()))
        except BlockingIOError:
            return None
        except OSError as error:
            self._back_off()
            return LinkEvent("lost", self._now(), reason=_why_lost(error))
        now = self._now()
        if data:
            self._last_data_s, self._attempt = now, 0  # that it opened is not enough to be patient with it again
            self.state = "streaming" if self._handshake.complete else "identifying"
            return LinkEvent("data", now, data)
        if now - self._last_data_s > _SILENT_AFTER_S:
            self.state = "silent"
        return None

    def _say(self, data: bytes) -> None:
        """As much of it as the port takes now; the rest with what is said next. A device that never listens is no
        reason to wait."""
        self._unsaid = (self._unsaid + data)[-_LONGEST_UNSAID:]
        if self._unsaid:
            with contextlib.suppress(BlockingIOError):
                self._unsaid = self._unsaid[os.write(self._fd, self._unsaid) :]

    def poll(self) -> LinkEvent | None:
        """Read what there is, or try to open a lost port when its time has come."""
        if self._serial is None:
            try:
                return self.open() if self.due() else None
            except PortError:
                return None
        event = self.read(self.is_readable())
        if event is not None and event.kind == "lost":
            self.close()
        return event

    def close(self) -> None:
        """Tell the board to stop, where its protocol can, and close the port."""
        if self._serial is not None:
            self._readable.unregister(self._fd)
            if self.board.farewell:
                with contextlib.suppress(OSError):  # it is gone already: that is why it is closed
                    os.write(self._fd, self.board.farewell)
            with contextlib.suppress(OSError, termios.error):
                self._serial.close()
            self._serial, self._fd = None, -1


def overhear(port: str, baud: int, seconds: float) -> bytes:
    """What comes out of a port in this time, without a word to whoever sends it. Raises PortError."""
    try:
        with serial.Serial(port, baud, timeout=0.1, exclusive=True) as opened:
            data, end_s = b"", time.monotonic() + seconds
            while time.monotonic() < end_s:
                data += opened.read(_READ_SIZE)
            return data
    except (OSError, termios.error, ValueError) as error:
        raise PortError(explain(port, error)) from error
