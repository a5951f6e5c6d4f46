"""The Arduino sketch, compiled for the host and run there: a board with a fake clock, port and front end drives it.

What the front end gave is printed by the board; what the sketch sent is decoded by the host's own parser.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from firmware_bridge.boards import BOARDS
from firmware_bridge.frames import Frame
from firmware_bridge.protocols import native
from firmware_bridge.receiver import Receiver
from tests.firmware_bridge.emulator import FIRMWARE

BOARD = Path(__file__).parent / "arduino"
SKETCH = FIRMWARE / "examples" / "leadwire_ecg" / "leadwire_ecg.ino"
FRONT_ENDS = ("AD8232", "MAX30003")
PERIOD_US = 4000
WRAP = 1 << 32
SAY = {name: native.encode_command(name).hex() for name in ("hello", "start", "stop")}


@dataclass(frozen=True)
class Taken:
    """A sample that the front end gave: when, on the board's unwrapped clock, and whether electrodes were off."""

    time_us: int
    count: int
    off: bool


@dataclass(frozen=True)
class Told:
    taken: list[Taken]
    sent: bytes

    def frames(self) -> list[Frame]:
        parser = native.NativeParser()
        frames = parser.feed(self.sent, 0.0)
        statistics = vars(parser.statistics)
        assert {k: v for k, v in statistics.items() if v} == ({"good": len(frames)} if frames else {})
        return frames

    def samples(self) -> list[Frame]:
        return [f for f in self.frames() if len(f.counts)]

    def counts(self) -> list[int]:
        return [int(c) for f in self.samples() for c in f.counts]

    def given(self, since: Frame) -> list[int]:
        """What the front end gave from this frame's time on."""
        start = min((t.time_us for t in self.taken), key=lambda t: distance_us(t, since), default=0)
        return [t.count for t in self.taken if t.time_us >= start]


def distance_us(time_us: int, frame: Frame) -> int:
    apart = (time_us - (frame.device_time_us or 0)) % WRAP
    return min(apart, WRAP - apart)


def assert_even(samples: list[Frame], front_end: str) -> None:
    """Frames follow each other at the pace. Where a chip keeps it, its phase is found once, within a period."""
    off_pace = np.diff([f.device_time_us or 0 for f in samples]) % WRAP - 4 * PERIOD_US
    assert np.abs(off_pace).sum() <= (PERIOD_US if front_end == "MAX30003" else 0)


Story = Sequence[tuple[float, str, object]]  # (s, verb, value): board.cpp lists the verbs
Play = Callable[[str, Story], Told]


@pytest.fixture(scope="module")
def play(tmp_path_factory: pytest.TempPathFactory) -> Play:
    cpp = shutil.which("g++") or shutil.which("c++")
    if cpp is None:
        pytest.skip("needs g++")
    folder = tmp_path_factory.mktemp("sketch")
    options = ["-std=c++11", "-Wall", "-Wextra", "-Wconversion", "-Werror", "-fsanitize=address,undefined"]
    for front_end in FRONT_ENDS:
        command = [cpp, *options, f"-I{BOARD}", f"-I{FIRMWARE}", f"-DFRONT_END={front_end}", "-include", "Arduino.h"]
        command += ["-x", "c++", str(SKETCH), *map(str, sorted(BOARD.glob("*.cpp"))), "-o", str(folder / front_end)]
        subprocess.run(command, check=True)

    def run(front_end: str, story: Story) -> Told:
        lines = "".join(f"{round(at * 1e6)} {verb} {value}\n" for at, verb, value in story)
        done = subprocess.run([str(folder / front_end)], input=lines, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        *rows, last = done.stdout.splitlines()
        words = [row.split() for row in rows]
        assert {w[0] for w in words} <= {"sample"}
        taken = [Taken(int(at), int(count), off == "1") for _, at, count, off in words]
        return Told(taken, bytes.fromhex(last.removeprefix("sent").strip()))

    return run


def begun(*more: tuple[float, str, object]) -> Story:
    return [(1.0, "say", SAY["hello"]), (1.1, "say", SAY["start"]), *more]


each_front_end = pytest.mark.parametrize("front_end", FRONT_ENDS)


@each_front_end
def test_it_is_silent_until_it_is_asked(play: Play, front_end: str) -> None:
    assert play(front_end, [(2.0, "end", 0)]).sent == b""
    told = play(front_end, [(1.0, "say", SAY["hello"]), (2.0, "end", 0)])
    (frame,) = told.frames()
    assert frame.info is not None
    assert frame.info.sampling_rate_hz == 250
    assert (frame.info.board, frame.info.lead) == (front_end, "I")


def test_it_says_of_an_ad8232_what_the_board_table_does(play: Play) -> None:
    info = play("AD8232", [(1.0, "say", SAY["hello"]), (1.2, "end", 0)]).frames()[0].info
    row = BOARDS["ad8232"]
    assert info is not None
    assert info.picovolts_per_count == round(row.picovolts_per_count or 0)
    assert (info.zero_count, info.bits) == (row.zero_count, row.bits)
    assert (info.high_pass_mhz, info.low_pass_dhz) == (500, 400)


def test_it_says_of_a_max30003_what_the_board_table_does(play: Play) -> None:
    info = play("MAX30003", [(1.0, "say", SAY["hello"]), (1.2, "end", 0)]).frames()[0].info
    row = BOARDS["healthypi-5"]  # the same front end, all of its 18 bits
    assert info is not None
    assert info.picovolts_per_count == round(row.picovolts_per_count or 0)
    assert (info.zero_count, info.bits) == (row.zero_count, row.bits)


@each_front_end
def test_what_the_front_end_gave_arrives(play: Play, front_end: str) -> None:
    """Twenty seconds, over a wrap of the device's clock."""
    told = play(front_end, begun((21.1, "end", 0)))
    frames = told.frames()
    assert [f.sequence for f in frames] == list(range(len(frames)))
    infos = [f for f in frames if f.info]
    assert len(infos) == 2 + 3, "on HELLO, on START, and every five seconds"
    assert len({f.info.boot_id for f in infos if f.info}) == 1
    samples = told.samples()
    given = told.given(samples[0])
    assert len(samples) * 4 == pytest.approx(20 * 250, abs=8)
    assert told.counts() == given[: len(samples) * 4]
    assert not any(f.lead_off or f.clipped or f.overrun for f in samples)
    assert_even(samples, front_end)
    assert any((f.device_time_us or 0) < 1_000_000 for f in samples), "the clock wrapped"


@each_front_end
def test_the_host_places_every_sample(play: Play, front_end: str) -> None:
    told = play(front_end, begun((9.0, "end", 0)))
    receiver = Receiver(BOARDS["native"])
    got = receiver.feed(told.sent, 0.0)
    places = np.concatenate([s.index + np.arange(len(s.millivolts)) for s in got])
    assert np.array_equal(places, range(len(told.counts())))
    assert vars(receiver.clock.statistics) == dict.fromkeys(vars(receiver.clock.statistics), 0)


@each_front_end
def test_electrodes_that_are_off_are_said(play: Play, front_end: str) -> None:
    told = play(front_end, begun((5.0, "off", 1), (7.0, "off", 0), (9.0, "end", 0)))
    samples = told.samples()
    off = [f.lead_off for f in samples]
    assert sum(off) * 4 == pytest.approx(sum(t.off for t in told.taken), abs=12)
    assert sum(off) * 4 == pytest.approx(500, abs=12)
    first = off.index(True)
    assert all(off[first : first + sum(off)]), "once, and for as long as they are"
    assert not off[0]
    assert not off[-1]


@pytest.mark.parametrize(("front_end", "rail"), [("AD8232", 1023), ("MAX30003", 131071)])
def test_an_input_that_is_overdriven_is_clipped(play: Play, front_end: str, rail: int) -> None:
    told = play(front_end, begun((3.0, "rail", rail), (4.0, "rail", 0), (6.0, "end", 0)))
    samples = told.samples()
    assert all(f.clipped == (rail in f.counts) for f in samples if len(set((f.counts == rail).tolist())) == 1)
    assert sum(f.clipped for f in samples) == pytest.approx(62, abs=4)
    assert rail in told.counts()


@each_front_end
def test_a_host_that_does_not_read_costs_frames_and_no_more(play: Play, front_end: str) -> None:
    """The numbers of the frames that had no room are missing, and so are their samples; none is out of its place."""
    told = play(front_end, begun((3.0, "jam", 1), (4.0, "jam", 0), (8.0, "end", 0)))
    samples = told.samples()
    receiver = Receiver(BOARDS["native"])
    got = receiver.feed(told.sent, 0.0)
    given = told.given(samples[0])
    lost = receiver.clock.statistics
    assert lost.lost_frames * 4 == lost.lost_samples == pytest.approx(250, abs=50)
    by_place = {s.index + i: round(mv / 1e-9) for s in got for i, mv in enumerate(s.millivolts)}
    info = next(f.info for f in told.frames() if f.info)
    assert info is not None
    expected = {i: round((given[i] - info.zero_count) * info.picovolts_per_count) for i in by_place}
    assert by_place == expected


@each_front_end
def test_a_program_that_was_held_up_says_what_it_missed(play: Play, front_end: str) -> None:
    """The AD8232 has no memory and loses 300 ms; the chip's FIFO holds 128 ms and overflows."""
    told = play(front_end, begun((3.0, "stall", 300_000), (6.0, "end", 0)))
    samples = told.samples()
    overrun = [f for f in samples if f.overrun]
    assert len(overrun) == 1
    receiver = Receiver(BOARDS["native"])
    receiver.feed(told.sent, 0.0)
    lost = receiver.clock.statistics
    assert lost.lost_frames == 0, "no frame is missing: samples are"
    assert lost.lost_samples == pytest.approx(75, abs=10)
    at = next(i for i, t in enumerate(told.taken) if t.time_us % WRAP >= (overrun[0].device_time_us or 0) - PERIOD_US)
    behind = [int(c) for f in samples[samples.index(overrun[0]) :] for c in f.counts]
    given = [t.count for t in told.taken]
    place = given.index(behind[0], at)
    assert given[place : place + len(behind)] == behind
    assert distance_us(told.taken[place].time_us, overrun[0]) <= PERIOD_US


def test_the_chips_own_memory_covers_a_short_delay(play: Play) -> None:
    told = play("MAX30003", begun((3.0, "stall", 100_000), (6.0, "end", 0)))
    samples = told.samples()
    assert told.counts() == told.given(samples[0])[: len(told.counts())]
    assert not any(f.overrun for f in samples)


@pytest.mark.parametrize("ppm", [-300, 300])
def test_the_chips_clock_is_followed(play: Play, ppm: int) -> None:
    """The chip's 250 a second are not quite ours: times stay within a period of the truth, without jitter."""
    told = play("MAX30003", [(0.5, "ppm", ppm), *begun((31.0, "end", 0))])
    samples = told.samples()
    given = told.given(samples[0])
    assert told.counts() == given[: len(told.counts())]
    times = [t.time_us for t in told.taken][-len(given) :]
    errors = [distance_us(times[i * 4], f) for i, f in enumerate(samples)]
    assert max(errors) <= 1.5 * PERIOD_US
    receiver = Receiver(BOARDS["native"])
    receiver.feed(told.sent, 0.0)
    assert receiver.clock.statistics.lost_samples == 0


@each_front_end
def test_stop_stops_and_start_begins_anew(play: Play, front_end: str) -> None:
    told = play(front_end, begun((3.0, "say", SAY["stop"]), (5.0, "say", SAY["start"]), (7.0, "end", 0)))
    times = np.array([f.device_time_us or 0 for f in told.samples()], np.int64)
    steps = np.diff(times) % WRAP
    assert np.count_nonzero(steps > 4 * PERIOD_US) == 1
    assert steps.max() == pytest.approx(2_000_000, abs=30_000)
    assert [f.sequence for f in told.frames()] == list(range(len(told.frames())))


@each_front_end
def test_a_host_that_asks_again_changes_nothing(play: Play, front_end: str) -> None:
    again = [(2.0 + i / 10, "say", word) for i, word in enumerate((SAY["hello"], "00", "ff00", SAY["start"]))]
    told = play(front_end, begun(*again, (4.0, "end", 0)))
    assert_even(told.samples(), front_end)
    assert sum(f.info is not None for f in told.frames()) == 4
