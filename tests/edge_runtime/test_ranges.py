from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_runtime.delineation import QRS, P, doubt_of, probability_of
from edge_runtime.ranges import FEATURES, INTERVALS, MOST_BLENDED, Evidence, Target, evidence_of, features, median
from tests.fakes import FakeBackend, regular_waves

HEADS = FakeBackend(regular_waves())(np.zeros(2500, np.float32))
EVIDENCE = evidence_of(HEADS, doubt_of(probability_of(HEADS["masks"])))
QT = Target(395.0, 45.0, 0.0, (1.0, 0.5, 0.5, 0.0, 0.0), -1.0, -2.0, 2.0)


def width(value: float, single: list[float], evidence: Evidence) -> float:
    found = QT.stated(value, evidence.direct["qt_ms"], features("qt_ms", value, single, evidence, QT))
    assert found.low is not None and found.high is not None
    assert found.low <= value <= found.high
    return found.high - found.low


def test_what_a_window_shows_widens_its_range() -> None:
    plain = width(395.0, [395.0] * 9, EVIDENCE)
    assert width(395.0, [365, 375, 385, 395, 405, 415, 425], EVIDENCE) > plain, "beats that scatter"
    assert width(440.0, [440.0] * 9, EVIDENCE) > plain, "a direct head that says otherwise"
    unsure = replace(EVIDENCE, spread={**EVIDENCE.spread, "qt_ms": 1.0})
    assert width(395.0, [395.0] * 9, unsure) == pytest.approx(plain * np.e), "a net that expects to err"


def test_doubt_is_that_of_the_waves_of_the_measure() -> None:
    doubtful = {**HEADS, "masks": HEADS["masks"].copy()}
    doubtful["masks"][P, 200:400] = 0.0
    more = evidence_of(doubtful, doubt_of(probability_of(doubtful["masks"])))
    assert more.doubt[P] > EVIDENCE.doubt[P] + 40
    assert more.doubt[QRS] == EVIDENCE.doubt[QRS]
    at = FEATURES.index("doubt")
    pr, qt = (Target(*INTERVALS[name], 0.0, (0.0,) * 5, 0.0, -1.0, 1.0) for name in ("pr_ms", "qt_ms"))
    assert features("pr_ms", 160, [160] * 9, more, pr)[at] > features("pr_ms", 160, [160] * 9, EVIDENCE, pr)[at]
    assert features("qt_ms", 395, [395] * 9, more, qt)[at] == features("qt_ms", 395, [395] * 9, EVIDENCE, qt)[at]


def test_what_is_stated_lies_between_the_masks_and_the_direct_head() -> None:
    target = replace(QT, blend=0.4)
    zero = [0.0] * len(FEATURES)
    assert target.stated(395.0, 0.2, zero).value == pytest.approx(395 + 0.4 * 9)
    assert target.stated(395.0, -0.2, zero).value == pytest.approx(395 - 0.4 * 9)
    most = 0.4 * MOST_BLENDED * 45
    assert target.stated(395.0, 30.0, zero).value == pytest.approx(395 + most), "a head that is lost pulls no further"
    assert QT.stated(395.0, 0.2, zero).value == 395.0


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=40))
def test_the_median_is_numpys(values: list[float]) -> None:
    assert median(values) == np.median(values)


@given(
    st.floats(0, 1000),
    st.lists(st.floats(0, 1000), max_size=40),
    st.floats(-1e3, 1e3),
    st.floats(-1e3, 1e3),
)
def test_a_range_is_finite_whatever_the_heads_say(
    value: float, single: list[float], direct: float, spread: float
) -> None:
    evidence = Evidence({"qt_ms": direct}, {"qt_ms": spread}, np.array([1e4, 0.0, 1e4]))
    found = QT.stated(value, evidence.direct["qt_ms"], features("qt_ms", value, single, evidence, QT))
    assert found.low is not None and found.high is not None
    assert np.isfinite([found.low, found.high]).all()
    assert 0 <= found.low <= value <= found.high
