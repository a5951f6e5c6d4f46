from __future__ import annotations

import numpy as np
import pytest

from export.proof import BANDS, REFERENCE, Row, Seen, findings_auc, rhythm_f1, table


def row(k: int, form: str, value: float | None, measure: str = "qt_ms", truth: float = 400.0, rate: float = 70) -> Row:
    ends = (None, None) if value is None else (value - 10, value + 10)
    return Row(("ludb", "1", "i", k), form, measure, truth, value, *ends, rate, 1.0)


def test_a_forms_errors_are_those_where_both_state_a_value() -> None:
    seen = Seen(
        [
            *(row(k, REFERENCE, v) for k, v in enumerate((410.0, 390.0, None, 405.0))),
            *(row(k, "x int8", v) for k, v in enumerate((412.0, 395.0, 400.0, None))),
        ]
    )
    found = table(seen, "x int8")["qt_ms"]
    assert (found["n"], found["one_sided"]) == (2, 2)
    assert found["mae"] == pytest.approx((12 + 5) / 2)
    assert found["mae_reference"] == pytest.approx(10)
    assert (found["apart"], found["apart_most"]) == (pytest.approx(3.5), 5)
    assert (found["coverage"], found["coverage_reference"]) == (0.5, 1.0)
    assert table(seen, "x int8")["pr_ms"] == {"n": 0, "one_sided": 0}
    assert table(seen, REFERENCE)["qt_ms"]["apart"] == 0


def test_a_band_is_of_its_own_windows() -> None:
    by, low, high = BANDS["100 bpm and over"]
    seen = Seen(
        [row(k, form, 400.0, rate=rate) for form in (REFERENCE, "x") for k, rate in enumerate((99.9, 100, 150))]
    )
    assert table(seen, "x", lambda r: low <= getattr(r, by) < high)["qt_ms"]["n"] == 2


def test_parts_add_up() -> None:
    truth, logits = np.array([[True], [False]]), np.array([[1.0], [0.0]], np.float32)
    whole = Seen()
    for most in (0.5, 0.2):
        whole.add(Seen([row(0, "x", 1.0)], {"x": [(0, 0)]}, {"x": [(truth, logits)]}, {"x": most}))
    assert len(whole.rows) == len(whole.rhythms["x"]) == len(whole.findings["x"]) == 2
    assert whole.heads == {"x": 0.5}


def test_classes_by_hand() -> None:
    assert rhythm_f1([(0, 0), (1, 1), (2, 2), (3, 0)]) == pytest.approx((2 / 3 + 1 + 1) / 3)
    truth = np.array([[True, True], [False, True]])
    assert findings_auc([(truth, np.array([[2.0, 0], [1.0, 0]], np.float32))]) == 1.0
    assert np.isnan(findings_auc([(truth[:, 1:], np.zeros((2, 1), np.float32))]))
