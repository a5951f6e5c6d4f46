"""`python -m benchmarks scale`: a Holter recording through `leadwire analyse`, on one core and on all.

The recording is MIT-BIH's, one after the other until it is long enough: real hearts, ectopy and noise, 360 Hz, two
channels, of which one is analysed. The command is the user's own: reading the file, a window every 10 s, JSON lines.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from typing import IO, Any

import numpy as np
from tqdm import tqdm

from edge_runtime.bundle import load_bundle
from edge_runtime.doctor import machine, versions
from edge_runtime.errors import RecordError
from edge_runtime.library import cache_folder
from edge_runtime.records import read_record
from edge_runtime.vitals import hardware, resident_mb, vitals
from train.markdown import table
from train.run import Run, commit

HOURS, TURNS = 24.0, 3
_RATE_HZ = 360.0
_LOOK_S = 0.05


@dataclass(frozen=True)
class Spent:
    """Of one process. processor_s: of a core; peak_mb: resident memory at its highest."""

    wall_s: float
    processor_s: float
    peak_mb: float
    lines: int


def write_holter(path: Path, hours: float) -> dict[str, Any]:
    """A WFDB record (format 16) of MIT-BIH's own counts. Raises RecordError where the data set is not at hand."""
    names = sorted(p.stem for p in (cache_folder() / "mitdb").glob("*.hea"))
    if not names:
        raise RecordError(f"needs mitdb under {cache_folder()}; put it there or set LEADWIRE_DATA")
    wanted = left = round(hours * 3600 * _RATE_HZ)
    with path.with_suffix(".dat").open("wb") as file:
        for name in cycle(names):
            leads = read_record(cache_folder() / "mitdb" / name).leads[:2]
            counts = np.stack([lead.counts for lead in leads], axis=1)[:left]
            file.write(counts.astype("<i2").tobytes())
            left -= len(counts)
            if not left:
                break
    signals = [f"{path.name}.dat 16 200(1024)/mV 12 0 0 0 0 {lead}" for lead in ("MLII", "V1")]
    header = [f"{path.name} 2 {_RATE_HZ:g} {wanted}", *signals]
    path.with_suffix(".hea").write_text("\n".join(header) + "\n")
    return {"hours": hours, "sampling_rate_hz": _RATE_HZ, "channels": 2, "samples": wanted}


def analyse(paths: Sequence[Path], scratch: Path) -> list[Spent]:
    """Each by a process of its own, all at once."""
    running = []
    for k, path in enumerate(paths):
        out = (scratch / f"reports-{k}.jsonl").open("w+b")
        command = [sys.executable, "-m", "edge_runtime.cli", "analyse", str(path)]
        running.append((time.monotonic(), subprocess.Popen(command, stdout=out), out))
    return [_spent(*job) for job in running]


def _spent(begin: float, process: subprocess.Popen[bytes], out: IO[bytes]) -> Spent:
    """Waits for it. Its time is the kernel's account of a child that has ended; its memory is looked at meanwhile."""
    most, pid = 0.0, 0
    while not pid:
        memory = resident_mb(process.pid)
        most = max(most, memory[1] if memory else 0.0)
        time.sleep(_LOOK_S)
        pid, status, usage = os.wait4(process.pid, os.WNOHANG)
    wall = time.monotonic() - begin
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RecordError(f"leadwire analyse ended with code {process.returncode}; see above")
    with out:
        out.seek(0)
        return Spent(wall, usage.ru_utime + usage.ru_stime, most, sum(1 for _ in out))


def measure(run: Run, results: Path, hours: float = HOURS) -> dict[str, Any]:
    """Write `scale.json`."""
    cores = len(os.sched_getaffinity(0))
    with tempfile.TemporaryDirectory(prefix="leadwire-scale-") as place:
        scratch = Path(place)
        paths = [scratch / f"holter{k}" for k in range(cores)]
        for path in paths:
            about = write_holter(path, hours)
        before = vitals()
        at_once: dict[str, list[dict[str, Any]]] = {}
        for count in tqdm(sorted({1, cores}), desc="cores"):
            turns = [analyse(paths[:count], scratch) for _ in range(TURNS)]
            at_once[str(count)] = [_turn(spent, hours) for spent in turns]
    out = {
        "what": "leadwire analyse of a recording, a window every 10 s; by how many at once, each in a process",
        "measured_at_commit": commit(),
        "bundle": load_bundle().model.id,
        "machine": {"name": machine(), **hardware(), "packages": versions()},
        "vitals": {"before": before.to_dict(), "after": vitals().to_dict()},
        "record": about,
        "at_once": at_once,
    }
    results.mkdir(parents=True, exist_ok=True)
    (results / "scale.json").write_text(json.dumps(out, indent=1) + "\n")
    return out


def _turn(spent: Sequence[Spent], hours: float) -> dict[str, Any]:
    """times_real_time: of all processes together, by the wall clock; a_core: by a core's own time."""
    wall, processor = max(s.wall_s for s in spent), sum(s.processor_s for s in spent)
    total_s = 3600 * hours * len(spent)
    return {
        "wall_s": wall,
        "processor_s": processor,
        "peak_memory_mb": max(s.peak_mb for s in spent),
        "windows": sum(s.lines for s in spent),
        "hours_a_second": total_s / 3600 / wall,
        "times_real_time": total_s / wall,
        "times_real_time_a_core": total_s / processor,
        "processor_ms_a_window": 1e3 * processor / sum(s.lines for s in spent),
    }


def markdown(result: dict[str, Any]) -> str:
    """The best of the turns, as others on the machine only make it slower."""
    m, before = result["machine"], result["vitals"]["before"]
    rows = []
    for count, turns in result["at_once"].items():
        best = max(turns, key=lambda turn: turn["times_real_time"])
        least = min(turns, key=lambda turn: turn["processor_s"])
        rows.append(
            [
                count,
                f"{best['wall_s']:.1f}",
                f"{best['hours_a_second']:.2f}",
                f"{best['times_real_time']:.0f}",
                f"{least['times_real_time_a_core']:.0f}",
                f"{least['processor_ms_a_window']:.2f}",
                f"{least['peak_memory_mb']:.0f}",
                str(best["windows"]),
            ]
        )
    head = ["recordings at once", "s", "hours a second", "times real time", "the same, a core's own time"]
    said = (
        f"{m['name']} ({m['usable_cores']} cores), {m['python']}, load before {before['load']}; bundle "
        f"{result['bundle']}; {result['record']['hours']:g} h at {result['record']['sampling_rate_hz']:g} Hz."
    )
    return said + "\n\n" + table([*head, "a core's ms a window", "memory, MB", "windows"], rows)
