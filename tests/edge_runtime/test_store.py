"""Nothing is lost: kills, full disks, locked and damaged files, other versions."""

from __future__ import annotations

import random
import resource
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_runtime import database
from edge_runtime.errors import UsageError
from edge_runtime.history import History
from edge_runtime.sinks.backlog import Backlog, Unavailable
from edge_runtime.sinks.store import Store
from tests.edge_runtime.reports import START_MS, episode, report

SOURCE = "/dev/ttyUSB0"
ALWAYS = ("1970-01-01T00:00:00Z", "2100-01-01T00:00:00Z")


class Clock:
    """Time goes only when it is told to."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def sequences(path: Path) -> list[int]:
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        return [n for (n,) in connection.execute("SELECT sequence FROM report ORDER BY id")]


# ---- what waits ------------------------------------------------------------------------------------------------------


@given(st.lists(st.tuples(st.integers(0, 9), st.booleans()), max_size=12), st.integers(1, 20), st.booleans())
def test_every_report_is_written_lost_or_waiting(stretches: list[tuple[int, bool]], most: int, ends_well: bool) -> None:
    out: list[int] = []
    works, clock, told, given_, away, must_go = True, Clock(), list[str](), 0, 0, 0

    def write(item: int) -> None:
        if not works:
            raise Unavailable("away")
        out.append(item)

    waiting = Backlog[int]("it", write, told.append, most, clock)
    for length, works in stretches:
        for _ in range(length):
            away = 0 if works else away + 1
            must_go += away > most
            clock.now_s += 1.0
            waiting.put(given_)
            given_ += 1
            assert waiting.written + waiting.lost + waiting.waiting == given_
            assert waiting.waiting == 0 if works else waiting.waiting <= most
    works = ends_well
    waiting.close()
    assert waiting.waiting == 0
    assert waiting.written + waiting.lost == given_
    assert out == sorted(set(out))
    assert len(out) == waiting.written
    if ends_well:
        assert waiting.lost == must_go, "nothing within the buffer, and of what is beyond it no more than has to go"


def test_the_buffer_is_an_hour_of_one_source_and_what_is_lost_beyond_is_counted_and_said() -> None:
    works, clock, told, out = False, Clock(), list[str](), list[int]()

    def write(item: int) -> None:
        if not works:
            raise Unavailable("cannot be written (disk full)")
        out.append(item)

    waiting = Backlog[int]("x.db", write, told.append, now=clock)
    for i in range(3607):
        clock.now_s += 1.0
        waiting.put(i)
    assert (waiting.waiting, waiting.lost) == (3600, 7)
    assert len(told) == 2, "once, not once a second"
    works = True
    clock.now_s += 1.0
    waiting.put(3607)
    assert out == list(range(7, 3608)), "the newest hour"
    assert told[2] == "x.db: it can be written again; 3601 reports that waited are in it, 7 lost"


def test_while_it_cannot_be_written_it_is_tried_once_a_second_and_no_more() -> None:
    tries, clock = [], Clock()

    def write(item: int) -> None:
        tries.append(item)
        raise Unavailable("locked")

    waiting = Backlog[int]("x.db", write, lambda message: None, now=clock)
    for i in range(300):
        clock.now_s += 0.01  # three hundred sources
        waiting.put(i)
    assert len(tries) == 3


def test_a_report_that_can_never_be_written_stands_in_nobodys_way(tmp_path: Path) -> None:
    told: list[str] = []
    store = Store.open(tmp_path / "store.db", told.append)
    for sequence in (0, 2**70, 2**71, 3):
        store.write(replace(report(0), sequence=sequence))
    assert (store.written, store.lost, store.waiting) == (2, 2, 0)
    assert len(told) == 1
    store.close()
    assert sequences(tmp_path / "store.db") == [0, 3]


# ---- kills -----------------------------------------------------------------------------------------------------------

_WRITER = """
import sys
from pathlib import Path
from edge_runtime.sinks.store import Store
from tests.edge_runtime.reports import episode, report
store = Store.open(Path(sys.argv[1]), lambda m: print(m, file=sys.stderr, flush=True), outbox=True)
i = int(sys.argv[2])
while True:
    store.write(report(i, episodes=(episode(i // 50, "normal", 0.0, float(i)),)))
    print(i, flush=True)
    i += 1
"""


def test_a_kill_at_any_moment_costs_at_most_the_report_in_flight(tmp_path: Path) -> None:
    path, moments, following = tmp_path / "store.db", random.Random(7), 0
    for _ in range(6):
        with subprocess.Popen(
            [sys.executable, "-c", _WRITER, str(path), str(following)], stdout=subprocess.PIPE, text=True
        ) as writer:
            assert writer.stdout
            confirmed = -1
            for _ in range(moments.randrange(1, 400)):
                confirmed = int(writer.stdout.readline())
            writer.kill()
            rest = writer.stdout.read().split("\n")[:-1]  # whole lines: what was confirmed while we looked away
            confirmed = int(rest[-1]) if rest else confirmed
        stored = sequences(path)
        assert stored == list(range(len(stored)))
        assert len(stored) in (confirmed + 1, confirmed + 2)
        following = len(stored)
    with closing(sqlite3.connect(path)) as connection:
        # One transaction: no report without its episode and its place in the outbox.
        assert connection.execute("SELECT count(*) FROM outbox WHERE episode IS NULL").fetchone() == (following,)
        last = connection.execute("SELECT max(number), max(end_s) FROM episode").fetchone()
        assert last == ((following - 1) // 50, following - 1)


# ---- disks -----------------------------------------------------------------------------------------------------------


@contextmanager
def no_file_larger_than(size: int) -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def writer_of(path: Path, told: list[str], clock: Clock) -> Store:
    return Store(path, told.append, now=clock)


def test_a_disk_that_is_full_is_waited_for(tmp_path: Path) -> None:
    told, clock = list[str](), Clock()
    store = writer_of(tmp_path / "store.db", told, clock)
    for i in range(20):
        store.write(report(i))
    with no_file_larger_than(0):
        for i in range(20, 60):
            clock.now_s += 1.0
            store.write(report(i))
        assert store.waiting == 40
    clock.now_s += 1.0
    store.write(report(60))
    store.close()
    assert (store.written, store.lost) == (61, 0)
    assert sequences(tmp_path / "store.db") == list(range(61))
    assert len(told) == 2
    assert "cannot be written" in told[0]
    assert told[1].endswith("it can be written again; 41 reports that waited are in it, 0 lost")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(disk)], capture_output=True)
    if mounted.returncode:
        pytest.skip("no rights to mount a file system of eight megabytes")
    yield disk
    subprocess.run(["umount", "-l", str(disk)], check=True)


def test_a_real_disk_that_is_full_is_waited_for(small_disk: Path) -> None:
    told, clock = list[str](), Clock()
    store = writer_of(small_disk / "store.db", told, clock)
    full = small_disk / "something large"
    written = 0
    for i in range(200):
        clock.now_s += 1.0
        if i in (20, 60):  # and whatever is given free is taken
            with full.open("ab", buffering=0) as file, pytest.raises(OSError, match="No space"):
                while True:
                    file.write(bytes(4096))
            written = store.written
        if i == 150:
            assert History(small_disk / "store.db").sources()[0]["reports"] == store.written, "it can be read"
            assert store.waiting > 100
            assert store.written < written + 30, "what was left of its last page"
            full.unlink()
        store.write(report(i))
    assert (store.written, store.lost, store.waiting) == (200, 0, 0)
    store.close()
    assert sequences(small_disk / "store.db") == list(range(200))
    assert "full" in told[0]


def test_a_disk_that_is_full_from_the_start_is_waited_for(tmp_path: Path) -> None:
    told: list[str] = []
    with no_file_larger_than(0):
        store = Store.open(tmp_path / "store.db", told.append)
        store.write(report(0))
        assert (store.waiting, len(told)) == (1, 1)
    store.close()
    assert sequences(tmp_path / "store.db") == [0]


def test_a_database_that_is_locked_is_waited_for(tmp_path: Path) -> None:
    told, clock = list[str](), Clock()
    store = writer_of(tmp_path / "store.db", told, clock)
    store.write(report(0))
    with closing(sqlite3.connect(tmp_path / "store.db", isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        for i in range(1, 5):
            clock.now_s += 1.0
            store.write(report(i))
        assert (store.written, store.waiting) == (1, 4)
        assert "locked" in told[0]
        other.execute("ROLLBACK")
    clock.now_s += 1.0
    store.write(report(5))
    store.close()
    assert sequences(tmp_path / "store.db") == list(range(6))
    assert (store.lost, len(told)) == (0, 2)


def test_a_store_that_is_locked_when_it_is_opened_is_waited_for(tmp_path: Path) -> None:
    told: list[str] = []
    with closing(sqlite3.connect(tmp_path / "store.db", isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        store = Store.open(tmp_path / "store.db", told.append)
        store.write(report(0))
        assert (store.written, store.waiting) == (0, 1)
    store.close()
    assert sequences(tmp_path / "store.db") == [0]


def test_what_waits_at_the_end_and_cannot_be_written_is_counted(tmp_path: Path) -> None:
    told, clock = list[str](), Clock()
    store = writer_of(tmp_path / "store.db", told, clock)
    store.write(report(0))
    with closing(sqlite3.connect(tmp_path / "store.db", isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        store.write(report(1))
        store.write(report(2))
        store.close()
    assert (store.written, store.lost) == (1, 2)
    assert told[-1].startswith(f"{tmp_path / 'store.db'}: 2 reports could not be written")


def test_every_minute_the_log_goes_into_the_file_and_does_not_grow(tmp_path: Path) -> None:
    clock, largest = Clock(), 0
    store = writer_of(tmp_path / "store.db", [], clock)
    for i in range(600):
        clock.now_s += 1.0
        store.write(report(i))
        if i == 60:
            largest = (tmp_path / "store.db-wal").stat().st_size
    assert (tmp_path / "store.db-wal").stat().st_size < 2 * largest
    with closing(sqlite3.connect(f"file:{tmp_path}/store.db?immutable=1", uri=True)) as without_the_log:
        assert without_the_log.execute("SELECT count(*) FROM report").fetchone()[0] >= 540
    store.close()


# ---- files -----------------------------------------------------------------------------------------------------------


def test_two_processes_may_write_to_one_file(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    one, two = (Store.open(path, pytest.fail) for _ in range(2))
    for i in range(30):
        one.write(report(i))
        two.write(report(i, session="another", source="other"))
    one.close()
    two.write(report(30, session="another", source="other"))
    two.close()
    assert [s["reports"] for s in History(path).sources()] == [30, 31]


def test_a_report_that_comes_twice_is_kept_once(tmp_path: Path) -> None:
    store = Store.open(tmp_path / "store.db", pytest.fail, outbox=True)
    for _ in range(2):
        store.write(report(0, episodes=(episode(0, "af", 0.0, 5.0),)))
    store.close()
    with closing(sqlite3.connect(tmp_path / "store.db")) as connection:
        assert connection.execute("SELECT (SELECT count(*) FROM report), count(*) FROM outbox").fetchone() == (1, 2)


def test_nobody_else_reads_it(tmp_path: Path) -> None:
    store = Store.open(tmp_path / "new" / "store.db", pytest.fail)
    store.write(report(0))
    for file in (tmp_path / "new").iterdir():
        assert stat.S_IMODE(file.stat().st_mode) == 0o600, file
    store.close()


def foreign(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE recipes (name TEXT)")


def newer(path: Path) -> None:
    Store.open(path, pytest.fail).close()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version = 99")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: path.write_text("name,amount\n" * 400), "no SQLite database"),
        (lambda path: path.write_bytes(bytes(8192)), "no SQLite database"),
        (foreign, "a database of something else"),
        (newer, "newer leadwire"),
    ],
)
def test_what_is_no_store_of_ours_is_refused_and_left_alone(tmp_path: Path, make, message: str) -> None:
    path = tmp_path / "store.db"
    make(path)
    before = path.read_bytes()
    with pytest.raises(UsageError, match=message):
        Store.open(path, pytest.fail)
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["store.db"]
    with pytest.raises(UsageError):
        History(path)


def test_a_place_where_nothing_can_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for path in (tmp_path, tmp_path / "file" / "store.db"):
        with pytest.raises(UsageError, match="choose another"):
            Store.open(path, pytest.fail)


@pytest.mark.parametrize("whole_pages", [1, 8])  # what the tables are is on some more than the first
def test_a_damaged_store_is_set_aside_and_another_begun(tmp_path: Path, whole_pages: int) -> None:
    path, told, clock = tmp_path / "store.db", list[str](), Clock()
    Store.open(path, pytest.fail).close()
    whole = path.read_bytes()
    path.write_bytes(whole[: 1024 * whole_pages] + bytes(len(whole) - 1024 * whole_pages))
    store = writer_of(path, told, clock)
    for i in range(3):
        store.write(report(i))
        clock.now_s += 1.0
    store.close()
    assert (store.written, store.lost) == (3, 0)
    assert sequences(path) == [0, 1, 2]
    (aside,) = tmp_path.glob("store.db.damaged-*")
    assert aside.stat().st_size >= len(whole)
    assert any("is damaged" in line and aside.name in line for line in told)


def test_a_store_that_is_moved_away_is_begun_anew(tmp_path: Path) -> None:
    path, told = tmp_path / "store.db", list[str]()
    store = Store.open(path, told.append)
    store.write(report(0))
    path.rename(tmp_path / "kept.db")
    store.write(report(1))
    store.close()
    assert sequences(path) == [1]
    assert len(told) == 1
    assert "moved" in told[0]


def test_an_older_store_is_brought_up_and_keeps_what_it_holds(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    store = Store.open(path, pytest.fail)
    store.write(report(0))
    store.close()
    more = (*database.MIGRATIONS, ("ALTER TABLE report ADD COLUMN colour TEXT", "UPDATE report SET colour = 'red'"))
    for _ in range(2):
        with closing(database.open_to_write(path, more)) as connection:
            assert connection.execute("PRAGMA user_version").fetchone() == (len(more),)
            assert connection.execute("SELECT sequence, colour FROM report").fetchall() == [(0, "red")]
    with pytest.raises(UsageError, match="newer leadwire"):
        Store.open(path, pytest.fail)


def test_a_migration_that_fails_leaves_the_store_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    Store.open(path, pytest.fail).close()
    broken = (*database.MIGRATIONS, ("ALTER TABLE report ADD COLUMN colour TEXT", "no SQL"))
    with pytest.raises(sqlite3.OperationalError):
        database.open_to_write(path, broken)
    store = Store.open(path, pytest.fail)
    store.write(report(0))
    store.close()
    assert sequences(path) == [0]


def test_what_is_older_than_it_is_to_be_kept_is_removed(tmp_path: Path) -> None:
    store = Store.open(tmp_path / "store.db", pytest.fail, keep_days=1.0)
    day_ms = 86_400_000
    stamps_ms = [START_MS + i * day_ms // 10 for i in range(40)]
    stamps_ms[25] = 0  # a clock that was not set yet
    for i, stamp_ms in enumerate(stamps_ms):
        ended = (episode(i, "normal", i + 9.0, i + 10.0, open=False),)
        store.write(report(i, utc=database.utc_of(stamp_ms), episodes=ended))
        kept = [r["sequence"] for r in History(tmp_path / "store.db").reports(SOURCE, *ALWAYS, 99)]
        if i == 25 + 5:
            assert 25 in kept, "not out of its turn"
    store.close()
    assert sequences(tmp_path / "store.db") == list(range(29, 40))
    assert [e["number"] for e in History(tmp_path / "store.db").episodes(SOURCE, *ALWAYS)] == list(range(29, 40))


def test_the_view_for_people_says_the_time_of_day(tmp_path: Path) -> None:
    store = Store.open(tmp_path / "store.db", pytest.fail)
    store.write(report(0, 71.5, episodes=(episode(0, "af", 8.0, 10.0),)))
    store.close()
    with closing(sqlite3.connect(tmp_path / "store.db")) as connection:
        row = connection.execute("SELECT utc, source, session, hr_bpm, hr_bpm_low, rhythm FROM reports").fetchone()
        assert row == (report(0).utc, SOURCE, "a1b2c3", 71.5, 70.5, "normal")
        row = connection.execute("SELECT start_utc, kind, source FROM episodes").fetchone()
        assert row == ("2026-11-21T19:59:58.000Z", "af", SOURCE)
