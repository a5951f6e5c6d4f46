"""`leadwire run` as it is seen from outside: when its lines come, what it costs, how big it is."""

from __future__ import annotations

import fcntl
import json
import os
import resource
import select
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.runtime.devices import Job
from edge_runtime.errors import LeadwireError, RecordError
from edge_runtime.library import find_record

RECORDS = ("qtdb/sel103", "qtdb/sel117", "qtdb/sele0106", "qtdb/sel16265", "qtdb/sel114", "qtdb/sel853")
RATE_HZ = 250.0
HERE, THERE = 0, 1  # the core of what is measured, and that of the devices and of whoever looks
_WARM_S = 12.0  # from the first frame: windows are full
_TICK_S = 1.0 / os.sysconf("SC_CLK_TCK")
_PIPE_BYTES = 1 << 20


@dataclass(frozen=True)
class Seen:
    """latency_s (n,): of each report of a full window, from the last byte of its window to its line in the reader's
    hands. missing: reports that never came. cpu: share of one core; reports, states: of all lines."""

    latency_s: NDArray[np.float64]
    missing: int
    overrun_bytes: int
    cpu: float
    resident_bytes: int
    states: dict[str, int]
    device_late_s: float
    device_cpu: float
    said: str


def observe(leads: int, seconds: float, backend: str | None = None, more: Sequence[str] = ()) -> Seen:
    """Play to `leads` leads for so long. more: arguments of `leadwire run`. Raises RecordError, LeadwireError."""
    _room(leads)
    for name in RECORDS:
        if find_record(name).sampling_rate_hz != RATE_HZ:
            raise RecordError(f"{name} is not at {RATE_HZ:g} Hz")
    with tempfile.TemporaryDirectory(prefix="leadwire-ward-") as scratch:
        job = Job(scratch, leads, seconds, RECORDS, core(THERE))
        return _observed(job, backend, more)


def _observed(job: Job, backend: str | None, more: Sequence[str]) -> Seen:
    folder = Path(job.folder)
    devices = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.runtime.devices", job.to_json()], stdout=subprocess.PIPE, text=True
    )
    said: list[str] = []
    try:
        if devices.stdout is None or devices.stdout.readline() != "ready\n":
            raise LeadwireError("the devices did not start")
        (folder / "ward.toml").write_text(
            "".join(f'[[device]]\nport = "{job.port(i)}"\nname = "lead-{i}"\n' for i in range(job.leads))
            + f'[out]\npath = "-"\n[store]\npath = "{folder / "leadwire.db"}"\n'
        )
        command = [sys.executable, "-m", "edge_runtime.cli", "run", "--config", str(folder / "ward.toml"), *more]
        command += ["--backend", backend] if backend else []
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, preexec_fn=pinned(core(HERE))
        ) as run:
            try:
                listener = threading.Thread(target=lambda: said.append((run.stderr or sys.stdin).read().decode()))  # type: ignore[union-attr]
                listener.start()
                if devices.stdout.readline() != "started\n":
                    raise LeadwireError("the devices were not asked to start")
                lines, cpu = _read(run, devices, _WARM_S + 1.0)
                resident = _resident_bytes(run.pid)
            finally:
                run.terminate()
                run.communicate(timeout=120)
                listener.join()
    finally:
        devices.kill()
        devices.communicate()
    with np.load(folder / "sent.npz") as sent:
        return judged(lines, sent, cpu, resident, job, said[0])


def _read(
    run: subprocess.Popen[bytes], devices: subprocess.Popen[str], warm_s: float
) -> tuple[list[tuple[float, bytes]], float]:
    """Lines with the time at which each was there, until the devices are done; the share of a core from `warm_s` on."""
    if run.stdout is None or devices.stdout is None:
        raise LeadwireError("no pipe to read from")
    fcntl.fcntl(run.stdout, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
    poll = select.poll()
    poll.register(run.stdout, select.POLLIN)
    poll.register(devices.stdout, select.POLLIN)
    lines: list[tuple[float, bytes]] = []
    rest, began = b"", time.monotonic()
    warm: tuple[float, float] | None = None
    while True:
        ready = {fd for fd, _ in poll.poll(500)}
        now = time.monotonic()
        if warm is None and now - began >= warm_s:
            warm = now, _cpu_s(run.pid)
        if run.stdout.fileno() in ready:
            *whole, rest = (rest + os.read(run.stdout.fileno(), _PIPE_BYTES)).split(b"\n")
            lines += [(now, line) for line in whole]
        if run.poll() is not None:
            raise LeadwireError("leadwire run ended before the devices did")
        if devices.stdout.fileno() in ready:
            cpu = (_cpu_s(run.pid) - warm[1]) / (now - warm[0]) if warm else float("nan")
            return lines, cpu


def judged(
    lines: list[tuple[float, bytes]],
    sent: Mapping[str, NDArray[np.float64]],
    cpu: float,
    resident: int,
    job: Job,
    said: str,
) -> Seen:
    """sent: what the devices wrote down: `sent_s` (leads, seconds), when each second's last byte went."""
    sent_s = sent["sent_s"]
    heard_s = np.full(sent_s.shape, np.nan)
    states: dict[str, int] = {}
    for at, line in lines:
        report = json.loads(line)
        states[report["state"]] = states.get(report["state"], 0) + 1
        second = round(report["end_s"]) - 1
        if report["state"] not in ("disconnected", "silent", "clock") and 0 <= second < sent_s.shape[1]:
            heard_s[int(report["source"].removeprefix("lead-")), second] = at
    full = slice(9, None)  # the first whole window ends at 10 s
    latency = (heard_s - sent_s)[:, full]
    return Seen(
        latency[np.isfinite(latency)],
        int(np.isnan(latency).sum()),
        int(sent["overrun_bytes"].sum()),
        cpu,
        resident,
        states,
        float(sent["late_s"]),
        float(sent["cpu_s"]) / job.seconds,
        said,
    )


def spread_ms(latency_s: NDArray[np.float64]) -> dict[str, float]:
    """p50, p95, p99 and the longest, ms."""
    at = dict(zip(("p50", "p95", "p99"), np.percentile(latency_s, (50, 95, 99)), strict=True))
    return {name: round(float(v) * 1e3, 2) for name, v in {**at, "max": latency_s.max()}.items()}


def surroundings() -> dict[str, Any]:
    """Cores, and what else the machine was doing: the load of the last minute before this."""
    return {"cores": os.cpu_count(), "load_before": round(os.getloadavg()[0], 2)}


def core(number: int) -> int:
    cores = sorted(os.sched_getaffinity(0))
    return cores[min(number, len(cores) - 1)]


def pinned(core: int) -> Any:
    return lambda: os.sched_setaffinity(0, {core})


def _room(leads: int) -> None:
    """Open files for as many ptys; whom we start has as many."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, max(soft, 256 + 8 * leads)), hard))


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) * _TICK_S


def _resident_bytes(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * resource.getpagesize()
