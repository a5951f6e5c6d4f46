"""A file that lines are appended to, each whole or not at all, with what waits for it."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from pathlib import Path

from edge_runtime.sinks.backlog import ROOM, Backlog, Unavailable


class LineFile:
    """One process a file. A line that a kill cut short is left as it is, and ended, so that the next one is whole.

    Raises OSError where the file cannot be had. room: how many lines may wait.
    """

    def __init__(self, path: Path, tell: Callable[[str], None], room: int = ROOM) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o666)
        self.backlog = Backlog[str](str(path), self._append, tell, room)
        self.first = ""  # its first line as it was found, of 64 KiB at most
        self._cut = False
        if self._size():  # neither a pipe nor a terminal
            with path.open("rb") as file:
                self.first = file.readline(65536).decode("utf-8", "replace").rstrip("\r\n")
                file.seek(-1, os.SEEK_END)
                self._cut = file.read(1) != b"\n"

    @property
    def empty(self) -> bool:
        return self._size() == 0

    def _size(self) -> int:
        return os.fstat(self._file).st_size

    def _append(self, line: str) -> None:
        rest = (("\n" if self._cut else "") + line + "\n").encode("utf-8", "backslashreplace")
        before = self._size()
        try:
            while rest:
                rest = rest[os.write(self._file, rest) :]
        except BrokenPipeError:
            raise
        except OSError as error:
            with contextlib.suppress(OSError):
                os.ftruncate(self._file, before)
            raise Unavailable(f"cannot be written ({error.strerror})") from error
        self._cut = False

    def close(self) -> None:
        try:
            self.backlog.close()
        finally:
            os.close(self._file)
