"""The port: opened, read, lost and opened again. The one file that imports `serial`."""

from __future__ import annotations

import contextlib
import errno
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
_READ_SIZE = 65536


class PortError(Exception):
    """A port that cannot be used; the message says why and what to do next."""

    exit_code = EXIT_PORT


@dataclass(frozen=True)
class LinkEvent:
    """kind: opened, lost, or data; `arrival_s`: when the read that gave it returned, on the host's monotonic clock."""

    kind: Literal["opened", "lost", "data"]
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
    """pyserial says "readiness to read but returned no data" of a device that was unplugged; Linux says EIO."""
    gone = "returned no data" in str(error) or getattr(error, "errno", None) in (errno.EIO, errno.ENXIO, errno.ENODEV)
    return "unplugged" if gone else str(error)


class Link:
    """One serial port with back-off. Reading never blocks; opening may, for as long as a write does (a second).

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
        self._attempt = 0
        self._next_try_s = 0.0
        self._last_data_s = 0.0
        self._handshake = Handshake(board)

    def open(self) -> LinkEvent:
        """Open now. Raises PortError."""
        self.state = "opening"
        try:
            opened = serial.Serial(self._path, self.board.baud, timeout=0, write_timeout=1.0, exclusive=True)
        except (OSError, termios.error, ValueError) as error:
            self._back_off()
            said = explain(self.port, error)
            self.trouble = None if getattr(error, "errno", None) == errno.ENOENT else said
            raise PortError(said) from error
        try:
            opened.write(self._handshake.begin(self._now()))
        except (OSError, termios.error) as error:
            opened.close()
            self._back_off()
            raise PortError(f"{self.port}: closed while it was being opened ({error}); is the cable loose?") from error
        self._path = by_id(self._path, self._stable_names)
        self._serial, self.state, self.trouble = opened, "identifying", None
        self._last_data_s = self._now()
        return LinkEvent("opened", self._last_data_s)

    def _back_off(self) -> None:
        self.state = "backing off"
        self._next_try_s = self._now() + _BACK_OFF_S[min(self._attempt, len(_BACK_OFF_S) - 1)]
        self._attempt += 1

    def fileno(self) -> int | None:
        return None if self._serial is None else self._serial.fileno()

    def poll(self) -> LinkEvent | None:
        """Read what there is, or try to open a lost port when its time has come. Does not block."""
        if self._serial is None:
            if self._now() < self._next_try_s:
                return None
            try:
                return self.open()
            except PortError:
                return None
        try:
            data = self._serial.read(_READ_SIZE)
            say = self._handshake.hear(data, self._now())
            if say:
                self._serial.write(say)
        except (OSError, termios.error, TypeError) as error:  # TypeError: pyserial, of a port closed under its feet
            self.close()
            self._back_off()
            return LinkEvent("lost", self._now(), reason=_why_lost(error))
        now = self._now()
        if data:
            self._last_data_s, self._attempt = now, 0  # that it opened is not enough to be patient with it again
            self.state = "streaming" if self._handshake.complete else "identifying"
            return LinkEvent("data", now, bytes(data))
        if now - self._last_data_s > _SILENT_AFTER_S:
            self.state = "silent"
        return None

    def close(self) -> None:
        """Tell the board to stop, where its protocol can, and close the port."""
        if self._serial is not None:
            with contextlib.suppress(OSError, termios.error):  # it is gone already: that is why it is closed
                if self.board.farewell:
                    self._serial.write(self.board.farewell)
            with contextlib.suppress(OSError, termios.error):
                self._serial.close()
            self._serial = None


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
