from __future__ import annotations

import pytest

from export.sensitivity import apart


def test_a_difference_is_of_the_windows_where_both_state_a_value() -> None:
    nothing = dict.fromkeys(("hr_bpm", "pr_ms", "qrs_ms", "qt_ms"))
    a = [{**nothing, "qt_ms": 400.0, "pr_ms": 160.0}, {**nothing, "qt_ms": 410.0}, nothing]
    b = [{**nothing, "qt_ms": 403.0}, {**nothing, "qt_ms": 405.0, "pr_ms": 150.0}, nothing]
    assert apart(a, b) == {**nothing, "qt_ms": pytest.approx(4.0)}
