"""Names and small tables, as the report has them."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

from train.study.config import ALL_LABELS, Comparison

ARMS = {
    "scratch": "nothing (scratch)",
    "hr": "HR",
    "pr": "PR",
    "qrs": "QRS",
    "qt": "QT",
    "all": "all four intervals",
    "delineation": "delineation",
    "masking": "masking (no labels)",
}
DATA = {"simulator": "simulator alone", "real": "real alone", "deepfake": "deepfake-ecg alone"}


def labels_name(labels: int) -> str:
    return "all labels" if labels == ALL_LABELS else f"{labels:,} labels"


def _of(arm: Mapping[str, str]) -> str:
    parts = [ARMS[arm["source"]].replace("nothing (scratch)", "scratch").replace("masking (no labels)", "masking")]
    parts += [DATA[arm["pretraining"]]] if "pretraining" in arm else []
    parts += [arm["freezing"]] if "freezing" in arm else []
    return ", ".join(parts)


def arm_name(c: Comparison) -> str:
    return f"{_of(c.arm)} − {_of(c.against)}"


def write_csv(path: Path, head: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(head)
        writer.writerows(rows)
