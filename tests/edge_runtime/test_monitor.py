from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_runtime.backends import Backend
from edge_runtime.bundle import Bundle
from edge_runtime.episodes import latest
from edge_runtime.monitor import Monitor
from edge_runtime.offline import analyse_record
from edge_runtime.records import Lead, Record
from edge_runtime.report import Report
from edge_runtime.sinks.recorder import Recorder, replay
from edge_runtime.stream import Stream
from edge_runtime.wearable import wearable_of
from firmware_bridge.boards import BOARDS, Board
from firmware_bridge.clock import Samples
from firmware_bridge.receiver import Receiver
from tests.fakes import FakeBackend, ecg_of, model_that_states_all, regular_waves

RATE = 250


def record(seconds: float = 16.0, rate: float = RATE) -> Record:
    mv = ecg_of(regular_waves(seconds=seconds), rate, seconds) + np.random.default_rng(3).normal(
        0, 0.01, round(seconds * rate)
    )
    counts = np.round(mv * 200).astype(np.int32) + 1024
    return Record("made", rate, (Lead("II", counts, 5e6, 1024, 11, np.zeros(len(counts), bool)),))


def events(what: Record, fault: str = "", seed: int = 0) -> Iterator[tuple[str, float, bytes]]:
    """A simulated wearable's whole life: each frame arrives when the device made it."""
    device = wearable_of(what, None, 0.0, None, fault, seed)
    yield "opened", 0.0, b""
    yield "data", 0.0, device.describe(0.0)
    connected = True
    for due_s, data in device.frames():
        if device.faults.active("unplug", due_s):
            if connected:
                connected = False
                yield "lost", due_s, b""
            continue
        if not connected:
            connected = True
            yield "opened", due_s, b""
            yield "data", due_s, device.describe(due_s)
        if data is not None:
            yield "data", due_s, data


def stream_of(backend: Backend, model: object = None) -> Stream:
    return Stream(Receiver(BOARDS["native"]), Monitor(model or model_that_states_all(), backend, "port"))  # type: ignore[arg-type]


def reports_of(given_events: Iterator[tuple[str, float, bytes]], make: Callable[[], Stream]) -> list[Report]:
    stream = make()
    return [r for kind, at, data in given_events for r in stream.handle(kind, at, data)]


def comparable(report: Report) -> dict:
    out = report.to_dict()
    return {k: v for k, v in out.items() if k not in ("source", "session", "sequence", "utc", "record", "latency_ms")}


def test_nothing_is_stated_before_the_buffer_is_full(fake: FakeBackend) -> None:
    reports = reports_of(events(record(9.9)), lambda: stream_of(fake))
    assert [r.state for r in reports] == ["warming_up"] * 9
    assert fake.calls == 0


@pytest.mark.parametrize("rate", [100, 128, 250, 360, 1000])
def test_a_wire_and_a_file_give_the_same_reports(bundle: Bundle, backend: Backend, rate: float) -> None:
    what = record(13.7, rate)
    live = [r for r in reports_of(events(what), lambda: stream_of(backend, bundle.model)) if r.state != "warming_up"]
    offline = list(analyse_record(what, "made", None, 1.0, bundle.model, backend))
    assert len(live) == 4
    assert [comparable(r) for r in live] == [comparable(r) for r in offline[:4]]
    assert all(r.state == "ok" and r.measures["hr_bpm"].valid for r in live)


@settings(max_examples=10)
@given(st.lists(st.integers(1, 3000), max_size=40))
def test_any_chunking_of_the_bytes_gives_the_same_reports(cuts: list[int]) -> None:
    data = b"".join(d for _, _, d in events(record(12.0), "drop=0.02"))

    def pieces(sizes: list[int]) -> Iterator[tuple[str, float, bytes]]:
        yield "opened", 0.0, b""
        at = 0
        for size in [*sizes, len(data)]:
            yield "data", 0.0, data[at : at + size]
            at += size

    def fresh() -> Stream:
        return stream_of(FakeBackend())

    cut, whole = reports_of(pieces(cuts), fresh), reports_of(pieces([]), fresh)
    assert [comparable(r) for r in cut] == [comparable(r) for r in whole]
    assert [r.episodes for r in cut] == [r.episodes for r in whole]


def test_what_lasts_is_an_episode_and_comes_with_the_reports(fake: FakeBackend) -> None:
    reports = reports_of(events(record(90.0), "lead_off@45+15"), lambda: stream_of(fake))
    (*_, normal, off) = found = latest(e for r in reports for e in r.episodes)
    assert [e.kind for e in found] == ["normal", "lead_off", "normal"]
    assert found[0].start_s <= 15 and found[1].start_s == pytest.approx(45, abs=6)
    assert (normal.open, off.open) == (False, True)


def test_a_replay_has_the_same_episodes(tmp_path: Path, fake: FakeBackend) -> None:
    given_events = list(events(record(60.0), "lead_off@30+5,unplug@45+4"))
    recorder = Recorder(tmp_path / "kept", "port", "native", print)
    for event in given_events:
        recorder.event(*event)
    recorder.close()
    live = reports_of(iter(given_events), lambda: stream_of(fake))
    again = list(replay(tmp_path / "kept", model_that_states_all(), fake))
    assert [e.kind for e in latest(e for r in live for e in r.episodes)] == ["normal", "lead_off", "absent"]
    assert [(r.state, r.episodes) for r in again] == [(r.state, r.episodes) for r in live]


def test_windows_that_share_nothing_are_looked_at_for_how_the_lead_is_worn(fake: FakeBackend) -> None:
    what = record(65.0)
    turned = replace(what, leads=(replace(what.leads[0], counts=2048 - what.leads[0].counts),))
    for given_record, kinds in ((what, ["normal"]), (turned, ["normal", "inverted"])):
        reports = [r for r in reports_of(events(given_record), lambda: stream_of(fake)) if r.state == "ok"]
        looked = [r.end_s for r in reports if r.upright is not None]
        assert [round(t) for t in looked] == [10, 20, 30, 40, 50, 60]
        assert [e.kind for e in latest(e for r in reports for e in r.episodes)] == kinds


def test_one_percent_of_lost_frames_does_not_blind_it(fake: FakeBackend) -> None:
    reports = [
        r for r in reports_of(events(record(30.0), "drop=0.01", 5), lambda: stream_of(fake)) if r.state != "warming_up"
    ]
    assert {r.state for r in reports} == {"ok"}
    assert any(r.bridged_samples > 0 for r in reports)


def test_electrodes_off_null_every_window_that_they_touch(fake: FakeBackend) -> None:
    reports = reports_of(events(record(30.0), "lead_off@14+2"), lambda: stream_of(fake))
    by_end = {round(r.end_s): r.state for r in reports}
    assert [by_end[s] for s in (14, 15, 16, 20, 25)] == ["ok", "lead_off", "lead_off", "lead_off", "lead_off"]
    assert by_end[27] == "ok"


def test_an_unplugged_device_is_said_at_once_and_its_gap_stays(fake: FakeBackend) -> None:
    reports = reports_of(events(record(40.0), "unplug@15+5"), lambda: stream_of(fake))
    states = [(round(r.end_s), r.state) for r in reports if r.end_s > 14]
    assert states[0] == (15, "disconnected")
    after = {end: state for end, state in states if state != "disconnected"}
    assert {after[e] for e in range(21, 30)} == {"gap"}
    assert after[31] == "ok"
    assert not any(r.measures["hr_bpm"].valid for r in reports if r.state in ("gap", "disconnected"))
    assert [r.sequence for r in reports] == list(range(len(reports)))


def test_silence_is_told_from_absence_and_said_once_a_hop(fake: FakeBackend) -> None:
    monitor = Monitor(model_that_states_all(), fake, "port")
    monitor.opened(0.0)
    for i in range(10):
        monitor.push(Samples(i * RATE, np.ones(RATE), RATE, "I", i + 1.0))
    states = [[r.state for r in monitor.tick(10.0 + t)] for t in (0.5, 1.1, 1.9, 2.2, 3.0, 3.6)]
    assert states == [[], ["silent"], [], ["silent"], [], ["silent"]]
    assert [r.state for r in monitor.lost(14.0)] == ["disconnected"]
    assert [r.state for r in monitor.tick(15.1)] == ["disconnected"]


def test_what_was_before_never_counts_as_data_after_a_long_absence(fake: FakeBackend) -> None:
    monitor = Monitor(model_that_states_all(), fake, "port")
    mv = ecg_of(regular_waves(), RATE)
    monitor.push(Samples(0, mv, RATE, "I", 10.0))
    reports = monitor.push(Samples(3600 * RATE, mv[: 9 * RATE], RATE, "I", 3610.0))
    assert {r.state for r in reports} == {"gap"}


def live(board: Board, seconds: float, every_s: float) -> list[Report]:
    """A board of the table, read every so often, with the shell's ticks."""
    device = wearable_of(record(seconds), None, 0.0, None, "", 0, board)
    stream = Stream(Receiver(board), Monitor(model_that_states_all(), FakeBackend(), "port"))
    reports, waiting, read_s = list(stream.handle("opened", 0.0)), b"", every_s
    for due_s, data in device.frames():
        while due_s > read_s:
            reports += stream.handle("data", read_s, waiting) if waiting else ()
            if int(read_s) > int(read_s - every_s):
                reports += stream.handle("tick", read_s)
            waiting, read_s = b"", read_s + every_s
        waiting += data or b""
    return reports


@pytest.mark.parametrize("board", [b for b in BOARDS.values() if b.sampling_rate_hz], ids=lambda b: b.name)
def test_every_board_is_clocked_first_and_then_monitored(board: Board) -> None:
    reports = live(board, 14.0, 0.04)
    states = [r.state for r in reports]
    first = states.index("warming_up")
    assert set(states[:first]) == {"clock"}
    assert 4 <= first <= 8, "said once a second while it is measured"
    assert states[first : first + 9] == ["warming_up"] * 9
    assert set(states[first + 9 :]) == {"ok"}
    assert len(states) >= first + 12
    assert all(r.sampling_rate_hz == pytest.approx(board.sampling_rate_hz, rel=0.01) for r in reports[first:])
    ends = [r.end_s for r in reports]
    assert ends == sorted(ends)
    assert not any(r.measures["hr_bpm"].valid for r in reports if r.state == "clock")


def test_a_device_that_is_too_slow_for_an_ecg_is_said_and_crashes_nothing(fake: FakeBackend) -> None:
    counts = np.arange(700, dtype=np.int32) % 37
    slow = Record("slow", 50.0, (Lead("I", counts, 5e6, 0, 11, np.zeros(700, bool)),))
    reports = reports_of(events(slow), lambda: stream_of(fake))
    assert [r.state for r in reports] == ["clock"] * 14
    assert fake.calls == 0
