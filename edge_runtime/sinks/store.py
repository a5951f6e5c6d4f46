"""The store: every report in a SQLite file, with its episodes and its place in the outbox, in one transaction."""

from __future__ import annotations

import contextlib
import errno
import sqlite3
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import takewhile
from operator import itemgetter
from pathlib import Path
from typing import Any

from edge_runtime.columns import COLUMNS, row_of
from edge_runtime.database import Opened, error_code, is_damage, transaction, utc_ms_of
from edge_runtime.episodes import Episode
from edge_runtime.errors import UsageError
from edge_runtime.report import Report
from edge_runtime.sinks.backlog import ROOM, Backlog, Unavailable

_CHECKPOINT_S = 60.0  # what a loss of power can cost
_PRUNED = 10  # old rows at most a new one: a clock that is wrong for an hour must not cost the archive
_DAY_MS = 86_400_000
_NO_LIMIT = 2**63 - 1

_STORED = ("utc_ms", *(name for name in COLUMNS if name not in ("source", "session", "utc")))
_INSERT = (
    f"INSERT INTO report (stream, {', '.join(_STORED)}) VALUES (?{', ?' * len(_STORED)}) "
    "ON CONFLICT (stream, utc_ms, sequence) DO NOTHING"
)
_EPISODE = ("kind", "start_s", "end_s", "start_utc_ms", "end_utc_ms", "confidence", "reports", "open")
_UPDATE_EPISODE = f"UPDATE episode SET {', '.join(f'{name} = ?' for name in _EPISODE)} WHERE stream = ? AND number = ?"
_INSERT_EPISODE = f"INSERT INTO episode ({', '.join(_EPISODE)}, stream, number) VALUES (?{', ?' * (len(_EPISODE) + 1)})"
_SEND_EVERY = 60  # reports of an episode that goes on


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
    room: how many reports may wait.
    """

    def __init__(
        self,
        path: Path,
        tell: Callable[[str], None],
        outbox: bool = False,
        keep_days: float | None = None,
        room: int = ROOM,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._outbox, self._now = outbox, now
        self._keep_ms = round(keep_days * _DAY_MS) if keep_days else None
        self._file = Opened(path, tell, repairs=True)
        self._backlog = Backlog[_Entry](str(path), self._write, tell, room, now)
        self._checkpoint_s = now() + _CHECKPOINT_S

    @classmethod
    def open(
        cls,
        path: Path,
        tell: Callable[[str], None],
        outbox: bool = False,
        keep_days: float | None = None,
        room: int = ROOM,
    ) -> Store:
        """Raises UsageError where the file is no store, of a newer version, or in a place that cannot be written.

        One that is locked, or a disk that is full, is waited for.
        """
        store = cls(path, tell, outbox, keep_days, room)
        try:
            store._file.get()
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise UsageError(f"{path}: cannot be written ({error.strerror}); choose another file") from error
        except sqlite3.Error as error:
            store._file.failed(error)
            if error_code(error) in (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY):
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
        self._file.close()

    # ---- the file ----------------------------------------------------------------------------------------------------

    def _write(self, entry: _Entry) -> None:
        try:
            connection = self._file.get()
            with transaction(connection):
                self._insert(connection, entry)
            self._checkpoint(connection)
        except UsageError as error:  # somebody put something else there meanwhile
            raise Unavailable(str(error).removeprefix(f"{self._file.path}: ")) from error
        except OSError as error:
            raise Unavailable(f"cannot be written ({error.strerror})") from error
        except sqlite3.DatabaseError as error:
            if not (isinstance(error, sqlite3.OperationalError) or is_damage(error)):
                raise  # the report's own fault
            self._file.failed(error)
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
            values = (*_episode_values(episode, entry), stream, episode.number)
            is_new = not connection.execute(_UPDATE_EPISODE, values).rowcount
            if is_new:
                connection.execute(_INSERT_EPISODE, values)
            if is_new or not episode.open or episode.reports % _SEND_EVERY == 0:
                numbers.append(episode.number)
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


def _text(value: Any) -> Any:
    """As SQLite takes it: file names may hold bytes that are no text."""
    return value.encode("utf-8", "backslashreplace").decode() if isinstance(value, str) else value


def _episode_values(episode: Episode, entry: _Entry) -> tuple[Any, ...]:
    """Its time of day by its report's, which is that of the report's end."""
    said = episode.to_dict()

    def utc_ms(at_s: float) -> int | None:
        return None if entry.utc_ms is None else entry.utc_ms + round(1000 * (at_s - entry.end_s))

    times = (said["start_s"], said["end_s"], utc_ms(episode.start_s), utc_ms(episode.end_s))
    return (episode.kind, *times, said["confidence"], episode.reports, episode.open)
