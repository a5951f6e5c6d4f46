from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from benchmarks import longterm, longterm_tables, quality, quality_tables, spoiled, steps
from benchmarks.quality import CincRow, CurveRow, FaultRow, NoiseRow, Said, WornRow
from edge_runtime.report import Report, Rhythm
from tests.fakes import FakeBackend, ecg_of, model_that_states_all, regular_waves
from train.datasets.truth import Case

NET = model_that_states_all(), FakeBackend()
ECG = ecg_of(regular_waves(), 500) + np.random.default_rng(0).normal(0, 0.005, 5000)
TRUTH = {"hr_bpm": 75.0, "pr_ms": 160.0, "qrs_ms": 90.0, "qt_ms": None}
CASE = Case("ludb", "1", "ii", 0, 500.0, (ECG,), TRUTH, (TRUTH,), 1)


@pytest.mark.parametrize("hz", [100.0, 125.0, 250.0, 500.0])
def test_another_rate_shows_the_same_ten_seconds(hz: float) -> None:
    slow = spoiled.at_rate(np.sin(2 * np.pi * 3 * np.arange(5000) / 500), 500.0, hz)
    np.testing.assert_allclose(slow, np.sin(2 * np.pi * 3 * np.arange(len(slow)) / hz), atol=1e-9)


@pytest.mark.parametrize("fault", spoiled.FAULTS, ids=lambda f: f.name)
def test_every_fault_is_ten_finite_seconds(fault: spoiled.Fault, rng: np.random.Generator) -> None:
    heart = spoiled.at_rate(ECG, 500.0, spoiled.RATE_HZ)
    kept = heart.copy()
    seen = fault.spoil(rng, heart)
    assert len(seen) == round(10 * fault.rate_hz)
    assert np.isfinite(seen).all()
    np.testing.assert_array_equal(heart, kept)
    assert fault.heart or not np.array_equal(seen, heart)


def test_an_order_that_is_lost_keeps_the_power(rng: np.random.Generator) -> None:
    lost = spoiled.without_phase(rng, ECG)
    assert lost.std() == pytest.approx(ECG.std(), rel=0.1)
    assert abs(np.corrcoef(lost, ECG)[0, 1]) < 0.5


def test_a_window_is_told_by_its_reason_and_a_value_by_whether_it_is_right() -> None:
    assert quality.said_of(ECG, 500.0, CASE, 75.0, NET) == Said(None, True)
    assert quality.said_of(ECG, 500.0, CASE, 100.0, NET) == Said(None, False)
    assert quality.said_of(np.zeros(5000), 500.0, CASE, 75.0, NET) == Said("flat", False)
    row = quality.curve_row(ECG, CASE, 0, 6.0, NET)
    assert row.quality > 0.9 and set(row.errors) == {"hr_bpm", "pr_ms", "qrs_ms"}
    assert row.errors["hr_bpm"] < 0.5
    refused = quality.curve_row(np.zeros(5000), CASE, 0, 6.0, NET)
    assert refused.quality == 0 and np.isnan(refused.errors["hr_bpm"])


def test_the_tables_count_what_was_said(tmp_path: Path) -> None:
    ok, wrong, refused = Said(None, True), Said(None, False), Said("motion", False)
    noise = quality.noise_tables([NoiseRow("ludb", "em", 6.0, s) for s in (ok, ok, wrong, refused)])
    assert noise["all"]["em"]["6"] == {"n": 4, "stated": 3, "right": 2, "reasons": {"motion": 1}}
    faults = quality.fault_tables([FaultRow("ramp of 2 mV/s", s) for s in (ok, refused, Said("flat", False))])
    assert (faults["ramp of 2 mV/s"]["named"], faults["ramp of 2 mV/s"]["n"]) == (1, 3)
    cinc = quality.cinc_tables([CincRow(3, 5, ("motion",) * 5, True), CincRow(3, 4, (), False)])
    assert (cinc["noisy"]["called_noisy"], cinc["noisy"]["wholly_refused"], cinc["noisy"]["refused"]) == (1, 1, 5)
    worn = quality.worn_tables(
        [WornRow("ludb", "I", "1", t, u) for t, u in ((False, 9.0), (False, -9.0), (True, -9.0), (True, None))]
    )
    assert worn["ludb I"]["false_alarms"] == worn["ludb I"]["recognised"] == worn["ludb I"]["turned"] == 1
    rows = [CurveRow(6.0, 1 - k / 200, {"hr_bpm": float(k)}) for k in range(100)]
    curve = quality.curve_tables([*rows, CurveRow(6.0, 0.0, {"hr_bpm": 5.0})])["6"]["hr_bpm"]
    assert curve["mae"][24] == pytest.approx(25, abs=1.1) and curve["mae"][-1] is None
    point = quality.operating_points(rows, 0.75)["6"]["hr_bpm"]
    assert point == [pytest.approx(0.51), pytest.approx(25.0)]
    result = {"noise": noise, "faults": faults, "cinc2017": cinc, "worn": worn}
    written = quality_tables.quality_markdown(result)
    assert "| em, 6 dB | 4 | 75.0 % | 66.7 % | 1 |" in written
    every = {m: {"n": 1, "mae": [1.0] * len(quality.SHARES)} for m, _ in quality_tables._PANELS}
    points = {m: [0.5, 1.0] for m in every}
    shown = {"shares": list(quality.SHARES), "levels": {"6": every}, "at_threshold": {"6": points}}
    quality_tables.curve_picture(shown, tmp_path / "curve.png")
    assert (tmp_path / "curve.png").stat().st_size > 5000


def test_fibrillation_goes_on_under_a_ventricular_run_and_flutter_is_none() -> None:
    changes = [
        (0.0, "(N"),
        (10.0, "(AFIB"),
        (50.0, "(VT"),
        (52.0, "(AFIB"),
        (90.0, "(AFL"),
        (120.0, "(AFIB"),
        (150.0, "(B"),
    ]
    af, flutter = longterm.fibrillation_of(changes, 200.0)
    assert af == [(10.0, 90.0), (120.0, 150.0)]
    assert flutter == [(90.0, 120.0)]


def test_an_episode_counts_once_however_often_it_is_found() -> None:
    score = longterm.Score()
    score.add([(20.0, 60.0), (70.0, 130.0), (300.0, 340.0)], [(10.0, 120.0), (200.0, 220.0)], [], 3600.0)
    assert (score.reference, score.found, score.given, score.true) == (1, 1, 3, 2)
    assert score.delays_s == [10.0]
    assert (score.reference_s, score.found_s, score.given_s) == (130.0, 90.0, 140.0)
    in_flutter = longterm.Score()
    in_flutter.add([(0.0, 100.0)], [], [(0.0, 80.0)], 3600.0)
    assert (in_flutter.given, in_flutter.given_s) == (0, 20.0)


def _record(kind: str, sure: float = 0.9) -> list[Report]:
    rest = (1 - sure) / 3
    rhythm = Rhythm(kind, sure, None, tuple(sure if k == kind else rest for k in ("normal", "af", "other", "noisy")))
    return [Report("ok", "I", t, t + 10.0, 300.0, {}, rhythm, "b") for t in range(20)]


def test_streams_of_known_rhythm_are_heard_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(longterm, "STREAMS", 2)
    records = {kind: [_record(kind)] for kind in ("normal", "af", "other")}
    (reports, truth), _ = longterm.streams(records, 1)
    assert all(a.end_s < b.end_s for a, b in pairwise(reports))
    score = longterm.Score()
    score.add(longterm.af_spans(longterm.episodes_of(reports)), truth, (), 3600.0)
    assert score.reference == score.found > 0 and score.given == score.true
    rows = longterm.choice(records, 1)
    assert set(longterm.chosen_of(rows)) == set(longterm.GRID)
    turned = [replace(r, start_s=10.0 * i, end_s=10.0 * i + 10, upright=-9.0) for i, r in enumerate(_record("normal"))]
    assert longterm.inverted_after_s(turned) == 60.0
    assert longterm.inverted_after_s([replace(r, upright=9.0) for r in turned]) is None
    result = {
        "mitdb": {"with": score.to_dict(), "without": longterm.Score().to_dict(), "records": {"201": score.to_dict()}},
        "filter": {
            "weight": 4.0,
            "believed": 0.8,
            "held_s": 10.0,
            "chosen_again": longterm.chosen_of(rows),
            "tried": rows,
        },
        "inverted_after_s": {"100": {"as_it_is": None, "turned": 60.0}},
        "steps": {"80 to 120 bpm": {"hearts": 2, "reported": 2, "seconds": [7.0, 7.5, 8.0], "silent_reports": 0.0}},
    }
    written = longterm_tables.longterm_markdown(result)
    assert "| turned | 1 of 1 (100 %) | 60 |" in written
    assert "| 80 to 120 bpm | 2 of 2 (100 %) | 7.0 / 7.5 / 8.0 | 0.0 |" in written
    assert written.count("**ships**") == 1


def test_a_rate_steps_when_it_is_told_to(rng: np.random.Generator) -> None:
    mv, stepped_s = steps.stepping(rng, 80.0, 120.0)
    assert len(mv) == round(steps.LASTS_S * steps.RATE_HZ)
    assert steps.STEP_S - 0.8 <= stepped_s <= steps.STEP_S


def test_the_first_report_that_stays_right_ends_a_step() -> None:
    mv = np.zeros(round(30 * steps.RATE_HZ)) + np.random.default_rng(0).normal(0, 0.1, round(30 * steps.RATE_HZ))
    settled, silent = steps.settled_after_s(mv, 12.4, 75.0, NET)
    assert (settled, silent) == (pytest.approx(0.6), 0), "the fake says 75 whatever it sees"
    assert steps.settled_after_s(mv, 12.4, 120.0, NET)[0] is None
