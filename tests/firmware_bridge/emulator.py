"""The emulated microcontroller: built, started on a pty, and told by QEMU's own protocol when to reset or end."""

from __future__ import annotations

import contextlib
import json
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

FIRMWARE = Path(__file__).parent.parent.parent / "firmware_bridge" / "firmware"


def need_tools(*names: str) -> None:
    """Skips, naming what is not there."""
    missing = [name for name in names if shutil.which(name) is None]
    if missing:
        pytest.skip(f"needs {', '.join(missing)}: apt install gcc-arm-none-eabi qemu-system-arm make")


def make(target: str, build: Path) -> str:
    done = subprocess.run(
        ["make", "-s", "-C", str(FIRMWARE), target, f"BUILD={build}", f"PYTHON={sys.executable}"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


class Emulator:
    """One that runs. port: the pty of its UART."""

    def __init__(self, monitor: socket.socket) -> None:
        self._socket = monitor
        self._answers = monitor.makefile()
        self._answers.readline()  # the greeting
        self.ask("qmp_capabilities")
        (self.port,) = (c["filename"].removeprefix("pty:") for c in self.ask("query-chardev") if c["label"] == "ecg")

    def ask(self, command: str) -> Any:
        self._socket.sendall(json.dumps({"execute": command}).encode())
        while True:  # events come in between
            answer = json.loads(self._answers.readline())
            if "return" in answer:
                return answer["return"]
            assert "error" not in answer, answer


@contextlib.contextmanager
def emulated(image: Path, folder: Path, *options: str) -> Iterator[Emulator]:
    """Halted at its first instruction until `cont` is asked for."""
    path = folder / "qmp"
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(str(path))
    listening.listen(1)
    listening.settimeout(20)
    command = ["qemu-system-arm", "-M", "mps2-an385", "-kernel", str(image), "-display", "none", "-monitor", "none"]
    command += ["-chardev", "pty,id=ecg", "-serial", "chardev:ecg", "-qmp", f"unix:{path}", "-S", *options]
    with listening, subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
        try:
            with listening.accept()[0] as monitor:
                yield Emulator(monitor)
        finally:
            process.kill()
