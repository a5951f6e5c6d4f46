from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_runtime.conditioning import DEFAULT, Conditioning, compand, condition, extended

RATES = (100, 125, 128, 190.3, 200, 250, 300, 360, 500, 977, 1000)


@pytest.mark.parametrize("rate", RATES)
def test_a_sine_of_the_band_keeps_its_place_and_size_at_every_rate(rate: float) -> None:
    t = np.arange(round(10 * rate)) / rate
    out = condition(np.sin(2 * np.pi * 8 * t), rate)
    at = np.arange(len(out)) / 250
    assert len(out) == 2500
    assert np.abs(out - np.sin(2 * np.pi * 8 * at))[250:-250].max() < 0.02


@given(st.integers(2, 40), st.data())
def test_the_ends_are_reflected_as_numpy_does_it(size: int, data: st.DataObject) -> None:
    n = data.draw(st.integers(1, size - 1))
    x = np.arange(size, dtype=np.float64)
    assert np.array_equal(extended(x, n), np.pad(x, n, mode="reflect"))


@pytest.mark.parametrize(("hz", "most"), [(0.0, 1e-6), (0.15, 0.05), (50.0, 0.01), (60.0, 0.01)])
def test_wander_and_mains_are_taken_away(hz: float, most: float) -> None:
    t = np.arange(5000) / 500
    out = condition(1.0 + 0 * t if hz == 0 else np.sin(2 * np.pi * hz * t), 500)
    assert np.abs(out)[250:-250].max() < most


def test_the_phase_is_zero() -> None:
    pulse = np.zeros(2500)
    pulse[1250] = 1.0
    out = condition(pulse, 250)
    assert out.argmax() == 1250
    assert np.allclose(out[1250:1500], out[1250:1000:-1], atol=1e-6)


@given(st.floats(-3, 3), st.floats(-3, 3))
def test_it_is_linear_so_that_noise_may_be_added_behind_it(a: float, b: float) -> None:
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(2, 3600))
    both = condition(a * x + b * y, 360)
    assert np.allclose(both, a * condition(x, 360) + b * condition(y, 360), atol=1e-4)


def test_what_cannot_be_conditioned_is_refused() -> None:
    with pytest.raises(ValueError, match="too slow"):
        condition(np.zeros(900), 90)
    with pytest.raises(ValueError, match="finite"):
        condition(np.full(1000, np.nan), 250)


def test_companding_keeps_amplitude_and_sign_and_small_waves() -> None:
    mv = np.array([-5, -1, -0.05, 0, 0.05, 1, 5], np.float32)
    out = compand(mv)
    assert np.allclose(np.sinh(out) * DEFAULT.compand_mv, mv, rtol=1e-5)
    step = (out.max() - out.min()) / 255
    assert (compand(np.array([0.1], np.float32)) / step)[0] > 20, "int8 steps of a P wave of 0.1 mV"


def test_a_spec_goes_through_json_and_back() -> None:
    import json

    spec = Conditioning(compand_mv=0.2)
    assert Conditioning.from_dict(json.loads(json.dumps(spec.to_dict()))) == spec
    with pytest.raises(TypeError):
        Conditioning.from_dict({"bandwidth": 3})


@pytest.mark.parametrize(
    "odd",
    [
        {"low_pass_edges_hz": [30.0]}, {"low_pass_edges_hz": ["a", "b"]}, {"high_pass_edges_hz": 0.3},
        {"high_pass_edges_hz": [0.7, 0.3]}, {"reflect_s": {}}, {"reflect_s": -1}, {"reflect_s": float("nan")},
        {"compand_mv": [0.1]}, {"more": 1},
    ],
)  # fmt: skip
def test_numbers_that_are_none_are_not_taken(odd: dict[str, object]) -> None:
    with pytest.raises((TypeError, ValueError)):
        Conditioning.from_dict({**DEFAULT.to_dict(), **odd})
