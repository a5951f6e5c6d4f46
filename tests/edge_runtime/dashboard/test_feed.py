"""What a client is told: everything once, the newest first when it is late, and never more than is bounded."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from edge_runtime.dashboard.feed import MOST_SOURCES, Cursor, Feed
from edge_runtime.episodes import Episode
from tests.edge_runtime.dashboard.fakes import RATE_HZ, report, samples

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)


def at(second: float, state: str = "ok", **more: object):  # type: ignore[no-untyped-def]
    return report(second, state, utc=NOON + timedelta(seconds=second), **more)  # type: ignore[arg-type]


def test_a_client_is_told_everything_once() -> None:
    feed, cursor = Feed(), Cursor()
    push = feed.watch("bed")
    push(samples(0, 500, arrival_s=5.0))
    feed.write(at(2.0))
    cursor.watch((0,))
    news = feed.news(cursor, 5.25)
    assert news["sources"] == ["bed"]
    told = news["live"][0]
    assert told["trace"]["at"] == 0 and len(told["trace"]["uv"]) == 500 and told["trace"]["age_s"] == 0.25
    assert told["report"] == at(2.0).to_dict()
    assert feed.news(cursor, 5.3) == {}
    push(samples(500, 10, arrival_s=5.4))
    assert feed.news(cursor, 5.4)["live"][0]["trace"]["at"] == 500
    assert feed.news(cursor, 5.5) == {}


def test_of_what_it_does_not_watch_it_is_told_a_few_keys_and_no_trace() -> None:
    feed, cursor = Feed(), Cursor()
    feed.watch("one")(samples(0, 10))
    feed.write(at(1.0, source="two"))
    cursor.watch((0,))
    live = feed.news(cursor, 0.0)["live"]
    assert set(live[0]) == {"trace", "spans", "episodes"} - {"spans", "episodes"}
    assert set(live[1]) == {"report"}
    assert live[1]["report"]["state"] == "ok" and "pr_ms" not in live[1]["report"]


def test_who_is_late_misses_the_oldest_and_costs_no_memory() -> None:
    feed, cursor = Feed(), Cursor()
    push = feed.watch("bed")
    cursor.watch((0,))
    push(samples(0, 10))
    feed.news(cursor, 0.0)
    for second in range(100):
        push(samples(10 + second * 250, 250))
    trace = feed.news(cursor, 0.0)["live"][0]["trace"]
    assert len(trace["uv"]) == 16 * RATE_HZ
    assert trace["at"] + len(trace["uv"]) == 10 + 100 * 250


def test_the_ribbon_is_a_span_a_state_with_holes_where_nothing_was_said() -> None:
    feed, cursor = Feed(), Cursor()
    cursor.watch((0,))
    for second in (1, 2, 3):
        feed.write(at(second))
    feed.write(at(4, "lead_off"))
    feed.write(at(60))
    spans = feed.news(cursor, 0.0)["live"][0]["spans"]
    zero = NOON.timestamp()
    assert spans == [
        [0, zero, zero + 3, "normal"],
        [1, zero + 3, zero + 4, "lead_off"],
        [2, zero + 59, zero + 60, "normal"],
    ]
    feed.write(at(61))
    assert feed.news(cursor, 0.0)["live"][0]["spans"] == [[2, zero + 59, zero + 61, "normal"]]


def test_spans_and_episodes_are_bounded() -> None:
    feed, cursor = Feed(), Cursor()
    cursor.watch((0,))
    for second in range(1000):
        state = "ok" if second % 2 else "gap"
        episode = Episode(second, "normal", second - 1.0, float(second), 0.9, 1, False)
        feed.write(replace(at(second, state), episodes=(episode,)))
    told = feed.news(cursor, 0.0)["live"][0]
    assert len(told["spans"]) == 240 and told["spans"][-1][0] == 999
    assert [row["number"] for row in told["episodes"]] == list(range(900, 1000))


def test_an_episode_has_times_of_day_and_the_later_word_counts() -> None:
    feed, cursor = Feed(), Cursor()
    cursor.watch((0,))
    feed.write(at(100, episodes=(Episode(4, "af", 70.0, 100.0, 0.8, 30, True),)))
    feed.write(at(110, episodes=(Episode(4, "af", 70.0, 108.0, 0.9, 38, False),)))
    (row,) = feed.news(cursor, 0.0)["live"][0]["episodes"]
    assert (row["start"], row["end"]) == (NOON.timestamp() + 70, NOON.timestamp() + 108)
    assert (row["open"], row["confidence"]) == (False, 0.9)


def test_whoever_looks_at_another_source_gets_all_of_it() -> None:
    feed, cursor = Feed(), Cursor()
    for name in ("one", "two"):
        feed.watch(name)(samples(0, 100))
        feed.write(at(1.0, source=name))
    cursor.watch((0,))
    feed.news(cursor, 0.0)
    cursor.watch((1,))
    told = feed.news(cursor, 0.0)["live"]
    assert "pr_ms" in told[1]["report"] and len(told[1]["trace"]["uv"]) == 100 and told[1]["spans"]
    assert 0 not in told


def test_a_source_that_does_not_exist_is_watched_in_vain_until_it_does() -> None:
    feed, cursor = Feed(), Cursor()
    cursor.watch((0,))
    assert feed.news(cursor, 0.0) == {}
    feed.watch("late")(samples(0, 5))
    assert feed.news(cursor, 0.0)["live"][0]["trace"]["uv"]


def test_there_is_an_end_to_sources() -> None:
    feed, cursor = Feed(), Cursor()
    for i in range(MOST_SOURCES + 5):
        feed.watch(f"bed {i}")(samples(0, 1))
        feed.write(at(1.0, source=f"bed {i}"))
    assert len(feed.news(cursor, 0.0)["sources"]) == MOST_SOURCES


def test_a_report_without_a_time_of_day_is_shown_and_has_no_place_in_the_ribbon() -> None:
    feed, cursor = Feed(), Cursor()
    cursor.watch((0,))
    feed.write(replace(at(1.0), utc=None))
    told = feed.news(cursor, 0.0)["live"][0]
    assert told["report"]["hr_bpm"]["value"] == 75.0 and told["spans"] == []
