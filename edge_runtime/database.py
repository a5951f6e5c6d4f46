"""The store's file: what is in it, its versions, and how it is opened. SQLite in WAL mode; see docs/store.md."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from edge_runtime.errors import UsageError

APPLICATION_ID = 0x4C574452  # "LWDR": what tells our files from other people's
BUSY_S = 0.2  # how long a lock is waited for

_MEASURE = "{0} REAL, {0}_low REAL, {0}_high REAL, {0}_why TEXT"
_VERSION_1 = (
    "CREATE TABLE stream (id INTEGER PRIMARY KEY, source TEXT NOT NULL, session TEXT, UNIQUE (source, session))",
    f"""CREATE TABLE report (
        id INTEGER PRIMARY KEY,  -- in the order of writing
        stream INTEGER NOT NULL REFERENCES stream, utc_ms INTEGER, sequence INTEGER NOT NULL,
        schema INTEGER NOT NULL, record TEXT, lead TEXT NOT NULL, start_s REAL NOT NULL, end_s REAL NOT NULL,
        state TEXT NOT NULL, quality REAL, beats INTEGER, sampling_rate_hz REAL,
        lost_samples INTEGER NOT NULL, bridged_samples INTEGER NOT NULL,
        {_MEASURE.format("hr_bpm")}, {_MEASURE.format("pr_ms")}, {_MEASURE.format("qrs_ms")},
        {_MEASURE.format("qt_ms")}, {_MEASURE.format("qtc_ms")}, {_MEASURE.format("qtc_bazett_ms")},
        rhythm TEXT, rhythm_probability REAL, rhythm_why TEXT,
        latency_ms REAL, bundle TEXT NOT NULL, more TEXT,
        UNIQUE (stream, utc_ms, sequence))""",
    """CREATE TABLE episode (
        id INTEGER PRIMARY KEY,
        stream INTEGER NOT NULL REFERENCES stream, number INTEGER NOT NULL, kind TEXT NOT NULL,
        start_s REAL NOT NULL, end_s REAL NOT NULL, start_utc_ms INTEGER, end_utc_ms INTEGER,
        confidence REAL, reports INTEGER NOT NULL, open INTEGER NOT NULL,
        UNIQUE (stream, number))""",
    # A message to the broker each: a report, or as it then is that report's stream's episode of that number.
    "CREATE TABLE outbox (id INTEGER PRIMARY KEY, report INTEGER NOT NULL, episode INTEGER)",
    # For people.
    """CREATE VIEW reports AS
        SELECT strftime('%Y-%m-%dT%H:%M:%fZ', utc_ms / 1000.0, 'unixepoch') AS utc, source, session, report.*
        FROM report JOIN stream ON stream.id = report.stream""",
    """CREATE VIEW episodes AS
        SELECT strftime('%Y-%m-%dT%H:%M:%fZ', start_utc_ms / 1000.0, 'unixepoch') AS start_utc,
            strftime('%Y-%m-%dT%H:%M:%fZ', end_utc_ms / 1000.0, 'unixepoch') AS end_utc, source, session, episode.*
        FROM episode JOIN stream ON stream.id = episode.stream""",
)
MIGRATIONS: tuple[tuple[str, ...], ...] = (_VERSION_1,)  # each from the version before, in one transaction


def error_code(error: sqlite3.Error) -> int:
    """SQLite's primary result code; 0 where the error is not SQLite's own."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF


def is_damage(error: sqlite3.Error) -> bool:
    return error_code(error) in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def open_to_write(path: Path, migrations: Sequence[Sequence[str]] = MIGRATIONS) -> sqlite3.Connection:
    """Made if it is not there, brought to the newest version if it is older; autocommit, for one thread at a time.

    Raises UsageError for a file that is no store or one of a newer version, neither of which is touched; OSError and
    sqlite3.Error where it cannot be had now.
    """
    path = path.absolute()
    path.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.suppress(FileExistsError):
        # Somebody's heart: for nobody else to read. One that is there is left alone: closing a descriptor of it would
        # drop the locks that SQLite has on it in this process.
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o600))
    connection = sqlite3.connect(path, timeout=BUSY_S, isolation_level=None, check_same_thread=False)
    try:
        _check(connection, path, len(migrations))
        # A report changes a few bytes of a few pages, and each of them is written whole: a card lives longer on small
        # ones. Measured: 5.1 kB a report with its episode and its place in the outbox, 17.5 kB with pages of 4096.
        connection.execute("PRAGMA page_size = 1024")  # of a new file
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA cache_size = -512")  # kB: what is written is at the end, and memory is dear
        connection.execute("PRAGMA wal_autocheckpoint = 4000")  # pages
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute("PRAGMA journal_size_limit = 16777216")  # of a log that grew while somebody read for long
        _migrate(connection, migrations)
    except BaseException:
        connection.close()
        raise
    return connection


class Opened:
    """The file, opened to be written when it is first needed, and again where there is another one in its place.

    repairs: a damaged store is set aside for a new one; for the one of a file's users who writes the reports.
    """

    def __init__(self, path: Path, tell: Callable[[str], None], repairs: bool = False) -> None:
        self.path, self._tell, self._repairs = path, tell, repairs
        self._connection: sqlite3.Connection | None = None
        self._inode: int | None = None
        self._damaged = False

    def get(self) -> sqlite3.Connection:
        """Raises as `open_to_write` does."""
        if self._connection is not None and self._inode != self._found():
            self._tell(f"{self.path}: was moved or removed; a new one is begun")
            self.close()
        if self._connection is None:
            if self._damaged and self._inode == self._found():
                self._set_aside()
            self._damaged = False
            self._connection = open_to_write(self.path)
            self._inode = self._found()
        return self._connection

    def failed(self, error: sqlite3.Error) -> None:
        """What it takes for the next try to come off better."""
        if error_code(error) not in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_FULL):
            self.close()
        if is_damage(error) and self._repairs:
            self._damaged, self._inode = True, self._inode or self._found()

    def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(sqlite3.Error):  # what is in the log is found again by the next who opens it
                connection.close()

    def _found(self) -> int | None:
        try:
            return self.path.stat().st_ino
        except OSError:
            return None

    def _set_aside(self) -> None:
        aside = self.path.with_name(f"{self.path.name}.damaged-{datetime.now(UTC):%Y%m%dT%H%M%SZ}")
        for end in ("-wal", "-shm", ""):
            with contextlib.suppress(FileNotFoundError):
                Path(f"{self.path}{end}").rename(f"{aside}{end}")
        self._tell(f"{self.path}: is damaged; it is {aside.name} now (`sqlite3 {aside.name} .recover` may help)")


def open_to_read(path: Path) -> sqlite3.Connection:
    """Raises UsageError for what is no store of this version, or cannot be read."""
    if not path.is_file():
        raise UsageError(f"{path}: there is no store; `leadwire run` makes one")
    connection: sqlite3.Connection | None = None
    try:
        connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=5.0)
        version = _check(connection, path, len(MIGRATIONS))
    except (sqlite3.Error, UsageError) as error:
        if connection:
            connection.close()
        if isinstance(error, UsageError):
            raise
        raise UsageError(f"{path}: cannot be read ({error})") from error
    if version < len(MIGRATIONS):
        connection.close()
        raise UsageError(
            f"{path}: store version {version}, this one reads {len(MIGRATIONS)}; `leadwire run --store` brings it up"
        )
    return connection


def _check(connection: sqlite3.Connection, path: Path, newest: int) -> int:
    """The version of the store, 0 for an empty file."""
    application = 0
    try:
        ((application,),) = connection.execute("PRAGMA application_id")
        ((version,),) = connection.execute("PRAGMA user_version")
        ((tables,),) = connection.execute("SELECT count(*) FROM sqlite_master")
    except sqlite3.DatabaseError as error:
        if is_damage(error) and application != APPLICATION_ID:
            raise UsageError(f"{path}: no SQLite database, so no store; choose another file") from error
        raise
    if application != APPLICATION_ID and (version or application or tables):
        raise UsageError(f"{path}: a database of something else; choose another file for the store")
    if version > newest:
        raise UsageError(
            f"{path}: store version {version}, written by a newer leadwire; this one knows {newest}. It was not "
            "touched: update leadwire, or choose another file"
        )
    return int(version)


def _migrate(connection: sqlite3.Connection, migrations: Sequence[Sequence[str]]) -> None:
    ((version,),) = connection.execute("PRAGMA user_version")
    if version == len(migrations):
        return
    with transaction(connection):
        ((version,),) = connection.execute("PRAGMA user_version")  # another process may have been faster
        for statements in migrations[version:]:
            for statement in statements:
                connection.execute(statement)
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {max(version, len(migrations))}")


@contextlib.contextmanager
def transaction(connection: sqlite3.Connection):  # type: ignore[no-untyped-def]
    """All of it or nothing."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:  # SQLite may have ended it itself
            connection.execute("ROLLBACK")
        raise


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def utc_ms_of(utc: str) -> int:
    """Milliseconds since 1970 of an ISO 8601 time (UTC where it names no zone), to the nearest. Raises ValueError."""
    at = datetime.fromisoformat(utc)
    since = (at if at.tzinfo else at.replace(tzinfo=UTC)) - _EPOCH
    return round(since / timedelta(milliseconds=1))


def utc_of(utc_ms: int) -> str:
    """As in a report: "2026-11-21T19:47:24.925Z"."""
    at = _EPOCH + timedelta(milliseconds=utc_ms)
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
