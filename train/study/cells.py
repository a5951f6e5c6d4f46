"""The table of cells: what is run, in the order in which it is worth knowing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from itertools import product
from typing import Any

from train.study.config import ALL_LABELS, Comparison, StudyConfig

SCRATCH, NONE = "scratch", "none"
PRETRAIN = "pretrain"  # the task of a cell whose result is weights
THEN_REAL = "simulator_then_real"


@dataclass(frozen=True)
class Cell:
    """One training, or one pretraining, and what it needs to know of its place in the table.

    task: a key of tasks.TASKS, or PRETRAIN; source: a key of pretraining.SOURCES, or SCRATCH; pretraining: the data of
    it; freezing: how much of the trunk stays as pretraining left it; labels: training records, ALL_LABELS for every
    one; fold: whose records are tested; net: a key of nets.BODIES.
    """

    task: str
    source: str
    fold: int
    seed: int
    labels: int = ALL_LABELS
    pretraining: str = THEN_REAL
    freezing: str = "full"
    net: str = "trunk"

    @property
    def key(self) -> str:
        labels = "all" if self.labels == ALL_LABELS else str(self.labels)
        return "/".join(
            (self.task, self.net, self.source, self.pretraining, self.freezing, labels, str(self.fold), str(self.seed))
        )

    @property
    def needs(self) -> Cell | None:
        """The cell whose weights this one starts from."""
        if self.source == SCRATCH:
            return None
        if self.task != PRETRAIN:
            return pretraining_cell(self.source, self.pretraining, self.seed, self.net)
        return replace(self, pretraining="simulator") if self.pretraining == THEN_REAL else None

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def pretraining_cell(source: str, data: str, seed: int, net: str = "trunk") -> Cell:
    return Cell(PRETRAIN, source, seed, seed, ALL_LABELS, data, NONE, net)


def _normal(cell: Cell) -> Cell:
    """From scratch there is no pretraining and nothing to freeze: one cell, whatever grid asks for it."""
    return replace(cell, pretraining=NONE, freezing="full") if cell.source == SCRATCH else cell


def table(config: StudyConfig) -> list[Cell]:
    """Every cell once, each behind the one that it needs; otherwise in the grids' order, fold by fold."""
    found: dict[Cell, None] = {}
    for grid in config.grids:
        for fold, data, freezing, labels, net, source in product(
            grid.folds, grid.pretraining, grid.freezing, grid.labels, grid.nets, grid.sources
        ):
            if grid.task == PRETRAIN:
                cell = pretraining_cell(source, data, fold, net)
            else:
                cell = _normal(Cell(grid.task, source, fold, fold, labels, data, freezing, net))
            chain = [cell]
            while (before := chain[-1].needs) is not None:
                chain.append(before)
            found.update(dict.fromkeys(reversed(chain)))
    return list(found)


def arms(comparison: Comparison, labels: int, fold: int) -> tuple[Cell, Cell]:
    """The two cells of a comparison at a label count and fold."""

    def of(changed: Mapping[str, str]) -> Cell:
        return _normal(Cell(comparison.task, changed["source"], fold, fold, labels, **_rest(changed)))

    return of(comparison.arm), of(comparison.against)


def _rest(changed: Mapping[str, str]) -> dict[str, Any]:
    return {k: v for k, v in changed.items() if k != "source"}
