"""One lead as it is worn: how late its reports are, how old the data in them is, and what the program costs."""

from __future__ import annotations

import fcntl
import os
import select
import statistics
import struct
import subprocess
import sys
import tempfile
import termios
import time
import tty
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.runtime.devices import tape_of
from benchmarks.runtime.observed import HERE, RECORDS, core, observe, pinned, spread_ms, surroundings
from edge_runtime.backends import BACKENDS
from edge_runtime.bundle import load_bundle
from firmware_bridge.protocols.native import encode_command

LIMITS = {"p99_ms": 10.0, "cold_start_s": 0.5, "resident_mb": {"ai-edge-litert": 60.0, "onnxruntime": 80.0}}
_START = encode_command("start")
_OPENS_WITHIN_S = 30.0


def measure(full: bool) -> dict[str, Any]:
    """A live lead by each back end."""
    seconds, starts = (630.0, 15) if full else (40.0, 3)
    window_s = load_bundle().model.window_s
    out: dict[str, Any] = {**surroundings(), "seconds": seconds, "limits": LIMITS, "backends": {}}
    for backend in BACKENDS:
        seen = observe(1, seconds, backend)
        cold_s = [cold_start_s(backend) for _ in range(starts)]
        out["backends"][backend] = {
            "reports": len(seen.latency_s),
            "missing": seen.missing,
            "latency_ms": spread_ms(seen.latency_s),
            # Of the signal that a value is made from: its newest sample, its middle, its oldest one.
            "age_s": [round(float(seen.latency_s.mean()) + behind, 3) for behind in (0.0, window_s / 2, window_s)],
            "core_share": round(seen.cpu, 4),
            "resident_mb": round(seen.resident_bytes / 1e6, 1),
            "cold_start_s": {"median": round(statistics.median(cold_s), 3), "max": round(max(cold_s), 3)},
        }
    return out


def cold_start_s(backend: str) -> float:
    """From the start of the process to the moment at which it has read its first sample, its files being in memory."""
    tape = tape_of(RECORDS[0], 10.0, 0)
    with _port() as (master, slave), tempfile.TemporaryDirectory() as folder:
        began = time.monotonic()
        command = [sys.executable, "-m", "edge_runtime.cli", "run", "--port", os.ttyname(slave), "--backend", backend]
        command += ["--store", str(Path(folder) / "leadwire.db")]
        with subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, preexec_fn=pinned(core(HERE))
        ) as run:
            try:
                heard = b""
                while _START not in heard and select.select([master], [], [], _OPENS_WITHIN_S)[0]:
                    heard += os.read(master, 4096)
                os.write(master, tape.info + tape.frames[0])
                while _unread(slave) and time.monotonic() - began < _OPENS_WITHIN_S:
                    time.sleep(0.0002)
                return time.monotonic() - began
            finally:
                run.terminate()


@contextmanager
def _port() -> Iterator[tuple[int, int]]:
    master, slave = os.openpty()
    try:
        tty.setraw(slave)
        yield master, slave
    finally:
        os.close(slave)
        os.close(master)


def _unread(slave: int) -> int:
    """Bytes that wait in the port."""
    return int(struct.unpack("i", fcntl.ioctl(slave, termios.FIONREAD, b"\0" * 4))[0])
