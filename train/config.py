"""One TOML file a run. A key that is not known is refused, so that a typing error is never a silent default."""

from __future__ import annotations

import tomllib
from dataclasses import MISSING, asdict, dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import Any, get_type_hints

from edge_runtime.errors import UsageError
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
    try:
        return config_from(tomllib.loads(path.read_text("utf-8")), str(path))
    except OSError as error:
        raise UsageError(f"{path}: cannot be read ({error.strerror}); give a config with --config") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: no TOML ({error})") from error


def config_from(values: dict[str, Any], name: str) -> Config:
    config: Config = build(Config, values, name, "")
    return config


def build(kind: type, values: dict[str, Any], name: str, prefix: str) -> Any:
    hints, known = get_type_hints(kind), {f.name: f for f in fields(kind)}
    for key in values:
        if key not in known:
            raise UsageError(f"{name}: unknown key '{prefix}{key}'; known are {', '.join(known)}")
    missing = [k for k, f in known.items() if k not in values and f.default is MISSING and f.default_factory is MISSING]
    if missing:
        raise UsageError(f"{name}: key '{prefix}{missing[0]}' is missing")
    built = {}
    for key, value in values.items():
        if is_dataclass(hints[key]):
            if not isinstance(value, dict):
                raise UsageError(f"{name}: '{prefix}{key}' must be a table")
            built[key] = build(hints[key], value, name, f"{prefix}{key}.")
        elif isinstance(value, list):
            built[key] = tuple(value)
        elif hints[key] in (int, str) and (not isinstance(value, hints[key]) or isinstance(value, bool)):
            raise UsageError(f"{name}: '{prefix}{key}' must be {hints[key].__name__}, not {value!r}")
        elif hints[key] is float and not isinstance(value, int | float):
            raise UsageError(f"{name}: '{prefix}{key}' must be a number, not {value!r}")
        else:
            built[key] = value
    return kind(**built)
