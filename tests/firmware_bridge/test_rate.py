"""The measured rate, and the timeline of boards that do not tell the time."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firmware_bridge.boards import BOARDS
from firmware_bridge.clock import Clock, Samples
from firmware_bridge.frames import Frame
from firmware_bridge.rate import RateMeter
from tests.firmware_bridge.boards import TABLE, parser_of

each_board = pytest.mark.parametrize("board", TABLE, ids=lambda b: b.name)


def arrivals(rate: float, seconds: float, burst_s: float = 0.0, jitter_s: float = 0.0, seed: int = 0) -> np.ndarray:
    """When each sample is read: late by up to `jitter_s`, in order, and no sooner than its burst."""
    made = np.arange(1, round(rate * seconds) + 1) / rate
    late = made + np.random.default_rng(seed).uniform(0, jitter_s, len(made)) if jitter_s else made
    read = np.ceil(late / burst_s) * burst_s if burst_s else late
    return np.maximum.accumulate(read)


def confirmed(times: Iterable[float]) -> tuple[float, float] | None:
    """When the rate was known first, and what it was."""
    meter = RateMeter()
    for i, t in enumerate(times):
        if meter.add(float(t), i + 1) and meter.hz is not None:
            return float(t), meter.hz
    return None


@settings(max_examples=40)
@given(
    rate=st.floats(90.0, 1100.0),
    burst=st.sampled_from([0.0, 0.001, 0.016, 0.05]),
    jitter=st.sampled_from([0.0, 0.004, 0.03]),
    seed=st.integers(0, 1000),
)
def test_a_confirmed_rate_is_within_a_percent(rate: float, burst: float, jitter: float, seed: int) -> None:
    found = confirmed(arrivals(rate, 25.0, burst, jitter, seed))
    assert found is not None
    assert found[1] == pytest.approx(rate, rel=0.01)
    if burst <= 0.016 and jitter <= 0.004:
        assert found[0] < 8.0
        assert found[1] == pytest.approx(rate, rel=0.003)


@pytest.mark.parametrize("backlog_s", [0.5, 2.0, 4.0])
@pytest.mark.parametrize("drain_s", [0.0, 0.3])
def test_what_had_piled_up_before_the_port_was_opened_does_not_bend_it(backlog_s: float, drain_s: float) -> None:
    rate = 250.0
    times = arrivals(rate, 20.0, 0.016) - backlog_s
    times[times < drain_s] = np.linspace(0, drain_s, (times < drain_s).sum())
    found = confirmed(times)
    assert found is not None
    assert found[1] == pytest.approx(rate, rel=0.01)


@settings(max_examples=12)
@given(
    rate=st.floats(90.0, 600.0),
    begins=st.lists(st.floats(0.5, 24.0), min_size=1, max_size=8),
    lasts=st.floats(0.5, 1.0),
    burst=st.sampled_from([0.0, 0.016]),
)
def test_stalls_do_not_bend_it(rate: float, begins: list[float], lasts: float, burst: float) -> None:
    """One line for a board that counts, whatever was stalled; whoever does not count begins another behind each."""
    times = arrivals(rate, 25.0, burst)
    for begin in begins:
        times[(times > begin) & (times < begin + lasts)] = begin + lasts
    meter, found, before = RateMeter(), None, 0.0
    skipping, found_skipping = RateMeter(), None
    for i, t in enumerate(times.tolist()):
        if t - before > 0.5:
            skipping.skip()
        before = t
        found = meter.hz if meter.add(t, i + 1) else found
        found_skipping = skipping.hz if skipping.add(t, i + 1) else found_skipping
        for hz in (found, found_skipping):
            assert hz is None or hz == pytest.approx(rate, rel=0.01)
    assert found is not None
    assert found_skipping is not None


@given(at_s=st.floats(0.2, 4.0), late_s=st.floats(0.05, 1.0), rate=st.floats(100.0, 1000.0))
@settings(max_examples=20)
def test_a_delay_that_comes_to_stay_is_waited_out(at_s: float, late_s: float, rate: float) -> None:
    """A queue that fills and never drains: what came before it is too early for the line."""
    times = arrivals(rate, 20.0, 0.016)
    times = np.where(times > at_s, times + late_s, times)
    found = confirmed(times)
    assert found is not None
    assert found[1] == pytest.approx(rate, rel=0.01)


def test_a_stall_of_the_host_does_not_bend_it() -> None:
    times = arrivals(250.0, 20.0, 0.016)
    times[(times > 3.0) & (times < 3.4)] = 3.4
    found = confirmed(times)
    assert found is not None
    assert found[1] == pytest.approx(250.0, rel=0.005)


def test_what_has_no_rate_is_never_confirmed() -> None:
    for seed in range(8):
        speed = np.repeat(np.random.default_rng(seed).uniform(0.5, 1.5, 60), 250)
        assert confirmed(np.cumsum(speed) / 250.0) is None
    assert confirmed(np.zeros(5000)) is None


@given(st.lists(st.tuples(st.floats(-1e9, 1e9), st.integers(0, 1 << 40)), max_size=60))
def test_no_times_make_it_raise(points: list[tuple[float, int]]) -> None:
    meter = RateMeter()
    for t, n in points:
        meter.add(t, n)


# ---- the clock around it ---------------------------------------------------------------------------------------------


def frames(name: str, times: np.ndarray, lost: set[int] = frozenset()) -> list[Frame]:  # type: ignore[assignment]
    """One sample a frame, counting; arrival times as given."""
    bits = parser_of(BOARDS[name]).sequence_bits
    wrap = 1 << bits
    return [
        Frame(float(t), i % wrap if bits else None, None, np.array([i % 500 + 1], np.int32))
        for i, t in enumerate(times)
        if i not in lost
    ]


def clocked(name: str, what: Iterable[Frame]) -> tuple[Clock, list[Samples]]:
    """The clock, and its samples one by one."""
    clock = Clock(BOARDS[name], parser_of(BOARDS[name]).sequence_bits)
    return clock, [one for frame in what for s in clock.feed(frame) for one in each(s)]


def each(s: Samples) -> list[Samples]:
    """One by one: those of one arrival come joined."""
    return [
        replace(s, index=s.index + i, millivolts=s.millivolts[i : i + 1], fresh=s.fresh and i == 0)
        for i in range(len(s.millivolts))
    ]


@pytest.mark.parametrize(("name", "true_hz"), [("ad8232-esp32", 190.0), ("ad8232-esp32", 977.0), ("cyton", 250.0)])
def test_the_measured_rate_is_the_one_used_and_nothing_is_lost_meanwhile(name: str, true_hz: float) -> None:
    clock, samples = clocked(name, frames(name, arrivals(true_hz, 12.0, 0.016)))
    assert [s.index for s in samples] == list(range(round(12 * true_hz)))
    assert len({s.sampling_rate_hz for s in samples}) == 1
    assert samples[0].sampling_rate_hz == pytest.approx(true_hz, rel=0.005)
    assert [s.fresh for s in samples].count(True) == 1
    assert not clock.measuring


def test_nothing_comes_before_the_rate_is_known() -> None:
    clock, samples = clocked("cyton", frames("cyton", arrivals(250.0, 4.0)))
    assert samples == []
    assert clock.measuring


def test_a_board_that_changes_its_rate_is_retimed() -> None:
    times = np.concatenate([arrivals(250.0, 20.0), 20.0 + arrivals(500.0, 60.0)])
    clock, samples = clocked("cyton", frames("cyton", times))
    assert clock.statistics.retimed >= 1
    assert samples[-1].sampling_rate_hz == pytest.approx(500.0, rel=0.01)
    ends = [(s.index + 1) / s.sampling_rate_hz for s in samples]
    assert min(np.diff(ends)) > -1e-2, "the timeline does not go back"


@given(st.sets(st.integers(1, 2998), max_size=200))  # what is lost at the end nobody sees
@settings(max_examples=6)
def test_a_counter_places_what_is_left(lost: set[int]) -> None:
    clock, samples = clocked("cyton", frames("cyton", arrivals(250.0, 12.0), lost))
    assert {s.index for s in samples} == set(range(3000)) - lost
    assert clock.statistics.lost_samples == len(lost)


def test_a_loss_of_more_than_a_wrap_is_told_by_the_silence() -> None:
    lost = set(range(2000, 2000 + 700))
    clock, samples = clocked("cyton", frames("cyton", arrivals(250.0, 30.0, 0.016), lost))
    assert {s.index for s in samples} == set(range(7500)) - lost
    assert clock.statistics.lost_samples == 700


def test_a_link_that_stalls_and_then_delivers_has_lost_nothing() -> None:
    times = arrivals(250.0, 30.0, 0.016)
    times[(times > 15.0) & (times < 16.6)] = 16.6  # longer than a wrap of the counter
    clock, samples = clocked("cyton", frames("cyton", times))
    assert [s.index for s in samples] == list(range(7500))
    assert clock.statistics.lost_samples == 0


def test_duplicates_and_late_frames_of_a_wide_enough_counter_are_dropped() -> None:
    given_frames = frames("cyton", arrivals(250.0, 12.0))
    given_frames.insert(2001, given_frames[2000])
    given_frames.insert(2500, given_frames[2490])
    clock, samples = clocked("cyton", given_frames)
    assert [s.index for s in samples] == list(range(3000))
    assert (clock.statistics.duplicates, clock.statistics.late) == (1, 1)


def test_a_silence_without_a_counter_is_as_long_as_it_was_here() -> None:
    times = arrivals(125.0, 30.0, 0.016)
    kept = times[(times < 15.0) | (times > 18.0)]
    clock, samples = clocked("ads1292r", frames("ads1292r", kept))
    jumps = np.diff([s.index for s in samples])
    assert sorted(set(jumps.tolist()))[0] == 1
    assert abs(int(jumps.max()) - 3 * 125) <= 3
    assert abs(clock.statistics.lost_samples - 3 * 125) <= 3


@pytest.mark.parametrize("name", ["ads1292r", "ad8232-esp32"])
@pytest.mark.parametrize("stalled_s", [0.6, 1.0, 3.0])
def test_a_stall_without_a_counter_that_delivers_is_no_gap(name: str, stalled_s: float) -> None:
    times = arrivals(200.0, 30.0, 0.016)
    times[(times > 15.0) & (times < 15.0 + stalled_s)] = 15.0 + stalled_s
    clock, samples = clocked(name, frames(name, times))
    assert [s.index for s in samples] == list(range(6000))
    assert clock.statistics.lost_samples == 0


def test_what_a_stall_could_not_keep_is_a_gap_before_what_it_did() -> None:
    times = arrivals(200.0, 30.0, 0.016)
    kept = times[(times < 15.0) | (times > 15.6)]  # a buffer that holds the last second of 1.6
    kept[(kept > 15.0) & (kept < 16.6)] = 16.6
    clock, samples = clocked("ads1292r", frames("ads1292r", kept))
    jumps = np.diff([s.index for s in samples])
    assert abs(int(jumps.max()) - 1 - 120) <= 4
    assert sorted(jumps.tolist())[-2] == 1
    assert abs(clock.statistics.lost_samples - 120) <= 4


def test_silences_one_behind_the_other_are_decided_one_by_one() -> None:
    times = arrivals(200.0, 30.0)
    kept = times[(times < 15.0) | ((times > 16.0) & (times < 16.1)) | (times > 18.0)]
    clock, samples = clocked("ads1292r", frames("ads1292r", kept))
    jumps = np.diff([s.index for s in samples])
    assert sorted(jumps.tolist())[-3] == 1
    assert sorted(jumps.tolist())[-2:] == pytest.approx([201, 381], abs=4)
    assert abs(clock.statistics.lost_samples - 580) <= 6


@pytest.mark.parametrize("true_hz", [190.0, 500.0, 977.0])
def test_a_board_that_cannot_count_is_known_within_seconds_though_it_stalls(true_hz: float) -> None:
    r = np.random.default_rng(7)
    times = arrivals(true_hz, 25.0, 0.016)
    at = 0.0
    while (at := at + r.exponential(3.0)) < 25.0:
        times[(times > at) & (times < at + 0.8)] = at + 0.8
    _, samples = clocked("ad8232-esp32", frames("ad8232-esp32", times))
    assert samples[0].arrival_s < 20.0
    assert samples[0].sampling_rate_hz == pytest.approx(true_hz, rel=0.005)


wild_frames = st.lists(
    st.tuples(
        st.floats(0, 3.0),  # since the last arrival
        st.integers(0, 65535) | st.none(),
        st.integers(0, (1 << 32) - 1) | st.none(),
        st.integers(1, 5),
        st.booleans(),
    ),
    max_size=60,
)


@settings(max_examples=30)
@given(
    name=st.sampled_from(["ad8232", "ad8232-esp32", "ad8232-csv", "cyton", "bitalino", "heartypatch"]),
    given_frames=wild_frames,
)
def test_no_frames_make_a_timeline_go_back(
    name: str, given_frames: list[tuple[float, int | None, int | None, int, bool]]
) -> None:
    board = BOARDS[name]
    bits = parser_of(board).sequence_bits
    calm = arrivals(120.0, 6.0)
    clock = Clock(board, bits)
    index = [clock.feed(one) for one in frames(name, calm)]
    now, taken = 6.0, [s for group in index for s in group]
    for wait_s, sequence, time_us, size, off in given_frames:
        now += wait_s
        wrapped = None if not bits else (sequence or 0) % (1 << bits)
        told = (time_us or 0) if board.tells_time else None
        taken += clock.feed(Frame(now, wrapped, told, np.ones(size, np.int32), lead_off=off))
    for before, after in pairwise(taken):
        if after.fresh or after.sampling_rate_hz != before.sampling_rate_hz:
            end_s = (before.index + len(before.millivolts)) / before.sampling_rate_hz
            assert after.index / after.sampling_rate_hz >= end_s - 1.5 / after.sampling_rate_hz
        else:
            assert after.index >= before.index + len(before.millivolts)


def test_a_new_link_is_a_gap_and_no_loss() -> None:
    times = arrivals(250.0, 30.0)
    clock = Clock(BOARDS["cyton"], 8)
    given_frames = frames("cyton", times)
    samples = [s for f in given_frames[:4000] for s in clock.feed(f)]
    clock.link_opened()
    again = frames("cyton", times[: len(times) - 5000])  # it counts from zero again
    samples += [s for f in again for s in clock.feed(Frame(f.arrival_s + 20.0, f.sequence, None, f.counts))]
    jumps = np.diff([s.index for s in samples])
    assert abs(int(jumps.max()) - 4 * 250) <= 4
    assert clock.statistics.lost_samples == 0
    assert all(np.diff([s.index for s in samples]) > 0)


def test_a_rate_that_never_settles_holds_a_bounded_number_of_samples() -> None:
    clock, samples = clocked("cyton", frames("cyton", np.zeros(45_000)))
    assert samples == []
    assert len(clock._held) <= 20_000
    assert clock.statistics.before_info + len(clock._held) == 45_000


def test_leads_that_are_off_take_another_time_a_line_and_are_measured_again() -> None:
    on, off = arrivals(190.0, 12.0), arrivals(320.0, 12.0)
    back = arrivals(190.0, 12.0)
    what = [Frame(t, None, None, np.array([5], np.int32)) for t in on]
    what += [Frame(12.0 + t, None, None, np.array([512], np.int32), lead_off=True) for t in off]
    what += [Frame(24.0 + t, None, None, np.array([5], np.int32)) for t in back]
    _, samples = clocked("ad8232", what)
    for s in samples:
        assert s.sampling_rate_hz == pytest.approx(320.0 if s.lead_off else 190.0, rel=0.01)
    assert samples[-1].index / samples[-1].sampling_rate_hz == pytest.approx(36.0, abs=0.1)


def test_counts_at_the_end_of_the_converter_are_clipped() -> None:
    low, high = BOARDS["cyton"].count_range
    what = [
        Frame(f.arrival_s, f.sequence, None, np.array([{2000: low, 2001: high}.get(i, 5)], np.int32))
        for i, f in enumerate(frames("cyton", arrivals(250.0, 12.0)))
    ]
    _, samples = clocked("cyton", what)
    assert [s.index for s in samples if s.clipped] == [2000, 2001]


@pytest.mark.parametrize("true_hz", [100.0, 240.0, 977.0])
def test_a_board_that_tells_the_time_is_measured_on_its_own_clock(true_hz: float) -> None:
    """Milliseconds as text, through a link that delays; the counter of milliseconds wraps our microseconds."""
    made = np.arange(round(12 * true_hz)) / true_hz
    start_ms = (1 << 32) / 1000 - 6000
    delay = np.random.default_rng(2).uniform(0, 0.4, len(made))
    what = [
        Frame(float(t + d), None, round(start_ms + t * 1000) * 1000 % (1 << 32), np.array([5], np.int32))
        for t, d in zip(made, np.maximum.accumulate(delay), strict=True)
    ]
    clock, samples = clocked("ad8232-csv", what)
    assert [s.index for s in samples] == list(range(len(what)))
    assert samples[0].sampling_rate_hz == pytest.approx(true_hz, rel=0.005)
    assert clock.statistics.lost_samples == 0


def test_lines_that_a_clock_shows_to_be_missing_are_a_gap() -> None:
    made = np.arange(3000) / 250.0
    kept = [i for i in range(3000) if not 2000 <= i < 2010]
    what = [Frame(float(made[i]), None, round(made[i] * 1000) * 1000, np.array([5], np.int32)) for i in kept]
    clock, samples = clocked("ad8232-csv", what)
    assert max(np.diff([s.index for s in samples])) == 11
    assert clock.statistics.lost_samples == 10


def test_a_device_whose_clock_begins_anew_was_started_again() -> None:
    made = np.arange(3000) / 250.0
    what = [Frame(float(t), None, round(t * 1000) * 1000 + 40_000_000, np.array([5], np.int32)) for t in made]
    what += [Frame(15.0 + float(t), None, round(t * 1000) * 1000, np.array([5], np.int32)) for t in made]
    clock, samples = clocked("ad8232-csv", what)
    assert clock.statistics.restarts == 1
    assert abs(int(max(np.diff([s.index for s in samples]))) - 3 * 250) <= 3
