from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.fiducials import GROUPS, Stretch, our_waves, outcomes_of, peer_waves, tables
from benchmarks.matching import better_of, matched, point_tables, score, wave_tables
from benchmarks.report import fiducials_markdown
from edge_runtime.delineation import QRS, P, T
from tests.fakes import FakeBackend, ecg_of, model_that_states_all, regular_waves
from train.datasets.annotations import AnnotatedWave
from train.peers import NEUROKIT, Answer, ask, installed

RESULTS = Path(__file__).parent.parent.parent / "benchmarks" / "results"
EVERYWHERE = [(-1e9, 1e9)]


def wave(kind: int, peak_s: float, onset: float | None = 0.05, offset: float | None = 0.05) -> AnnotatedWave:
    """onset, offset: how far from the peak, s."""
    before, after = None if onset is None else peak_s - onset, None if offset is None else peak_s + offset
    return AnnotatedWave(kind, before, peak_s, after)


def test_the_nearest_of_a_kind_within_the_tolerance_belong_together() -> None:
    truth = [wave(QRS, 1.0), wave(QRS, 1.2), wave(T, 1.4), wave(P, 3.0), wave(P, 5.0)]
    found = [wave(QRS, 1.11), wave(QRS, 1.19), wave(P, 1.4), wave(P, 3.1501), wave(P, 4.8501)]
    assert matched(truth, found) == {0: 0, 1: 1, 4: 4}
    assert matched(truth, [wave(QRS, 1.09)]) == {0: 0}, "one found wave is no two waves"
    assert matched(truth, [wave(QRS, 1.14), wave(QRS, 1.31)]) == {1: 0}, "the nearest first"


WAVES = st.lists(
    st.tuples(
        st.sampled_from([P, QRS, T]),
        st.floats(0.02, 0.2),
        st.one_of(st.none(), st.floats(0.01, 0.1)),
        st.one_of(st.none(), st.floats(0.01, 0.1)),
    ),
    min_size=1,
    max_size=60,
)


@given(WAVES)
def test_who_repeats_the_annotation_is_right_in_everything(rows: list) -> None:
    times = np.cumsum([step for _, step, _, _ in rows])
    truth = [wave(kind, float(t), on, off) for t, (kind, _, on, off) in zip(times, rows, strict=True)]
    outcome = score(truth, truth, EVERYWHERE)
    for table in point_tables([outcome]).values():
        assert (table["mean"], table["sd"], table["median_abs"], table["beyond"]) == (0, 0, 0, 0)
    for table in wave_tables([outcome]).values():
        assert (table["found"], table["extra"]) == (table["annotated"], 0)
        assert table["sensitivity"] == table["precision"] == (1.0 if table["annotated"] else None)


@given(st.floats(-0.07, 0.07), st.integers(1, 30))
def test_a_constant_error_is_all_bias_and_no_spread(shift: float, n: int) -> None:
    truth = [wave(QRS, float(i)) for i in range(n + 1)]
    found = [replace(w, offset_s=(w.offset_s or 0) + shift) for w in truth]
    points = point_tables([score(truth, found, EVERYWHERE)])
    assert points["QRS offset"]["mean"] == pytest.approx(1e3 * shift, abs=1e-6)
    assert points["QRS offset"]["sd"] == pytest.approx(0, abs=1e-6)
    assert points["QRS onset"]["mean"] == 0


def test_scores_by_hand() -> None:
    """One missed, one false inside the annotated stretch, one beyond it, one point that nobody annotated."""
    truth = [wave(P, 1.0), wave(P, 2.0), wave(P, 3.0, onset=None)]
    found = [wave(P, 1.01, 0.05, 0.25), wave(P, 2.5), wave(P, 2.98), wave(P, 9.0)]
    outcome = score(truth, found, [(0.9, 3.1)])
    assert outcome.extra == (1, 0, 0)
    first, missed, last = outcome.waves
    assert missed.errors_ms is None
    assert first.errors_ms == {"onset": pytest.approx(10), "peak": pytest.approx(10), "offset": pytest.approx(210)}
    assert last.errors_ms == {"peak": pytest.approx(-20), "offset": pytest.approx(-20)}
    assert wave_tables([outcome])["P"] == {
        "annotated": 3,
        "found": 2,
        "extra": 1,
        "sensitivity": pytest.approx(2 / 3),
        "precision": pytest.approx(2 / 3),
    }
    other = score([wave(P, 1.0), wave(P, 2.0)], [wave(P, 1.004), wave(P, 2.0)], EVERYWHERE)
    points = point_tables([outcome, other])
    assert "P onset" in points
    assert points["P peak"] == {
        "n": 4,
        "mean": pytest.approx((10 - 20 + 4) / 4),
        "sd": pytest.approx(np.std([10, -20, 4, 0], ddof=1)),
        "median": pytest.approx(2),
        "median_abs": pytest.approx(7),
        "record_mean": pytest.approx((-5 + 2) / 2),
        "record_sd": pytest.approx((np.std([10, -20], ddof=1) + np.std([4, 0], ddof=1)) / 2),
        "beyond": 0,
    }
    assert points["P offset"]["beyond"] == 1, "far from the annotation, and counted in mean and SD all the same"


def test_the_better_of_two_channels_is_chosen_point_by_point() -> None:
    truth = [wave(T, 1.0), wave(T, 2.0), wave(T, 3.0)]
    one = score(truth, [wave(T, 1.03, 0.05, 0.05), wave(T, 2.0)], EVERYWHERE)
    two = score(truth, [wave(T, 0.99, 0.09, 0.05)], EVERYWHERE)
    both = better_of([one, two])
    assert both.waves[0].errors_ms == {
        "onset": pytest.approx(30), "peak": pytest.approx(-10), "offset": pytest.approx(-10)
    }  # fmt: skip
    assert both.waves[1].errors_ms == pytest.approx({"onset": 0, "peak": 0, "offset": 0})
    assert both.waves[2].errors_ms is None
    table = wave_tables([both])["T"]
    assert (table["sensitivity"], table["precision"]) == (pytest.approx(2 / 3), None)


def stretch(dataset: str) -> Stretch:
    drawn = regular_waves()
    mv = ecg_of(drawn, 250) + np.random.default_rng(0).normal(0, 0.005, 2500)
    hand = tuple(AnnotatedWave(w.kind, w.onset_s, (w.onset_s + w.offset_s) / 2, w.offset_s) for w in drawn)
    return Stretch(dataset, "1", 250.0, (mv, mv), (hand, hand), ([(0.0, 10.0)], [(0.0, 10.0)]))


def test_a_net_that_sees_what_the_hand_saw_scores_full_marks_through_the_products_own_code() -> None:
    model = model_that_states_all()
    for dataset, groups in (("ludb", GROUPS[:2]), ("qtdb", GROUPS[3:])):
        outcomes = outcomes_of(stretch(dataset), lambda mv, rate: our_waves(mv, rate, model, FakeBackend()))
        assert tuple(outcomes) == groups
        for found in tables({name: [o] for name, o in outcomes.items()}).values():
            assert all(abs(p["mean"]) < 1.5 and p["sd"] < 1.5 for p in found["points"].values()), found["points"]
            assert {w["sensitivity"] for w in found["waves"].values()} == {1.0}
    assert set(tables({GROUPS[0]: [score([], [], [])]})) == {GROUPS[0], GROUPS[2]}


@pytest.mark.skipif(not installed(NEUROKIT), reason="needs neurokit2: make peers")
def test_the_peer_is_read_as_it_means_its_points() -> None:
    """On hearts that no method can miss: R peaks on the sample, P and T near."""
    asked = stretch("ludb")
    answers = iter(ask(NEUROKIT, [(mv, asked.sampling_rate_hz) for mv in asked.leads_mv]).answers)
    (outcome, _) = outcomes_of(asked, lambda mv, rate: peer_waves(next(answers))).values()
    points, waves = point_tables([outcome]), wave_tables([outcome])
    assert waves["QRS"]["sensitivity"] > 0.9
    assert abs(points["QRS peak"]["mean"]) < 5
    assert abs(points["P peak"]["mean"]) < 20


@pytest.mark.parametrize("found", [{}, {"R": np.array([1.0, 2.0])}])
def test_where_the_peer_fails_it_has_found_nothing(found: dict) -> None:
    assert peer_waves(Answer(found, None, "IndexError: 0", 1.0, 1.0)) == ()


def committed() -> dict:
    return json.loads((RESULTS / "fiducials.json").read_text())


def test_the_readme_shows_the_committed_fiducials() -> None:
    readme = (RESULTS.parent.parent / "README.md").read_text()
    assert fiducials_markdown(committed()) in readme


# Literal floors, SD in ms over all points of LUDB's two leads: a change must not make the committed results worse.
FLOORS = {"P onset": 16, "P offset": 12, "QRS onset": 10, "QRS offset": 11, "T peak": 18, "T offset": 23}


@pytest.mark.parametrize("point", FLOORS)
def test_the_committed_fiducials_are_above_their_floor(point: str) -> None:
    table = committed()["found"]["leadwire int8"]["ludb I + II"]["points"][point]
    assert table["sd"] <= FLOORS[point]
    assert abs(table["mean"]) <= 5


def test_the_committed_waves_are_above_their_floor() -> None:
    """A window that is refused as noise has no waves: four of 320 are."""
    for kind, floor in (("P", 0.98), ("QRS", 0.98), ("T", 0.98)):
        table = committed()["found"]["leadwire int8"]["ludb I + II"]["waves"][kind]
        assert min(table["sensitivity"], table["precision"]) >= floor
