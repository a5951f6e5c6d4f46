"""PhysioNet/CinC Challenge 2017 (Clifford 2017): one lead of a hand-held recorder, 9 to 61 s, four classes."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge_runtime.records import read_record

CLASS_OF = {"N": 0, "A": 1, "O": 2, "~": 3}  # in the order of nets.RHYTHMS
P_WAVES = (1, 0, -1, -1)  # by class: sinus rhythm has them, fibrillation has none, of the others nothing is known


def records(folder: Path) -> dict[str, int]:
    """Record name to class, of those that are there."""
    with (folder / "REFERENCE-v3.csv").open() as file:
        rows = [(row[0], CLASS_OF[row[1]]) for row in csv.reader(file) if row]
    return {name: label for name, label in rows if _path(folder, name) is not None}


def _path(folder: Path, name: str) -> Path | None:
    """Flat, or nested by the first three characters as published."""
    for path in (folder / name, folder / "training" / name[:3] / name, folder / name[:3] / name):
        if path.with_suffix(".hea").exists():
            return path
    return None


def read(folder: Path, name: str) -> tuple[NDArray[np.float64], float]:
    """(n,) mV and the sampling rate."""
    path = _path(folder, name)
    if path is None:
        raise FileNotFoundError(f"{folder}: no record {name}")
    record = read_record(path)
    return record.lead().millivolts, record.sampling_rate_hz
