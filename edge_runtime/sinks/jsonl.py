"""Reports as JSON lines."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

from edge_runtime.errors import UsageError
from edge_runtime.report import Report
from edge_runtime.sinks.backlog import ROOM
from edge_runtime.sinks.lines import LineFile


class JsonLines:
    """A line a report, handed to the system at once, so that a kill costs at most the report in flight."""

    def __init__(self, file: LineFile | None) -> None:
        self._file = file  # None is standard output

    @classmethod
    def open(cls, target: str, tell: Callable[[str], None] = lambda message: None, room: int = ROOM) -> JsonLines:
        """`-` is standard output; a file is appended to. Raises UsageError."""
        if target == "-":
            return cls(None)
        try:
            return cls(LineFile(Path(target), tell, room))
        except OSError as error:
            raise UsageError(f"--out {target}: cannot be written ({error.strerror}); choose another file") from error

    @property
    def lost(self) -> int:
        return self._file.backlog.lost if self._file else 0

    def write(self, report: Report) -> None:
        line = report.to_json()
        if self._file:
            self._file.backlog.put(line)
        else:
            sys.stdout.write(line + "\n")
            sys.stdout.flush()

    def close(self) -> None:
        if self._file:
            self._file.close()
