"""What systemd hears, on a real datagram socket: of a session that the test turns, and of a real run."""

from __future__ import annotations

import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge_runtime.systemd import Manager


class Listener:
    """systemd's end."""

    def __init__(self, address: str) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind("\0" + address[1:] if address.startswith("@") else address)

    def hear(self, wait_s: float = 0.0) -> dict[str, str] | None:
        """The next datagram's fields; None for none in time."""
        if not select.select([self.socket], [], [], wait_s)[0]:
            return None
        return dict(line.split("=", 1) for line in self.socket.recv(4096).decode().splitlines())


@pytest.fixture(params=["path", "abstract"])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return str(tmp_path / "notify") if request.param == "path" else f"@leadwire-test-{os.getpid()}"


@pytest.fixture
def listener(address: str) -> Iterator[Listener]:
    made = Listener(address)
    yield made
    made.socket.close()


class Looked:
    """A manager's view of a session whose threads are as the test says."""

    def __init__(self, address: str | None, watchdog_s: float | None) -> None:
        self.now, self.stuck, self.told = 0.0, list[str](), list[str]()
        self.asked: list[float] = []
        self.manager = Manager(address, watchdog_s, self.told.append, lambda: self.now)

    def look(self, now: float) -> None:
        self.now = now
        self.manager.look(self._stuck, lambda: "1 of 1 leads stream\nand more")

    def _stuck(self, seconds: float) -> list[str]:
        self.asked.append(seconds)
        return self.stuck


def test_it_hears_that_we_are_ready_how_it_goes_and_that_we_live(address: str, listener: Listener) -> None:
    looked = Looked(address, 8.0)
    looked.look(100.0)
    assert listener.hear() == {"STATUS": "1 of 1 leads stream and more", "READY": "1", "WATCHDOG": "1"}
    looked.look(101.9)
    assert listener.hear() is None, "not at every look"
    looked.look(102.0)
    assert listener.hear() == {"STATUS": "1 of 1 leads stream and more", "WATCHDOG": "1"}
    assert looked.asked == [4.0, 4.0], "a thread is given up before the watchdog bites"
    looked.manager.stopping()
    assert listener.hear() == {"STOPPING": "1", "STATUS": "finishing what has arrived", "WATCHDOG": "1"}


def test_the_watchdog_is_not_fed_for_a_stuck_thread_and_is_again_once_it_goes_on(
    address: str, listener: Listener
) -> None:
    looked = Looked(address, 8.0)
    looked.look(0.0)
    listener.hear()
    looked.stuck = ["monitors", "sink 1"]
    for now in (2.0, 4.0):
        looked.look(now)
        assert listener.hear() == {"STATUS": "stuck: monitors, sink 1"}
    assert looked.told == ["monitors, sink 1: stuck; the watchdog is not fed"]
    looked.stuck = []
    looked.look(6.0)
    assert "WATCHDOG" in (listener.hear() or {})


def test_without_a_watchdog_it_hears_how_it_goes(address: str, listener: Listener) -> None:
    looked = Looked(address, None)
    looked.look(0.0)
    assert listener.hear() == {"STATUS": "1 of 1 leads stream and more", "READY": "1"}
    assert looked.asked == []


def test_one_that_does_not_listen_is_said_once_and_is_no_harm(tmp_path: Path) -> None:
    looked = Looked(str(tmp_path / "nobody"), 8.0)
    for now in (0.0, 2.0, 4.0):
        looked.look(now)
    assert looked.told == ["systemd does not listen (No such file or directory)"]
    alone = Looked(None, None)
    alone.look(0.0)
    alone.manager.stopping()
    assert alone.told == []


def test_the_environment_says_who_it_is(address: str, listener: Listener) -> None:
    told: list[str] = []
    ours = {"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(os.getpid())}
    for environment, fed in (
        (ours, True),
        ({**ours, "WATCHDOG_PID": "1"}, False),
        ({**ours, "WATCHDOG_USEC": "many"}, False),
        ({**ours, "WATCHDOG_USEC": "0"}, False),
        ({"NOTIFY_SOCKET": address}, False),
    ):
        Manager.of(environment, told.append).look(lambda seconds: [], lambda: "")
        assert ("WATCHDOG" in (listener.hear() or {})) is fed
    Manager.of({}, told.append).look(lambda seconds: [], lambda: "")
    assert listener.hear() is None
    assert told == []


def run_under(listener: Listener, address: str, out: str, tmp_path: Path, watchdog_s: float) -> subprocess.Popen[str]:
    (tmp_path / "ward.toml").write_text(
        f'[[device]]\nport = "{tmp_path}/absent"\nname = "bed 1"\n[out]\npath = "{out}"\n'
    )
    command = [sys.executable, "-m", "edge_runtime.cli", "run", "--config", str(tmp_path / "ward.toml")]
    environment = {**os.environ, "NOTIFY_SOCKET": address, "WATCHDOG_USEC": f"{watchdog_s * 1e6:.0f}"}
    return subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True, env=environment)


def test_a_service_is_ready_is_fed_for_and_stops_when_it_is_told_to(
    address: str, listener: Listener, tmp_path: Path
) -> None:
    out = tmp_path / "out.jsonl"
    with run_under(listener, address, str(out), tmp_path, 8.0) as service:
        first = listener.hear(30.0)
        assert first == {"STATUS": "0 of 1 leads stream; 0 reports", "READY": "1", "WATCHDOG": "1"}
        again = listener.hear(30.0)
        assert again is not None and again["WATCHDOG"] == "1"
        service.send_signal(signal.SIGTERM)
        heard = listener.hear(30.0)
        while heard is not None and "STOPPING" not in heard:
            heard = listener.hear(30.0)
        assert heard is not None
        _, said = service.communicate(timeout=60)
    assert service.returncode == 0
    assert "Traceback" not in said
    assert '"state":"disconnected"' in out.read_text(), "what it said before it was stopped is there"


def test_a_sink_that_is_stuck_starves_the_watchdog(address: str, listener: Listener, tmp_path: Path) -> None:
    """A pipe that somebody holds open and does not read."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    held = os.open(pipe, os.O_RDWR)
    os.set_blocking(held, False)
    with pytest.raises(BlockingIOError):
        while True:
            os.write(held, b"x" * 512)
    with run_under(listener, address, str(pipe), tmp_path, 4.0) as service:
        heard = listener.hear(30.0)
        while heard is not None and "WATCHDOG" in heard:
            heard = listener.hear(30.0)
        assert heard == {"STATUS": "stuck: sink 0"}
        service.kill()
        service.communicate()
    os.close(held)
