"""One TOML file a run. A key that is not known is refused, so that a typing error is never a silent default."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from edge_runtime.configuration import build, read_toml
from edge_runtime.ranges import INTERVALS
from train.nets import NetSpec

SOURCES = ("synthetic", "deepfake", "ludb", "qtdb", "cinc2017", "ptbxl")


@dataclass(frozen=True)
class Mix:
    """Windows drawn from each source in one epoch."""

    synthetic: int = 0
    deepfake: int = 0
    ludb: int = 0
    qtdb: int = 0
    cinc2017: int = 0
    ptbxl: int = 0


@dataclass(frozen=True)
class Weights:
    """Of each head's loss. 0: the head is not trained, and costs nothing."""

    masks: float = 1.0
    p_wave: float = 0.1
    rhythm: float = 0.35
    findings: float = 0.3
    intervals: float = 0.05  # and with it `spread`, which is the same likelihood's scale


@dataclass(frozen=True)
class Stage:
    epochs: int
    learning_rate: float
    mix: Mix
    batch: int = 64
    noise: float = 0.5  # share of windows that get noise on top
    warp: float = 0.5  # share of windows that are shifted and stretched in time
    weight_decay: float = 0.01
    weights: Weights = field(default_factory=Weights)


@dataclass(frozen=True)
class Config:
    """pretrain: on hearts whose intervals are exact; regress: on annotated leads; transfer: to the rhythm classes."""

    name: str
    seed: int
    synthetic_windows: int
    held_out_windows: int
    pretrain: Stage
    regress: Stage
    transfer: Stage
    net: NetSpec = field(default_factory=NetSpec)
    measures: tuple[str, ...] = tuple(INTERVALS)  # that the direct head is asked for
    folds: tuple[int, ...] = (0, 1, 2, 3, 4)
    deepfake_windows: int = 0  # of deepfake-ecg, where a mix asks for it
    records_per_set: int = 0  # 0: all; a smoke run takes the first few
    bridging_windows: int = 600
    max_bridged_candidates_ms: tuple[float, ...] = (8, 16, 24, 32, 48, 64, 96)

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def load_config(path: Path) -> Config:
    """Raises UsageError, naming the key, for a file that is no config."""
    return config_from(read_toml(path), str(path))


def config_from(values: dict[str, Any], name: str) -> Config:
    return build(Config, values, name)
