"""Runs the cells that have no row yet: in this process, in several, or on a Ray cluster; each is the same function.

A row is written when its cell is done, by this process alone, so that a study that was killed goes on behind its last
row. The weights that later cells start from are handed to them and kept in the cache; a cell whose weights were lost is
run again, and only its weights are taken.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch

from edge_runtime.errors import UsageError
from train.nets import Net
from train.run import commit
from train.study.cells import PRETRAIN, Cell, table
from train.study.config import StudyConfig
from train.study.data import data_of, labeller
from train.study.fitting import fitted, steps_of
from train.study.nets import Weights
from train.study.pretraining import pretrained, trunk_of


@dataclass(frozen=True)
class Job:
    """What a cell is run from, wherever it is run."""

    cell: Cell
    config: StudyConfig
    cache: Path
    device: str
    commit: str
    weights: Weights | None
    labeller: Net | None = None


def run_cell(job: Job) -> tuple[dict[str, Any], Weights | None]:
    """The row of a cell and, of a pretraining cell, its weights."""
    torch.set_num_threads(1)
    data = data_of(job.config, job.cache)
    made = {"key": job.cell.key, "cell": job.cell.to_dict(), "config": job.config.digest, "commit": job.commit}
    if job.cell.task == PRETRAIN:
        row, weights = pretrained(job.cell, job.weights, data, job.device, job.labeller)
        return {**made, **row}, weights
    start = None if job.weights is None else trunk_of(job.weights)
    return {**made, **fitted(job.cell, start, data, job.device)}, None


class Rows:
    """The rows of a study: a file a task and, of PTB-XL's, a fold, so that none grows large."""

    def __init__(self, folder: Path, config: StudyConfig) -> None:
        self.folder, self.digest = folder, config.digest
        self.by_key: dict[str, dict[str, Any]] = {}
        for path in sorted(folder.glob("*.jsonl")):
            for line in path.read_text().splitlines():
                if line.endswith("}"):  # the last line of a run that was killed while it wrote may be cut
                    row = json.loads(line)
                    if row["config"] == self.digest:
                        self.by_key[row["key"]] = row

    def add(self, cell: Cell, row: dict[str, Any]) -> None:
        if cell.key in self.by_key:
            return
        self.by_key[cell.key] = row
        path = self.folder / f"{cell.task}-{cell.fold}.jsonl"
        path.parent.mkdir(parents=True, exist_ok=True)
        whole = not path.exists() or path.read_bytes()[-1:] in (b"\n", b"")
        with path.open("a") as file:
            file.write(("" if whole else "\n") + json.dumps(row) + "\n")


class Kept:
    """The weights of pretraining cells."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def _path(self, cell: Cell) -> Path:
        return self.folder / (cell.key.replace("/", "-") + ".npz")

    def has(self, cell: Cell) -> bool:
        return self._path(cell).exists()

    def load(self, cell: Cell) -> Weights:
        with np.load(self._path(cell), allow_pickle=False) as file:
            return {k: file[k] for k in file.files}

    def save(self, cell: Cell, weights: Weights) -> None:
        path = self._path(cell)
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(".part.npz")
        np.savez(part, **weights)
        part.replace(path)


Result = tuple[dict[str, Any], Weights | None]


class Workers(Protocol):
    """Somewhere to run jobs: `room` of them at a time."""

    room: int

    def start(self, job: Job) -> None: ...

    def finished(self) -> Iterator[tuple[Cell, Result]]:
        """Waits for at least one."""


class Here:
    """This process: no other to be left behind."""

    room = 1

    def __init__(self) -> None:
        self._jobs: list[Job] = []

    def start(self, job: Job) -> None:
        self._jobs.append(job)

    def finished(self) -> Iterator[tuple[Cell, Result]]:
        job = self._jobs.pop()
        yield job.cell, run_cell(job)


def _end_with(parent: int) -> None:
    """A worker whose parent was killed does not go on alone."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1.0)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


class Processes:
    """A pool of processes of one thread each."""

    def __init__(self, room: int) -> None:
        self.room = room
        self._pool = ProcessPoolExecutor(room, get_context("spawn"), _end_with, (os.getpid(),))
        self._running: dict[Future[Result], Cell] = {}

    def start(self, job: Job) -> None:
        self._running[self._pool.submit(run_cell, job)] = job.cell

    def finished(self) -> Iterator[tuple[Cell, Result]]:
        for done in wait(self._running, return_when=FIRST_COMPLETED).done:
            yield self._running.pop(done), done.result()


class Cluster:
    """A Ray cluster: a core a cell. Every node has the data sets under LEADWIRE_DATA or its cache.

    Raises UsageError where Ray is not installed or no cluster answers.
    """

    def __init__(self, address: str) -> None:
        try:
            import ray
        except ImportError as error:
            raise UsageError(f"--ray: {error}; pip install 'leadwire[cluster]'") from error
        import edge_runtime
        import firmware_bridge
        import train

        packages = [str(Path(str(p.__file__)).parent) for p in (edge_runtime, firmware_bridge, train)]
        carried = {k: v for k, v in os.environ.items() if k.startswith(("MALLOC_", "LEADWIRE_"))}
        environment = {"py_modules": packages, "env_vars": {**carried, "OMP_NUM_THREADS": "1"}}
        try:
            ray.init(None if address == "local" else address, runtime_env=environment, log_to_driver=False)
        except (ConnectionError, ValueError, RuntimeError) as error:
            told = str(error).splitlines()[0]
            raise UsageError(f"--ray {address}: {told}; start one with `ray start --head`, or give `local`") from error
        self._ray = ray
        self._run = ray.remote(num_cpus=1, max_retries=2)(run_cell)
        self.room = max(1, int(ray.cluster_resources().get("CPU", 1)))
        self._running: dict[Any, Cell] = {}

    def start(self, job: Job) -> None:
        self._running[self._run.remote(job)] = job.cell

    def finished(self) -> Iterator[tuple[Cell, Result]]:
        done, _ = self._ray.wait(list(self._running), num_returns=1)
        for reference in done:
            yield self._running.pop(reference), self._ray.get(reference)


def ready(todo: Iterable[Cell], rows: Rows, kept: Kept, running: set[Cell]) -> Cell | None:
    """The first cell whose weights are there; or the one that makes them, done before but lost."""
    for cell in todo:
        if cell in running:
            continue
        before = cell.needs
        if before is None or kept.has(before):
            return cell
        if before in running:
            continue
        chain = before
        while (earlier := chain.needs) is not None and not kept.has(earlier):
            chain = earlier
        if chain not in running:
            return chain
    return None


def run_study(config: StudyConfig, folder: Path, workers: Workers, device: str, cost: Cost) -> None:
    """Every cell that has no row, in the table's order."""
    rows, cache = Rows(folder, config), folder / "cache"
    kept, cells = Kept(cache / config.digest), table(config)
    running: set[Cell] = set()
    made_at, started = commit(), time.monotonic()
    spent: list[tuple[float, float]] = []
    while True:
        todo = [c for c in cells if c.key not in rows.by_key]
        while len(running) < workers.room and (cell := ready(todo, rows, kept, running)) is not None:
            before = cell.needs
            weights = None if before is None else kept.load(before)
            net = labeller() if cell.task == PRETRAIN and cell.pretraining == "deepfake" else None
            workers.start(Job(cell, config, cache, device, made_at, weights, net))
            running.add(cell)
        if not running:
            return
        for cell, (row, weights) in workers.finished():
            running.discard(cell)
            if weights is not None:
                kept.save(cell, weights)
            rows.add(cell, row)
            left = [c for c in cells if c.key not in rows.by_key]
            spent.append((row["seconds"], row["cpu_seconds"]))
            busy = sum(s for s, _ in spent) / max(sum(c for _, c in spent), 1e-9)  # what else this machine does
            hours = busy * sum(cost.of(left, rows)) / workers.room / 3600
            print(
                f"{len(cells) - len(left)}/{len(cells)} {cell.key} {_told(row)} {row['seconds']:.0f} s; "
                f"some {hours:.1f} h left ({(time.monotonic() - started) / 3600:.1f} h here)",
                file=sys.stderr,
                flush=True,
            )


def _told(row: dict[str, Any]) -> str:
    return " ".join(f"{k} {v:.3f}" for k, v in list(row.get("scores", {}).items())[:2])


class Cost:
    """Seconds of a core that a cell takes: the mean of its like where there are rows, else from its steps and the time
    of one."""

    def __init__(self, config: StudyConfig, seconds_per_step: float) -> None:
        self.config, self.seconds_per_step = config, seconds_per_step

    @staticmethod
    def like(cell: Cell) -> tuple[str, ...]:
        if cell.task == PRETRAIN:
            return cell.task, cell.pretraining, cell.net, "drawn" if cell.source in ("delineation", "masking") else ""
        return cell.task, str(cell.labels), cell.freezing, cell.net

    def of(self, cells: Sequence[Cell], rows: Rows) -> list[float]:
        """Of each cell."""
        known: dict[tuple[str, ...], list[float]] = {}
        for row in rows.by_key.values():
            known.setdefault(self.like(Cell(**row["cell"])), []).append(row["cpu_seconds"])
        return [float(np.mean(same)) if (same := known.get(self.like(c))) else self._guess(c) for c in cells]

    def _guess(self, cell: Cell) -> float:
        p, t = self.config.pretraining, self.config.tuning
        if cell.task == PRETRAIN:
            steps = p.real_steps if cell.pretraining == "simulator_then_real" else p.steps
            return self.seconds_per_step * steps * (1.8 if self.like(cell)[-1] == "drawn" else 1.2)
        windows = cell.labels or {"superclasses": 2070, "one_label": 1770, "rhythm": 5400, "beats": 6100}[cell.task]
        return self.seconds_per_step * 1.5 * steps_of(self.config, windows) * len(t.learning_rates)
