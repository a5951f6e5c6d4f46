"""The port, on ptys, with a clock that the test turns."""

from __future__ import annotations

import errno
import os
import random
import select
import tty
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from firmware_bridge.boards import BOARDS
from firmware_bridge.link import Link, LinkEvent, PortError, explain
from firmware_bridge.receiver import Receiver
from tests.firmware_bridge.test_diagnosis import bytes_of


class Device:
    """A pty behind a name that stays, as udev makes one; `unplug` and `plug` give it another number."""

    def __init__(self, name: Path) -> None:
        self.name = name
        self.master, self.slave = -1, -1
        self.plug()

    def plug(self) -> None:
        self.master, self.slave = os.openpty()
        tty.setraw(self.slave)
        self.name.unlink(missing_ok=True)
        self.name.symlink_to(os.ttyname(self.slave))

    def unplug(self) -> None:
        self.name.unlink()
        os.close(self.slave)
        os.close(self.master)
        self.master = self.slave = -1

    def say(self, data: bytes) -> None:
        os.write(self.master, data)


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def device(tmp_path: Path) -> Iterator[Device]:
    (tmp_path / "by-id").mkdir()
    made = Device(tmp_path / "by-id" / "usb-board")
    yield made
    if made.master >= 0:
        made.unplug()


def link_to(port: str | Path, clock: Clock, device: Device, board: str = "ad8232") -> Link:
    return Link(str(port), BOARDS[board], clock, (device.name.parent,))


def next_event(link: Link) -> LinkEvent | None:
    """What is there within a second: bytes take a moment through a pty."""
    fileno = link.fileno()
    if fileno is not None:
        select.select([fileno], [], [], 1.0)
    return link.poll()


def test_it_comes_back_by_its_name_whatever_its_number_is(device: Device, clock: Clock) -> None:
    number = os.ttyname(device.slave)
    link = link_to(number, clock, device)
    assert link.open().kind == "opened"
    device.say(b"512\n")
    event = next_event(link)
    assert event is not None and (event.kind, event.data) == ("data", b"512\n")
    device.unplug()
    lost = next_event(link)
    assert lost is not None and (lost.kind, lost.reason, link.state) == ("lost", "unplugged", "backing off")
    master, slave = os.openpty()  # another device takes the number that is free
    try:
        device.plug()
        assert os.ttyname(device.slave) != number
        clock.now += 1.0
        back = link.poll()
        assert back is not None and back.kind == "opened"
        device.say(b"513\n")
        event = next_event(link)
        assert event is not None and event.data == b"513\n"
    finally:
        link.close()
        os.close(master)
        os.close(slave)


def test_it_backs_off_and_is_patient_until_there_is_data(device: Device, clock: Clock) -> None:
    link = link_to(device.name, clock, device)
    device.unplug()
    with pytest.raises(PortError, match="no such port"):
        link.open()
    tries = []
    for _ in range(400):
        before = link._attempt
        link.poll()
        if link._attempt != before:
            tries.append(clock.now)
        clock.now += 0.01
    steps = [b - a for a, b in pairwise(tries)]
    assert steps[:3] == pytest.approx([0.2, 0.5, 1.0], abs=0.011)
    assert max(steps) <= 1.011
    assert link.trouble is None, "that it is away was said when it went"
    device.plug()
    clock.now += 1.0
    assert link.poll() == LinkEvent("opened", clock.now)
    assert link._attempt > 0, "it opened, and has given nothing yet"
    device.say(b"1\n")
    assert next_event(link) is not None
    assert link._attempt == 0
    link.close()


def test_a_port_that_is_back_and_cannot_be_opened_says_why(device: Device, clock: Clock) -> None:
    link = link_to(device.name, clock, device)
    link.open()
    device.unplug()
    next_event(link)
    device.name.write_text("no device")
    clock.now += 5.0
    assert link.poll() is None
    assert link.trouble is not None and "no serial port" in link.trouble
    device.plug()
    clock.now += 5.0
    assert link.poll() is not None
    assert link.trouble is None
    link.close()


def test_a_port_that_another_program_has_is_left_to_it(device: Device, clock: Clock) -> None:
    first, second = link_to(device.name, clock, device), link_to(device.name, clock, device)
    first.open()
    with pytest.raises(PortError, match="another program has it open"):
        second.open()
    first.close()


def test_silence_is_a_state_of_its_own(device: Device, clock: Clock) -> None:
    link = link_to(device.name, clock, device)
    link.open()
    assert link.poll() is None
    assert link.state == "identifying"
    clock.now += 2.1
    assert link.poll() is None
    assert link.state == "silent"
    device.say(b"5\n")
    assert next_event(link) is not None
    assert link.state == "streaming"
    link.close()


@pytest.mark.parametrize(
    ("number", "message"),
    [
        (errno.ENOENT, "no such port; is the device plugged in"),
        (errno.EACCES, "no permission; "),
        (errno.EPERM, "no permission; "),
        (errno.EBUSY, "another program has it open"),
        (errno.ENOTTY, "no serial port"),
        (errno.EIO, "cannot be opened"),
    ],
)
def test_each_reason_for_a_port_not_to_open_has_its_line(number: int, message: str) -> None:
    said = explain("/dev/ttyUSB9", OSError(number, "x"))
    assert said.startswith(f"/dev/ttyUSB9: {message}")
    assert "\n" not in said


WRONG_BAUD = bytes(b & 0xFE | 0x80 for b in random.Random(2).randbytes(4000))  # what framing errors leave

SPOKEN = {
    "silent": (b"", "silent. Is the device switched on"),
    "wrong baud": (WRONG_BAUD, "wrong baud rate? It is open at 115200"),
    "wrong board": (bytes_of(BOARDS["healthypi-5-zephyr"], 40), "wrong board? Try --board healthypi-5-zephyr"),
    "right": (bytes_of(BOARDS["cyton"], 100), None),
}


@pytest.mark.parametrize("name", SPOKEN)
def test_silent_wrong_baud_and_wrong_board_are_told_apart_on_a_port(name: str, device: Device, clock: Clock) -> None:
    spoken, expected = SPOKEN[name]
    link, receiver = link_to(device.name, clock, device, "cyton"), Receiver(BOARDS["cyton"])
    link.open()
    receiver.opened()
    said = [receiver.says(clock.now)]
    heard = 0
    while heard < len(spoken):
        device.say(spoken[heard : heard + 1000])
        event = next_event(link)
        assert event is not None
        receiver.feed(event.data, event.arrival_s)
        heard += len(event.data)
    clock.now += 3.5
    said.append(receiver.says(clock.now))
    link.close()
    lines = [line for line in said if line]
    if expected is None:
        assert lines == []
    else:
        assert len(lines) == 1
        assert expected in lines[0]
