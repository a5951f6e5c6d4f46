from __future__ import annotations

import numpy as np
import pytest

from edge_runtime.delineation import QRS, P, T, Wave, beats_of, doubt_of, probability_of
from edge_runtime.intervals import dominant, measure
from edge_runtime.ranges import evidence_of
from edge_runtime.report import Value
from tests.fakes import FakeBackend, ecg_of, model_that_states_all, regular_waves

MODEL = model_that_states_all()


def measured(waves: list[Wave], x: np.ndarray | None = None, **more: object) -> dict[str, Value]:
    signal = (ecg_of(waves, 250) if x is None else x).astype(np.float32)
    options: dict = {"bridged_s": [], "p_waves": True, "fibrillation": False, **more}
    heads = FakeBackend(waves)(np.zeros(2500, np.float32))
    evidence = evidence_of(heads, doubt_of(probability_of(heads["masks"])))
    return measure(beats_of(waves, signal, 250), signal, 250, 10.0, targets=MODEL.targets, evidence=evidence, **options)


def test_each_interval_is_what_its_definition_says() -> None:
    m = measured(regular_waves(rr_s=0.8, pr_s=0.16, qrs_s=0.09, qt_s=0.38))
    assert m["hr_bpm"].value == pytest.approx(75, abs=0.1)
    assert m["pr_ms"].value == pytest.approx(160)
    assert m["qrs_ms"].value == pytest.approx(90)
    assert m["qt_ms"].value == pytest.approx(380)
    assert m["qtc_ms"].value == pytest.approx(380 / 0.8 ** (1 / 3), rel=1e-3)
    assert m["qtc_bazett_ms"].value == pytest.approx(380 / 0.8**0.5, rel=1e-3)
    assert (m["qt_ms"].low, m["qt_ms"].high) == pytest.approx((370, 390))


@pytest.mark.parametrize(("p_waves", "fibrillation"), [(False, False), (True, True)])
def test_no_p_wave_no_pr(p_waves: bool, fibrillation: bool) -> None:
    m = measured(regular_waves(), p_waves=p_waves, fibrillation=fibrillation)
    assert (m["pr_ms"].value, m["pr_ms"].why) == (None, "no_p_wave")
    assert m["qrs_ms"].valid


def test_p_waves_in_few_beats_are_no_pr() -> None:
    waves = [w for i, w in enumerate(regular_waves()) if w.kind != P or i < 6]
    assert measured(waves)["pr_ms"].why == "no_p_wave"


def test_two_beats_are_too_few() -> None:
    m = measured(regular_waves(rr_s=6.0, start_s=1.0))
    assert {v.why for v in m.values()} == {"few_beats"}


def test_qtc_in_fibrillation_needs_ten_beats() -> None:
    assert measured(regular_waves(rr_s=1.2), fibrillation=True)["qtc_ms"].why == "few_beats"
    assert measured(regular_waves(rr_s=0.7), fibrillation=True)["qtc_ms"].valid


def test_beats_of_the_edges_and_of_bridged_gaps_are_left_out() -> None:
    waves = regular_waves(rr_s=0.8)
    third = [w for w in waves if w.kind == QRS][3]
    wider = [Wave(QRS, w.onset_s, w.offset_s + 0.3) if w == third else w for w in waves]
    assert measured(wider, ecg_of(waves, 250), bridged_s=[(third.onset_s, third.onset_s + 0.02)])[
        "qrs_ms"
    ].value == pytest.approx(90)
    every = [(t, t + 0.01) for t in np.arange(0.5, 9.5, 0.2)]
    m = measured(waves, bridged_s=every)
    assert m["qt_ms"].why == "few_beats"
    assert m["hr_bpm"].valid, "a bridged beat still counts for the rate"


def test_no_morphology_with_half_of_the_beats_is_ectopy() -> None:
    waves = regular_waves(rr_s=0.9)
    x = ecg_of(waves, 250)
    shapes = [1.0, -1.0, 3.5]
    for i, qrs in enumerate(w for w in waves if w.kind == QRS):
        a, b = round((qrs.onset_s - 0.02) * 250), round((qrs.offset_s + 0.02) * 250)
        x[a:b] *= shapes[i % 3]
    m = measured(waves, x)
    assert m["qrs_ms"].why == m["pr_ms"].why == m["qtc_ms"].why == "ectopy"
    assert m["hr_bpm"].valid


def test_an_extrasystole_does_not_move_the_medians() -> None:
    waves = regular_waves(rr_s=0.8)
    x = ecg_of(waves, 250)
    odd = [w for w in waves if w.kind == QRS][4]
    changed = [Wave(QRS, w.onset_s, w.offset_s + 0.08) if w == odd else w for w in waves]
    x[round(odd.onset_s * 250) : round((odd.offset_s + 0.08) * 250)] = -2.0
    beats = beats_of(changed, x.astype(np.float32), 250)
    chosen = dominant(beats, x.astype(np.float32), 250)
    assert chosen is not None
    assert len(chosen) < len(beats)
    assert measured(changed, x)["qrs_ms"].value == pytest.approx(90)


def test_t_waves_that_were_not_found_give_no_qt() -> None:
    assert measured([w for w in regular_waves() if w.kind != T])["qt_ms"].why == "few_beats"
