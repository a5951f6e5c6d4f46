from __future__ import annotations

from pathlib import Path

import pytest

from edge_runtime.doctor import examine, listen
from firmware_bridge.boards import BOARDS
from firmware_bridge.ports import Access
from tests.firmware_bridge.test_diagnosis import bytes_of


@pytest.fixture
def pi(tmp_path: Path) -> Path:
    """The files of a Pi with an FTDI adapter in it."""
    for name, content in {
        "proc/device-tree/model": "Raspberry Pi 4 Model B Rev 1.4\0",
        "sys/class/thermal/thermal_zone0/temp": "84312\n",
        "sys/devices/platform/soc/soc:firmware/get_throttled": "50004\n",
        "dev/ttyUSB0": "",
        "sys/bus/usb-serial/devices/ttyUSB0/latency_timer": "16\n",
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(content)
    (tmp_path / "dev/serial/by-id").mkdir(parents=True)
    (tmp_path / "dev/serial/by-id/usb-FTDI_FT232R-if00-port0").symlink_to(tmp_path / "dev/ttyUSB0")
    return tmp_path


def test_it_names_the_port_by_id_and_what_to_do_about_it(pi: Path) -> None:
    outside = Access("plugdev", group_may=True, listed=False, held=False)
    said = "\n".join(examine(pi, lambda port: False, lambda port: outside))
    assert "machine: Raspberry Pi 4 Model B Rev 1.4" in said
    assert "84 C: too hot" in said
    assert "now throttled; since it started under-voltage" in said
    assert "by-id/usb-FTDI_FT232R-if00-port0 (now " in said
    assert said.count("port ") == 1, "a port and its link are one"
    assert "no permission: join the group that owns it: sudo usermod -aG plugdev $USER" in said
    assert "latency timer 16 ms" in said


def test_a_port_without_a_name_that_stays_is_told_of_the_rule(pi: Path) -> None:
    (pi / "dev/ttyACM3").touch()
    said = list(examine(pi, lambda port: True))
    at = next(i for i, line in enumerate(said) if line.endswith("ttyACM3"))
    assert "no name that stays" in said[at + 1]
    assert "leadwire doctor --udev" in said[at + 1]


def test_what_is_well_is_not_complained_of(pi: Path) -> None:
    (pi / "sys/bus/usb-serial/devices/ttyUSB0/latency_timer").write_text("1")
    (pi / "sys/devices/platform/soc/soc:firmware/get_throttled").write_text("0")
    said = "\n".join(examine(pi, lambda port: True))
    assert "latency" not in said
    assert "permission" not in said
    assert "throttling: none now" in said


def test_a_machine_without_any_of_it_is_examined_all_the_same(tmp_path: Path) -> None:
    said = "\n".join(examine(tmp_path))
    assert "ports: none" in said
    assert "machine: unknown" in said
    assert "numpy" in said


def test_it_suggests_the_board_that_is_speaking() -> None:
    spoken = bytes_of(BOARDS["max30001"])
    said = list(listen("/dev/ttyUSB0", lambda port, baud, seconds: spoken if baud == 57600 else b"\xff" * 50))
    assert said[0] == "/dev/ttyUSB0 at 115200: 50 bytes, no board of the table"
    assert "perhaps: leadwire run --port /dev/ttyUSB0 --board max3000" in said[-1]


def test_a_silent_port_is_called_silent() -> None:
    said = list(listen("/dev/ttyUSB0", lambda port, baud, seconds: b""))
    assert "silent. Boards that wait to be asked" in said[-1]
    assert "cyton" in said[-1]
