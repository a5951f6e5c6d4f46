from __future__ import annotations

import numpy as np
import pytest

from edge_runtime import polarity
from edge_runtime.analysis import analyse_window, read
from edge_runtime.backends import Backend
from edge_runtime.bundle import Bundle
from edge_runtime.windows import Window
from tests.conftest import need
from tests.fakes import FakeBackend, ecg_of, model_that_states_all, regular_waves

ECG = ecg_of(regular_waves(), 250) + np.random.default_rng(0).normal(0, 0.005, 2500)
MODEL = model_that_states_all()


def features(mv: np.ndarray, backend: Backend) -> np.ndarray:
    return read(mv, 250.0, MODEL, backend).polarity(MODEL)


def test_a_turned_lead_turns_every_feature() -> None:
    net = FakeBackend()
    up = features(ECG, net)
    np.testing.assert_allclose(features(-ECG, net), -up, atol=1e-5)
    np.testing.assert_allclose(features(5 * ECG, net), up, atol=1e-5)
    assert (up > 0.05).all()


def test_without_p_waves_they_say_nothing() -> None:
    assert features(ECG, FakeBackend(p_wave=-5.0))[0] == 0.0


def test_only_of_a_lead_whose_place_is_known_is_anything_said() -> None:
    up = features(ECG, FakeBackend())
    for lead in ("I", "i", "II", "MLII"):
        said = polarity.upright(up, lead)
        assert said is not None and said > 3
    for lead in ("ECG", "V1", "III", "aVR", "", "lead I"):
        assert polarity.upright(up, lead) is None


@pytest.mark.parametrize("mv", [np.zeros(2500), ECG[:600]])
def test_whatever_is_in_the_window_the_features_are_finite(mv: np.ndarray) -> None:
    assert np.isfinite(features(mv, FakeBackend([]))).all()
    assert np.isfinite(features(mv, FakeBackend())).all()


def test_it_is_said_only_where_it_is_asked_for_and_the_window_is_good() -> None:
    def said(mv: np.ndarray, **more: bool) -> float | None:
        return analyse_window(Window(mv, 250.0, 0.0, 10.0, "I"), MODEL, FakeBackend(), **more).upright

    assert said(ECG) is None
    assert said(np.zeros(2500), upright=True) is None
    up = said(ECG, upright=True)
    assert up is not None and up > 3


def test_most_real_leads_are_told_from_turned_ones(bundle: Bundle, backend: Backend) -> None:
    from train.datasets import ludb

    folder = need("ludb")
    odds = []
    for record in ludb.records(folder)[:40]:
        for lead in ludb.read(folder, record, ("i", "ii")):
            for sign in (1, -1):
                window = Window(sign * lead.samples_mv, 500.0, 0.0, 10.0, lead.lead)
                said = analyse_window(window, bundle.model, backend, upright=True).upright
                if said is not None:
                    odds.append(sign * said)
    assert len(odds) > 150
    assert np.mean(np.array(odds) > 0) >= 0.95
