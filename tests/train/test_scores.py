from __future__ import annotations

import numpy as np
import pytest

from train.scores import f1_scores, roc


def test_f1_by_hand() -> None:
    scores = f1_scores([0, 0, 0, 1, 1, 2], [0, 0, 1, 1, 0, 2], ("n", "a", "o", "noisy"))
    assert scores["confusion"] == [[2, 1, 0, 0], [1, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 0]]
    assert scores["f1"] == {"n": pytest.approx(2 / 3), "a": pytest.approx(0.5), "o": 1.0, "noisy": 0.0}


def test_roc_by_hand() -> None:
    rng = np.random.default_rng(5)
    area, fpr, tpr = roc([True, True, False, True, False], [0.9, 0.8, 0.7, 0.6, 0.1])
    assert area == pytest.approx(5 / 6)
    assert (fpr[0], tpr[0], fpr[-1], tpr[-1]) == (0, 0, 1, 1)
    assert roc([True, False, True, False], [0.5] * 4)[0] == pytest.approx(0.5), "ties count half"
    truth = rng.random(4000) < 0.3
    assert roc(truth, rng.random(4000))[0] == pytest.approx(0.5, abs=0.03)
