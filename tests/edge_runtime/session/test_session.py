"""Sessions on ptys: a device that goes and comes back, and many devices of which some are bad."""

from __future__ import annotations

import os
import threading
import time
import tty
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from edge_runtime.monitor import Monitor
from edge_runtime.report import Report
from edge_runtime.session import Lead, Session
from edge_runtime.sinks.recorder import Recorder, replay
from edge_runtime.stream import Stream
from edge_runtime.wearable import wearable_of
from firmware_bridge.boards import BOARDS
from firmware_bridge.clock import Samples
from firmware_bridge.link import Link, LinkEvent, PortError
from firmware_bridge.receiver import Receiver
from firmware_bridge.simulator import play
from tests.edge_runtime.test_monitor import record
from tests.fakes import FakeBackend, model_that_states_all

NATIVE = BOARDS["native"]
PATIENCE_S = 60.0


class Keeping:
    def __init__(self) -> None:
        self.reports: list[Report] = []

    def write(self, report: Report) -> None:
        self.reports.append(report)

    def close(self) -> None:
        pass

    def of(self, source: str) -> list[Report]:
        return [report for report in self.reports if report.source == source]


def lead_at(port: Path, link: Link | None = None, **rest: Any) -> Lead:
    stream = Stream(Receiver(NATIVE), Monitor(model_that_states_all(), FakeBackend(), port.name))
    return Lead(link or Link(str(port), NATIVE), stream, **rest)


@contextmanager
def playing(port: Path, seconds: float, speed: float = 10.0, fault: str = "") -> Iterator[Callable[[], bool]]:
    """A wearable that plays once it is listened to; gives a function that says whether it still does."""
    device = wearable_of(record(seconds), None, 0.0, None, fault, 0)
    ready, stop = threading.Event(), threading.Event()
    player = threading.Thread(target=play, args=(device, port, speed, ready.set, stop.is_set), daemon=True)
    player.start()
    ready.wait()
    try:
        yield player.is_alive
    finally:
        stop.set()
        player.join()


def until(condition: Callable[[], bool]) -> Callable[[], bool]:
    """Done where that holds; a test that waits for it too long fails in what it asserts."""
    end = time.monotonic() + PATIENCE_S
    return lambda: condition() or time.monotonic() > end


def test_a_device_that_comes_back_is_the_same_session_with_a_gap(tmp_path: Path) -> None:
    told: list[str] = []
    keeping, seen = Keeping(), list[Samples]()
    with playing(tmp_path / "port", 600.0, fault="unplug@20+20"):
        lead = lead_at(tmp_path / "port")
        lead.stream.watchers.append(seen.append)
        session = Session([lead], [keeping], told.append)
        session.open()
        session.run(until(lambda: [r.state for r in keeping.reports[-1:]] == ["ok"] and "it is back" in " ".join(told)))
    reports = keeping.reports
    assert {report.session for report in reports} == {session.id}
    assert [report.sequence for report in reports] == list(range(len(reports)))
    states = [report.state for report in reports]
    assert {"ok", "disconnected", "gap"} <= set(states)
    assert states.index("disconnected") < len(states) - 1 - states[::-1].index("ok")
    before = [s for s in seen if s.index < 20 * 250][-1]
    after = next(s for s in seen if s.index > before.index + 250)
    assert before.index / 250 < 20.0
    assert after.index / 250 >= 40.0, "its own clock went on"
    said = [line.split(": ", 1)[1] for line in told]
    assert said[0].startswith("lost (unplugged); waiting for it to come back")
    assert "it is back" in said


class StuckLink(Link):
    """A driver that blocks in open() until it is let, and then says that nothing is there."""

    def __init__(self, port: str) -> None:
        super().__init__(port, NATIVE)
        self.let, self.asked = threading.Event(), threading.Event()

    def open(self) -> LinkEvent:
        self.state = "opening"
        self.asked.set()
        self.let.wait()
        self._back_off()
        raise PortError("let go")

    def due(self) -> bool:
        return not self.let.is_set()


@contextmanager
def flooding(port: Path) -> Iterator[None]:
    """Garbage without end, as fast as it is taken."""
    master, slave = os.openpty()
    tty.setraw(slave)
    port.symlink_to(os.ttyname(slave))
    stop = threading.Event()

    def flood() -> None:
        garbage = os.urandom(1 << 16)
        os.set_blocking(master, False)
        while not stop.is_set():
            try:
                os.write(master, garbage)
            except BlockingIOError:
                stop.wait(0.001)

    thread = threading.Thread(target=flood, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
        os.close(slave)
        os.close(master)


@contextmanager
def flapping(port: Path) -> Iterator[None]:
    """Plugged in and out again without end."""
    stop = threading.Event()

    def flap() -> None:
        while not stop.is_set():
            master, slave = os.openpty()
            port.symlink_to(os.ttyname(slave))
            stop.wait(0.15)
            port.unlink()
            os.close(slave)
            os.close(master)
            stop.wait(0.02)

    thread = threading.Thread(target=flap, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def test_a_bad_device_of_any_kind_costs_its_neighbour_nothing(tmp_path: Path) -> None:
    """One stuck in open(), one that floods, one that comes and goes, one that is absent, and a good one among them."""
    good, keeping, told = tmp_path / "good", Keeping(), list[str]()
    stuck = StuckLink(str(tmp_path / "stuck"))
    with flooding(tmp_path / "flood"), flapping(tmp_path / "flap"), playing(good, 24.0, 4.0) as plays:
        leads = [lead_at(tmp_path / name) for name in ("flood", "flap", "absent", "good")]
        session = Session([lead_at(tmp_path / "stuck", stuck), *leads], [keeping], told.append)
        session.run(until(lambda: not plays()))
        stuck.let.set()
    assert stuck.asked.is_set()
    reports = [r for r in keeping.of("good") if r.state not in ("disconnected", "silent")]
    assert [round(r.end_s) for r in reports] == list(range(1, 25)), "a report for every second that it sent"
    assert [r.state for r in reports[9:]] == ["ok"] * 15
    assert all(r.lost_samples == 0 for r in reports[9:])
    for name in ("stuck", "flap", "absent"):
        assert {r.state for r in keeping.of(name)} <= {"disconnected", "silent"}
        assert len(keeping.of(name)) >= 3, "that it is away is said once a second"
    assert len(keeping.of("flood")) >= 3
    assert "silent" in {r.state for r in keeping.of("flood")} <= {"silent", "disconnected"}, "garbage is no signal"
    assert any("absent is not there; waiting for it" in line for line in told)
    assert any("stuck: its driver takes long" in line for line in told)


def test_a_port_that_is_absent_at_the_start_is_waited_for(tmp_path: Path) -> None:
    port, keeping, told = tmp_path / "late", Keeping(), list[str]()
    session = Session([lead_at(port, until_s=12.0)], [keeping], told.append)
    runs = threading.Thread(target=session.run, daemon=True)
    runs.start()
    end = time.monotonic() + PATIENCE_S
    while not keeping.reports and time.monotonic() < end:
        time.sleep(0.01)
    with playing(port, 20.0):
        runs.join(PATIENCE_S)
    assert not runs.is_alive()
    states = [report.state for report in keeping.reports]
    assert states[0] == "disconnected"
    assert states[-1] == "ok"
    assert keeping.reports[-1].end_s == 12.0, "it ends where it was told to"
    assert [line.split(": ", 1)[1] for line in told] == [f"{port} is not there; waiting for it", "it is there"]


def test_what_has_arrived_when_it_ends_is_reported(tmp_path: Path) -> None:
    """The device's last words, and all that lies in a queue or in the system's buffer, come before the end."""
    device = wearable_of(record(60.0), None, 0.0, None, "", 0)
    frames = [device.describe(0.0), *(data for _, data in device.frames() if data)]
    master, slave = os.openpty()
    tty.setraw(slave)
    keeping, written = Keeping(), threading.Event()
    lead = lead_at(Path(os.ttyname(slave)))
    slow = Slow()
    session = Session([lead], [keeping, slow])
    session.open()

    def write() -> None:
        os.read(master, 4096)  # the handshake: its port is open, and nothing will be flushed
        for frame in frames:
            os.write(master, frame)
        written.set()

    writer = threading.Thread(target=write, daemon=True)
    writer.start()
    session.run(until(written.is_set))
    os.close(slave)
    os.close(master)
    assert keeping.reports[-1].end_s == 60.0
    assert [r.end_s for r in slow.reports] == [r.end_s for r in keeping.reports], "a slow sink is waited for"


class Slow(Keeping):
    def write(self, report: Report) -> None:
        time.sleep(0.005)
        super().write(report)


def test_a_stuck_sink_delays_no_other(tmp_path: Path) -> None:
    let = threading.Event()

    class Stuck(Keeping):
        def write(self, report: Report) -> None:
            let.wait()
            super().write(report)

    stuck, keeping = Stuck(), Keeping()

    def through() -> bool:
        if len(keeping.reports) >= 15:
            let.set()
        return let.is_set()

    with playing(tmp_path / "port", 30.0):
        session = Session([lead_at(tmp_path / "port")], [stuck, keeping])
        said = session.run(until(through))
    assert len(keeping.reports) >= 15
    assert stuck.reports == keeping.reports, "and it has all of them in the end"
    assert said.lost_reports == 0


def test_a_thread_that_is_stuck_is_named(tmp_path: Path) -> None:
    let = threading.Event()
    stuck: list[str] = []

    class Stuck(Keeping):
        def write(self, report: Report) -> None:
            let.wait()

    def look() -> bool:
        stuck[:] = session.stuck(2.0)
        if stuck:
            let.set()
        return bool(stuck)

    session = Session([lead_at(tmp_path / "absent")], [Keeping(), Stuck()])
    assert session.stuck(2.0) == []
    session.run(until(look))
    assert stuck == ["sink 1"], "all the others go round"


def test_an_error_of_ours_in_a_thread_is_no_silent_end(tmp_path: Path) -> None:
    lead = lead_at(tmp_path / "absent")

    def broken(kind: str, arrival_s: float, data: bytes) -> None:
        raise ZeroDivisionError("ours")

    lead.on_event.append(broken)
    with pytest.raises(ZeroDivisionError, match="ours"):
        Session([lead], [Keeping()]).run(until(lambda: False))


class Fragile(Stream):
    """Fails once, after so many seconds of signal."""

    def __init__(self, source: str, after_s: float) -> None:
        super().__init__(Receiver(NATIVE), Monitor(model_that_states_all(), FakeBackend(), source))
        self._left_s = after_s

    def handle(self, kind: str, arrival_s: float, data: bytes = b"") -> Iterator[Report]:
        if self.monitor.end_s > self._left_s:
            raise ZeroDivisionError("ours")
        yield from super().handle(kind, arrival_s, data)


def test_a_fault_of_ours_that_one_device_finds_is_no_other_leads(tmp_path: Path) -> None:
    keeping, told, seen = Keeping(), list[str](), list[Samples]()
    fragile = Lead(Link(str(tmp_path / "one"), NATIVE), Fragile("one", 5.0), lambda: Fragile("one", 1e9))
    fragile.stream.watchers.append(seen.append)
    with playing(tmp_path / "one", 30.0) as first, playing(tmp_path / "two", 25.0) as second:
        Session([fragile, lead_at(tmp_path / "two")], [keeping], told.append).run(
            until(lambda: not first() and not second())
        )
    assert told.count("one: a fault of ours (ZeroDivisionError: ours); this lead begins anew") == 1
    assert [r.state for r in keeping.of("one") if r.state in ("ok", "gap")][-5:] == ["ok"] * 5, "it goes on"
    assert seen[-1].index > 15 * 250, "whoever watched it still does"
    states = [r.state for r in keeping.of("two") if r.state not in ("disconnected", "silent")]
    assert states == ["warming_up"] * 9 + ["ok"] * 16


def test_each_lead_of_a_ward_can_be_replayed(tmp_path: Path) -> None:
    names, keeping = ("one", "two"), Keeping()
    leads = [lead_at(tmp_path / name) for name in names]
    leads[0].stream.lead = "I"
    recorders = []
    for lead, name in zip(leads, names, strict=True):
        recorder = Recorder(tmp_path / f"kept-{name}", name, "native", print, {"lead": lead.stream.lead})
        lead.on_event.append(recorder.event)
        lead.stream.watchers.append(recorder.samples)
        recorders.append(recorder)
    with playing(tmp_path / "one", 25.0, fault="unplug@12+8") as first, playing(tmp_path / "two", 20.0) as second:
        Session(leads, [keeping]).run(until(lambda: not first() and not second()))
    for recorder in recorders:
        recorder.close()
    for name, lead in zip(names, ("I", "II"), strict=True):
        live = [replace(r, session=None, utc=None, latency_ms=None).to_dict() for r in keeping.of(name)]
        again = [r.to_dict() for r in replay(tmp_path / f"kept-{name}", model_that_states_all(), FakeBackend())]
        assert again == live
        assert {r["lead"] for r in live if r["state"] == "ok"} == {lead}
