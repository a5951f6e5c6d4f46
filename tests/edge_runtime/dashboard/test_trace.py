"""The display's ring: bounded, the same for any chunking, no peak lost, nothing drawn where nothing was measured."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_runtime.dashboard.trace import DISPLAY_HZ, KEPT_S, Trace
from firmware_bridge.clock import Samples


def piece(index: int, values: list[float], rate: float, off: bool = False) -> Samples:
    return Samples(index, np.array(values, np.float64), rate, "II", 0.0, off)


def shown(trace: Trace, position: int = 0) -> tuple[int, list[int | None], list[tuple[int, int]]]:
    trace.fold()
    return trace.since(position)


def test_a_slow_stream_is_kept_as_it_is() -> None:
    trace = Trace()
    trace.push(piece(7, [0.001, -1.5, 2.0004], 250.0))
    assert shown(trace) == (7, [1, -1500, 2000], [])
    assert (trace.rate_hz, trace.end) == (250.0, 10)


def test_only_what_is_new_is_told() -> None:
    trace = Trace()
    trace.push(piece(0, [0.001, 0.002], 250.0))
    trace.push(piece(2, [0.003], 250.0))
    assert shown(trace, 2) == (2, [3], [])
    assert shown(trace, 3) == (3, [], [])


def test_what_was_lost_is_missing_and_not_drawn_over() -> None:
    trace = Trace()
    trace.push(piece(0, [0.001], 250.0))
    trace.push(piece(3, [0.004], 250.0))
    assert shown(trace) == (0, [1, None, None, 4], [])


def test_while_electrodes_are_off_there_is_no_point() -> None:
    trace = Trace()
    trace.push(piece(0, [0.001], 250.0))
    trace.push(piece(1, [400.0, 400.0], 250.0, off=True))
    trace.push(piece(3, [0.002], 250.0))
    assert shown(trace) == (0, [1, None, None, 2], [(1, 3)])


def test_it_keeps_its_newest_seconds_and_no_more() -> None:
    trace = Trace()
    for second in range(60):
        trace.push(piece(second * 250, [second * 1e-3] * 250, 250.0))
    first, points, _ = shown(trace)
    assert len(points) == KEPT_S * 250
    assert (first + len(points), points[-1]) == (60 * 250, 59)


def test_another_rate_or_lead_or_an_earlier_time_is_another_line() -> None:
    trace = Trace()
    trace.push(piece(0, [1.0] * 100, 250.0))
    for samples in (
        piece(100, [2.0], 125.0),
        replace(piece(101, [3.0], 125.0), lead="V1"),
        replace(piece(50, [4.0], 125.0), lead="V1"),
    ):
        before = (trace.fold(), trace.epoch)[1]
        trace.push(samples)
        first, points, _ = shown(trace)
        assert (trace.epoch, first, len(points)) == (before + 1, samples.index, 1)


@pytest.mark.parametrize("rate", [256.0, 360.0, 500.0, 1000.0, 2000.0])
def test_a_fast_stream_is_thinned_and_no_peak_is_lost(rate: float) -> None:
    rng = np.random.default_rng(3)
    mv = rng.normal(0, 0.01, round(5 * rate))
    mv[round(2.345 * rate)] = 1.7
    mv[round(3.456 * rate)] = -1.2
    trace = Trace()
    trace.push(piece(0, mv.tolist(), rate))
    first, points, _ = shown(trace)
    assert trace.rate_hz <= DISPLAY_HZ
    assert 1700 in points and -1200 in points
    at = (first + points.index(1700)) / trace.rate_hz
    assert abs(at - 2.345) <= 2 / trace.rate_hz


@given(
    rate=st.sampled_from([125.0, 250.0, 360.0, 500.0, 1000.0]),
    start=st.integers(0, 50),
    values=st.lists(st.sampled_from([0.0, 0.5, -0.25, 3.0, float("nan")]), min_size=1, max_size=120),
    gaps=st.dictionaries(st.integers(1, 119), st.integers(1, 40), max_size=4),
    offs=st.sets(st.integers(0, 11), max_size=4),
    cuts=st.sets(st.integers(1, 119), max_size=12),
)
def test_any_chunking_gives_the_same(
    rate: float, start: int, values: list[float], gaps: dict[int, int], offs: set[int], cuts: set[int]
) -> None:
    index, places = start, []
    for i in range(len(values)):
        index += gaps.get(i, 0)
        places.append((index, i // 10 in offs))
        index += 1

    def played(ends: set[int]) -> tuple[object, ...]:
        trace, begin = Trace(), 0
        for i in range(1, len(values) + 1):
            apart = i == len(values) or places[i] != (places[i - 1][0] + 1, places[i - 1][1])
            if apart or i in ends:
                trace.push(piece(places[begin][0], values[begin:i], rate, places[begin][1]))
                begin = i
        return shown(trace), trace.end, trace.epoch

    assert played(cuts) == played(set()) == played(set(range(120)))
