from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware_bridge.clock import Clock, Samples
from firmware_bridge.frames import Frame, Info

RATE, SIZE = 250, 5
STEP_US = SIZE * 1_000_000 // RATE


def info(boot_id: int = 1) -> Frame:
    about = Info(boot_id, RATE, 1, 1_000_000, 0, 16, SIZE, 0, 0, "b", "f", "I")
    return Frame(0.0, None, 0, info=about)


def frame(i: int, arrival_s: float | None = None, **more: object) -> Frame:
    counts = np.arange(i * SIZE, (i + 1) * SIZE, dtype=np.int32)
    at = i * SIZE / RATE if arrival_s is None else arrival_s
    return Frame(at, i % 65536, i * STEP_US % (1 << 32), counts, **more)  # type: ignore[arg-type]


def run(frames: list[Frame]) -> tuple[Clock, list[Samples]]:
    clock = Clock()
    clock.feed(info())
    return clock, [s for f in frames for s in clock.feed(f)]


def test_neighbours_follow_each_other_and_are_millivolts() -> None:
    _, samples = run([frame(0), frame(1), frame(2)])
    assert [s.index for s in samples] == [0, 5, 10]
    assert np.allclose(samples[1].millivolts, np.arange(5, 10) * 1e-3)


@given(st.sets(st.integers(1, 199), max_size=60))
def test_what_is_lost_leaves_a_gap_of_its_length(lost: set[int]) -> None:
    clock, samples = run([frame(i) for i in range(201) if i not in lost])
    assert {s.index // SIZE for s in samples} == set(range(201)) - lost
    assert clock.statistics.lost_frames == len(lost)
    assert clock.statistics.lost_samples == SIZE * len(lost)


def test_the_timeline_goes_on_where_sequence_and_device_time_wrap() -> None:
    first = (1 << 32) // STEP_US - 3  # device time wraps three frames later
    clock, samples = run([frame(first + i, i * 0.02) for i in range(70)])
    assert [s.index for s in samples] == [i * SIZE for i in range(70)]
    assert clock.statistics.lost_samples == 0


def test_an_absence_of_more_than_a_wrap_is_told_by_arrival() -> None:
    clock = Clock()
    clock.feed(info())
    clock.feed(frame(0))
    clock.link_opened()
    clock.feed(info())
    away = 2 * (1 << 32) // STEP_US + 500  # frames: over two wraps of the device's time
    (back,) = clock.feed(frame(away, away * SIZE / RATE + 0.5))
    assert abs(back.index - away * SIZE) <= SIZE


def test_duplicates_and_late_frames_are_dropped() -> None:
    clock, samples = run([frame(0), frame(1), frame(1), frame(3), frame(2), frame(4)])
    assert [s.index for s in samples] == [0, 5, 15, 20]
    assert (clock.statistics.duplicates, clock.statistics.late) == (1, 1)


def test_a_rate_a_little_off_makes_no_gaps() -> None:
    """Device time of 251 Hz under a stated 250: drift, not loss."""
    frames = [Frame(0.0, i, round(i * SIZE * 1e6 / 251), np.zeros(SIZE, np.int32)) for i in range(2000)]
    clock, samples = run(frames)
    assert [s.index for s in samples] == [i * SIZE for i in range(2000)]
    assert clock.statistics.lost_samples == 0


def test_samples_lost_inside_the_device_are_a_gap_although_no_frame_is_missing() -> None:
    late = Frame(1.0, 1, STEP_US + 40_000, np.zeros(SIZE, np.int32), overrun=True)
    _, samples = run([frame(0), late])
    assert samples[1].index == SIZE + 10


def test_nothing_is_placed_before_the_stream_says_what_it_is() -> None:
    clock = Clock()
    assert clock.feed(frame(0)) == []
    assert clock.statistics.before_info == SIZE
    clock.feed(info())
    assert len(clock.feed(frame(1))) == 1
    clock.link_opened()
    assert clock.feed(frame(2)) == [], "after a new link the stream has to say it again"


def test_a_restart_is_no_loss() -> None:
    clock, _ = run([frame(i) for i in range(5)])
    clock.feed(info(boot_id=2))
    (back,) = clock.feed(frame(0, arrival_s=3.08))
    assert back.index == 5 * SIZE + round((3.08 - 0.08) * RATE)
    assert (clock.statistics.restarts, clock.statistics.lost_samples, clock.statistics.lost_frames) == (1, 0, 0)


def test_more_than_half_a_sequence_missing_is_a_loss_and_not_lateness() -> None:
    clock, samples = run([frame(0), frame(40_000), frame(40_001)])
    assert [s.index for s in samples] == [0, 200_000, 200_005]
    assert clock.statistics.late == 0


@pytest.mark.parametrize("rate", [(1, 1000), (4_000_000_000, 1), (19, 1)])
def test_a_rate_that_no_board_has_is_refused(rate: tuple[int, int]) -> None:
    clock = Clock()
    about = Info(1, *rate, 1_000_000, 0, 16, SIZE, 0, 0, "b", "f", "I")
    assert clock.feed(Frame(0.0, None, 0, info=about)) == []
    assert clock.feed(frame(0)) == []
    assert clock.statistics.refused_info == 1


def test_another_lead_or_rate_or_boot_is_a_fresh_start_on_the_same_timeline() -> None:
    clock, samples = run([frame(i) for i in range(100)])
    assert [s.fresh for s in samples] == [False] * 100
    about = Info(1, 500, 1, 1_000_000, 0, 16, SIZE, 0, 0, "b", "f", "II")
    clock.feed(Frame(2.0, None, 0, info=about))
    (back,) = clock.feed(frame(100))
    assert (back.fresh, back.lead, back.index / back.sampling_rate_hz) == (True, "II", 2.0)


def test_the_drift_of_its_clock_is_measured_against_ours() -> None:
    """A second of the device takes a hundred microseconds longer here, through a link that delays."""
    late = np.random.default_rng(5).uniform(0, 0.02, 6000)
    clock = Clock()
    clock.feed(info())
    assert clock.drift_ppm is None
    for i in range(6000):
        clock.feed(frame(i, (i + 1) * SIZE / RATE * (1 + 100e-6) + float(late[i])))
    assert clock.drift_ppm == pytest.approx(-100, abs=30)


def test_a_gain_of_nothing_is_refused() -> None:
    clock = Clock()
    about = Info(1, RATE, 1, 0, 0, 16, SIZE, 0, 0, "b", "f", "I")
    assert clock.feed(Frame(0.0, None, 0, info=about)) == []
    assert clock.statistics.refused_info == 1
