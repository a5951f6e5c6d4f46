"""What is made of the peers' answers."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.matching import nearest_pairs
from benchmarks.neighbour import kept
from benchmarks.peers import beat_table, figures
from benchmarks.peers.cases import LEARNING_S, Recording, counts, recordings
from benchmarks.peers.judge import Said, beside, better_on_all, by_case, counted, mean_interval_mae, tables, write_rows
from benchmarks.peers.picture import picture
from benchmarks.peers.tables import markdown
from benchmarks.peers.timing import ROUNDS, spread, timed
from tests.conftest import need
from train.datasets.truth import Case
from train.peers import NEUROKIT, Answer, Asked, Measures
from train.peers.finders import OUR_BEATS, OURS

RESULTS = Path(__file__).parent.parent.parent / "benchmarks" / "results"
TRUTH: Measures = {"hr_bpm": 60.0, "pr_ms": 160.0, "qrs_ms": 90.0, "qt_ms": 400.0}


def case(record: str, dataset: str = "ludb", windows: int = 1) -> Case:
    signals = tuple(np.zeros(2500) for _ in range(windows))
    return Case(dataset, record, "i", 0, 250.0, signals, dict(TRUTH), (dict(TRUTH),) * windows, 1)


def says(off: float = 0.0, failed: str | None = None, **more: float | None) -> Answer:
    values = {name: None if v is None else v + off for name, v in TRUTH.items()} | more
    return Answer({}, {} if failed else values, failed, 2.0, 1.0)


def test_windows_of_a_case_become_one_value_and_a_failure_is_no_error() -> None:
    cases = [case("1", windows=3), case("2")]
    answers = [says(qt_ms=390.0), says(qt_ms=410.0, hr_bpm=30.0), says(failed="ValueError: 0"), says(pr_ms=None)]
    first, second = by_case(cases, answers)
    assert (first.windows, first.failed, first.stated["qt_ms"]) == (3, 1, 2)
    assert first.values["qt_ms"] == 400.0
    assert first.values["hr_bpm"] == pytest.approx(2 / (1 / 60 + 1 / 30), abs=1e-3), "the mean RR, not the mean rate"
    assert second.values["pr_ms"] is None
    assert counted([first, second]) == {
        "windows": 4,
        "failed": 1,
        "not_stated": {"hr_bpm": 1, "pr_ms": 2, "qrs_ms": 1, "qt_ms": 1},
    }


def test_errors_are_of_what_was_stated_and_beside_ours_of_what_both_state() -> None:
    cases = [case(str(i)) for i in range(6)]
    theirs = by_case(cases, [says(10.0)] * 3 + [says(-30.0, pr_ms=None)] * 3)
    ours = by_case(cases, [says(-2.0)] * 5 + [says(failed="x")])
    found = tables(cases, theirs, ours)["both"]
    assert (found["pr_ms"]["n"], found["pr_ms"]["stated"], found["pr_ms"]["mae"]) == (6, 3, 10.0)
    assert (found["qt_ms"]["mae"], found["qt_ms"]["bias"]) == (20.0, -10.0)
    pair = found["qt_ms"]["beside_ours"]
    assert (pair["n"], pair["mae_ours"], pair["mae_theirs"]) == (5, 2.0, 18.0)
    assert pair["mae_more_ci95"][0] < pair["mae_more"] == 16.0 < pair["mae_more_ci95"][1]
    assert tables(cases, theirs, ours)["qtdb"]["qt_ms"] == {"n": 0, "stated": 0}


def test_better_on_all_is_better_on_each() -> None:
    cases = [case(str(i)) for i in range(4)]
    ours = by_case(cases, [says(2.0), says(-2.0), says(2.0), says(-2.0)])
    worse = by_case(cases, [says(9.0), says(-9.0), says(9.0), says(-9.0)])
    assert better_on_all(tables(cases, worse, ours))
    assert not better_on_all(tables(cases, ours, worse))
    one = by_case(
        cases, [says(9.0, qrs_ms=90.0), says(-9.0, qrs_ms=91.0), says(9.0, qrs_ms=90.0), says(-9.0, qrs_ms=91.0)]
    )
    assert not better_on_all(tables(cases, one, ours))
    silent = by_case(cases, [says(9.0, pr_ms=None)] * 4)
    assert not better_on_all(tables(cases, silent, ours)), "who says nothing cannot be beaten"
    assert mean_interval_mae(tables(cases, silent, ours)) is None
    assert mean_interval_mae(tables(cases, worse, ours)) == 9.0


def test_beside_by_hand() -> None:
    found = beside(np.zeros(2), np.array([3.0, -5.0]), np.array([1.0, 1.0]), ["a", "b"])
    assert (found["mae_theirs"], found["mae_ours"], found["mae_more"], found["sd_ours"]) == (4.0, 1.0, 3.0, 0.0)


# ---- beats by EC57 ---------------------------------------------------------------------------------------------------


def tape(beats_s: list[float], left_out_s: tuple[tuple[float, float], ...] = ()) -> Recording:
    return Recording("x", 0, (np.zeros(360), 360.0), np.array(beats_s), left_out_s)


def test_beats_are_counted_behind_the_learning_and_outside_of_flutter() -> None:
    t = LEARNING_S
    truth = [t - 10, t + 1, t + 2, t + 3, t + 20, t + 40]
    found = np.array([t - 5, t + 1.1, t + 2.151, t + 3.05, t + 3.1, t + 21, t + 40])
    assert counts(tape(truth), found) == {"found": 3, "missed": 2, "extra": 3}
    assert counts(tape(truth, ((t + 19, t + 22),)), found) == {"found": 3, "missed": 1, "extra": 2}
    assert counts(tape(truth), np.empty(0)) == {"found": 0, "missed": 5, "extra": 0}


def test_a_table_of_beats_counts_a_failure_as_all_missed() -> None:
    t = LEARNING_S
    good, bad = Recording("a", 0, (np.zeros(360), 360.0), np.array([t + 1.0]), ()), tape([t + 1.0, t + 2.0, t + 3.0])
    answers = {"a": Answer({"R": np.array([t + 1.0])}, None, None, 1.0, 1.0), "x": says(failed="x")}
    found = beat_table([good, bad], answers)
    assert (found["sensitivity"], found["precision"], found["mean_sensitivity"]) == (0.25, 1.0, 0.5)
    assert found["failed"] == ["x"]


times = st.lists(st.floats(0, 5, width=32), max_size=12)


@given(times, times)
def test_pairs_are_one_to_one_within_the_tolerance_and_none_is_left_that_could_be(
    a: list[float], b: list[float]
) -> None:
    truth, found = np.array(sorted(a), float), np.array(sorted(b), float)
    pairs = nearest_pairs(truth, found, 0.15)
    assert len(set(pairs.values())) == len(pairs)
    assert all(abs(truth[i] - found[j]) <= 0.15 + 1e-9 for i, j in pairs.items())
    left = [(i, j) for i in range(len(truth)) for j in range(len(found)) if i not in pairs and j not in pairs.values()]
    assert all(abs(truth[i] - found[j]) >= 0.15 - 1e-9 for i, j in left)


def test_mitdb_has_flutter_in_one_recording_alone() -> None:
    need("mitdb")
    every = recordings(0)
    assert len(every) == 48
    assert [t.name for t in every if t.left_out_s] == ["207"]
    assert sum(len(t.beats_s) for t in every) == 109_494, "as the data set states it"


# ---- the whole -------------------------------------------------------------------------------------------------------


def test_time_is_the_least_of_the_rounds_and_all_take_turns() -> None:
    turns: list[str] = []

    def peer(name: str, ms: list[float]):
        def ask(signals: object) -> Asked:
            turns.append(name)
            spent = ms[turns.count(name) - 1]
            return Asked([Answer({}, {}, None, 2 * spent, spent)] * 2, 100 * spent)

        return ask

    signals = [(np.full(3, k), 250.0) for k in range(2)]
    found = timed({"a": peer("a", [3.0, 1.0, 2.0]), "b": peer("b", [8.0, 9.0, 7.0])}, signals, lambda said: None)
    assert turns == ["a", "b"] * ROUNDS
    assert [found["peers"][n]["processor_ms"]["p50"] for n in "ab"] == [1.0, 7.0]
    assert found["peers"]["a"]["peak_memory_mb"] == 300.0
    assert [int(mv[0]) for mv, _ in spread([(np.full(3, k), 1.0) for k in range(100)], 3)] in ([0, 50, 99], [0, 49, 99])


def whole() -> dict:
    cases = [case(str(i)) for i in range(4)]
    ours = by_case(cases, [says(2.0), says(-2.0), says(2.0), says(-2.0)])
    theirs = by_case(cases, [says(9.0), says(-9.0), says(9.0), says(-9.0)])
    beats = by_case(cases, [Answer({}, {"hr_bpm": 61.0}, None, 1.0, 1.0)] * 4)
    known = {"version": "1.0", "install_mb": 100.0}
    rows = {OURS: ours, NEUROKIT: theirs, "only beats": beats}
    spent = {OURS: 2.0, NEUROKIT: 50.0, "only beats": 0.5}
    out = {
        "machine": {"name": "m", "architecture": "a", "usable_cores": 2, "python": "CPython 3"},
        "absent": {"gone": "gone is not installed; make peers"},
        "peers": {
            n: {**known, "note": "", "windows": counted(r), "errors": tables(cases, r, ours)} for n, r in rows.items()
        },
        "time": {
            "windows": 4,
            "rounds": 3,
            "load_before": 0.1,
            "peers": {
                n: {"processor_ms": {"p50": ms}, "wall_ms": {"p50": ms}, "peak_memory_mb": 60.0}
                for n, ms in spent.items()
            },
        },
        "beats": {OUR_BEATS: {**known, **beat_table([tape([LEARNING_S + 1])], {"x": says()})}},
    }
    return out | {"figures": figures(out)}


def test_the_figures_are_ratios_of_the_same_run() -> None:
    found = whole()["figures"]
    assert found["ours_mean_interval_mae"] == 2.0
    assert found["against"] == {
        NEUROKIT: {"times_faster": 25.0, "better_on_every_mae_and_sd": True, "mean_interval_mae": 9.0}
    }
    assert found["fastest_with_all_three"] == NEUROKIT, "who has no intervals is not in the race"


def test_tables_and_picture_are_drawn_from_the_result(tmp_path: Path) -> None:
    text = markdown(whole())
    assert "| neurokit2 dwt (the fastest of them) | 25.0 | 9.0 | 2.0 | yes |" in text
    assert "gone is not installed" in text
    picture(whole(), tmp_path / "peers.png")
    assert (tmp_path / "peers.png").read_bytes().startswith(b"\x89PNG")


def test_the_neighbours_rows_come_back_as_they_went(tmp_path: Path) -> None:
    cases = [case("7"), case("8")]
    said = by_case(cases, [says(1.0), says(pr_ms=None)])
    assert kept(tmp_path) == {}
    write_rows(tmp_path, cases, {"other": said, NEUROKIT: said}, {"other": "1", NEUROKIT: "2"})
    assert kept(tmp_path) == {("ludb", c.record, "i"): s.values for c, s in zip(cases, said, strict=True)}
    assert isinstance(said[0], Said)


@pytest.mark.skipif(not (RESULTS / "peers.json").exists(), reason="not measured yet: python -m benchmarks peers")
def test_the_page_shows_the_committed_result() -> None:
    page = (RESULTS.parent.parent / "docs" / "benchmarks.md").read_text()
    assert markdown(json.loads((RESULTS / "peers.json").read_text())) in page
