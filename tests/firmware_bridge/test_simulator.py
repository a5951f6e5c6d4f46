from __future__ import annotations

import os
import threading
from pathlib import Path

import numpy as np
import pytest

from firmware_bridge.boards import BOARDS
from firmware_bridge.faults import Faults
from firmware_bridge.frames import Info
from firmware_bridge.link import Link, LinkEvent, PortError, explain
from firmware_bridge.receiver import Receiver
from firmware_bridge.simulator import Wearable, play

INFO = Info(1, 250, 1, 1_000_000, 0, 12, 5, 0, 0, "simulated", "t", "I")


def test_the_ledger_is_exact() -> None:
    device = Wearable(np.arange(5000, dtype=np.int32), INFO, Faults.parse("drop=0.1,lead_off@2+1"), seed=4)
    receiver = Receiver(BOARDS["native"])
    samples = receiver.feed(device.describe(0.0), 0.0)
    for due_s, data in device.frames():
        if data:
            samples += receiver.feed(data, due_s)
    got = sum(len(s.millivolts) for s in samples)
    assert device.ledger.samples == 5000
    assert got == 5000 - device.ledger.dropped_samples
    assert receiver.clock.statistics.lost_frames <= device.ledger.dropped_frames
    assert 60 < device.ledger.dropped_frames < 140
    assert {s.index for s in samples if s.lead_off} <= set(range(500, 750))
    on = [s for s in samples if not s.lead_off]
    assert all(np.allclose(s.millivolts, 1e-3 * (s.index + np.arange(len(s.millivolts)))) for s in on)


def test_the_same_seed_does_the_same() -> None:
    def bytes_of(seed: int) -> list[bytes | None]:
        return [d for _, d in Wearable(np.zeros(2000, np.int32), INFO, Faults(drop=0.2), seed).frames()]

    assert bytes_of(1) == bytes_of(1) != bytes_of(2)


@pytest.mark.parametrize("spec", ["drop", "drop=2", "unplug@3", "fly@1+2", "drop=0.1;stall@1+1"])
def test_a_fault_that_is_not_understood_is_named(spec: str) -> None:
    with pytest.raises(ValueError, match="write drop=SHARE"):
        Faults.parse(spec)


def poll_until(link: Link, kind: str) -> list[LinkEvent]:
    """Every event up to the first of a kind. The test's time-out ends a wait for one that never comes."""
    events: list[LinkEvent] = []
    while not events or events[-1].kind != kind:
        event = link.poll()
        if event:
            events.append(event)
    return events


def test_unplugged_and_back_on_a_real_pty(tmp_path: Path) -> None:
    device = Wearable(np.arange(7500, dtype=np.int32) % 1000, INFO, Faults.parse("unplug@4+4"))
    ready = threading.Event()
    player = threading.Thread(target=play, args=(device, tmp_path / "port", 10.0, ready.set), daemon=True)
    player.start()
    ready.wait()
    link, receiver = Link(str(tmp_path / "port"), BOARDS["native"]), Receiver(BOARDS["native"])
    events = [link.open(), *poll_until(link, "lost"), *poll_until(link, "opened"), *poll_until(link, "lost")]
    player.join()
    link.close()
    samples = []
    for event in events:
        if event.kind == "opened":
            receiver.opened()
        samples += receiver.feed(event.data, event.arrival_s) if event.kind == "data" else []
    assert [e.kind for e in events if e.kind != "data"] == ["opened", "lost", "opened", "lost"]
    indices = [s.index for s in samples]
    assert indices[0] == 0
    assert indices == sorted(indices)
    assert max(np.diff(indices)) >= 4 * 250, "the gap is as long as the device's own clock says"
    assert receiver.clock.statistics.lost_samples == 0, "what was missed while unplugged was not lost on the wire"


def test_a_port_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(PortError, match="no such port; is the device plugged in"):
        Link(str(tmp_path / "none"), BOARDS["native"]).open()


def test_a_file_is_no_port(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("x")
    with pytest.raises(PortError, match="no serial port"):
        Link(str(path), BOARDS["native"]).open()


def test_a_port_that_another_has_open() -> None:
    master, slave = os.openpty()
    path = os.ttyname(slave)
    first = Link(path, BOARDS["native"])
    first.open()
    with pytest.raises(PortError, match="another program has it open"):
        Link(path, BOARDS["native"]).open()
    first.close()
    os.close(master)
    os.close(slave)


def test_no_permission_names_the_group() -> None:
    assert "usermod -aG dialout" in explain("/dev/ttyUSB0", PermissionError(13, "Permission denied"))


def test_a_file_in_the_way_of_the_link_is_left_alone(tmp_path: Path) -> None:
    precious = tmp_path / "precious.txt"
    precious.write_text("x")
    with pytest.raises(FileExistsError, match="no link"):
        play(Wearable(np.zeros(10, np.int32), INFO), precious)
    assert precious.read_text() == "x"
