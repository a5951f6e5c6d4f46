from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks import disagreement
from benchmarks.disagreement import Pair, pairs_of, table_of, trace_of, worst_of
from benchmarks.traces import SHOWN_S, sheet
from edge_runtime.bundle import MEASURED
from edge_runtime.delineation import QRS, P, Wave
from tests.fakes import FakeBackend, ecg_of, model_that_states_all, regular_waves
from train.datasets.truth import Case


def case(record: str = "1") -> Case:
    truth = dict.fromkeys(MEASURED, 160.0)
    return Case("ludb", record, "i", 0, 250.0, (ecg_of(regular_waves(), 250),), truth, (truth,), 1)


def later_p(by_s: float) -> FakeBackend:
    return FakeBackend([Wave(w.kind, w.onset_s + by_s * (w.kind == P), w.offset_s) for w in regular_waves()])


def test_a_shifted_wave_moves_its_measure_and_no_other() -> None:
    pairs = pairs_of([case()], model_that_states_all(), FakeBackend(), later_p(0.02))
    apart = {p.measure: p.apart for p in pairs}
    assert apart["pr_ms"] == pytest.approx(20, abs=2)
    assert apart["qrs_ms"] == apart["hr_bpm"] == 0
    found = table_of(pairs)["pr_ms"]
    assert (found["windows"], found["one_sided"]) == (1, 0)
    assert found["most"] == pytest.approx(20, abs=2)


def test_the_farthest_come_first_once_a_lead_and_what_one_alone_states_comes_last() -> None:
    def pair(record: str, float_: float | None, int8: float | None) -> Pair:
        return Pair(case(record), 0, "pr_ms", 160.0, float_, int8)

    pairs = [pair("1", 160, 162), pair("1", 160, 190), pair("2", None, 170), pair("3", 150, 145), pair("4", None, None)]
    assert [(p.case.record, p.apart) for p in worst_of(pairs)] == [("1", 30), ("3", 5), ("2", None)]
    assert len(worst_of([pair(str(k), 160, 160 + k) for k in range(20)], most=3)) == 3


def test_a_trace_is_shown_where_the_two_differ(tmp_path: Path) -> None:
    waves = [w for w in regular_waves() if not (w.kind == QRS and 8.0 < w.onset_s < 9.0)]
    pair = Pair(case(), 0, "hr_bpm", 75.0, 75.0, 71.3)
    trace = trace_of(pair, model_that_states_all(), FakeBackend(), FakeBackend(waves))
    assert trace.from_s <= 8.3 <= trace.from_s + SHOWN_S <= 10.0 + 1e-6
    assert "HR 75.0 / 71.3 bpm, by hand 75.0" in trace.title
    sheet([trace] * 5, tmp_path / "x.png", "above, below")
    assert (tmp_path / "x.png").read_bytes().startswith(b"\x89PNG")


def test_where_nothing_differs_something_is_still_shown() -> None:
    assert disagreement._where(np.zeros(1280, np.float32), 10.0) == 0.0
    assert disagreement._where(np.ones(1280, np.float32), 2.0) == 0.0
