"""The outbox: what the store holds for a broker and the broker has not taken yet. Kept in the store's own file."""

from __future__ import annotations

import contextlib
import fcntl
import os
import sqlite3
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge_runtime.columns import COLUMNS, report_of
from edge_runtime.database import Opened, transaction, utc_of
from edge_runtime.errors import UsageError
from edge_runtime.report import to_json
from edge_runtime.sinks.backlog import Unavailable

_KEPT = tuple(name for name in COLUMNS if name not in ("source", "session", "utc"))
_FIRST = f"""
    SELECT outbox.id, outbox.episode, stream, source, session, utc_ms, {", ".join(_KEPT)}
    FROM outbox LEFT JOIN report ON report.id = outbox.report LEFT JOIN stream ON stream.id = report.stream
    ORDER BY outbox.id LIMIT ?"""
_EPISODE = """
    SELECT number, kind, start_s, end_s, start_utc_ms, end_utc_ms, confidence, reports, open FROM episode
    WHERE stream = ? AND number = ?"""
_EPISODE_KEYS = ("number", "kind", "start_s", "end_s", "start_utc", "end_utc", "confidence", "reports", "open")


@dataclass(frozen=True)
class Message:
    """payload: JSON; None where retention was faster than the broker. kind: `report` or `episode`."""

    id: int
    kind: str
    source: str
    payload: str | None


class Outbox:
    """In the order of writing. One process at a time sends what is in it, whoever put it there.

    Methods raise Unavailable while the file cannot be used.
    """

    def __init__(self, store: Path) -> None:
        self._file = Opened(store, lambda message: None)  # the store itself says what there is to say
        self._lock_path = store.with_name(f"{store.name}-outbox")
        self._lock: int | None = None

    def take_over(self) -> bool:
        """Whether this process is the one that sends; one that was killed is that no longer."""
        if self._lock is None:
            try:
                lock = os.open(self._lock_path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            except OSError as error:
                raise Unavailable(f"{self._lock_path}: {error.strerror}") from error
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                os.close(lock)
                return False
            self._lock = lock
        return True

    def first(self, count: int) -> list[Message]:
        """The oldest, so many of them at most."""
        with self._usable() as connection:
            return [_message(connection, *row) for row in connection.execute(_FIRST, (count,)).fetchall()]

    def remove(self, places: Iterable[int]) -> None:
        """What the broker has taken."""
        with self._usable() as connection, transaction(connection):
            connection.executemany("DELETE FROM outbox WHERE id = ?", [(place,) for place in places])

    def waiting(self) -> int:
        with self._usable() as connection:
            ((count,),) = connection.execute("SELECT count(*) FROM outbox")
            return int(count)

    def close(self) -> None:
        self._file.close()
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    @contextlib.contextmanager
    def _usable(self) -> Iterator[sqlite3.Connection]:
        try:
            yield self._file.get()
        except sqlite3.Error as error:
            self._file.failed(error)
            raise Unavailable(str(error)) from error
        except (OSError, UsageError) as error:
            raise Unavailable(str(error)) from error


def _message(
    connection: sqlite3.Connection, place: int, episode: int | None, stream: int | None, source: str, *rest: Any
) -> Message:
    kind = "report" if episode is None else "episode"
    if stream is None:
        return Message(place, kind, "", None)
    session, utc_ms, *values = rest
    row = {"source": source, "session": session, "utc": _utc(utc_ms), **dict(zip(_KEPT, values, strict=True))}
    if episode is None:
        return Message(place, kind, source, to_json(report_of(row)))
    found = connection.execute(_EPISODE, (stream, episode)).fetchone()  # as it is now, and not as it was then
    if found is None:
        return Message(place, kind, source, None)
    said = dict(zip(_EPISODE_KEYS, found, strict=True))
    said |= {"start_utc": _utc(said["start_utc"]), "end_utc": _utc(said["end_utc"]), "open": bool(said["open"])}
    return Message(place, kind, source, to_json({key: row[key] for key in ("schema", "source", "session")} | said))


def _utc(utc_ms: int | None) -> str | None:
    return None if utc_ms is None else utc_of(utc_ms)
