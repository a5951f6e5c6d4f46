from __future__ import annotations

import numpy as np
import pytest

from edge_runtime import rhythms
from tests.fakes import mean_of_logs

STEADY = np.arange(0.5, 9.5, 0.8)
WILD = np.cumsum([0.5, 0.9, 0.6, 1.1, 0.55, 0.8, 1.2, 0.6, 0.7, 1.0])


def named(values: np.ndarray) -> dict[str, float]:
    return dict(zip(rhythms.FEATURES, values, strict=True))


def test_irregular_beats_are_seen_in_the_one_window_that_has_them() -> None:
    sure = [[0.7, 0.1, 0.1, 0.1]] * 3
    regular = named(rhythms.features(sure, [STEADY] * 3))
    one = named(rhythms.features(sure, [STEADY, STEADY, WILD]))
    assert one["most_jumps"] > 0.5 > regular["most_jumps"]
    assert one["jumps"] < one["most_jumps"]
    assert one["most_irregular"] > regular["most_irregular"] + 1
    assert regular["rate"] == pytest.approx(0.0, abs=0.01)


def test_a_single_odd_window_stands_in_the_largest_probability() -> None:
    quiet, ectopic = [0.9, 0.02, 0.06, 0.02], [0.1, 0.05, 0.83, 0.02]
    found = named(rhythms.features([quiet] * 5 + [ectopic], [STEADY] * 6))
    assert found["most_other"] == pytest.approx(0.83)
    assert found["mean_other"] < 0.25


def test_windows_without_beats_are_counted_and_harm_nothing() -> None:
    found = named(rhythms.features([[0.25] * 4] * 4, [[], [1.0], STEADY, []]))
    assert found["no_beats"] == 0.75
    assert np.isfinite(list(found.values())).all()
    assert np.isfinite(rhythms.features([[0, 0, 0, 1.0]], [[]])).all()


def test_probabilities_are_those_of_the_logistic() -> None:
    values = rhythms.features([[0.6, 0.2, 0.1, 0.1]], [STEADY])
    p = rhythms.probabilities(values, mean_of_logs())
    assert p == pytest.approx([0.6, 0.2, 0.1, 0.1])
