"""Wearables on ptys, as many as are asked for, in a process of their own: `python -m benchmarks.runtime.devices JOB`.

What they send is encoded before they begin, so that sending costs next to nothing: with 300 of them it must not be the
devices that are late.
"""

from __future__ import annotations

import json
import os
import select
import sys
import time
import tty
from dataclasses import asdict, dataclass
from pathlib import Path
from random import Random

import numpy as np

from edge_runtime.library import find_record
from edge_runtime.wearable import wearable_of
from firmware_bridge.protocols.native import encode_command

_START = encode_command("start")
_AHEAD_S = 0.0005  # what is due within it goes now: a sleep is no shorter
_STARTS_WITHIN_S = 120.0


@dataclass(frozen=True)
class Job:
    """folder: where the ports are, `lead-0` and so on, and where `sent.npz` comes; records: one after the other."""

    folder: str
    leads: int
    seconds: float
    records: tuple[str, ...]
    core: int | None = None
    seed: int = 0

    def port(self, number: int) -> Path:
        return Path(self.folder) / f"lead-{number}"

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Job:
        values = json.loads(text)
        return cls(**{**values, "records": tuple(values["records"])})


@dataclass
class Tape:
    """What a device sends. period_s: between frames; ends: the number of the frame that ends each whole second."""

    info: bytes
    frames: list[bytes]
    period_s: float
    ends: list[int]


def tape_of(name: str, seconds: float, seed: int) -> Tape:
    """A stretch of a record, with an INFO frame every five seconds as the simulated device has it."""
    device = wearable_of(find_record(name), None, float(10 * seed), seconds, "", seed)
    info = device.describe(0.0)
    frames: list[bytes] = []
    size = 0
    for piece in device.pieces():
        if piece.samples:
            frames.append(piece.data)
            size = size or piece.samples
        else:
            frames[-1] += piece.data
    rate = device.sampling_rate_hz
    ends = [int(np.ceil(round(s * rate) / size)) - 1 for s in range(1, int(len(frames) * size / rate) + 1)]
    return Tape(info, frames, size / rate, ends)


class Lead:
    """One device. behind: frames of its tape that it starts later than the first one."""

    def __init__(self, link: Path, tape: Tape, behind: int) -> None:
        self.master, self._slave = os.openpty()  # its other end stays open: this one is never unplugged
        tty.setraw(self._slave)
        os.set_blocking(self.master, False)
        link.symlink_to(os.ttyname(self._slave))
        self.tape, self.behind = tape, behind
        self.sent_s = np.full(len(tape.ends), np.nan)
        self.overrun_bytes = 0
        self._ends = {frame: second for second, frame in enumerate(tape.ends)}
        self._heard = b""

    def listen(self) -> bool:
        """Whether the host has said that it should start; it is then told what this is."""
        try:
            self._heard += os.read(self.master, 4096)
        except OSError:
            return False
        if _START not in self._heard:
            return False
        os.write(self.master, self.tape.info)
        return True

    def send(self, number: int) -> None:
        data = self.tape.frames[number]
        second = self._ends.get(number)
        if second is not None:
            self.sent_s[second] = time.monotonic()
        try:
            self.overrun_bytes += len(data) - os.write(self.master, data)
        except BlockingIOError:
            self.overrun_bytes += len(data)


def play(job: Job) -> None:
    """Until every tape has ended. The devices are spread over a second: no two leads of a ward began together."""
    random = Random(job.seed)
    tapes = [tape_of(name, job.seconds, i) for i, name in enumerate(job.records)]
    period_s = tapes[0].period_s
    phases_s = [random.uniform(0.0, 1.0) if job.leads > 1 else 0.0 for _ in range(job.leads)]
    leads = [Lead(job.port(i), tapes[i % len(tapes)], int(phase_s / period_s)) for i, phase_s in enumerate(phases_s)]
    in_turn = sorted(zip((phase_s % period_s for phase_s in phases_s), leads, strict=True), key=lambda pair: pair[0])
    print("ready", flush=True)
    _wait_for_all(leads)
    print("started", flush=True)
    zero = time.monotonic() + 0.1
    late_s = 0.0
    for tick in range(max(lead.behind + len(lead.tape.frames) for lead in leads)):
        for after_s, lead in in_turn:
            number = tick - lead.behind
            if not 0 <= number < len(lead.tape.frames):
                continue
            left = zero + tick * period_s + after_s - time.monotonic()
            if left > _AHEAD_S:
                time.sleep(left)
            late_s = max(late_s, -left)
            lead.send(number)
    time.sleep(1.5)  # what is on its way is reported before they are unplugged
    np.savez(
        Path(job.folder) / "sent.npz",
        sent_s=np.stack([lead.sent_s for lead in leads]),
        overrun_bytes=[lead.overrun_bytes for lead in leads],
        late_s=late_s,
        cpu_s=time.process_time(),
    )
    print("done", flush=True)


def _wait_for_all(leads: list[Lead]) -> None:
    waiting = {lead.master: lead for lead in leads}
    poll = select.poll()
    for master in waiting:
        poll.register(master, select.POLLIN)
    end_s = time.monotonic() + _STARTS_WITHIN_S
    while waiting and time.monotonic() < end_s:
        for master, _ in poll.poll(100):
            if master in waiting and waiting[master].listen():
                del waiting[master]
                poll.unregister(master)


if __name__ == "__main__":
    chosen = Job.from_json(sys.argv[1])
    if chosen.core is not None:
        os.sched_setaffinity(0, {chosen.core})
    play(chosen)
