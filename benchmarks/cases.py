"""What every judge judges on: LUDB's leads I and II, and QTDB's first channel; and what was annotated in a window."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

from edge_runtime.library import cache_folder
from train.datasets import ludb, qtdb
from train.datasets.annotations import AnnotatedWave
from train.datasets.truth import Case, ludb_cases, qtdb_cases
from train.run import Run


def all_cases(run: Run) -> list[Case]:
    data, few = cache_folder(), run.config.records_per_set
    return ludb_cases(data / "ludb", most_records=few) + qtdb_cases(data / "qtdb", most_records=few)


def annotated(case: Case, window: int = 0) -> tuple[list[AnnotatedWave], list[tuple[float, float]]]:
    """A window's waves by hand, and the stretches in which every wave was marked; s from the window's start."""
    data = cache_folder()
    if case.dataset == "ludb":
        (lead,) = ludb.read(data / "ludb", case.record, (case.lead,))
        return list(lead.waves), [lead.span_s]
    record, start_s = _qtdb(data / "qtdb", case.record), case.starts_s[window]
    return [later(w, -start_s) for w in record.waves], [(a - start_s, b - start_s) for a, b in record.spans_s]


_qtdb = lru_cache(maxsize=2)(qtdb.read)


def later(wave: AnnotatedWave, by_s: float) -> AnnotatedWave:
    onset, offset = (None if t is None else t + by_s for t in (wave.onset_s, wave.offset_s))
    return replace(wave, onset_s=onset, peak_s=wave.peak_s + by_s, offset_s=offset)
