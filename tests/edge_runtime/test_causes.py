from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_runtime.causes import interference
from tests.fakes import ecg_of, regular_waves
from train.generators import noise

HEART = {rate: ecg_of(regular_waves(), rate) for rate in (100, 128, 250, 500)}


def sine(hz: float, rate: float, mv: float) -> np.ndarray:
    return mv * np.sin(2 * np.pi * hz * np.arange(round(10 * rate)) / rate + 0.3)


@pytest.mark.parametrize("rate", [100, 128, 250, 500])
def test_a_heart_alone_is_spoiled_by_nothing(rate: int, rng: np.random.Generator) -> None:
    found = interference(HEART[rate] + rng.normal(0, 0.005, len(HEART[rate])), rate)
    assert found.cause is None
    assert found.mains_mv < 0.01


@pytest.mark.parametrize(("hz", "rate"), [(60, 100), (50, 128), (60, 128), (50, 250), (60, 250), (50, 500), (60, 500)])
def test_mains_is_found_where_the_converter_sees_it(hz: float, rate: int) -> None:
    found = interference(HEART[rate] + sine(hz, rate, 1.0), rate)
    assert found.cause == "mains"
    assert found.mains_mv == pytest.approx(1 / np.sqrt(2), rel=0.02)


def test_mains_that_wanders_by_a_fifth_of_a_hertz_is_still_mains() -> None:
    assert interference(HEART[250] + sine(49.8, 250, 1.0), 250).cause == "mains"


@pytest.mark.parametrize("rate", [100, 128, 250, 500])
def test_muscle_and_motion_each_have_their_own_evidence(rate: int, rng: np.random.Generator) -> None:
    heart, n = HEART[rate], len(HEART[rate])
    assert interference(heart + 0.5 * rng.normal(size=n), rate).cause == "muscle"
    assert interference(heart + 2.0 * noise.wander(rng, n, rate), rate).cause == "motion"


@given(st.floats(0.05, 100.0), st.floats(-1000, 1000))
def test_neither_gain_nor_offset_changes_the_cause(gain: float, offset: float) -> None:
    rng = np.random.default_rng(4)
    for spoiled in (HEART[250] + 0.5 * rng.normal(size=2500), HEART[250] + 2 * noise.wander(rng, 2500, 250.0)):
        assert interference(gain * spoiled + offset, 250).cause == interference(spoiled, 250).cause


@given(st.integers(50, 3000), st.floats(100, 1000), st.integers(0, 1000))
def test_whatever_the_samples_there_is_an_answer(n: int, rate: float, seed: int) -> None:
    x = np.random.default_rng(seed).normal(size=n) if seed else np.zeros(n)
    found = interference(x, rate)
    assert 0 <= found.share <= 1
    assert all(np.isfinite([found.mains_mv, found.motion_mv, found.heart_mv, found.muscle_mv]))
    assert found.cause in (None, "mains", "muscle", "motion")
