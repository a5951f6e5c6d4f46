"""What every judge judges on: LUDB's leads I and II, and QTDB's first channel."""

from __future__ import annotations

from edge_runtime.library import cache_folder
from train.datasets.truth import Case, ludb_cases, qtdb_cases
from train.run import Run


def all_cases(run: Run) -> list[Case]:
    data, few = cache_folder(), run.config.records_per_set
    return ludb_cases(data / "ludb", most_records=few) + qtdb_cases(data / "qtdb", most_records=few)
