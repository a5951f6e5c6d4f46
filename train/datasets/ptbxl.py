"""PTB-XL 1.0.3 (Wagner 2020): 10 s, 500 Hz, SCP statements; here its leads I and II, and its five superclasses."""

from __future__ import annotations

import ast
import csv
from dataclasses import dataclass
from pathlib import Path

from edge_runtime.records import Record, read_record
from edge_runtime.report import FINDINGS

TRAIN_FOLDS, VALIDATION_FOLD, TEST_FOLD = tuple(range(1, 8)), 8, 9
LEADS = ("I", "II")
_SINUS = {"SR", "STACH", "SBRAD", "SARRH"}
_NO_P = {"AFIB", "AFLT"}


@dataclass(frozen=True)
class PtbxlRecord:
    """findings: in the order of FINDINGS. p_waves: 1, 0, or -1 where the rhythm statement does not tell. sex: 0
    male."""

    name: str
    patient: str
    fold: int
    findings: tuple[bool, ...]
    p_waves: int
    age: float | None
    sex: int | None
    path: Path


def records(folder: Path) -> list[PtbxlRecord]:
    """Those that are there, by id. A record with no diagnostic statement has none of the superclasses, and is kept."""
    with (folder / "scp_statements.csv").open() as file:
        superclass = {row[""]: row["diagnostic_class"] for row in csv.DictReader(file) if row["diagnostic"] == "1.0"}
    found = []
    with (folder / "ptbxl_database.csv").open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            path = folder / row["filename_hr"]
            if not path.with_suffix(".hea").exists():
                continue
            codes = set(ast.literal_eval(row["scp_codes"]))
            classes = {superclass[c] for c in codes if c in superclass}
            sinus, none = bool(codes & _SINUS), bool(codes & _NO_P)
            found.append(
                PtbxlRecord(
                    name=row["ecg_id"],
                    patient=str(int(float(row["patient_id"]))),
                    fold=int(row["strat_fold"]),
                    findings=tuple(f in classes for f in FINDINGS),
                    p_waves=-1 if sinus == none else int(sinus),
                    age=float(row["age"]) if row["age"] else None,
                    sex=int(row["sex"]) if row["sex"] else None,
                    path=path,
                )
            )
    return sorted(found, key=lambda r: int(r.name))


def read(record: PtbxlRecord) -> Record:
    return read_record(record.path)
