"""The peer's side: `worker about PEER`, or `worker answer FOLDER ANSWERS` for the job in a folder.

It runs in the peers' environment and needs numpy and the peer alone. A line an answer, flushed, so that one that is
stopped goes on where it was.
"""

from __future__ import annotations

import contextlib
import io
import json
import math
import platform
import signal
import sys
import time
import warnings
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np

from edge_runtime.vitals import resident_mb
from train.peers.finders import EVERY, Finder, Partly
from train.peers.words import ABSENT, EMPTY, FAILED, MARKS, UNUSABLE, VALUES


def about(name: str) -> dict[str, Any]:
    peer = EVERY[name]
    every = closure(peer.installs)
    return {
        "package": peer.package,
        "version": "own" if peer.package is None else metadata.version(peer.package),
        "packages": {n: metadata.version(n) for n in every},
        "install_mb": round(sum(size_bytes(n) for n in every) / 1e6, 1),
        "python": platform.python_version(),
    }


def closure(requirements: tuple[str, ...]) -> list[str]:
    """The distributions that pip installs for these, and for what they need, and so on, without pip's own."""
    from packaging.requirements import Requirement

    found: dict[str, None] = {}
    left = [Requirement(r) for r in requirements]
    seen: set[tuple[str, frozenset[str]]] = set()
    while left:
        wanted = left.pop()
        if (wanted.name.lower(), frozenset(wanted.extras)) in seen:
            continue
        seen.add((wanted.name.lower(), frozenset(wanted.extras)))
        found[metadata.distribution(wanted.name).name] = None
        for line in metadata.requires(wanted.name) or ():
            need = Requirement(line)
            if need.marker is None or any(need.marker.evaluate({"extra": e}) for e in ("", *wanted.extras)):
                left.append(need)
    return sorted(found)


def size_bytes(name: str) -> int:
    files = metadata.distribution(name).files or ()
    return sum(path.stat().st_size for file in files if (path := Path(str(file.locate()))).is_file())


def answer(folder: Path, answers: Path) -> None:
    job = json.loads((folder / "job.json").read_text())
    with np.load(folder / "signals.npz", allow_pickle=False) as file:
        flat, sizes, rates = file["millivolts"], file["sizes"], file["rates_hz"]
    signals = np.split(flat, np.cumsum(sizes)[:-1]) if len(sizes) else []
    try:
        find = EVERY[job["peer"]].make(**job["options"])
    except Exception as error:  # no question of a signal
        raise Unusable(f"{job['peer']} cannot be opened ({type(error).__name__}: {error})") from error
    done = _mend(answers)
    if signals and done < len(signals):
        with contextlib.suppress(Exception):  # what is done once is done here, and not timed
            _asked(find, signals[done].copy(), float(rates[done]), job["limit_s"])
    with answers.open("a") as out:
        for mv, rate in zip(signals[done:], rates[done:].tolist(), strict=True):
            out.write(json.dumps(_asked(find, mv, rate, job["limit_s"])) + "\n")
            out.flush()
        memory = resident_mb()
        out.write(json.dumps({"peak_mb": memory[1] if memory else 0.0}) + "\n")


def _mend(path: Path) -> int:
    """How many answers are there; half a line of one that was stopped is cut off."""
    if not path.exists():
        return 0
    whole = path.read_bytes().rpartition(b"\n")
    path.write_bytes(whole[0] + whole[1])
    return sum(b'"peak_mb"' not in line for line in whole[0].split(b"\n") if line)


def _asked(find: Finder, mv: Any, rate: float, limit_s: float) -> dict[str, Any]:
    line = dict(EMPTY)
    wall, processor = time.perf_counter(), time.process_time()
    try:
        with _limited(limit_s), warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            found = find(mv, rate)
    except Partly as error:
        found, line[FAILED] = error.found, str(error)
    except Exception as error:  # whatever its arithmetic met: a flat line, beats too few or too odd
        found, line[FAILED] = {}, f"{type(error).__name__}: {error}"[:200]
    line["wall_ms"] = round(1e3 * (time.perf_counter() - wall), 4)
    line["processor_ms"] = round(1e3 * (time.process_time() - processor), 4)
    line[VALUES] = found.pop(VALUES, None)
    line[MARKS] = {point: [_number(t) for t in times] for point, times in found.items()}
    if line[VALUES] is not None:
        line[VALUES] = {name: _number(value) for name, value in line[VALUES].items()}
    return line


def _number(value: Any) -> float | None:
    return None if value is None or not math.isfinite(value) else round(float(value), 6)


@contextlib.contextmanager
def _limited(seconds: float) -> Iterator[None]:
    def stop(number: int, frame: FrameType | None) -> None:
        raise TimeoutError(f"no answer within {seconds:g} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


class Unusable(Exception):
    """The peer is there and cannot be asked."""


if __name__ == "__main__":
    try:
        if sys.argv[1] == "about":
            EVERY[sys.argv[2]].make_sure()
            print(json.dumps(about(sys.argv[2])))
        else:
            answer(Path(sys.argv[2]), Path(sys.argv[3]))
    except (ImportError, metadata.PackageNotFoundError) as error:
        print(f"{sys.argv[2]} is not installed ({error}); {ABSENT}", file=sys.stderr)
        raise SystemExit(UNUSABLE) from None
    except Unusable as error:
        print(error, file=sys.stderr)
        raise SystemExit(UNUSABLE) from None
