"""What is fitted where the net was not trained: ranges, quality, findings, records, and the gap that is bridged."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from edge_runtime import quality, rhythms
from edge_runtime.ranges import Target
from train.evaluate import MUST_STATE, QualityRow, fit_logistic, fit_quality, longest_bridged_ms, signal_to_noise
from train.ranges import Residual, blend_of, conformal_factor, constant_width, expected_error, fit_target
from train.records import RhythmRows, fit_rhythm, platt


def drawn(rng: np.random.Generator, patients: int, windows: int = 3) -> list[Residual]:
    """Errors of Laplace's law whose scale a feature tells, and a patient's own part of it that nothing tells."""
    rows = []
    for p in range(patients):
        own = rng.lognormal(0, 0.3)
        for _ in range(windows):
            spread = rng.normal()
            features = (spread, *rng.normal(size=4))
            rows.append(Residual(f"p{p}", rng.laplace(0, 8 * own * np.exp(0.7 * spread)), 0.0, features))
    return rows


def held(target: Target, rows: list[Residual]) -> tuple[float, float]:
    """Coverage and mean interval score: width and twenty times what the truth is outside by."""
    reach = target.high * np.array([target.expected_error(np.array(r.features)) for r in rows])
    error = np.abs([r.residual for r in rows])
    return float(np.mean(error <= reach)), float(np.mean(2 * reach + 20 * np.maximum(error - reach, 0)))


def test_ranges_hold_what_they_say_for_new_patients_and_score_better_than_one_width(rng: np.random.Generator) -> None:
    covered, ratios = [], []
    for _ in range(25):
        known, fresh = drawn(rng, 120), drawn(rng, 200)
        ours, one = (held(make("pr_ms", known), fresh) for make in (fit_target, constant_width))
        covered.append(ours[0])
        ratios.append(ours[1] / one[1])
    assert 0.88 < np.mean(covered) < 0.935
    assert np.mean(ratios) < 0.9


def test_the_expected_error_finds_the_feature_that_tells_it(rng: np.random.Generator) -> None:
    rows = drawn(rng, 800)
    features, errors = np.array([r.features for r in rows]), np.abs([r.residual for r in rows]) / 30
    weights, _ = expected_error(features, errors, np.ones(len(rows)))
    assert weights[0] == pytest.approx(0.7, abs=0.1)
    assert np.abs(weights[1:]).max() < 0.1


def test_a_patient_with_many_windows_weighs_as_much_as_one_with_few() -> None:
    scores = np.concatenate([np.full(1000, 50.0), np.linspace(0, 1, 99)])
    assert conformal_factor(scores, ["loud"] * 1000 + [str(i) for i in range(99)]) <= 1.0


def test_the_blend_is_the_share_that_makes_the_error_least(rng: np.random.Generator) -> None:
    rows = []
    for p in range(300):
        drawn, direct = rng.normal(0, 6), rng.normal(0, 6)  # errors of the two, as good as each other
        rows.append(Residual(f"p{p}", drawn, drawn - direct, (0.0,) * 5))
    assert blend_of("pr_ms", rows) == pytest.approx(0.5, abs=0.15)
    assert blend_of("pr_ms", [replace_apart(r) for r in rows]) == pytest.approx(0.0, abs=0.1)
    assert blend_of("pr_ms", rows[:5]) == 0.0


def replace_apart(row: Residual) -> Residual:
    """The same with a direct head that knows nothing."""
    return dataclasses.replace(row, apart=float(int(row.patient[1:]) * 7 % 41) - 20.0)


def test_too_few_patients_give_a_range_that_holds_everything(rng: np.random.Generator) -> None:
    assert held(fit_target("pr_ms", drawn(rng, 6)), drawn(rng, 50))[0] == 1.0


def test_the_quality_threshold_is_as_strict_as_what_has_to_be_stated_allows(rng: np.random.Generator) -> None:
    rows = []
    for decibel, badness in ((None, 0.0), (6.0, 1.0), (0.0, 2.0), (-6.0, 4.0)):
        for _ in range(400):
            x = badness + rng.normal(0, 0.7)
            rows.append(QualityRow((x, *(0.0,) * 7), bool(rng.random() < 1 / (1 + np.exp(3 * (x - 3)))), decibel))
    model = fit_quality(rows)
    good = np.array([quality.probability(np.array(r.features), model) for r in rows]) >= model["threshold"]
    stated = {d: good[[r.decibel == d for r in rows]].mean() for d in MUST_STATE}
    assert all(stated[d] >= share - 0.005 for d, share in MUST_STATE.items())
    assert any(stated[d] <= share + 0.01 for d, share in MUST_STATE.items())


def test_platt_finds_slope_and_offset(rng: np.random.Generator) -> None:
    z = rng.normal(0, 2, 20000)
    slope, offset = platt(z, rng.random(20000) < 1 / (1 + np.exp(-(0.6 * z - 1))))
    assert (slope, offset) == pytest.approx((0.6, -1.0), abs=0.06)
    assert platt(z, np.zeros(20000, bool)) == (1.0, 0.0)


def test_a_records_rhythm_is_learnt_from_its_windows(rng: np.random.Generator) -> None:
    labels = rng.integers(0, 4, 600)
    values = rng.normal(size=(600, len(rhythms.FEATURES)))
    values[np.arange(600), labels] += 3
    model = fit_rhythm([RhythmRows(values, labels)])
    said = [int(rhythms.probabilities(v, model).argmax()) for v in values]
    assert np.mean(said == labels) > 0.9
    few = fit_rhythm([RhythmRows(values[:0], labels[:0])])
    p = [0.1, 0.2, 0.6, 0.1]
    assert rhythms.probabilities(rhythms.features([p], [[]]), few) == pytest.approx(p)


def test_noise_is_as_loud_as_asked_in_the_band_that_counts(rng: np.random.Generator) -> None:
    from edge_runtime.conditioning import condition

    t = np.arange(5000) / 500
    clean, noise = np.sin(2 * np.pi * 9 * t), rng.normal(0, 7, 5000) + 30 * np.sin(2 * np.pi * 0.05 * t)
    added = condition(signal_to_noise(clean, noise, 500.0, 6.0) - clean, 500.0)
    assert 20 * np.log10(condition(clean, 500.0).std() / added.std()) == pytest.approx(6.0, abs=0.01)


def test_the_logistic_finds_the_weights_that_made_the_labels(rng: np.random.Generator) -> None:
    x = rng.normal(size=(6000, 8))
    z = 2 * x[:, 0] - x[:, 3] + 0.5
    fitted = fit_logistic(x, rng.random(6000) < 1 / (1 + np.exp(-z)))
    weights = np.array(fitted["weights"])
    assert weights[0] == pytest.approx(2, abs=0.2)
    assert weights[3] == pytest.approx(-1, abs=0.15)
    assert np.abs(np.delete(weights, [0, 3])).max() < 0.15
    assert fitted["bias"] == pytest.approx(0.5, abs=0.15)


def test_the_longest_gap_is_the_last_before_harm() -> None:
    harm = {"8": {"a": 0.1}, "16": {"a": 0.5, "b": 0.2}, "32": {"a": 1.4}, "64": {"a": 0.3}}
    assert longest_bridged_ms(harm) == 16.0
    assert longest_bridged_ms({"8": {"a": 3.0}}) == 0.0
