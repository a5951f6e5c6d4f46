"""The study as one TOML file: budgets, the grids that its cells come from, and the comparisons that were decided."""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from edge_runtime.configuration import build
from edge_runtime.errors import UsageError

ALL_LABELS = 0  # a label count: every record of the training folds


@dataclass(frozen=True)
class TrunkSpec:
    """Channels at 62.5, 31.25 ... Hz, blocks at each level, kernel length. Multiples of 16: they suit bfloat16."""

    channels: tuple[int, ...] = (16, 32, 48, 64)
    blocks: tuple[int, ...] = (0, 1, 1, 2)
    kernel: int = 7
    dropout: float = 0.2


@dataclass(frozen=True)
class Pretraining:
    """Steps of `batch` windows each. noise, warp: shares of windows, as in train.augment; generated windows are not
    bent, as there are many of them."""

    simulator_windows: int
    deepfake_windows: int
    steps: int  # on the simulator, on deepfake-ecg, or on annotated leads alone
    real_steps: int  # on annotated leads after the simulator
    learning_rate: float
    real_learning_rate: float
    batch: int = 64
    noise: float = 0.5
    warp: float = 0.5


@dataclass(frozen=True)
class Tuning:
    """The one budget that every arm has: a trial a learning rate, each of steps_per_root * sqrt(windows) steps, and of
    each trial `checks` nets that validation chooses from."""

    learning_rates: tuple[float, ...]
    steps_per_root: float
    checks: int
    batch: int = 64
    weight_decay: float = 0.01
    noise: float = 0.5
    warp: float = 0.5


@dataclass(frozen=True)
class Grid:
    """The product of its lists. Each fold is tested with its own seed, which is its number. A net other than `trunk`
    is a baseline of the seed project's kind."""

    task: str
    sources: tuple[str, ...]
    folds: tuple[int, ...]
    labels: tuple[int, ...] = (ALL_LABELS,)
    pretraining: tuple[str, ...] = ("simulator_then_real",)
    freezing: tuple[str, ...] = ("full",)
    nets: tuple[str, ...] = ("trunk",)


@dataclass(frozen=True)
class Comparison:
    """`arm` less `against`, at each label count. Both are tables of what differs from the grid's defaults."""

    family: str
    task: str
    arm: Mapping[str, str]
    against: Mapping[str, str]
    labels: tuple[int, ...] = (ALL_LABELS,)


@dataclass(frozen=True)
class Statistics:
    """bound: differences within it are too small to matter; confidence of every interval; power of the detectable
    difference."""

    bound: float = 0.01
    confidence: float = 0.95
    power: float = 0.8
    bootstraps: int = 2000
    fewest_seeds: int = 5


@dataclass(frozen=True)
class StudyConfig:
    name: str
    plan: str
    grids: tuple[Grid, ...]
    comparisons: tuple[Comparison, ...]
    pretraining: Pretraining
    tuning: Tuning
    trunk: TrunkSpec = field(default_factory=TrunkSpec)
    statistics: Statistics = field(default_factory=Statistics)
    noise_bank: int = 1000
    bfloat16: bool = True
    records_per_set: int = 0  # 0: all; a smoke run takes the first few

    @property
    def digest(self) -> str:
        """Seven digits of what a cell's result depends on; the tables of cells and comparisons are not part of it."""
        of = {k: v for k, v in asdict(self).items() if k not in ("name", "plan", "grids", "comparisons", "statistics")}
        return hashlib.sha256(json.dumps(of, sort_keys=True).encode()).hexdigest()[:7]


def load_study(path: Path) -> StudyConfig:
    """Raises UsageError, naming the key, for a file that is no study."""
    try:
        values = tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise UsageError(f"{path}: cannot be read ({error.strerror}); give a study with --config") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: no TOML ({error})") from error
    return study_from(values, str(path))


def study_from(values: dict[str, Any], name: str) -> StudyConfig:
    lists = {key: values.pop(key, None) for key in ("grids", "comparisons")}
    if not all(isinstance(rows, list) and rows for rows in lists.values()):
        raise UsageError(f"{name}: a study has [[grids]] and [[comparisons]]; see train/configs/study.toml")
    grids = tuple(build(Grid, row, name, "grids.") for row in lists["grids"] or ())
    comparisons = tuple(build(Comparison, row, name, "comparisons.") for row in lists["comparisons"] or ())
    known = {f.name for f in fields(Grid)} | {"source", "net"}
    for c in comparisons:
        if unknown := {*c.arm, *c.against} - known:
            raise UsageError(f"{name}: unknown key 'comparisons.{min(unknown)}' in an arm")
    config: StudyConfig = build(StudyConfig, {**values, "grids": grids, "comparisons": comparisons}, name, "")
    return config


def smoked(config: StudyConfig) -> StudyConfig:
    """The same study at a size at which a test can run it: two folds of the first grid of each kind, each cell hardly
    trained."""
    kinds: dict[tuple[object, ...], Grid] = {}
    for grid in config.grids:
        few = replace(grid, folds=grid.folds[:2], labels=grid.labels[:1], nets=grid.nets[:1])
        kinds.setdefault((grid.task, grid.pretraining, grid.freezing, grid.nets), few)
    pretraining = replace(config.pretraining, simulator_windows=48, deepfake_windows=4, steps=4, real_steps=2, batch=16)
    return replace(
        config,
        name=f"{config.name}-smoke",
        grids=tuple(kinds.values()),
        pretraining=pretraining,
        tuning=replace(config.tuning, steps_per_root=0.2, checks=2, batch=16),
        trunk=replace(config.trunk, channels=(16, 16, 16, 16), blocks=(0, 0, 0, 1)),
        statistics=replace(config.statistics, bootstraps=50, fewest_seeds=2),
        noise_bank=16,
        records_per_set=8,
    )
