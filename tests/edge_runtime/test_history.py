"""What the store holds is what was reported, and what is said of it is what anybody would compute from the reports."""

from __future__ import annotations

import statistics
import tempfile
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_runtime.database import utc_ms_of, utc_of
from edge_runtime.episodes import Episode
from edge_runtime.errors import UsageError
from edge_runtime.history import MEASURES, History
from edge_runtime.report import Report
from edge_runtime.sinks.store import Store
from tests.edge_runtime.reports import START, START_MS, absence, any_report, episode, report

SOURCE = "/dev/ttyUSB0"
ALWAYS = ("1970-01-01T00:00:00Z", "2100-01-01T00:00:00Z")


def stored(folder: Path, reports: list[Report]) -> History:
    told: list[str] = []
    store = Store.open(folder / "store.db", told.append)
    for one in reports:
        store.write(one)
    store.close()
    assert (store.lost, told) == (0, [])
    return History(folder / "store.db")


def at(seconds: float) -> str:
    return utc_of(START_MS + round(seconds * 1000))


@given(st.lists(any_report(), max_size=8, unique_by=lambda r: (r.source, r.session, r.utc, r.sequence)))
def test_every_report_is_read_as_it_was_written(reports: list[Report]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        history = stored(Path(folder), reports)
        read = [one for source in {r.source for r in reports} for one in history.reports(source, *ALWAYS, 100)]
        said = [r.to_dict() for r in reports]
        key = repr
        assert sorted(read, key=key) == sorted(said, key=key)
        assert {s["source"]: s["reports"] for s in history.sources()} == Counter(r.source for r in reports)
        for known in history.sources():
            times = [r.utc for r in reports if r.source == known["source"] and r.utc]
            assert (known["first_utc"], known["last_utc"]) == (min(times), max(times))
            assert history.days(known["source"]) == sorted({utc[:10] for utc in times})


@st.composite
def nights(draw: st.DrawFn) -> list[Report]:
    """Some sessions of two sources, seconds left out here and there, clocks set in between."""
    reports = []
    for number in range(draw(st.integers(1, 3))):
        session, source = f"s{number}", draw(st.sampled_from([SOURCE, "other"]))
        begin_ms = draw(st.integers(0, 3 * 86_400_000))
        for second in range(draw(st.integers(0, 30))):
            if not draw(st.booleans()):
                continue
            made = draw(any_report())
            where = {"source": source, "session": session, "sequence": second, "utc": utc_of(begin_ms + 1000 * second)}
            reports.append(replace(made, **where, start_s=float(max(0, second - 10)), end_s=float(second)))
    return reports


def plain_trend(reports: list[Report], start_ms: int, end_ms: int, bucket_ms: int) -> list[dict[str, Any]]:
    """A trend as its documentation has it, and as slow as that."""
    chosen = sorted(
        (r for r in reports if r.source == SOURCE and r.utc and start_ms <= utc_ms_of(r.utc) < end_ms),
        key=lambda r: (utc_ms_of(str(r.utc)), r.session, r.sequence),
    )

    def spread(values: list[float]) -> dict[str, Any]:
        n = len(values)
        ranked = [sorted(values)[-(-n * percent // 100) - 1] for percent in (5, 95)] if n else [None, None]
        median = statistics.median(values) if n else None
        return {"median": median, "low": ranked[0], "high": ranked[1], "valid": n}

    counted, seen = dict[tuple[Any, int], int](), dict[Any, float]()
    for r in chosen:
        if r.lost_samples and r.start_s >= seen.get(r.session, -1.0):
            counted[r.session, r.sequence], seen[r.session] = r.lost_samples, r.end_s
    rows = []
    for number in sorted({(utc_ms_of(str(r.utc)) - start_ms) // bucket_ms for r in chosen}):
        inside = [r for r in chosen if (utc_ms_of(str(r.utc)) - start_ms) // bucket_ms == number]
        said = [r.to_dict() for r in inside]
        row: dict[str, Any] = {"utc": utc_of(start_ms + number * bucket_ms), "reports": len(inside)}
        for name in MEASURES:
            row[name] = spread([s[name]["value"] for s in said if s[name]["valid"]])
        row["quality"] = spread([s["quality"] for s in said if s["quality"] is not None])["median"]
        row["states"] = dict(Counter(s["state"] for s in said))
        row["rhythms"] = dict(Counter(s["rhythm"]["label"] for s in said if s["rhythm"]["label"]))
        row["lost_samples"] = sum(counted.get((r.session, r.sequence), 0) for r in inside)
        rows.append(row)
    return rows


@given(nights(), st.integers(0, 86_400_000), st.integers(0, 4 * 86_400_000), st.sampled_from([0.5, 1, 7, 300, 86_400]))
def test_a_trend_is_what_anybody_would_compute(reports: list[Report], start_ms: int, long_ms: int, bucket_s: float):
    end_ms = start_ms + long_ms
    with tempfile.TemporaryDirectory() as folder:
        got = stored(Path(folder), reports).trend(SOURCE, utc_of(start_ms), utc_of(end_ms), bucket_s)
    for mine, theirs in zip(got, plain_trend(reports, start_ms, end_ms, round(1000 * bucket_s)), strict=True):
        assert mine == theirs


_lengths = st.lists(
    st.tuples(st.sampled_from(["normal", "af", "other", "noise"]), st.integers(1, 500), st.booleans()), max_size=8
)


@given(_lengths, st.integers(0, 4000), st.integers(0, 4000))
def test_the_burden_is_the_time_in_fibrillation_within_the_time_with_a_rhythm(
    lengths: list[tuple[str, int, bool]], start_s: int, long_s: int
) -> None:
    reports, episodes, now = [], list[Episode](), 0
    for number, (kind, length, open_first) in enumerate(lengths):
        whole = episode(number, kind, now, now + length, open=False)
        episodes.append(whole)
        if open_first:  # heard of while it grew: what came last counts
            reports.append(report(now, episodes=(episode(number, kind, now, now + 1),)))
        now += length
        reports.append(report(now, episodes=(whole,)))
    seconds = Counter[str]()
    for second in range(start_s, start_s + long_s):
        seconds.update(e.kind for e in episodes if e.start_s <= second < e.end_s)
    with tempfile.TemporaryDirectory() as folder:
        history = stored(Path(folder), reports)
        # A report's time of day is that of its window's end, ten seconds after `start_s` in these.
        burden = history.burden(SOURCE, at(start_s - 10), at(start_s + long_s - 10))
        kept = history.episodes(SOURCE, *ALWAYS)
    measured = seconds["af"] + seconds["normal"] + seconds["other"]
    share = seconds["af"] / measured if measured else None
    assert burden == {"af_s": seconds["af"], "measured_s": measured, "share": share}
    assert [(e["number"], e["kind"], e["open"]) for e in kept] == [(e.number, e.kind, False) for e in episodes]
    assert [e["start_utc"] for e in kept] == [at(e.start_s - 10) for e in episodes]


def test_episodes_that_reach_into_a_range_are_in_it(tmp_path: Path) -> None:
    history = stored(
        tmp_path, [report(100, episodes=(episode(0, "normal", 10.0, 60.0), episode(1, "af", 60.0, 110.0)))]
    )

    def kinds(start_s: float, end_s: float) -> list[str]:
        return [e["kind"] for e in history.episodes(SOURCE, at(start_s), at(end_s))]

    assert kinds(0, 40) == ["normal"]
    assert kinds(20, 55) == ["normal", "af"]
    assert kinds(55, 56) == ["af"]
    assert kinds(200, 300) == []
    first = history.episodes(SOURCE, *ALWAYS)[0]
    assert first == {
        "session": "a1b2c3",
        "number": 0,
        "kind": "normal",
        "start_utc": at(0),
        "end_utc": at(50),
        "confidence": 0.9,
        "reports": 50,
        "open": True,
    }


def test_it_is_read_while_it_is_written(tmp_path: Path) -> None:
    store = Store.open(tmp_path / "store.db", pytest.fail)
    history = History(tmp_path / "store.db")
    for i in range(50):
        store.write(report(i))
        assert history.sources()[0]["reports"] == i + 1
        assert history.trend(SOURCE, START, at(3600), 3600)[0]["hr_bpm"]["valid"] == i + 1
    store.close()
    assert len(history.reports(SOURCE, START, at(3600), 20)) == 20


def test_a_store_whose_writer_was_killed_is_read(tmp_path: Path) -> None:
    store = Store.open(tmp_path / "store.db", pytest.fail)
    store.write(report(0))
    for file in sorted(tmp_path.glob("store.db*")):  # as they would be found after a kill, log and all
        (tmp_path / file.name.replace("store", "found")).write_bytes(file.read_bytes())
    (tmp_path / "found.db-shm").unlink()
    assert len(History(tmp_path / "found.db").reports(SOURCE, *ALWAYS, 9)) == 1
    store.close()


def test_an_absence_has_its_state_and_no_values(tmp_path: Path) -> None:
    (row,) = stored(tmp_path, [absence(0), absence(1, "lead_off")]).trend(SOURCE, START, at(60), 60)
    assert row["states"] == {"silent": 1, "lead_off": 1}
    assert row["hr_bpm"] == {"median": None, "low": None, "high": None, "valid": 0}
    assert row["quality"] is None


def test_what_is_asked_wrongly_is_said(tmp_path: Path) -> None:
    history = stored(tmp_path, [report(0)])
    for nonsense in ("", "today", "2026-13-01", "99999-01-01", "2026-11-21T20:00:00Z; DROP TABLE report"):
        with pytest.raises(UsageError, match="no time"):
            history.trend(SOURCE, nonsense, at(1), 60)
    for bucket in (0, -1, float("nan"), float("inf"), 1e9):
        with pytest.raises(UsageError, match="bucket"):
            history.trend(SOURCE, START, at(1), bucket)
    with pytest.raises(UsageError, match="from 0 on"):
        history.reports(SOURCE, START, at(1), -1)
    hostile = "x' OR '1'='1"
    assert history.reports(hostile, *ALWAYS, 9) == history.episodes(hostile, *ALWAYS) == history.days(hostile) == []
    assert history.trend(SOURCE, at(5), START, 60) == []
    with pytest.raises(UsageError, match="there is no store"):
        History(tmp_path / "none.db")
    (tmp_path / "a text").write_text("time_s,II\n" * 100)
    with pytest.raises(UsageError, match="no SQLite database"):
        History(tmp_path / "a text")
