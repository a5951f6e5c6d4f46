"""LUDB 1.0.1 (Kalyakulina 2020): 10 s, 12 leads, every wave by hand in every lead."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge_runtime.records import read_record
from train.datasets.annotations import AnnotatedWave, read_waves

LEADS = ("i", "ii", "iii", "avr", "avl", "avf", "v1", "v2", "v3", "v4", "v5", "v6")


@dataclass(frozen=True)
class LudbLead:
    record: str
    lead: str
    sampling_rate_hz: float
    samples_mv: NDArray[np.float64]
    waves: tuple[AnnotatedWave, ...]

    @property
    def span_s(self) -> tuple[float, float]:
        """From the first annotated instant to the last: inside it every wave is marked."""
        times = [t for w in self.waves for t in (w.onset_s, w.peak_s, w.offset_s) if t is not None]
        return (min(times), max(times)) if times else (0.0, 0.0)


@dataclass(frozen=True)
class Subject:
    """sex: F or M; age in years, None where not given."""

    sex: str
    age: float | None


def subjects(folder: Path) -> dict[str, Subject]:
    """By record name, from `ludb.csv`."""
    with (folder / "ludb.csv").open(encoding="utf-8-sig") as file:
        rows = [{k.strip(): (v or "").strip() for k, v in row.items() if k} for row in csv.DictReader(file)]
    return {
        row["ID"]: Subject(row["Sex"], float(row["Age"]) if row["Age"].isdigit() else None) for row in rows if row["ID"]
    }


def records(folder: Path) -> list[str]:
    """The record names that are there, in numeric order."""
    return sorted((p.stem for p in (folder / "data").glob("*.hea")), key=int)


def read(folder: Path, record: str, leads: tuple[str, ...] = LEADS) -> list[LudbLead]:
    path = folder / "data" / record
    whole = read_record(path)
    rate = whole.sampling_rate_hz
    return [
        LudbLead(record, lead, rate, whole.lead(lead).millivolts, tuple(read_waves(path, lead, rate))) for lead in leads
    ]
