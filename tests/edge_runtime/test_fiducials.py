from __future__ import annotations

from dataclasses import replace

import jsonschema
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_runtime.analysis import analyse_window, unmeasured
from edge_runtime.delineation import QRS, P, T, Wave, beats_of
from edge_runtime.errors import UsageError
from edge_runtime.fiducials import Fiducials, fiducials_of
from edge_runtime.offline import each_wave_once, hop_of, summarise
from edge_runtime.report import Report, schema
from edge_runtime.windows import Window
from tests.fakes import FakeBackend, ecg_of, model_that_states_all, regular_waves

MODEL = model_that_states_all()
VALIDATOR = jsonschema.Draft202012Validator(schema())
ECG = ecg_of(regular_waves(), 250) + np.random.default_rng(0).normal(0, 0.002, 2500)


def of(waves: list[Wave], mv: np.ndarray, **more: object) -> tuple[Fiducials, ...]:
    x = mv.astype(np.float32)
    return fiducials_of(waves, beats_of(waves, x, 250), x, 250, 100.0, (len(mv) - 1) / 250, **more)  # type: ignore[arg-type]


def window(mv: np.ndarray = ECG, **more: object) -> Window:
    return Window(mv, 250.0, 2.0, 2.0 + len(mv) / 250, "I", **more)  # type: ignore[arg-type]


def listed(report: Report) -> list[dict]:
    out = report.to_dict()
    VALIDATOR.validate(out)
    return out["fiducials"]


@given(st.floats(-0.3, 0.3), st.floats(-0.3, 0.3))
def test_the_peak_of_a_wave_is_found_on_any_slope(level: float, slope: float) -> None:
    waves = regular_waves()
    mv = ecg_of(waves, 250)
    mv += level + slope * np.arange(2500) / 2500
    found = of(waves, mv)
    assert [w.kind for w in found] == [w.kind for w in waves]
    for wave, known in zip(found, waves, strict=True):
        assert wave.onset_s - 100 == pytest.approx(known.onset_s)
        assert wave.offset_s - 100 == pytest.approx(known.offset_s)
        if known.kind != QRS:
            assert wave.peak_s - 100 == pytest.approx((known.onset_s + known.offset_s) / 2, abs=0.002)


def test_an_inverted_wave_peaks_at_its_trough() -> None:
    waves = [Wave(T, 1.0, 1.2)]
    (found,) = of(waves, -ecg_of(waves, 250))
    assert found.peak_s == pytest.approx(101.1, abs=0.002)


def test_a_blocked_p_is_a_wave_and_a_cut_wave_is_none() -> None:
    waves = [Wave(P, -0.02, 0.07), Wave(P, 1.0, 1.1), Wave(P, 2.0, 2.1), Wave(QRS, 2.2, 2.3), Wave(T, 9.9, 10.02)]
    assert [(w.kind, round(w.onset_s - 100, 6)) for w in of(waves, ECG)] == [(P, 1.0), (P, 2.0), (QRS, 2.2)]


def test_a_wave_with_a_point_on_a_long_bridge_is_left_out() -> None:
    waves = [Wave(P, 1.0, 1.1), Wave(QRS, 1.2, 1.3), Wave(T, 1.4, 1.6)]
    assert [w.kind for w in of(waves, ECG, bridged_s=[(1.09, 1.13), (1.197, 1.205)])] == [QRS, T]
    assert [w.kind for w in of(waves, ECG, bridged_s=[(1.52, 1.56)])] == [P, QRS, T], "between its points"


def test_a_report_has_waves_where_they_were_asked_for() -> None:
    report = analyse_window(window(), MODEL, FakeBackend(), fiducials=True)
    rows = listed(report)
    assert len(rows) == len(regular_waves())
    peak, confidence = pytest.approx(2.19, abs=0.003), pytest.approx(0.95, abs=0.05)
    assert rows[0] == {"wave": "P", "onset_s": 2.14, "peak_s": peak, "offset_s": 2.24, "confidence": confidence}
    plain = analyse_window(window(), MODEL, FakeBackend()).to_dict()
    assert {**plain, "fiducials": rows} == report.to_dict()
    assert "fiducials" not in plain


@pytest.mark.parametrize("given_backend", [FakeBackend(p_wave=-5.0), FakeBackend(rhythm="af")])
def test_where_there_is_no_pr_for_want_of_p_waves_there_is_no_p(given_backend: FakeBackend) -> None:
    report = analyse_window(window(), MODEL, given_backend, fiducials=True)
    assert report.measures["pr_ms"].why == "no_p_wave"
    assert {row["wave"] for row in listed(report)} == {"QRS", "T"}


REFUSED = [window(np.full(2500, np.nan)), window(lead_off=True), window(np.zeros(2500)), window(ECG[:1000], full=False)]


@pytest.mark.parametrize("given_window", REFUSED)
def test_a_window_that_states_nothing_has_an_empty_list(given_window: Window) -> None:
    report = analyse_window(given_window, MODEL, FakeBackend(), fiducials=True)
    assert report.fiducials is None
    (report,) = each_wave_once([report])
    assert listed(report) == []


def test_the_schema_refuses_waves_where_nothing_is_stated() -> None:
    stated = analyse_window(window(), MODEL, FakeBackend(), fiducials=True)
    lying = replace(unmeasured(window(), MODEL, "gap"), fiducials=stated.fiducials)
    with pytest.raises(jsonschema.ValidationError):
        VALIDATOR.validate(lying.to_dict())


# ---- seams ----------------------------------------------------------------------------------------------------------

BASE = unmeasured(window(), MODEL, "gap")
KNOWN = regular_waves(rr_s=0.6, seconds=24.0, qt_s=0.34)


def seen(
    starts_s: list[float], rng: np.random.Generator, jitter_s: float, refused: tuple[int, ...] = ()
) -> list[Report]:
    """Windows of 10 s that see every wave which lies wholly in them, each with its own idea of where it ends."""
    reports = []
    for i, start in enumerate(starts_s):
        waves = []
        for known in KNOWN:
            a, b = (t + rng.uniform(-jitter_s, jitter_s) for t in (known.onset_s, known.offset_s))
            if a >= start and b <= start + 10:
                waves.append(Fiducials(known.kind, a, (a + b) / 2, b, 0.9))
        state = {"fiducials": None} if i in refused else {"state": "ok", "fiducials": tuple(waves)}
        reports.append(replace(BASE, start_s=start, end_s=start + 10.0, sequence=i, **state))  # type: ignore[arg-type]
    return reports


def assert_once(found: list[Fiducials], known: list[Wave]) -> None:
    assert [w.kind for w in sorted(found, key=lambda w: w.middle_s)] == [w.kind for w in known]
    for wave, truth in zip(sorted(found, key=lambda w: w.middle_s), known, strict=True):
        assert abs(wave.middle_s - (truth.onset_s + truth.offset_s) / 2) < 0.03


@given(st.sampled_from([0.1, 0.33, 1.0, 2.5, 5.0, 8.0, 9.0]), st.floats(0, 0.02), st.integers(0, 2**32 - 1))
def test_each_wave_of_a_record_stands_once_however_windows_overlap(hop: float, jitter: float, seed: int) -> None:
    starts = [*np.arange(0, 13.99, hop).tolist(), 14.0]
    rng = np.random.default_rng(seed)
    reports = seen(starts, rng, jitter)
    out = list(each_wave_once(reports))
    assert [r.sequence for r in out] == list(range(len(starts)))
    whole = [w for w in KNOWN if w.onset_s > jitter and w.offset_s < 24 - jitter]
    assert_once([w for r in out for w in r.fiducials or ()], whole)
    assert len(whole) > 110


def test_beside_a_window_that_states_nothing_its_neighbours_give_all_that_they_hold() -> None:
    starts = [0.0, 4.0, 9.0, 14.0]
    out = list(each_wave_once(seen(starts, np.random.default_rng(0), 0.0, refused=(1, 2))))
    assert out[1].fiducials == out[2].fiducials == ()
    whole = [w for w in KNOWN if w.offset_s <= 24 and not (w.offset_s > 10 and w.onset_s < 14)]
    assert_once([w for r in out for w in r.fiducials or ()], whole)
    assert [r.sequence for r in out] == [0, 1, 2, 3]
    nothing = seen(starts, np.random.default_rng(0), 0.0, refused=(0, 1, 2, 3))
    assert [r.fiducials for r in each_wave_once(nothing)] == [()] * 4


def test_a_wave_that_only_the_worse_judge_sees_is_not_given() -> None:
    """Before the seam the first window decides, behind it the second: the other's extra wave has no say."""
    first, second = seen([0.0, 8.0], np.random.default_rng(0), 0.0)
    ghosts = [Fiducials(P, t, t + 0.05, t + 0.1, 0.6) for t in (8.33, 9.53)]  # before and behind the seam at 9 s
    haunted = [
        replace(first, fiducials=(*(first.fiducials or ()), ghosts[1])),
        replace(second, fiducials=(ghosts[0], *(second.fiducials or ()))),
    ]
    assert not set(ghosts) & {w for r in each_wave_once(haunted) for w in r.fiducials or ()}
    for alone in haunted:
        assert set(ghosts) & {w for r in each_wave_once([alone]) for w in r.fiducials or ()}


def test_a_summary_has_the_waves_of_the_whole_record() -> None:
    good = analyse_window(window(), MODEL, FakeBackend())
    windows = each_wave_once(seen([0.0, 8.0], np.random.default_rng(0), 0.0))
    out = summarise([replace(good, fiducials=r.fiducials) for r in windows], MODEL).to_dict()
    VALIDATOR.validate(out)
    assert len(out["fiducials"]) == sum(w.offset_s <= 18 for w in KNOWN)
    assert "fiducials" not in summarise([BASE], MODEL).to_dict()


def test_windows_that_would_hide_waves_are_refused() -> None:
    assert hop_of(None, 10.0, False) == 10.0
    assert hop_of(30.0, 10.0, False) == 30.0
    assert hop_of(None, 10.0, True) <= 9.0
    assert hop_of(9.0, 10.0, True) == 9.0
    with pytest.raises(UsageError, match="9 at most"):
        hop_of(9.5, 10.0, True)
