"""NeuroKit2's intervals of the very same windows: the neighbour that stands beside each of our errors.

They do not depend on our net: `python -m benchmarks peer` measures them, `accuracy` takes what it left in
`neurokit2.csv`.
"""

from __future__ import annotations

import csv
import multiprocessing
import os
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
from tqdm import tqdm

from benchmarks.cases import all_cases
from edge_runtime.bundle import MEASURED
from train import neurokit
from train.datasets.truth import Case
from train.run import Run

PEER = "neurokit2"
Values = dict[tuple[str, str, str], dict[str, float | None]]  # data set, record, lead -> measure -> value


def _of_case(case: Case) -> dict[str, float | None]:
    """Over the case's windows as ours are: medians, and for the heart rate the mean RR's."""
    windows = [neurokit.measures(mv, case.sampling_rate_hz) for mv in case.windows_mv]
    out: dict[str, float | None] = {}
    for name in MEASURED:
        stated = np.array([v for w in windows if (v := w[name]) is not None], np.float64)
        middle = (
            1 / np.mean(1 / stated) if name == "hr_bpm" and len(stated) else np.median(stated) if len(stated) else None
        )
        out[name] = None if middle is None else round(float(middle), 3)
    return out


def measure(run: Run, results: Path) -> dict[str, int]:
    """Write `neurokit2.csv`; a process a core."""
    cases = all_cases(run)
    keys = [(c.dataset, c.record, c.lead) for c in cases]
    with ProcessPoolExecutor(len(os.sched_getaffinity(0)), multiprocessing.get_context("spawn")) as pool:
        found = list(tqdm(pool.map(_of_case, cases, chunksize=8), total=len(cases), desc=PEER, mininterval=5))
    results.mkdir(parents=True, exist_ok=True)
    with (results / f"{PEER}.csv").open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["version", "dataset", "record", "lead", *MEASURED])
        for key, by in zip(keys, found, strict=True):
            values = ("" if by[name] is None else by[name] for name in MEASURED)
            writer.writerow([neurokit.version(), *key, *values])
    return {"cases": len(cases)}


def kept(results: Path) -> Values:
    """By case, what `neurokit2.csv` holds; empty where it was not measured yet."""
    path = results / f"{PEER}.csv"
    if not path.exists():
        return {}
    with path.open(newline="") as file:
        return {
            (row["dataset"], row["record"], row["lead"]): {n: float(row[n]) if row[n] else None for n in MEASURED}
            for row in csv.DictReader(file)
        }
