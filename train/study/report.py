"""docs/transfer.md, its figures and its tables, from the rows."""

from __future__ import annotations

from pathlib import Path

from train.study.config import StudyConfig


def write_report(config: StudyConfig, folder: Path, docs: Path) -> None:
    raise NotImplementedError
