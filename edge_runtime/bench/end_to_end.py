"""From the device's last byte of a window to the line on `leadwire run`'s output, through a pty at the pace of life."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from edge_runtime.bench.heart import Played
from edge_runtime.errors import UsageError
from edge_runtime.report import MEASURABLE
from edge_runtime.vitals import processor_s, resident_mb, vitals

VITALS_EVERY_S = 10.0
_ENDS_WITHIN_S, _SPEAKS_WITHIN_S = 20.0, 60.0


@dataclass
class Heard:
    """What `leadwire run` said, and when; and of its process what can be seen from outside."""

    lines: list[tuple[float, dict[str, Any]]] = field(default_factory=list)  # arrival, s; report
    watched: list[dict[str, Any]] = field(default_factory=list)


def through_a_pty(
    played: Played, seconds: float, bundle: Path, backend: str, scratch: Path, root: Path = Path("/")
) -> dict[str, Any]:
    """Play so long, and measure. latency_ms: of each report that states something, from the sending of the frame that
    completes its window until its line was read. Raises UsageError where the two processes do not come to speak.
    """
    link, sent = scratch / "wearable", scratch / "sent.npz"
    job = {"played": asdict(played), "seconds": seconds, "link": str(link), "sent": str(sent)}
    before, heard = vitals(root), Heard()
    with (scratch / "player.err").open("w+") as player_says, (scratch / "run.err").open("w+") as run_says:
        player = subprocess.Popen(
            [sys.executable, "-m", "edge_runtime.bench.player", json.dumps(job)],
            stdout=subprocess.PIPE,
            stderr=player_says,
            text=True,
        )
        with _ended(player):
            if player.stdout is None or player.stdout.readline() != "ready\n":
                raise UsageError(f"the simulated wearable did not start: {_last_line(player_says)}")
            command = [sys.executable, "-m", "edge_runtime.cli", "run", "--port", str(link), "--board", played.board]
            command += ["--bundle", str(bundle), "--backend", backend, "--store", str(scratch / "leadwire.db")]
            monitor = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=run_says)
            with _ended(monitor):
                _listen(monitor, player, heard, root)
        if not heard.lines:
            raise UsageError(f"leadwire run gave no report: {_last_line(run_says)}")
        if player.returncode or not sent.exists():
            raise UsageError(f"the simulated wearable did not end well: {_last_line(player_says)}")
    with np.load(sent, allow_pickle=False) as file:
        latencies = latencies_ms(heard.lines, file["device_s"], file["sent_s"])
    states = [report["state"] for _, report in heard.lines]
    return {
        "backend": backend,
        "form": "int8",
        "seconds": seconds,
        "latency_ms": [round(v, 3) for v in latencies],
        "in_process_latency_ms": [r["latency_ms"] for _, r in heard.lines if _stated(r)],
        "states": {state: states.count(state) for state in dict.fromkeys(states)},
        "lost_samples": sum(r["lost_samples"] for _, r in heard.lines if _stated(r)),
        "core_share": _core_share(heard.watched),
        "peak_memory_mb": max((w["peak_mb"] for w in heard.watched if w["peak_mb"]), default=None),
        "vitals": {"before": before.to_dict(), "after": vitals(root).to_dict()},
        "watched": heard.watched,
    }


def latencies_ms(
    lines: Sequence[tuple[float, dict[str, Any]]], device_s: NDArray[np.float64], sent_s: NDArray[np.float64]
) -> list[float]:
    """Of each report that states something: its arrival after the frame with its window's last sample was sent."""
    out = []
    for arrival_s, report in lines:
        if not _stated(report):
            continue
        frame = int(np.searchsorted(device_s, report["end_s"] - 1e-6))
        if frame < len(sent_s):
            out.append(1e3 * (arrival_s - float(sent_s[frame])))
    return out


def _stated(report: dict[str, Any]) -> bool:
    return report["state"] in MEASURABLE or report["state"] == "poor_signal"


def _listen(monitor: subprocess.Popen[bytes], player: subprocess.Popen[str], heard: Heard, root: Path) -> None:
    """Every line with its time, until the wearable has played all; the process and the machine every VITALS_EVERY_S."""
    if monitor.stdout is None:
        raise RuntimeError("its output is a pipe")
    descriptor, rest, looked_s = monitor.stdout.fileno(), b"", -VITALS_EVERY_S
    while select.select([descriptor], [], [], _SPEAKS_WITHIN_S)[0] and (chunk := os.read(descriptor, 1 << 16)):
        arrival_s = time.monotonic()
        *lines, rest = (rest + chunk).split(b"\n")
        heard.lines += [(arrival_s, json.loads(line)) for line in lines]
        full = bool(heard.lines) and _stated(heard.lines[-1][1])
        ended = player.poll() is not None
        if full and (ended or arrival_s - looked_s >= VITALS_EVERY_S):
            looked_s = arrival_s
            heard.watched.append(_watch(monitor.pid, arrival_s, root))
        if ended:
            monitor.send_signal(signal.SIGTERM)
            return


def _watch(pid: int, at_s: float, root: Path) -> dict[str, Any]:
    memory = resident_mb(pid) or (None, None)
    return {
        "at_s": round(at_s, 3),
        "processor_s": processor_s(pid),
        "resident_mb": memory[0],
        "peak_mb": memory[1],
        **vitals(root).to_dict(),
    }


def _core_share(watched: Sequence[dict[str, Any]]) -> float | None:
    """Of one core, from the first full window on, so that nothing of starting is in it."""
    seen = [(w["at_s"], w["processor_s"]) for w in watched if w["processor_s"] is not None]
    if len(seen) < 2 or seen[-1][0] <= seen[0][0]:
        return None
    return round((seen[-1][1] - seen[0][1]) / (seen[-1][0] - seen[0][0]), 5)


@contextlib.contextmanager
def _ended(process: subprocess.Popen[Any]) -> Iterator[None]:
    """It is gone afterwards: by itself, or else by force."""
    try:
        yield
        process.wait(_ENDS_WITHIN_S)
    except subprocess.TimeoutExpired:
        pass
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
        if process.stdout:
            process.stdout.close()


def _last_line(file: IO[str]) -> str:
    file.seek(0)
    return (file.read().strip().splitlines() or ["it said nothing"])[-1]
