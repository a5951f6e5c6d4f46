from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_runtime.windows import Windower, windows_of
from firmware_bridge.clock import Samples


def chunk(index: int, values: np.ndarray, rate: float = 100.0, **more: bool) -> Samples:
    return Samples(index, values, rate, "I", 0.0, **more)


@given(st.lists(st.integers(1, 400), max_size=30), st.sampled_from([100.0, 128.2, 250.0]))
def test_any_chunking_gives_the_windows_that_a_file_gives(cuts: list[int], rate: float) -> None:
    x = np.arange(round(13.4 * rate), dtype=np.float64)
    windower, got, at = Windower(), [], 0
    for cut in [*cuts, len(x)]:
        if at < len(x):
            got += windower.push(chunk(at, x[at : at + cut], rate))
            at += cut
    full = [w for w in got if w.full]
    offline = windows_of(x, rate, "I", 1.0)[:-1]
    assert len(full) == len(offline) == 4
    for a, b in zip(full, offline, strict=True):
        assert (a.start_s, a.end_s) == (b.start_s, b.end_s)
        assert np.array_equal(a.samples_mv, b.samples_mv)
    assert [len(w.samples_mv) for w in got if not w.full] == [round(k * rate) for k in range(1, 10)]


def test_the_last_window_of_a_file_ends_with_it_and_comes_once() -> None:
    assert [(w.start_s, w.end_s) for w in windows_of(np.zeros(2550), 100, "I", 10)] == [(0, 10), (10, 20), (15.5, 25.5)]
    assert [(w.start_s, w.end_s) for w in windows_of(np.zeros(2000), 100, "I", 10)] == [(0, 10), (10, 20)]
    (short,) = windows_of(np.zeros(400), 100, "I", 10)
    assert (short.end_s, short.full) == (4.0, False)


def test_a_gap_stays_a_gap() -> None:
    windower = Windower()
    windower.push(chunk(0, np.ones(1000)))
    (window,) = windower.push(chunk(1030, np.ones(70)))
    assert np.isnan(window.samples_mv).sum() == 30
    assert window.end_s == 11.0


def test_a_small_gap_across_a_boundary_leaves_the_boundary_where_it_is() -> None:
    windower = Windower()
    windower.push(chunk(0, np.ones(1098)))
    (window,) = windower.push(chunk(1104, np.ones(20)))
    assert (window.start_s, window.end_s) == (1.0, 11.0)
    assert np.isnan(window.samples_mv).sum() == 2


def test_a_device_that_restarts_warms_up_again_with_nothing_of_before() -> None:
    windower = Windower()
    windower.push(chunk(0, np.ones(1500)))
    windows = windower.push(chunk(1500, np.full(1000, 2.0), fresh=True))
    assert [w.full for w in windows] == [False] * 9 + [True]
    assert all((w.samples_mv == 2.0).all() for w in windows)
    assert (windows[-1].start_s, windows[-1].end_s) == (15.0, 25.0)


def test_an_absence_gives_no_windows_of_its_own_and_leaves_no_old_samples() -> None:
    windower = Windower()
    windower.push(chunk(0, np.ones(1000)))
    windows = windower.push(chunk(100_000, np.full(1000, 2.0)))
    assert windows[0].end_s == 1001.0
    assert not (windows[0].samples_mv == 1.0).any()
    assert np.isnan(windows[0].samples_mv[:900]).all()
    assert not np.isnan(windows[-1].samples_mv).any()


def test_flags_stay_as_long_as_their_samples() -> None:
    windower = Windower()
    windows = windower.push(chunk(0, np.ones(100), lead_off=True)) + windower.push(chunk(100, np.ones(1900)))
    assert [w.end_s for w in windows if w.full and w.lead_off] == [10.0]


def test_reset_means_empty() -> None:
    windower = Windower()
    windower.push(chunk(0, np.ones(1000)))
    windower.reset()
    assert all(not w.full or np.isnan(w.samples_mv).any() for w in windower.push(chunk(1000, np.ones(900))))


def test_another_rate_is_another_stream() -> None:
    windower = Windower()
    windower.push(chunk(0, np.ones(1000)))
    windows = windower.push(chunk(1000, np.ones(250), rate=250.0))
    assert all(np.isnan(w.samples_mv).any() or not w.full for w in windows)


def test_time_never_goes_back() -> None:
    windower = Windower()
    windower.push(chunk(500, np.ones(10)))
    with pytest.raises(ValueError, match="back in time"):
        windower.push(chunk(0, np.ones(10)))
