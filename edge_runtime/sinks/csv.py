"""Reports as a table: a header, then a line a report, for spreadsheets and data frames."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

from edge_runtime.columns import COLUMNS, row_of
from edge_runtime.errors import UsageError
from edge_runtime.report import Report
from edge_runtime.sinks.backlog import ROOM
from edge_runtime.sinks.lines import LineFile

_COLUMNS = tuple(name for name in COLUMNS if name != "more")


class Csv:
    """Columns as in the store: `hr_bpm`, `hr_bpm_low`, `hr_bpm_high`, `hr_bpm_why`, ...; empty where there is none."""

    def __init__(self, file: LineFile) -> None:
        self._file = file

    @classmethod
    def open(cls, path: Path, tell: Callable[[str], None] = lambda message: None, room: int = ROOM) -> Csv:
        """Appended to, if its columns are these. Raises UsageError."""
        try:
            file = LineFile(path, tell, room)
        except OSError as error:
            raise UsageError(f"--csv {path}: cannot be written ({error.strerror}); choose another file") from error
        if file.empty:
            file.backlog.put(_line(_COLUMNS))
        elif file.first != _line(_COLUMNS):
            file.close()
            raise UsageError(f"--csv {path}: is there already with other columns; choose another file")
        return cls(file)

    @property
    def lost(self) -> int:
        return self._file.backlog.lost

    def write(self, report: Report) -> None:
        row = row_of(report.to_dict())
        self._file.backlog.put(_line([_plain(row[name]) for name in _COLUMNS]))

    def close(self) -> None:
        self._file.close()


def _line(values: Any) -> str:
    out = io.StringIO()
    csv.writer(out, lineterminator="").writerow(values)
    return out.getvalue()


def _plain(value: Any) -> Any:
    """A text in one line, that no spreadsheet takes for a formula: names may come from the wire."""
    if not isinstance(value, str):
        return value
    text = "".join(c if c.isprintable() else "?" for c in value)
    return f"'{text}" if text[:1] in ("=", "+", "-", "@") else text
