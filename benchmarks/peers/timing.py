"""What a window costs each peer: all of them in turns on the same windows, so that the machine is the same for all."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from edge_runtime.bench.result import quantiles
from edge_runtime.vitals import vitals
from train.peers import Asked, Signal

WINDOWS, ROUNDS = 40, 3
Ask = Callable[[Sequence[Signal]], Asked]


def spread(windows: Sequence[Signal], count: int = WINDOWS) -> list[Signal]:
    """So many of them, evenly over all."""
    at = np.unique(np.linspace(0, len(windows) - 1, min(count, len(windows))).round().astype(int))
    return [windows[i] for i in at]


def timed(peers: dict[str, Ask], windows: Sequence[Signal], tell: Callable[[str], None]) -> dict[str, Any]:
    """By peer: ms of a core and of the wall clock a window, the least of ROUNDS, which others on the machine disturb
    least; and the most memory that its process had."""
    chosen = spread(windows)
    found: dict[str, list[Asked]] = {name: [] for name in peers}
    load = vitals().load
    for turn in range(ROUNDS):
        for name, ask in peers.items():
            tell(f"time of {name}, round {turn + 1} of {ROUNDS}")
            found[name].append(ask(chosen))
    return {
        "windows": len(chosen),
        "rounds": ROUNDS,
        "load_before": load,
        "peers": {name: _least(rounds) for name, rounds in found.items()},
    }


def _least(rounds: Sequence[Asked]) -> dict[str, Any]:
    processor, wall = (
        np.min([[getattr(a, key) for a in asked.answers] for asked in rounds], axis=0)
        for key in ("processor_ms", "wall_ms")
    )
    return {
        "processor_ms": quantiles(processor.tolist()),
        "wall_ms": quantiles(wall.tolist()),
        "samples_ms": [round(v, 4) for v in processor.tolist()],
        "peak_memory_mb": max(asked.peak_mb or 0.0 for asked in rounds),
    }
