from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks.accuracy import Row, group_tables, harmonic, judge, noise_table, tables
from benchmarks.classes import RhythmRow, rhythm_tables
from benchmarks.report import (
    _TITLES,
    MARKDOWN,
    accuracy_markdown,
    card_markdown,
    compare_markdown,
    put_between,
    results_of,
)
from benchmarks.statistics import bootstrap_by_patient, error_table
from edge_runtime.bundle import DEFAULT, MANIFEST
from tests.fakes import FakeBackend, ecg_of, model_that_states_all, regular_waves
from train.datasets.ludb import Subject
from train.datasets.truth import Case

RESULTS = Path(__file__).parent.parent.parent / "benchmarks" / "results"
NAN = float("nan")


def test_an_error_table_by_hand() -> None:
    truth = np.array([100.0, 100.0, 100.0, 100.0])
    value = np.array([103.0, 99.0, 110.0, NAN])
    table = error_table(truth, value, value - 5, value + 5, np.array([90.0, 90.0, 90.0, 80.0]), ["a", "a", "b", "c"])
    assert (table["n"], table["stated"]) == (4, 3)
    assert table["mae"] == pytest.approx(14 / 3)
    assert table["bias"] == pytest.approx(12 / 3)
    assert table["sd"] == pytest.approx(np.std([3, -1, 10], ddof=1))
    assert table["coverage"] == pytest.approx(2 / 3)
    assert table["mae_all"] == pytest.approx((3 + 1 + 10 + 20) / 4)
    assert table["constant_mae"] == pytest.approx(10)
    assert table["constant_mae_all"] == pytest.approx(12.5)
    half = error_table(truth, value, value - 5, value + 5, np.full(4, 90.0), list("abcd"), np.array([1, 1, 0.5, 0]))
    assert half["mae_all"] == pytest.approx((3 + 1 + (10 + 10) / 2 + 10) / 4)
    assert half["windows_stated"] == pytest.approx(2.5 / 4)
    peer = error_table(truth, value, np.full(4, NAN), np.full(4, NAN), truth, list("abcd"))
    assert "coverage" not in peer
    assert error_table(truth, np.full(4, NAN), truth, truth, truth, list("abcd")) == {"n": 4, "stated": 0}


def test_the_bootstrap_draws_patients_and_not_windows(rng: np.random.Generator) -> None:
    per_patient = rng.normal(0, 1, 40)
    once = bootstrap_by_patient(per_patient, [str(i) for i in range(40)])
    often = bootstrap_by_patient(np.repeat(per_patient, 50), [str(i) for i in np.repeat(np.arange(40), 50)])
    assert once == pytest.approx(often, abs=0.03), "fifty windows of a patient tell no more than one"
    assert once[0] < per_patient.mean() < once[1]
    assert once[1] - once[0] == pytest.approx(2 * 1.96 * per_patient.std() / 40**0.5, rel=0.2)


def test_a_stretch_that_is_right_in_every_window_has_no_error() -> None:
    assert harmonic(np.array([60.0, 120.0])) == pytest.approx(80.0)
    mv = ecg_of(regular_waves(), 250) + np.random.default_rng(0).normal(0, 0.005, 2500)
    known = {"hr_bpm": 75.0, "pr_ms": 160.0, "qrs_ms": 90.0, "qt_ms": 380.0}
    case = Case("ludb", "1", "i", 0, 250.0, (mv, mv), known, (known, known), 1)
    said = judge(case, model_that_states_all(), FakeBackend())
    for name, truth in known.items():
        assert said[name][0] == pytest.approx(truth, abs=1.0)
    refused = judge(case, model_that_states_all(), FakeBackend(p_wave=-5))["pr_ms"]
    assert refused == (None, None, None, "no_p_wave", 0.0)


def test_tables_keep_data_sets_and_arithmetics_apart() -> None:
    def row(dataset: str, lead: str, arithmetic: str, value: float | None) -> Row:
        return Row(
            dataset, "1", lead, 0, arithmetic, "hr_bpm", 60.0, 70.0, value, 50.0, 70.0, None, float(value is not None)
        )

    rows = [row("ludb", "i", "int8", 61.0), row("ludb", "ii", "int8", 63.0), row("qtdb", "x", "int8", None)]
    found = tables([*rows, row("ludb", "i", "float", 60.0)])
    assert found["ludb I"]["hr_bpm"]["int8"]["mae"] == 1.0
    assert found["ludb I"]["hr_bpm"]["float"]["mae"] == 0.0
    assert found["ludb I + II"]["hr_bpm"]["int8"]["mae"] == 2.0
    assert found["qtdb"]["hr_bpm"]["int8"] == {"n": 1, "stated": 0}
    people = {"1": Subject("F", 70.0)}
    groups = group_tables([row("ludb", "i", "int8", 61.0)], people)
    assert set(groups) == {"ludb, women", "ludb, 70 years and over", "both, 60 to 99 bpm"}
    scores = rhythm_tables([RhythmRow(0, "int8", 1, 1, True), RhythmRow(3, "int8", 1, 0, False)])
    assert scores["fold 0"]["int8"]["f1"]["af"] == 1.0
    assert scores["five folds"]["int8"]["labelled"] == 0.5
    noise = noise_table([(6.0, True, True, 0.9), (6.0, True, False, 0.8), (6.0, False, False, 0.1)])
    assert noise["6"] == {"n": 3, "stated": pytest.approx(2 / 3), "right_of_stated": 0.5}


def test_a_table_is_put_between_its_markers_and_nowhere_else(tmp_path: Path) -> None:
    path = tmp_path / "r.md"
    path.write_text("a\n<!-- x:begin -->\nold\n<!-- x:end -->\nb\n")
    put_between(path, "x", "new")
    assert path.read_text() == "a\n<!-- x:begin -->\nnew\n<!-- x:end -->\nb\n"
    with pytest.raises(ValueError, match="needs one"):
        put_between(path, "y", "new")


def committed() -> dict:
    return json.loads((RESULTS / "accuracy.json").read_text())


def test_the_readme_shows_the_committed_result() -> None:
    readme = (RESULTS.parent.parent / "README.md").read_text()
    assert accuracy_markdown(committed()) in readme
    rows = RESULTS.parent.parent / "runs" / "compare" / "rows.jsonl"
    assert compare_markdown([json.loads(line) for line in rows.read_text().splitlines()]) in readme


def test_the_model_card_is_that_of_the_committed_results() -> None:
    card = json.loads((DEFAULT / MANIFEST).read_text())["card"]
    found = results_of(RESULTS, RESULTS.parent.parent / "runs" / "default")
    more = [(title, MARKDOWN[n](found[n])) for n, title in _TITLES.items() if n in found]
    written = (RESULTS.parent.parent / "docs" / "model-card.md").read_text()
    assert written == card_markdown(committed(), card, more)


# Literal floors: a change must not make the committed results worse.
FLOORS = {"hr_bpm": 0.25, "pr_ms": 6.2, "qrs_ms": 7.3, "qt_ms": 9.8}


@pytest.mark.parametrize("name", FLOORS)
@pytest.mark.parametrize("arithmetic", ["float", "int8"])
def test_the_committed_accuracy_is_above_its_floor(name: str, arithmetic: str) -> None:
    table = committed()["intervals"]["ludb I + II"][name][arithmetic]
    assert table["mae"] <= FLOORS[name]
    assert table["mae"] < 0.5 * table["constant_mae_all"] or name == "qrs_ms"
    assert table["stated"] >= 0.97 * table["n"]


def test_the_committed_rhythm_is_above_its_floor() -> None:
    rhythm = committed()["rhythm"]
    assert all(by["int8"]["f1_mean_nao"] >= 0.80 for by in rhythm.values())
    assert abs(rhythm["five folds"]["int8"]["f1_mean_nao"] - rhythm["five folds"]["float"]["f1_mean_nao"]) <= 0.005


def test_the_committed_ranges_hold_and_are_narrower_than_the_constants() -> None:
    for name, groups in committed()["ranges"].items():
        ours, constant = groups["all"]["ours"], groups["all"]["constant"]
        assert ours["coverage_ci95"][0] <= 0.90 <= ours["coverage_ci95"][1] or ours["coverage"] > 0.90, name
        assert ours["mean_width"] < constant["mean_width"], name
        assert ours["interval_score"] < constant["interval_score"], name
