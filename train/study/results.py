"""What the rows say: the scores of arms and the paired differences of the comparisons that were decided."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from train.study.cells import PRETRAIN, Cell, arms, table
from train.study.config import Comparison, StudyConfig
from train.study.data import Data
from train.study.runner import Rows
from train.study.scores import Array, pack, unpack
from train.study.statistics import Difference, holm, paired, patient_weights, verdict
from train.study.tasks import TASKS

_SEED = 20  # of the patients that are drawn again


@dataclass(frozen=True)
class Tested:
    """Who is tested: patients (r,) and truth (r, ...) of a task's fold."""

    patients: NDArray[np.str_]
    truth: NDArray[Any]


def tested_of(config: StudyConfig, folder: Path, wanted: set[tuple[str, int]]) -> dict[tuple[str, int], Tested]:
    """By task and fold. Kept as `tested.json` beside the rows, so that the report can be made again without data."""
    path = folder / "tested.json"
    held = json.loads(path.read_text()) if path.exists() else {}
    missing = {key for key in wanted if "-".join(map(str, key)) not in held}
    if missing:
        data = Data(config, folder / "cache", labels_only=True)
        for name, fold in sorted(missing):
            part = TASKS[name].everyone(data, Cell(name, "scratch", fold, fold)).test
            held[f"{name}-{fold}"] = {"patients": part.patients.tolist(), "truth": pack(part.truth)}
        path.write_text("{\n" + ",\n".join(f"{json.dumps(k)}: {json.dumps(v)}" for k, v in held.items()) + "\n}\n")
    return {
        (name, fold): Tested(np.array(of["patients"]), unpack(of["truth"]))
        for name, fold in wanted
        for of in (held[f"{name}-{fold}"],)
    }


@dataclass(frozen=True)
class Result:
    """A comparison at one label count. corrected, corrected_equivalent: p-values within its family; detectable: at the
    family's strictest level; None where it has fewer seeds than a conclusion needs."""

    comparison: Comparison
    labels: int
    seeds: int
    difference: Difference | None
    corrected: float = 1.0
    corrected_equivalent: float = 1.0
    detectable: float = float("nan")
    verdict: str = ""


class Results:
    """Of the rows that are there."""

    def __init__(self, config: StudyConfig, folder: Path) -> None:
        self.config, self.folder = config, folder
        self.rows = Rows(folder, config).by_key
        self.cells = [c for c in table(config) if c.key in self.rows]
        wanted = {(c.task, c.fold) for c in self.cells if c.task != PRETRAIN}
        self.tested = tested_of(config, folder, wanted)
        self._drawn: dict[tuple[str, str], Array] = {}
        self._weights: dict[tuple[str, int], Array] = {}

    def row(self, cell: Cell) -> dict[str, Any] | None:
        return self.rows.get(cell.key)

    def folds_of(self, like: Cell) -> list[Cell]:
        """The cells that differ from `like` in fold and seed alone."""

        def arm(c: Cell) -> tuple[Any, ...]:
            return c.task, c.source, c.labels, c.pretraining, c.freezing, c.net

        return [c for c in self.cells if arm(c) == arm(like)]

    def score(self, cell: Cell, name: str) -> float:
        return float(self.rows[cell.key]["scores"][name])

    def drawn(self, cell: Cell, name: str) -> Array:
        """(draws,) a score of the cell when patients are drawn again; the same patients for every arm of a fold."""
        if (cell.key, name) not in self._drawn:
            task, fold = TASKS[cell.task], cell.fold if TASKS[cell.task].ratio else 0
            tested = self.tested[cell.task, cell.fold]
            if (cell.task, fold) not in self._weights:
                draws = self.config.statistics.bootstraps
                self._weights[cell.task, fold] = patient_weights(tested.patients, draws, _SEED + fold)
            kept = unpack(self.rows[cell.key]["kept"])
            found = task.scores(tested.truth, kept, self._weights[cell.task, fold])
            self._drawn.update({(cell.key, k): v for k, v in found.items()})
        return self._drawn[cell.key, name]

    def compared(self, comparison: Comparison, labels: int, score: str = "") -> tuple[int, Difference | None]:
        """In how many folds both arms are there, and their difference (default: of the task's own score) where these
        are enough."""
        task = TASKS[comparison.task]
        name = score or task.score_name
        folds = sorted({c.fold for c in self.cells if c.task == comparison.task})
        pairs = [arms(comparison, labels, fold) for fold in folds]
        pairs = [(a, b) for a, b in pairs if a.key in self.rows and b.key in self.rows]
        if len(pairs) < self.config.statistics.fewest_seeds:
            return len(pairs), None
        each = np.array([self.score(a, name) - self.score(b, name) for a, b in pairs])
        drawn = np.stack([self.drawn(a, name) - self.drawn(b, name) for a, b in pairs])
        return len(pairs), paired(each, drawn, task.ratio, self.config.statistics)

    @cached_property
    def families(self) -> dict[str, list[Result]]:
        """Each comparison at each label count. The correction counts those that were decided, run or not."""
        found: dict[str, list[Result]] = {}
        for c in self.config.comparisons:
            for labels in c.labels:
                found.setdefault(c.family, []).append(Result(c, labels, *self.compared(c, labels)))
        return {name: list(self._decided(results)) for name, results in found.items()}

    def _decided(self, results: list[Result]) -> Iterator[Result]:
        differences = [r.difference for r in results]
        p = holm([1.0 if d is None else d.p for d in differences])
        same = holm([1.0 if d is None else d.p_equivalent for d in differences])
        for r, d, corrected, equivalent in zip(results, differences, p, same, strict=True):
            if d is None:
                yield r
                continue
            least = d.detectable(0.05 / len(results), self.config.statistics.power)
            said = verdict(d, corrected, equivalent)
            yield Result(r.comparison, r.labels, r.seeds, d, corrected, equivalent, least, said)
