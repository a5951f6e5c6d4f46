"""`python -m benchmarks wire [--only PART] [--full]`: what holds of the wire, part by part.

Each part is written into `wire.json` as soon as it is done, with the commit and the machine that it ran on, and leaves
the other parts as they are. Without `--full` each is small enough for a test.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.parts import measure_parts

PARTS = {
    "fuzz": "fuzz",
    "native": "native",
    "faults": "matrix",
    "availability": "availability",
    "soak": "soak",
}  # a part's name to its module


def measure(results: Path, only: Sequence[str] = (), full: bool = False) -> dict[str, Any]:
    """The whole of `wire.json`, the parts that were asked for anew (all of them, where none was)."""
    return measure_parts("wire", PARTS, results, only, full)
