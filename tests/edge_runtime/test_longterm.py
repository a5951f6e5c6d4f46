from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_runtime.episodes import KINDS, RHYTHM_KINDS, UNMEASURED_KINDS, Episode, burden, latest
from edge_runtime.longterm import SENSE, UNMEASURED, LongTerm
from edge_runtime.report import MEASURABLE, RHYTHMS, STATES, Report, Rhythm, nothing_measured

MEASURES, NO_RHYTHM = nothing_measured("warming_up")


def report(end_s: float, said: str, upright: float | None = None, sure: float = 0.94) -> Report:
    """said: a rhythm, or the state that hides it."""
    rest = (1 - sure) / (len(RHYTHMS) - 1)
    rhythm = Rhythm(said, sure, None, tuple(sure if r == said else rest for r in RHYTHMS))
    state = "ok" if said in RHYTHMS else said
    measured = rhythm if said in RHYTHMS else NO_RHYTHM
    return Report(state, "I", end_s - 10, end_s, 250.0, MEASURES, measured, "b", upright=upright)


def changes(said: Iterable[str | tuple[str, float]], hop_s: float = 1.0) -> list[Episode]:
    sense = LongTerm(hop_s)
    out: list[Episode] = []
    for i, item in enumerate(said):
        what, upright = item if isinstance(item, tuple) else (item, None)
        out += sense.add(report(10 + i * hop_s, what, upright))
    return out


def episodes(said: Iterable[str | tuple[str, float]], hop_s: float = 1.0) -> list[tuple[str, float, float]]:
    return [(e.kind, e.start_s, e.end_s) for e in latest(changes(said, hop_s))]


def test_a_rhythm_begins_where_it_was_first_believed_and_ends_where_the_next_does() -> None:
    (first, second, third) = episodes(["normal"] * 120 + ["af"] * 120 + ["normal"] * 120)
    assert [first[0], second[0], third[0]] == ["normal", "af", "normal"]
    assert first[2] == second[1] and second[2] == third[1]
    assert 125 <= second[1] <= 125 + 20
    assert 245 <= third[1] <= 245 + 20
    assert third[2] == 5 + 359


@pytest.mark.parametrize("other", ["af", "other", "noisy", "poor_signal", "lead_off", "gap", "disconnected"])
def test_one_window_begins_nothing(other: str) -> None:
    """Nor do several, as long as they are fewer than an episode needs."""
    (only,) = episodes(["normal"] * 60 + [other] + ["normal"] * 60 + [other] * 5 + ["normal"] * 60)
    assert (only[0], only[2]) == ("normal", 5 + 185)


def test_what_is_not_measured_for_ten_seconds_is_an_episode_of_its_own() -> None:
    found = episodes(["normal"] * 60 + ["lead_off"] * 30 + ["normal"] * 60)
    assert [kind for kind, *_ in found] == ["normal", "lead_off", "normal"]
    assert found[1][1] == 65
    assert 95 <= found[1][2] <= 95 + SENSE.held_s + 10


def test_reasons_that_alternate_do_not_hide_that_nothing_is_measured() -> None:
    found = episodes(["normal"] * 60 + ["poor_signal", "lead_off", "poor_signal"] * 10)
    assert [kind for kind, *_ in found] == ["normal", "noise"]


def test_time_that_nobody_reported_is_nobodys_rhythm() -> None:
    sense, out = LongTerm(), []
    for end_s in (*range(10, 100), *range(3700, 3790)):
        out += sense.add(report(end_s, "normal"))
    first, missed, last = latest(out)
    assert [e.kind for e in (first, missed, last)] == ["normal", "absent", "normal"]
    assert (missed.start_s, first.end_s) == (94, 94)
    assert missed.end_s >= 3695
    assert burden([first, missed, last])["measured_s"] < 200


def test_a_frozen_timeline_is_an_absence_too() -> None:
    sense, out = LongTerm(), []
    for end_s in [*range(10, 100), *[99] * 40]:
        out += sense.add(report(end_s, "normal" if len(out) < 70 and end_s < 99 else "disconnected"))
    assert [e.kind for e in latest(out)] == ["normal", "absent"]


def test_the_confidence_is_what_was_believed_and_rises_with_the_evidence() -> None:
    def confidence(sure: float) -> float:
        sense, out = LongTerm(), []
        for i in range(200):
            out += sense.add(report(10 + i, "af", sure=sure))
        (only,) = latest(out)
        assert only.kind == "af" and only.confidence is not None
        return only.confidence

    assert 0.8 < confidence(0.7) < confidence(0.97) <= 1


def test_hops_of_ten_seconds_find_the_same_times() -> None:
    coarse = episodes(["normal"] * 30 + ["af"] * 30 + ["normal"] * 30, hop_s=10)
    assert [kind for kind, *_ in coarse] == ["normal", "af", "normal"]
    assert coarse[1][1] == pytest.approx(5 + 300, abs=20)


def test_a_turned_lead_is_said_after_a_minute_and_no_single_look_says_it() -> None:
    def worn(*upright: float) -> list[str | tuple[str, float]]:
        return [(("normal", u) if i == 0 else "normal") for u in upright for i in range(10)]

    found = latest(changes(worn(*[-9.0] * 12)))
    assert [e.kind for e in found] == ["normal", "inverted"]
    assert found[1].start_s == 5 and found[1].confidence is not None and found[1].confidence > 0.95
    assert [e.kind for e in latest(changes(worn(*[6.0] * 6, -20.0, *[6.0] * 6)))] == ["normal"]
    assert [e.kind for e in latest(changes(worn(*[-9.0] * 5)))] == ["normal"]
    righted = latest(changes(worn(*[-9.0] * 8, *[9.0] * 8)))
    assert [(e.kind, e.open) for e in righted] == [("normal", True), ("inverted", False)]


def test_a_new_lead_and_electrodes_that_were_off_are_looked_at_afresh() -> None:
    looks: list[str | tuple[str, float]] = [("normal", -9.0)] * 8
    by_kind = {e.kind: e.open for e in latest(changes([*looks, *["normal"] * 20, *["lead_off"] * 20]))}
    assert by_kind == {"normal": False, "inverted": False, "lead_off": True}
    sense = LongTerm()
    for i in range(8):
        sense.add(report(10 + i, "normal", -9.0))
    (*_, ended) = sense.add(replace(report(18, "normal"), lead="II"))
    assert (ended.kind, ended.open) == ("inverted", False)


SAID = st.lists(
    st.tuples(st.sampled_from([*RHYTHMS, *(s for s in STATES if s not in MEASURABLE)]), st.integers(1, 40)), max_size=12
)


@given(SAID, st.sampled_from([1.0, 5.0, 10.0]))
def test_whatever_is_reported_the_episodes_follow_one_another(said: list[tuple[str, int]], hop_s: float) -> None:
    every = changes([what for what, count in said for _ in range(count)], hop_s)
    found = latest(every)
    assert [e.number for e in found] == list(range(len(found)))
    assert all(e.kind in KINDS and e.start_s <= e.end_s and e.reports > 0 for e in found)
    assert all((e.confidence is None) == (e.kind in UNMEASURED_KINDS) for e in found)
    assert all(a.end_s <= b.start_s for a, b in pairwise(found))
    assert all(not e.open for e in found[:-1])
    for number in range(len(found)):
        own = [e for e in every if e.number == number]
        assert all(a.kind == b.kind and a.start_s == b.start_s for a, b in pairwise(own))
        assert all(a.open for a in own[:-1])


def test_every_state_is_measurable_or_has_a_kind() -> None:
    assert set(STATES) == set(MEASURABLE) | set(UNMEASURED)
    assert set(UNMEASURED.values()) == set(UNMEASURED_KINDS)
    assert set(RHYTHM_KINDS) < set(RHYTHMS)


def test_burden_is_of_the_time_whose_rhythm_is_known() -> None:
    made = [
        Episode(0, "normal", 0, 300, 0.9, 300, False),
        Episode(1, "noise", 300, 900, None, 600, False),
        Episode(2, "af", 900, 1000, 0.9, 100, True),
    ]
    assert burden(made) == {"af_s": 100, "measured_s": 400, "share": 0.25}
    assert burden([])["share"] is None
    assert latest([*made, replace(made[0], end_s=400.0)])[0].end_s == 400
