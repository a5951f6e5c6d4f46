"""The store: every report in a SQLite file, with its episodes and its place in the outbox, in one transaction."""

from __future__ import annotations

import contextlib
import sqlite3
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import takewhile
from operator import itemgetter
from pathlib import Path
from typing import Any

from edge_runtime.columns import COLUMNS, row_of
from edge_runtime.database import error_code, is_damage, open_to_write, transaction, utc_ms_of
from edge_runtime.episodes import Episode
from edge_runtime.errors import UsageError
from edge_runtime.report import Report
from edge_runtime.sinks.backlog import Backlog, Unavailable

_CHECKPOINT_S = 60.0  # what a loss of power can cost
_PRUNED = 10  # old rows at most a new one: a clock that is wrong for an hour must not cost the archive
_DAY_MS = 86_400_000
_NO_LIMIT = 2**63 - 1

_STORED = ("utc_ms", *(name for name in COLUMNS if name not in ("source", "session", "utc")))
_INSERT = (
    f"INSERT INTO report (stream, {', '.join(_STORED)}) VALUES (?{', ?' * len(_STORED)}) "
    "ON CONFLICT (stream, utc_ms, sequence) DO NOTHING"
)
_INSERT_EPISODE = """
    INSERT INTO episode (stream, number, kind, start_s, end_s, start_utc_ms, end_utc_ms, confidence, reports, open)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT (stream, number) DO UPDATE SET kind = excluded.kind, start_s = excluded.start_s,
        end_s = excluded.end_s, start_utc_ms = excluded.start_utc_ms, end_utc_ms = excluded.end_utc_ms,
        confidence = excluded.confidence, reports = excluded.reports, open = excluded.open"""


@dataclass(frozen=True)
class _Entry:
    """What of a report is written: a fifth of the memory that the report itself would hold on to while it waits."""

    source: str
    session: str | None
    values: tuple[Any, ...]  # of _STORED
    utc_ms: int | None
    end_s: float
    episodes: tuple[Episode, ...]

    @classmethod
    def of(cls, report: Report) -> _Entry:
        row = row_of(report.to_dict())
        utc_ms = None if report.utc is None else utc_ms_of(report.utc)
        values = (utc_ms, *(_text(row[name]) for name in _STORED[1:]))
        return cls(_text(report.source), _text(report.session), values, utc_ms, report.end_s, report.episodes)


class Store:
    """A sink that keeps what it is given. While the file cannot be written, reports wait (`Backlog`).

    outbox: put each report and episode into the outbox, for Mqtt to send. keep_days: remove what is older.
    """

    def __init__(
        self,
        path: Path,
        tell: Callable[[str], None],
        outbox: bool = False,
        keep_days: float | None = None,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self.path = path
        self._outbox, self._now = outbox, now
        self._keep_ms = round(keep_days * _DAY_MS) if keep_days else None
        self._tell = tell
        self._backlog = Backlog[_Entry](str(path), self._write, tell, now)
        self._connection: sqlite3.Connection | None = None
        self._inode: int | None = None
        self._damaged = False
        self._checkpoint_s = now() + _CHECKPOINT_S

    @classmethod
    def open(
        cls, path: Path, tell: Callable[[str], None], outbox: bool = False, keep_days: float | None = None
    ) -> Store:
        """Raises UsageError where the file is no store, of a newer version, or in a place that cannot be written.

        One that is locked, or a disk that is full, is waited for.
        """
        store = cls(path, tell, outbox, keep_days)
        try:
            store._open()
        except OSError as error:
            raise UsageError(f"{path}: cannot be written ({error.strerror}); choose another file") from error
        except sqlite3.Error as error:
            store._failed(error)
            if _never(error):
                raise UsageError(f"{path}: cannot be written ({error}); choose another file") from error
        return store

    @property
    def written(self) -> int:
        return self._backlog.written

    @property
    def lost(self) -> int:
        return self._backlog.lost

    @property
    def waiting(self) -> int:
        return self._backlog.waiting

    def write(self, report: Report) -> None:
        self._backlog.put(_Entry.of(report))

    def close(self) -> None:
        self._backlog.close()
        self._disconnect()

    # ---- the file ----------------------------------------------------------------------------------------------------

    def _write(self, entry: _Entry) -> None:
        try:
            connection = self._opened()
            with transaction(connection):
                self._insert(connection, entry)
            self._checkpoint(connection)
        except UsageError as error:  # somebody put something else there meanwhile
            raise Unavailable(str(error).removeprefix(f"{self.path}: ")) from error
        except OSError as error:
            raise Unavailable(f"cannot be written ({error.strerror})") from error
        except sqlite3.DatabaseError as error:
            if not (isinstance(error, sqlite3.OperationalError) or is_damage(error)):
                raise  # the report's own fault
            self._failed(error)
            raise Unavailable(f"cannot be written ({error})") from error

    def _insert(self, connection: sqlite3.Connection, entry: _Entry) -> None:
        key = (entry.source, entry.session)
        found = connection.execute("SELECT id FROM stream WHERE source = ? AND session IS ?", key).fetchone()
        (stream,) = found or (connection.execute("INSERT INTO stream (source, session) VALUES (?, ?)", key).lastrowid,)
        inserted = connection.execute(_INSERT, (stream, *entry.values))
        if not inserted.rowcount:
            return  # it is there already: the last try had come through after all
        report = inserted.lastrowid
        numbers: list[int | None] = [None]
        for episode in entry.episodes:
            numbers.append(episode.number)
            connection.execute(_INSERT_EPISODE, (stream, *_episode_values(episode, entry)))
        if self._outbox:
            connection.executemany("INSERT INTO outbox (report, episode) VALUES (?, ?)", [(report, n) for n in numbers])
        if self._keep_ms is not None and entry.utc_ms is not None:
            self._prune(connection, report, entry.utc_ms - self._keep_ms)

    def _prune(self, connection: sqlite3.Connection, newest: int | None, before_ms: int) -> None:
        """In the order of writing: what was stamped by a clock not yet set is not taken for old out of its turn."""
        for table, stamp, limit in (("report", "utc_ms", newest), ("episode", "end_utc_ms", _NO_LIMIT)):
            asked = f"SELECT id, ifnull({stamp}, 0) < ? FROM {table} WHERE id < ? ORDER BY id LIMIT ?"
            first = connection.execute(asked, (before_ms, limit, _PRUNED)).fetchall()
            old = [(number,) for number, is_old in takewhile(itemgetter(1), first)]
            connection.executemany(f"DELETE FROM {table} WHERE id = ?", old)

    def _checkpoint(self, connection: sqlite3.Connection) -> None:
        """The log goes into the file, and both to the disk."""
        if self._now() >= self._checkpoint_s:
            self._checkpoint_s = self._now() + _CHECKPOINT_S
            with contextlib.suppress(
                sqlite3.OperationalError
            ):  # the report is written; the next one says what is wrong
                connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()

    def _opened(self) -> sqlite3.Connection:
        if self._connection is not None and self._inode != _inode(self.path):
            self._tell(f"{self.path}: was moved or removed; a new one is begun")
            self._disconnect()
        return self._connection or self._open()

    def _open(self) -> sqlite3.Connection:
        if self._damaged and self._inode == _inode(self.path):
            self._set_aside()
        self._damaged = False
        self._connection = open_to_write(self.path)
        self._inode = _inode(self.path)
        return self._connection

    def _failed(self, error: sqlite3.Error) -> None:
        if error_code(error) not in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_FULL):
            self._disconnect()  # and begin with a new connection
        if is_damage(error):
            self._damaged = True
            self._inode = self._inode or _inode(self.path)

    def _set_aside(self) -> None:
        aside = self.path.with_name(f"{self.path.name}.damaged-{datetime.now(UTC):%Y%m%dT%H%M%SZ}")
        for end in ("-wal", "-shm", ""):
            with contextlib.suppress(FileNotFoundError):
                Path(f"{self.path}{end}").rename(f"{aside}{end}")
        self._tell(f"{self.path}: is damaged; it is {aside.name} now (`sqlite3 {aside.name} .recover` may help)")

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(sqlite3.Error):  # what is in the log is found again by the next who opens it
                connection.close()


def _inode(path: Path) -> int | None:
    try:
        return path.stat().st_ino
    except OSError:
        return None


def _never(error: sqlite3.Error) -> bool:
    """Waiting does not help: a folder, or a place that is not ours to write in."""
    return error_code(error) in (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY)


def _text(value: Any) -> Any:
    """As SQLite takes it: file names may hold bytes that are no text."""
    return value.encode("utf-8", "backslashreplace").decode() if isinstance(value, str) else value


def _episode_values(episode: Episode, entry: _Entry) -> tuple[Any, ...]:
    """Its time of day by its report's, which is that of the report's end."""
    said = episode.to_dict()

    def utc_ms(at_s: float) -> int | None:
        return None if entry.utc_ms is None else entry.utc_ms + round(1000 * (at_s - entry.end_s))

    times = (said["start_s"], said["end_s"], utc_ms(episode.start_s), utc_ms(episode.end_s))
    return (episode.number, episode.kind, *times, said["confidence"], episode.reports, episode.open)
