"""A night of a device's time through `leadwire run`, with whatever goes wrong in one: the device's faults, a disk that
is full, a broker that is away, a program that is killed. In the morning its store is held against what was given.

The device waits for a host that is behind, so that the night goes by as fast as the program takes it. What waits on
the machine's clock (a port that is tried again, a store, a broker) then waits for longer on the device's: what a buffer
holds is counted in reports, and the disk is full for so many of them.
"""

from __future__ import annotations

import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from operator import itemgetter
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.runtime.audit import VALUES, Given, Key, Stored, against_the_ledger, holes, invented
from benchmarks.runtime.broker import MOSQUITTO, Listener, Mosquitto, wait_for
from benchmarks.runtime.disk import small_disk
from benchmarks.runtime.observed import RATE_HZ, surroundings
from benchmarks.runtime.sleeper import EVERY_S, NOISE_DB, STEADY, Night
from edge_runtime.errors import LeadwireError
from edge_runtime.session.session import room_for

_NAME = "night"
_WARM_REPORTS = 60
_SETTLES_S = 120.0  # for what waits to be written or sent, at the end
_FOLLOWS_S = 300.0  # without a report
_TOLD = re.compile(r"it can be written again; (\d+) reports that waited are in it, (\d+) lost")


class Run:
    """`leadwire run` as a process; heard: what it printed, as (session, sequence)."""

    def __init__(self, arguments: list[str], errors: Path) -> None:
        self.began_s = time.monotonic()
        self.heard: list[Key] = []
        self.resident: dict[str, int] = {}
        self._errors = errors.open("ab")
        command = [sys.executable, "-m", "edge_runtime.cli", "run", *arguments, "--out", "-"]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=self._errors)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if line.endswith(b"\n"):  # the last one of one that was killed may be cut
                report = json.loads(line)
                self.heard.append((report["session"], report["sequence"]))

    @property
    def session(self) -> str:
        return self.heard[0][0] if self.heard else ""

    def weigh(self, when: str) -> None:
        pages = int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        self.resident[when] = pages * os.sysconf("SC_PAGESIZE")

    def end(self, how: signal.Signals) -> int:
        if self.process.poll() is None:
            self.process.send_signal(how)
        code = self.process.wait(_SETTLES_S)
        self._reader.join()
        self._errors.close()
        if self.process.stdout:
            self.process.stdout.close()
        return code


class Bedroom:
    """All that takes part, and what happened when, in reports."""

    def __init__(self, folder: Path, job: Night, stack: ExitStack) -> None:
        self.runs: list[Run] = []
        self.happened: list[dict[str, Any]] = []
        self.disk = stack.enter_context(small_disk(folder / "disk", round(32e6 + 2000 * job.seconds)))
        self.store = self.disk.folder / "night.db"
        self.broker: Mosquitto | None = None
        self.listener: Listener | None = None
        if MOSQUITTO:
            (folder / "broker").mkdir()
            self.broker = Mosquitto(folder / "broker")
            self.broker.start()
            stack.callback(self.broker.stop)
            self.listener = Listener(self.broker.port)
            stack.callback(self.listener.close)
        self.errors = folder / "stderr.txt"
        self._config = folder / "night.toml"
        lines = [f'[[device]]\nport = "{job.link}"\nname = "{_NAME}"\n[store]\npath = "{self.store}"']
        if self.broker:
            lines.append(f'[mqtt]\nurl = "mqtt://127.0.0.1:{self.broker.port}"\nnode = "bedside"')
        self._config.write_text("\n".join(lines) + "\n")
        self.begin()
        stack.callback(lambda: self.run.end(signal.SIGKILL))

    @property
    def run(self) -> Run:
        return self.runs[-1]

    @property
    def reports(self) -> int:
        return sum(len(run.heard) for run in self.runs)

    def begin(self) -> None:
        self.runs.append(Run(["--config", str(self._config)], self.errors))

    def note(self, what: str) -> None:
        self.happened.append({"what": what, "after_reports": self.reports})

    def fill(self) -> None:
        self.note("disk full")
        self.disk.fill(self.run.process.pid)

    def empty(self) -> None:
        self.note("room again")
        self.disk.empty(self.run.process.pid)

    def kill(self) -> None:
        self.run.weigh("end")
        self.note("kill -9")
        self.run.end(signal.SIGKILL)
        self.begin()

    def stop_broker(self) -> None:
        if self.broker:
            self.note("broker stopped")
            self.broker.stop()

    def start_broker(self) -> None:
        if self.broker:
            self.note("broker started")
            self.broker.start()


def plan(seconds: float, beyond: bool) -> list[tuple[float, Callable[[Bedroom], None]]]:
    """What happens after how many reports. beyond: fill the disk for longer than the store has room for, too."""
    room = room_for(1)
    full = min(0.5 * room, 0.1 * seconds)
    early = min(60.0, 0.02 * seconds)
    again = 0.42 * seconds + early
    events = [
        # While the store's log is short, so that it has to grow, and cannot.
        (early, Bedroom.fill),
        (early + full, Bedroom.empty),
        (0.30 * seconds, Bedroom.stop_broker),
        (0.38 * seconds, Bedroom.start_broker),
        (0.42 * seconds, Bedroom.kill),
        (again, Bedroom.fill),
        (again + full, Bedroom.empty),
        (0.58 * seconds, Bedroom.stop_broker),
        (0.62 * seconds, Bedroom.kill),
        (0.66 * seconds, Bedroom.start_broker),
    ]
    if beyond:
        events += [(0.75 * seconds, Bedroom.fill), (0.75 * seconds + 1.6 * room, Bedroom.empty)]
    return sorted(events, key=itemgetter(0))


def measure(full: bool) -> dict[str, Any]:
    return pass_a_night(24 * 3600.0 if full else 2 * 3600.0, speed=120.0, beyond=full)


def pass_a_night(seconds: float, speed: float, beyond: bool = False, seed: int = 1) -> dict[str, Any]:
    """Raises LeadwireError where it does not go on."""
    before = surroundings()
    with tempfile.TemporaryDirectory(prefix="leadwire-night-") as scratch, ExitStack() as stack:
        folder = Path(scratch)
        job = Night(seconds, speed, seed, str(folder / "wearable"), str(folder / "books.npz"))
        device = stack.enter_context(_device(job))
        room = Bedroom(folder, job, stack)
        began_s = time.monotonic()
        _let_pass(room, device, plan(seconds, beyond))
        wall_s = time.monotonic() - began_s
        room.run.weigh("end")
        _settle(room)
        code = room.run.end(signal.SIGTERM)
        stored, left = _read_store(room.store)
        with np.load(job.books, allow_pickle=False) as books:
            found = _judged(room, stored, books)
        return {
            **before,
            "device_hours": round(seconds / 3600, 3),
            "wall_s": round(wall_s, 1),
            "speed": {"most": speed, "was": round(seconds / wall_s, 1)},
            "faults": {"steady": STEADY, "every_s": EVERY_S, "noise_db": NOISE_DB, "seed": seed},
            "room_reports": room_for(1),
            "disk": room.disk.how,
            "happened": room.happened,
            "exit_code": code,
            "outbox_left": left,
            **found,
        }


@contextmanager
def _device(job: Night) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "benchmarks.runtime.sleeper", job.to_json()]
    device = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        if device.stdout is None or device.stdout.readline() != "ready\n":
            raise LeadwireError("the device did not start")
        yield device
    finally:
        device.kill()
        device.communicate()


def _let_pass(room: Bedroom, device: subprocess.Popen[str], events: list[tuple[float, Any]]) -> None:
    """Each event in its turn, until the device has come to its end."""
    waiting = list(events)
    before, at_s = -1, time.monotonic()
    while device.poll() is None:
        reports, now = room.reports, time.monotonic()
        if reports > before:
            before, at_s = reports, now
        if now - at_s > _FOLLOWS_S or room.run.process.poll() is not None:
            raise LeadwireError(f"the night did not go on: {room.errors.read_text()[-2000:]}")
        if len(room.run.heard) >= _WARM_REPORTS and "warm" not in room.run.resident:
            room.run.weigh("warm")
        if waiting and reports >= waiting[0][0]:
            waiting.pop(0)[1](room)
        time.sleep(0.02)
    if device.returncode or waiting:
        raise LeadwireError(f"the night ended too soon, with {device.returncode} and {len(waiting)} events to come")


def _settle(room: Bedroom) -> None:
    """Until all that was printed is in the store, and all that is in the outbox was sent."""

    def settled() -> bool:
        last = room.run.heard[-1]
        stored, left = _read_store(room.store)
        return not left and last in {report.key for report in stored}

    wait_for(settled, _SETTLES_S, lambda: time.sleep(0.5))


def _read_store(path: Path) -> tuple[list[Stored], int]:
    values = ", ".join(f"CASE WHEN {name}_why IS NULL THEN {name} END" for name in VALUES)
    asked = f"SELECT session, sequence, start_s, end_s, state, {values} FROM reports ORDER BY id"
    with closing(sqlite3.connect(path, timeout=30)) as connection:
        rows = connection.execute(asked).fetchall()
        ((left,),) = connection.execute("SELECT count(*) FROM outbox")
    return [
        Stored(
            row[0],
            row[1],
            row[2],
            row[3],
            row[4],
            tuple(n for n, value in zip(VALUES, row[5:], strict=True) if value is not None),
        )
        for row in rows
    ], int(left)


def _judged(room: Bedroom, stored: list[Stored], books: Any) -> dict[str, Any]:
    ledger = json.loads(str(books["ledger"]))
    offset_s = {run.session: _offset_s(run, books) for run in room.runs}
    came = np.zeros(ledger["samples"], np.bool_)
    for first, samples in books["given"].tolist():
        came[first : first + samples] = True
    spans = {kind: [(a, b) for a, b in books[kind].tolist()] for kind in (*EVERY_S, "noise")}
    given = Given(came, RATE_HZ, spans)
    in_store = {report.key for report in stored}
    printed = {run.session: set(run.heard) for run in room.runs}
    said = room.errors.read_text()
    told = [tuple(map(int, pair)) for pair in _TOLD.findall(said)]
    gaps = holes(in_store)
    out: dict[str, Any] = {
        "reports": {
            "printed": sum(map(len, printed.values())),
            "stored": len(stored),
            "stored_twice": len(stored) - len(in_store),
            "missing_in_sequence": sum(gaps.values()),
            "printed_and_not_stored": {s: len(keys - in_store) for s, keys in printed.items()},
            "states": dict(Counter(report.state for report in stored)),
            "with_a_value": sum(bool(report.valid) for report in stored),
        },
        "waited": [{"written": written, "lost": lost} for written, lost in told],
        "told_lost": sum(lost for _, lost in told),
        "ledger": {name: value for name, value in ledger.items() if isinstance(value, int)},
        "spans": {kind: len(found) for kind, found in spans.items()},
        "seconds": against_the_ledger(stored, offset_s, given),
        "invented": invented(stored, offset_s, given),
        "resident_mb": [{when: round(size / 1e6, 1) for when, size in run.resident.items()} for run in room.runs],
        "tracebacks": said.count("Traceback"),
        "said": said.splitlines()[:60],
    }
    if room.listener:
        heard = [(message["session"], message["sequence"]) for message in room.listener.of("report")]
        out["broker"] = {
            "heard": len(heard),
            "twice": len(heard) - len(set(heard)),
            "stored_and_not_heard": len(in_store - set(heard)),
            "heard_and_not_stored": len(set(heard) - in_store),
        }
    return out


def _offset_s(run: Run, books: Any) -> float:
    """Of the beginning of its timeline, on the device's: the first frame that was given to it."""
    number = next(int(count) for at_s, count in books["greeted"].tolist() if at_s >= run.began_s)
    return float(books["given"][number][0]) / RATE_HZ
