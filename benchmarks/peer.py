"""NeuroKit2's intervals of the very same windows: the neighbour that stands beside each of our errors.

They do not depend on our net, so they are measured once, kept in `neurokit2.csv`, and measured again only where a
window or the package's version is another.
"""

from __future__ import annotations

import csv
import multiprocessing
import os
from concurrent.futures import ProcessPoolExecutor
from importlib import metadata
from pathlib import Path

import numpy as np
from tqdm import tqdm

from edge_runtime.bundle import MEASURED
from train.datasets.truth import Case
from train.deepfake_report import neurokit_measures

PEER = "neurokit2"
Values = dict[tuple[str, str, str], dict[str, float | None]]  # data set, record, lead -> measure -> value


def _of_case(case: Case) -> dict[str, float | None]:
    """Over the case's windows as ours are: medians, and for the heart rate the mean RR's."""
    windows = [neurokit_measures(mv, case.sampling_rate_hz) for mv in case.windows_mv]
    out: dict[str, float | None] = {}
    for name in MEASURED:
        stated = np.array([v for w in windows if (v := w[name]) is not None], np.float64)
        middle = (
            1 / np.mean(1 / stated) if name == "hr_bpm" and len(stated) else np.median(stated) if len(stated) else None
        )
        out[name] = None if middle is None else round(float(middle), 3)
    return out


def neurokit_values(cases: list[Case], results: Path) -> Values:
    """By case; from `neurokit2.csv` where that is of these cases. Empty where the package is not installed."""
    path, keys = results / f"{PEER}.csv", [(c.dataset, c.record, c.lead) for c in cases]
    try:
        version = metadata.version(PEER)
    except metadata.PackageNotFoundError:
        return {}
    if path.exists():
        kept = _read(path, version)
        if set(keys) <= set(kept):
            return {key: kept[key] for key in keys}
    with ProcessPoolExecutor(len(os.sched_getaffinity(0)), multiprocessing.get_context("spawn")) as pool:
        found = list(tqdm(pool.map(_of_case, cases, chunksize=8), total=len(cases), desc=PEER, mininterval=5))
    values = dict(zip(keys, found, strict=True))
    with path.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["version", "dataset", "record", "lead", *MEASURED])
        for key, by in values.items():
            writer.writerow([version, *key, *("" if by[name] is None else by[name] for name in MEASURED)])
    return values


def _read(path: Path, version: str) -> Values:
    with path.open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["version"] == version]
    return {
        (row["dataset"], row["record"], row["lead"]): {n: float(row[n]) if row[n] else None for n in MEASURED}
        for row in rows
    }
