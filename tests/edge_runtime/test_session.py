"""The session on a pty: a device that goes and comes back is the same session, with a gap as long as it was away."""

from __future__ import annotations

import threading
from pathlib import Path

from edge_runtime.monitor import Monitor
from edge_runtime.report import Report
from edge_runtime.session import Lead, Session
from edge_runtime.stream import Stream
from edge_runtime.wearable import wearable_of
from firmware_bridge.boards import BOARDS
from firmware_bridge.clock import Samples
from firmware_bridge.link import Link
from firmware_bridge.receiver import Receiver
from firmware_bridge.simulator import play
from tests.edge_runtime.test_monitor import record
from tests.fakes import FakeBackend, model_that_states_all


class Keeping:
    def __init__(self) -> None:
        self.reports: list[Report] = []

    def write(self, report: Report) -> None:
        self.reports.append(report)

    def close(self) -> None:
        pass


def test_a_device_that_comes_back_is_the_same_session_with_a_gap(tmp_path: Path) -> None:
    device = wearable_of(record(60.0), None, 0.0, None, "unplug@20+20", 0)
    ready = threading.Event()
    player = threading.Thread(target=play, args=(device, tmp_path / "port", 10.0, ready.set), daemon=True)
    player.start()
    ready.wait()
    told: list[str] = []
    keeping, seen = Keeping(), list[Samples]()
    stream = Stream(Receiver(BOARDS["native"]), Monitor(model_that_states_all(), FakeBackend(), "port"))
    stream.watchers.append(seen.append)
    session = Session([Lead(Link(str(tmp_path / "port"), BOARDS["native"]), stream)], [keeping], told.append)
    session.open()
    session.run(lambda: not player.is_alive())
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
