from __future__ import annotations

import grp
import os
import re
from pathlib import Path

import pytest

from firmware_bridge.ports import UDEV_RULES, Access, access_to, by_id, way_in


@pytest.mark.parametrize("group", ["dialout", "uucp", "plugdev"])
def test_who_is_in_no_group_joins_the_one_that_owns_the_port(group: str) -> None:
    said = way_in(Access(group, group_may=True, listed=False, held=False))
    assert f"sudo usermod -aG {group} $USER" in said


def test_who_has_joined_since_logging_in_logs_in_again() -> None:
    said = way_in(Access("dialout", group_may=True, listed=True, held=False))
    assert "log out and in again" in said
    assert "usermod" not in said


@pytest.mark.parametrize(
    "access",
    [
        Access("dialout", group_may=False, listed=False, held=False),
        Access("dialout", group_may=True, listed=True, held=True),
        Access("root", group_may=True, listed=False, held=False),
    ],
)
def test_where_the_group_does_not_help_a_rule_does(access: Access) -> None:
    said = way_in(access)
    assert "leadwire doctor --udev" in said
    assert "usermod" not in said, "nobody is told to join root"


@pytest.mark.parametrize(("mode", "may"), [(0o660, True), (0o640, False), (0o600, False)])
def test_a_ports_mode_and_group_are_read_off_it(tmp_path: Path, mode: int, may: bool) -> None:
    port = tmp_path / "ttyUSB0"
    port.touch()
    port.chmod(mode)
    found = access_to(port)
    assert found.group == grp.getgrgid(port.stat().st_gid).gr_name
    assert found.group_may is may
    assert found.held is (port.stat().st_gid in (os.getegid(), *os.getgroups()))


def test_a_port_that_cannot_be_looked_at_gets_the_usual_answer(tmp_path: Path) -> None:
    assert "usermod -aG dialout" in way_in(access_to(tmp_path / "none"))


def test_a_device_keeps_its_name_whatever_its_number_is(tmp_path: Path) -> None:
    ids, paths = tmp_path / "by-id", tmp_path / "by-path"
    for folder in (ids, paths):
        folder.mkdir()
    for number in range(3):
        (tmp_path / f"ttyUSB{number}").touch()
        (paths / f"platform-usb-0:{number}").symlink_to(tmp_path / f"ttyUSB{number}")
    (ids / "usb-FTDI_A1").symlink_to(tmp_path / "ttyUSB0")
    (ids / "usb-1a86_USB_Serial").symlink_to(tmp_path / "ttyUSB2")  # two without a serial number: the last one has it
    names = (ids, paths)
    assert by_id(str(tmp_path / "ttyUSB0"), names) == str(ids / "usb-FTDI_A1")
    assert by_id(str(tmp_path / "ttyUSB1"), names) == str(paths / "platform-usb-0:1")
    assert by_id(str(ids / "usb-FTDI_A1"), names) == str(ids / "usb-FTDI_A1")
    assert by_id(str(tmp_path / "ttyUSB0"), (tmp_path / "none",)) == str(tmp_path / "ttyUSB0")
    assert by_id("/dev/pts/none", names) == "/dev/pts/none"


def test_the_rule_is_made_of_rules() -> None:
    """A key, an operator and a quoted value each; everything else is a comment."""
    lines = [line for line in UDEV_RULES.splitlines() if line and not line.startswith("#")]
    pair = re.compile(r'[A-Z]+(\{\w+\})?(==|:=|\+=|=)"[^"]*"')
    assert len(lines) == 5
    for line in lines:
        assert all(pair.fullmatch(part) for part in line.split(", ")), line
    assert 'ATTR{latency_timer}="1"' in UDEV_RULES
