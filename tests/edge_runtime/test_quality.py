from __future__ import annotations

import numpy as np
import pytest

from edge_runtime import quality
from edge_runtime.conditioning import condition
from edge_runtime.delineation import QRS, Beat, Wave, beats_of, doubt_of, probability_of
from tests.conftest import need
from tests.fakes import ecg_of, logits_of, regular_waves

ECG = ecg_of(regular_waves(), 250)
RNG = np.random.default_rng(2)


def gate(x: np.ndarray, clipped: bool = False) -> str | None:
    return quality.gate(x, condition(x, 250), 250, clipped)


def test_a_clean_window_passes() -> None:
    assert gate(ECG + RNG.normal(0, 0.01, 2500)) is None


@pytest.mark.parametrize("x", [np.zeros(2500), np.full(2500, 0.7), np.where(np.arange(2500) < 600, 0.3, ECG)])
def test_flat(x: np.ndarray) -> None:
    assert gate(x) == "flat"


def test_clipped() -> None:
    wandering = ECG + 1.5 * np.sin(np.arange(2500) / 150) + RNG.normal(0, 0.01, 2500)
    assert gate(wandering.clip(-1.0, 1.0)) == "clipped"


@pytest.mark.parametrize("rail", [3.0, -3.0])
@pytest.mark.parametrize("seconds", [2.5, 4.0, 7.5])
def test_an_amplifier_that_stays_at_its_end_has_no_electrode(rail: float, seconds: float) -> None:
    x = ECG + RNG.normal(0, 0.01, 2500)
    x[-round(seconds * 250) :] = rail
    assert gate(x) == "lead_off"
    assert gate(np.where(x == rail, np.median(ECG), x)) == "flat", "held in the middle, it is a converter that sticks"


def test_a_constant_is_an_electrode_that_is_off_only_where_the_device_knows_its_end() -> None:
    assert gate(np.full(2500, 1.5)) == "flat"
    assert gate(np.full(2500, 1.5), clipped=True) == "lead_off"
    assert gate(ECG + RNG.normal(0, 0.01, 2500), clipped=True) == "clipped"


def test_a_wire_in_the_air_is_an_antenna() -> None:
    t, hiss = np.arange(2500) / 250, RNG.normal(0, 0.005, 2500)
    for hz in (50, 60):
        for loud in (1, 0.01):
            assert gate(0.3 * np.sin(2 * np.pi * hz * t) + loud * hiss) == "lead_off"
    assert gate(2 * hiss) == "low_amplitude"
    assert gate(0.1 * hiss) == "flat"


def test_a_wire_that_goes_off_within_the_window_is_an_antenna_for_its_rest() -> None:
    t, hiss = np.arange(2500) / 250, RNG.normal(0, 0.003, 2500)
    gone = np.where(t > 6, 0.0, ECG) + hiss
    assert gate(gone) is None, "a pause is silent"
    assert gate(gone + np.where(t > 6, 3 * np.sin(2 * np.pi * 50 * t), 0.0)) == "lead_off"
    assert gate(ECG + hiss + 3 * np.sin(2 * np.pi * 50 * t)) is None, "a heart in mains is a heart"


def beats(*r_peaks_s: float) -> list[Beat]:
    return [Beat(t, Wave(QRS, t - 0.04, t + 0.05), None, None) for t in r_peaks_s]


def test_a_heart_has_to_be_seen_from_beginning_to_end() -> None:
    whole = np.arange(0.4, 10, 0.8)
    assert quality.seen_throughout(beats(*whole), 10)
    assert not quality.seen_throughout(beats(*whole[:8]), 10), "nothing for the last four seconds"
    assert not quality.seen_throughout(beats(*whole[-8:]), 10), "nor for the first"
    assert quality.seen_throughout(beats(0.5, 2.5, 6.4), 10), "a heart that pauses anyway"
    assert quality.seen_throughout(beats(), 10), "that there is none is said elsewhere"


def test_a_quiet_baseline_of_a_coarse_adc_is_not_clipping() -> None:
    assert gate(np.round(ECG / 0.02) * 0.02 + 0.02 * (np.arange(2500) % 7 == 0)) is None


def test_low_amplitude() -> None:
    assert gate(0.03 * ECG + RNG.normal(0, 0.002, 2500)) == "low_amplitude"


def test_few_real_windows_are_refused() -> None:
    from train.datasets import ludb

    folder = need("ludb")
    said = []
    for record in ludb.records(folder)[:60]:
        (lead,) = ludb.read(folder, record, ("ii",))
        said.append(quality.gate(lead.samples_mv, condition(lead.samples_mv, 500), 500))
    assert said.count(None) >= 59


def test_features_know_doubt_and_have_their_names() -> None:
    waves = regular_waves()
    x = condition(ECG, 250)
    sure, unsure = logits_of(waves), logits_of(waves) * 0.2
    a = quality.features(doubt_of(probability_of(sure)), beats_of(waves, x, 250), -4.0, x)
    b = quality.features(doubt_of(probability_of(unsure.astype(np.float32))), beats_of(waves, x, 250), 4.0, x)
    at = quality.FEATURES.index
    assert a.shape == (len(quality.FEATURES),)
    assert b[at("qrs_doubt")] > a[at("qrs_doubt")]
    assert b[at("noisy_logit")] > a[at("noisy_logit")]
    nothing = quality.features(doubt_of(probability_of(np.full((3, 1280), -9, np.float32))), [], 0.0, x)
    assert np.isfinite(nothing).all()


def test_the_probability_is_the_logistic_that_was_fitted() -> None:
    assert quality.probability(np.array([1.0, 2.0]), {"weights": [0.5, -0.25], "bias": 0.0}) == pytest.approx(0.5)
    assert quality.probability(np.array([1.0, 2.0]), {"weights": [1e6, 0], "bias": 0.0}) == pytest.approx(1.0)
