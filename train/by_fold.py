"""A fold a process: how the nets of all folds are asked at once."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from typing import TypeVar

from tqdm import tqdm

from train.run import Run

Job = TypeVar("Job")
Found = TypeVar("Found")


def each_fold(run: Run, judge: Callable[[Job], Found], jobs: Sequence[Job]) -> Iterator[Found]:
    """What `judge` makes of each job, one a fold, in their order. Everything has to travel between processes."""
    run.make_caches()  # once, not by each process
    workers = min(len(jobs), len(os.sched_getaffinity(0)))
    with ProcessPoolExecutor(workers, multiprocessing.get_context("spawn")) as pool:
        yield from tqdm(pool.map(judge, jobs), total=len(jobs), desc="folds")
