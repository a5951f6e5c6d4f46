from __future__ import annotations

from dataclasses import replace

import jsonschema
import numpy as np
import pytest

from edge_runtime.analysis import analyse_window, unmeasured
from edge_runtime.bundle import Model
from edge_runtime.delineation import Wave
from edge_runtime.offline import summarise
from edge_runtime.report import MEASURABLE, MEASURES, STATES, Report, schema
from edge_runtime.sinks.live import live_line
from edge_runtime.windows import Window
from tests.fakes import FakeBackend, ecg_of, model_that_states_all, regular_waves

MODEL: Model = model_that_states_all()
VALIDATOR = jsonschema.Draft202012Validator(schema())
ECG = ecg_of(regular_waves(), 250) + np.random.default_rng(0).normal(0, 0.005, 2500)


def window(mv: np.ndarray = ECG, **more: object) -> Window:
    return Window(mv, 250.0, 2.0, 12.0, "I", **more)  # type: ignore[arg-type]


def said(report: Report) -> dict:
    """The report's JSON, held to the schema."""
    out = report.to_dict()
    VALIDATOR.validate(out)
    return out


def test_the_schema_is_a_schema_and_follows_the_houses_order() -> None:
    jsonschema.Draft202012Validator.check_schema(schema())
    keys = list(said(unmeasured(window(), MODEL, "gap")))
    assert keys[:9] == ["schema", "source", "session", "sequence", "utc", "record", "lead", "start_s", "end_s"]
    assert keys[-2:] == ["latency_ms", "bundle"]
    assert set(keys) == set(schema()["required"])


def test_a_good_window_states_everything() -> None:
    out = said(analyse_window(window(), MODEL, FakeBackend()))
    assert out["state"] == "ok"
    assert out["hr_bpm"]["value"] == pytest.approx(75, abs=0.2)
    assert out["pr_ms"]["value"] == pytest.approx(160, abs=1)
    assert out["rhythm"] == {
        "label": "normal",
        "probability": pytest.approx(0.948, abs=0.01),
        "valid": True,
        "why": None,
    }
    assert out["beats"] == 13


def hole(milliseconds: float) -> np.ndarray:
    mv = ECG.copy()
    mv[1000 : 1000 + round(milliseconds / 4)] = np.nan
    return mv


CASES = [
    ("gap", "gap", window(hole(60))),
    ("lead_off", "lead_off", window(lead_off=True)),
    ("poor_signal", "clipped", window(clipped=True)),
    ("poor_signal", "flat", window(np.zeros(2500))),
    ("poor_signal", "low_amplitude", window(ECG * 0.03)),
    ("gap", "gap", window(np.full(2500, np.nan))),
]


@pytest.mark.parametrize(("state", "why", "given"), CASES)
def test_a_window_that_cannot_be_trusted_states_nothing_and_says_why(state: str, why: str, given: Window) -> None:
    out = said(analyse_window(given, MODEL, FakeBackend()))
    assert out["state"] == state
    for name in (*MEASURES, "rhythm"):
        assert not out[name]["valid"]
        assert out[name].get("value") is None
        assert out[name]["why"] == why


def test_a_gap_outranks_lead_off_as_the_house_has_it() -> None:
    assert analyse_window(window(hole(60), lead_off=True), MODEL, FakeBackend()).state == "gap"


def test_a_short_gap_is_bridged_and_counted() -> None:
    out = said(analyse_window(window(hole(40)), MODEL, FakeBackend()))
    assert (out["state"], out["lost_samples"], out["bridged_samples"]) == ("ok", 10, 10)


def test_an_unsure_net_makes_the_signal_poor_and_noisy_is_kept() -> None:
    doubtful = replace(MODEL, quality={**MODEL.quality, "bias": -3.0})
    out = said(analyse_window(window(), doubtful, FakeBackend()))
    assert (out["state"], out["hr_bpm"]["why"], out["rhythm"]["label"]) == ("poor_signal", "noise", None)
    out = said(analyse_window(window(), doubtful, FakeBackend(rhythm="noisy")))
    assert out["rhythm"] == {**out["rhythm"], "label": "noisy", "valid": False, "why": "noise"}
    out = said(analyse_window(window(), MODEL, FakeBackend(rhythm="noisy")))
    assert (out["state"], out["rhythm"]["label"], out["rhythm"]["valid"]) == ("ok", "noisy", False)


def test_a_rate_that_no_heart_has_is_said() -> None:
    waves = regular_waves(rr_s=4.5, start_s=0.5)
    out = said(analyse_window(window(ecg_of(waves, 250) + ECG * 0.01), MODEL, FakeBackend(waves)))
    assert (out["state"], out["hr_bpm"]["why"]) == ("poor_signal", "implausible_rate")


def test_an_unlikely_rhythm_has_no_label() -> None:
    shy = replace(MODEL, thresholds={**MODEL.thresholds, "rhythm": 0.99})
    out = said(analyse_window(window(), shy, FakeBackend()))
    assert out["rhythm"] == {**out["rhythm"], "label": None, "why": "uncertain"}


@pytest.mark.parametrize("state", [s for s in STATES if s not in MEASURABLE])
def test_every_state_makes_a_report_and_a_line(state: str) -> None:
    report = unmeasured(window(), MODEL, state)
    assert said(report)["state"] == state
    assert "75" not in live_line(report)


@pytest.mark.parametrize("seconds", [0.008, 0.3, 2.0, 9.9])
def test_a_short_recording_gives_one_report(seconds: float) -> None:
    mv = ECG[: round(seconds * 250)]
    report = analyse_window(Window(mv, 250.0, 0.0, seconds, "I", full=False), MODEL, FakeBackend())
    assert said(report)["state"] in ("short", "poor_signal")
    if seconds == 9.9:
        assert report.measures["hr_bpm"].valid
    elif seconds < 1:
        assert not report.measures["hr_bpm"].valid


def test_of_a_short_recording_only_what_was_calibrated_is_said() -> None:
    def of(seconds: float) -> dict:
        mv = ECG[: round(seconds * 250)]
        return said(analyse_window(Window(mv, 250.0, 0.0, seconds, "I", full=False), MODEL, FakeBackend()))

    assert of(4.0)["hr_bpm"]["valid"]
    assert of(4.0)["qt_ms"]["why"] == "few_beats"
    assert of(7.0)["qt_ms"]["valid"]
    assert of(7.0)["rhythm"]["why"] == "uncertain"
    assert of(9.0)["rhythm"]["valid"], "CinC 2017 has records of 9 s"


def test_a_live_line_shows_ranges_and_hides_what_is_not_known() -> None:
    line = live_line(analyse_window(window(), MODEL, FakeBackend(p_wave=-5.0)))
    assert "HR 75.0 [65.0-85.0]" in line
    assert "PR --- (no_p_wave)" in line


def test_a_flat_line_has_no_vote_on_the_rhythm() -> None:
    flat = analyse_window(window(np.zeros(2500)), MODEL, FakeBackend(rhythm="noisy"))
    assert said(flat)["rhythm"] == {"label": None, "probability": None, "valid": False, "why": "flat"}
    good = analyse_window(window(), MODEL, FakeBackend())
    assert summarise([flat, flat, flat, good], MODEL).report.rhythm.label == "normal"


def test_a_summary_counts_each_sample_and_beat_once_however_windows_overlap() -> None:
    from edge_runtime.offline import analyse_record
    from edge_runtime.records import Lead, Record

    waves = regular_waves(rr_s=0.8, seconds=25.0)
    counts = np.round(1e3 * (ecg_of(waves, 250, 25.0) + np.random.default_rng(0).normal(0, 0.005, 6250))).astype(
        np.int32
    )
    missing = np.zeros(6250, bool)
    missing[3000:3004] = True
    record = Record("r", 250.0, (Lead("I", counts, 1e6, 0, 16, missing),))

    class Watching(FakeBackend):
        """Sees the beats that the window really holds: by their R peaks."""

        def __call__(self, companded: np.ndarray) -> dict:
            t = [
                i / 250
                for i in range(1, 2499)
                if companded[i] > 2.3 and companded[i - 1] < companded[i] >= companded[i + 1]
            ]
            beats = [s for k, s in enumerate(t) if k == 0 or s - t[k - 1] > 0.3]
            self.waves = [Wave(1, s - 0.045, s + 0.045) for s in beats if 0.05 < s < 9.95]
            return super().__call__(companded)

    truth = sum(w.kind == 1 for w in waves)
    for hop in (1.0, 3.0, 10.0):
        found = summarise(list(analyse_record(record, "r", None, hop, MODEL, Watching())), MODEL).to_dict()
        assert (found["lost_samples"], found["bridged_samples"]) == (4, 4)
        assert abs(found["beats"] - truth) <= 1


def test_a_summary_of_nothing_valid_keeps_noisy() -> None:
    doubtful = replace(MODEL, quality={**MODEL.quality, "bias": -3.0})
    gap = analyse_window(window(np.full(2500, np.nan)), doubtful, FakeBackend())
    noisy = analyse_window(window(), doubtful, FakeBackend(rhythm="noisy"))
    out = summarise([gap, noisy, noisy], doubtful).to_dict()
    VALIDATOR.validate(out)
    assert (out["state"], out["rhythm"]["label"], out["beats"]) == ("poor_signal", "noisy", None)


def test_a_summary_of_a_recording_too_short_for_a_heart_rate_keeps_to_the_schema() -> None:
    short = analyse_window(Window(ECG[:300], 250.0, 0.0, 1.2, "I", full=False), MODEL, FakeBackend())
    out = summarise([short], MODEL).to_dict()
    VALIDATOR.validate(out)
    assert (out["state"], out["hr_bpm"]["why"], out["valid_windows"]) == ("short", "few_beats", 0)


@pytest.mark.parametrize("mv", [np.full(2500, 1e39), np.where(np.arange(2500) == 9, np.inf, ECG), ECG * 1e30])
def test_absurd_voltages_are_missing_samples(mv: np.ndarray) -> None:
    assert said(analyse_window(window(mv), MODEL, FakeBackend()))["state"] in ("gap", "ok")


def test_a_summary_is_a_report_with_two_more_keys() -> None:
    good = analyse_window(window(), MODEL, FakeBackend())
    af = analyse_window(window(), MODEL, FakeBackend(rhythm="af"))
    bad = analyse_window(window(np.zeros(2500)), MODEL, FakeBackend())
    out = summarise([good, af, af, bad], MODEL).to_dict()
    VALIDATOR.validate(out)
    assert (out["windows"], out["valid_windows"], out["rhythm"]["label"]) == (4, 3, "af")
    assert out["hr_bpm"]["value"] == pytest.approx(75, abs=0.2)
    none = summarise([bad, bad], MODEL).to_dict()
    VALIDATOR.validate(none)
    assert (none["state"], none["valid_windows"]) == ("poor_signal", 0)
