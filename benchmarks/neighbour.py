"""NeuroKit2's values of the very same cases: the neighbour that stands beside each of our errors.

They do not depend on our net: `python -m benchmarks peers` measures them, `accuracy` takes what it left.
"""

from __future__ import annotations

import csv
from pathlib import Path

from edge_runtime.bundle import MEASURED
from train.peers import NEUROKIT

NEIGHBOUR = "neurokit2"  # as the tables have it
ROWS = "peers-rows.csv"
Values = dict[tuple[str, str, str], dict[str, float | None]]  # data set, record, lead -> measure -> value


def kept(results: Path) -> Values:
    """By case; empty where it was not measured yet."""
    path = results / ROWS
    if not path.exists():
        return {}
    with path.open(newline="") as file:
        return {
            (row["dataset"], row["record"], row["lead"]): {n: float(row[n]) if row[n] else None for n in MEASURED}
            for row in csv.DictReader(file)
            if row["peer"] == NEUROKIT
        }
