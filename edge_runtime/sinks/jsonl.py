"""Reports as JSON lines."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TextIO

from edge_runtime.errors import UsageError
from edge_runtime.report import Report


class JsonLines:
    """A line a report, flushed, so that a kill costs at most the report in flight."""

    def __init__(self, file: TextIO, owned: bool) -> None:
        self._file, self._owned = file, owned

    @classmethod
    def open(cls, target: str) -> JsonLines:
        """`-` is standard output; a file is appended to. Raises UsageError."""
        if target == "-":
            return cls(sys.stdout, False)
        try:
            return cls(Path(target).open("a", encoding="utf-8"), True)
        except OSError as error:
            raise UsageError(f"--out {target}: cannot be written ({error.strerror}); choose another file") from error

    def write(self, report: Report) -> None:
        self._file.write(report.to_json() + "\n")
        self._file.flush()

    def close(self) -> None:
        if self._owned:
            self._file.close()
