"""MIT-BIH Arrhythmia Database (Moody and Mark 2001): 30 min, 2 leads, 360 Hz, beats by hand; its AAMI classes and
split."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge_runtime.records import read_record
from train.datasets.annotations import read_annotation

# De Chazal 2004: the paced records 102, 104, 107 and 217 are in neither half.
DS1 = [
    "101",
    "106",
    "108",
    "109",
    "112",
    "114",
    "115",
    "116",
    "118",
    "119",
    "122",
    "124",
    "201",
    "203",
    "205",
    "207",
    "208",
    "209",
    "215",
    "220",
    "223",
    "230",
]
DS2 = [
    "100",
    "103",
    "105",
    "111",
    "113",
    "117",
    "121",
    "123",
    "200",
    "202",
    "210",
    "212",
    "213",
    "214",
    "219",
    "221",
    "222",
    "228",
    "231",
    "232",
    "233",
    "234",
]
# 201 (DS1) and 202 (DS2) are one patient.
SHARED_WITH_DS1 = ("202",)

AAMI = ("N", "S", "V", "F", "Q")  # ANSI/AAMI EC57
_CLASS_OF = {
    **dict.fromkeys("NLRej", 0),
    **dict.fromkeys("AaJS", 1),
    **dict.fromkeys("VE", 2),
    "F": 3,
    **dict.fromkeys("/fQ", 4),
}


@dataclass(frozen=True)
class MitdbRecord:
    """samples_mv (n,) of the first lead with its name; beats: samples and AAMI class of each."""

    name: str
    lead: str
    sampling_rate_hz: float
    samples_mv: NDArray[np.float64]
    beat_samples: NDArray[np.int64]
    beat_classes: NDArray[np.int64]


def read(folder: Path, name: str) -> MitdbRecord:
    record = read_record(folder / name)
    lead = record.lead()
    symbols, samples = read_annotation(folder / name, "atr")
    known = np.array([s in _CLASS_OF for s in symbols])
    classes = np.array([_CLASS_OF[s] for s in symbols if s in _CLASS_OF], np.int64)
    return MitdbRecord(name, lead.name, record.sampling_rate_hz, lead.millivolts, samples[known], classes)
