"""An ECG out of an emulated microcontroller: the image as the Makefile builds it, in QEMU, with its UART on a pty.

QEMU's clock runs as fast as it can here (`-icount`), but where the command line is what is tested.
"""

from __future__ import annotations

import json
import select
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from firmware_bridge.boards import BOARDS
from firmware_bridge.clock import Samples
from firmware_bridge.firmware.emulated import heart
from firmware_bridge.link import Link
from firmware_bridge.protocols import native
from firmware_bridge.receiver import Receiver
from tests.firmware_bridge.emulator import Emulator, emulated, make, need_tools

AS_FAST_AS_IT_CAN = ("-icount", "shift=0,sleep=off")
LOOP = np.array(heart.counts())


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    need_tools("make", "arm-none-eabi-gcc", "qemu-system-arm")
    folder = tmp_path_factory.mktemp("image")
    make("image", folder)
    return folder / "leadwire.elf"


class Listener:
    """The host's own way in: port, handshake, parser and clock."""

    def __init__(self, emulator: Emulator) -> None:
        self.link, self.receiver = Link(emulator.port, BOARDS["native"]), Receiver(BOARDS["native"])
        self.samples: list[Samples] = []
        self.link.open()

    def until(self, enough: Callable[[], bool]) -> None:
        """The test's time-out ends a wait for what never comes."""
        while not enough():
            self.samples += self.receiver.feed(self.heard(), time.monotonic())

    def heard(self) -> bytes:
        select.select([self.link.fileno()], [], [], 0.1)
        event = self.link.poll()
        return event.data if event else b""

    def received(self) -> int:
        return sum(len(s.millivolts) for s in self.samples)

    def counts(self) -> np.ndarray:
        info = self.receiver.clock.info
        assert info is not None
        return np.round(np.concatenate([s.millivolts for s in self.samples]) * 1e9 / info.picovolts_per_count)


def test_the_loop_is_the_heart_that_it_says() -> None:
    """Beats stand where the intervals put them, and the loop has no seam."""
    assert len(LOOP) == sum(heart.RR_SAMPLES)
    peaks = [i for i in range(len(LOOP)) if LOOP[i] > 1000 and LOOP[i] >= max(LOOP[i - 1], LOOP[(i + 1) % len(LOOP)])]
    assert np.diff([*peaks, peaks[0] + len(LOOP)]).tolist() == list(heart.RR_SAMPLES)
    assert np.abs(np.diff([*LOOP, LOOP[0]])).max() == np.abs(np.diff(LOOP)).max()
    assert -(1 << heart.BITS - 1) < LOOP.min() < LOOP.max() < 1 << heart.BITS - 1


def test_every_count_arrives_from_the_first_on(image: Path, tmp_path: Path) -> None:
    """Over several turns of the table, to the count, with nothing lost and nothing in between."""
    with emulated(image, tmp_path, *AS_FAST_AS_IT_CAN) as emulator:
        host = Listener(emulator)
        emulator.ask("cont")
        host.until(lambda: host.received() > 3 * len(LOOP))
        host.link.close()
    counts, clock = host.counts(), host.receiver.clock
    assert np.array_equal(counts, np.resize(LOOP, len(counts)))
    assert [s.index for s in host.samples] == np.cumsum([0, *(len(s.millivolts) for s in host.samples)])[:-1].tolist()
    assert {k: v for k, v in vars(clock.statistics).items() if v} == {}
    assert {k: v for k, v in vars(host.receiver.parser.statistics).items() if v and k != "good"} == {}
    assert clock.info is not None
    assert (clock.info.board, clock.info.lead, clock.info.sampling_rate_hz) == ("mps2-an385", "II", heart.RATE_HZ)


def test_a_reset_is_a_restart_and_begins_anew(image: Path, tmp_path: Path) -> None:
    with emulated(image, tmp_path, *AS_FAST_AS_IT_CAN) as emulator:
        host = Listener(emulator)
        emulator.ask("cont")
        host.until(lambda: host.received() > 500)
        assert host.receiver.clock.info is not None
        before = host.receiver.clock.info.boot_id
        emulator.ask("stop")
        emulator.ask("system_reset")
        emulator.ask("cont")
        host.until(lambda: host.receiver.clock.statistics.restarts > 0)
        begun = len(host.samples)
        host.until(lambda: len(host.samples) > begun + 100)
        host.link.close()
    assert host.receiver.clock.statistics.restarts == 1
    assert host.receiver.clock.info.boot_id != before
    first = next(i for i, s in enumerate(host.samples) if s.fresh and i > 0)
    host.samples = host.samples[first:]
    assert np.array_equal(host.counts(), np.resize(LOOP, host.received()))


def test_it_stops_when_it_is_told(image: Path, tmp_path: Path) -> None:
    with emulated(image, tmp_path, *AS_FAST_AS_IT_CAN) as emulator:
        host = Listener(emulator)
        emulator.ask("cont")
        host.until(lambda: host.received() > 100)
        with Path(emulator.port).open("wb", buffering=0) as port:
            port.write(native.encode_command("stop") + 3 * native.encode_command("hello"))
        parser, frames = native.NativeParser(), []
        while [f.info is not None for f in frames[-3:]] != [True] * 3:  # it says what it is, and no sample in between
            frames += parser.feed(host.heard(), 0.0)
        host.link.close()


def test_run_reads_a_heart_rate_out_of_a_microcontroller(image: Path, tmp_path: Path) -> None:
    """As a user does it: in life's own time, with the command line, on the pty that QEMU names."""
    out = tmp_path / "reports.jsonl"
    out.touch()

    def stated() -> list[dict]:
        return [row for row in map(json.loads, out.read_text().splitlines()) if row["state"] == "ok"]

    with emulated(image, tmp_path) as emulator:
        emulator.ask("cont")
        command = [sys.executable, "-m", "edge_runtime.cli", "run", "--port", emulator.port, "--out", str(out)]
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as running:
            while len(stated()) < 2 and running.poll() is None:
                time.sleep(0.2)
            running.terminate()
            _, said = running.communicate()
    assert running.returncode == 0, said
    assert " 0 bad, 0 lost (0 samples), 0 restarts" in said
    assert len(stated()) >= 2, said
    for row in stated():
        hr = row["hr_bpm"]
        assert hr["valid"]
        assert hr["value"] == pytest.approx(heart.heart_rate_bpm(), rel=0.05), "its rate breathes by as much"
        assert row["lost_samples"] == 0
        assert row["lead"] == "II"
