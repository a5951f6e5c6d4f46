"""Other people's programs on our windows: each in a process of its own, in an environment of its own.

They ask for versions of numpy and pandas that ours cannot have, so nothing of theirs is imported here: signals go over
in a file, answers come back a line a signal, and a process that dies costs one signal. `make peers` makes the
environment (`.peers/`, exactly `constraints-peers.txt`); without it the interpreter that runs us is asked, which has
some of them.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_runtime.bundle import MEASURED
from edge_runtime.errors import UsageError
from edge_runtime.intervals import EDGE_S, MIN_BEATS
from train.peers.words import BEATS, EMPTY, FAILED, MARKS, UNUSABLE, VALUES, WHOLE

NEUROKIT = "neurokit2 dwt"  # the neighbour of every figure: its documentation's own way
_ROOT = Path(__file__).parents[2]
_FINDERS = Path(__file__).with_name("finders.py")
_ENVIRONMENT = _ROOT / ".peers"
# One thread each, as ours; onnxruntime takes what it likes, and its processor time tells.
_QUIET = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "MPLBACKEND": "Agg"}

Marks = dict[str, NDArray[np.float64]]
Measures = dict[str, float | None]
Signal = tuple[NDArray[np.float64], float]  # (n,) mV, Hz


@dataclass(frozen=True)
class Answer:
    """Of one signal. marks: by point (`P onset`, ..., `R`) s, one a beat, NaN where there is none; values: what the
    peer itself says by measure, for one that gives numbers and no points. failed: what it raised, with what it had
    found by then; wall_ms, processor_ms: of the call.
    """

    marks: Marks
    values: Measures | None
    failed: str | None
    wall_ms: float
    processor_ms: float


def python_of_peers() -> Path:
    """The interpreter of their environment, or ours where that was not made."""
    own = _ENVIRONMENT / "bin" / "python"
    return own if own.exists() else Path(sys.executable)


@lru_cache
def about(name: str, python: Path | None = None) -> dict[str, Any]:
    """Version, what it depends on, and how large all that is on the disk. Raises UsageError: it is not installed."""
    done = _call(python, "about", name)
    return dict(json.loads(done.stdout.splitlines()[-1]))


def installed(name: str, python: Path | None = None) -> bool:
    try:
        about(name, python)
    except UsageError:
        return False
    return True


@dataclass(frozen=True)
class Asked:
    """answers: one a signal, in their order; peak_mb: of the process, the last where it took several."""

    answers: list[Answer]
    peak_mb: float | None


def ask(
    name: str,
    signals: Sequence[Signal],
    python: Path | None = None,
    kept: Path | None = None,
    limit_s: float = 60.0,
    **options: str,
) -> Asked:
    """Every signal's answer. limit_s: after so long a signal counts as failed. options: for the peer, such as a bundle.

    kept: a folder in which answers stay: what is there already, of the same signals, options, version and way of
    asking, is not asked again, so that a long run can go on where it was. Raises UsageError where the peer is not
    installed or cannot be opened.
    """
    with tempfile.TemporaryDirectory(prefix="leadwire-peer-") as scratch:
        folder = Path(scratch)
        job = {"peer": name, "limit_s": limit_s, "options": options, "version": about(name, python)["version"]}
        job["signals"] = _write(signals, folder / "signals.npz")
        job["finders"] = hashlib.sha256(_FINDERS.read_bytes()).hexdigest()  # the way in which it is asked
        (folder / "job.json").write_text(json.dumps(job))
        key = hashlib.sha256(json.dumps(job, sort_keys=True).encode()).hexdigest()[:16]
        answers = (kept or folder) / f"{name.replace(' ', '-')}-{key}.jsonl"
        answers.parent.mkdir(parents=True, exist_ok=True)
        found, peak_mb = _lines(answers)
        while len(found) < len(signals) or peak_mb is None:
            done = _call(python, "answer", str(folder), str(answers), check=False)
            before, (found, peak_mb) = len(found), _lines(answers)
            if len(found) < len(signals) and (len(found) == before or not done.returncode):
                died = {FAILED: f"the process ended with code {done.returncode}"}
                with answers.open("a") as file:
                    file.write(json.dumps(EMPTY | died) + "\n")
                found, peak_mb = _lines(answers)
            if done.returncode and len(found) >= len(signals):
                break  # it died of its own end
    return Asked([_answer(line) for line in found], peak_mb)


def measures(answer: Answer, length_s: float) -> Measures:
    """HR, bpm, and PR, QRS and QT, ms, of a signal so long.

    The medians are held to the product's rules: MIN_BEATS at least, wholly inside the window but for EDGE_S at each
    end. None where there are fewer. What the peer says in numbers is taken as it is.
    """
    if answer.values is not None:
        return {name: answer.values.get(name) for name in MEASURED}
    found: Measures = dict.fromkeys(MEASURED)
    r = answer.marks.get("R", np.empty(0))
    r = r[np.isfinite(r)]
    if len(r) < MIN_BEATS or r[-1] <= r[0]:
        return found
    found["hr_bpm"] = 60.0 * (len(r) - 1) / float(r[-1] - r[0])
    for name, (begin, end) in WHOLE.items():
        if begin in answer.marks and end in answer.marks:
            first, last = answer.marks[begin], answer.marks[end]
            length_ms = 1e3 * (last - first)[(first >= EDGE_S) & (last <= length_s - EDGE_S)]  # NaN is neither
            found[name] = float(np.median(length_ms)) if len(length_ms) >= MIN_BEATS else None
    return found


def _write(signals: Sequence[Signal], path: Path) -> str:
    """Into an `.npz`; returns its content's hash."""
    flat = np.concatenate([np.asarray(mv, np.float64) for mv, _ in signals]) if signals else np.empty(0)
    sizes = np.array([len(mv) for mv, _ in signals], np.int64)
    rates = np.array([rate for _, rate in signals], np.float64)
    np.savez(path, millivolts=flat, sizes=sizes, rates_hz=rates)
    return hashlib.sha256(flat.tobytes() + sizes.tobytes() + rates.tobytes()).hexdigest()


def _call(python: Path | None, *words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    """Raises UsageError for a peer that is not there or cannot be opened and, with `check`, for any other bad end."""
    who = python or python_of_peers()
    command = [str(who), "-m", "train.peers.worker", *words]
    environment = {**os.environ, **_QUIET, "PYTHONPATH": str(_ROOT)}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=_ROOT, check=False)
    last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
    if done.returncode == UNUSABLE:
        raise UsageError(last)
    if done.returncode and check:
        raise UsageError(f"{' '.join(words)}: {last}")
    return done


def _lines(path: Path) -> tuple[list[dict[str, Any]], float | None]:
    """The answers that are whole, and the peak memory, where it came to its end."""
    lines = path.read_text().split("\n")[:-1] if path.exists() else []
    rows = [json.loads(line) for line in lines]
    ends = [row["peak_mb"] for row in rows if "peak_mb" in row]
    return [row for row in rows if "peak_mb" not in row], ends[-1] if ends else None


def _answer(line: dict[str, Any]) -> Answer:
    marks = {
        point: np.array([np.nan if v is None else v for v in times], np.float64)
        for point, times in line[MARKS].items()
        if point in BEATS
    }
    return Answer(marks, line[VALUES], line[FAILED], line["wall_ms"], line["processor_ms"])
