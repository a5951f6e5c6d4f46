"""`python -m benchmarks runtime [--only PART] [--full]`: what `leadwire run` costs and how late it is, part by part.

The program is run as a user runs it, on one core; the devices, and whoever reads its output, are on the other one.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.parts import measure_parts

PARTS = {"live": "live", "ward": "ward", "night": "night", "security": "security"}  # a part's name to its module


def measure(results: Path, only: Sequence[str] = (), full: bool = False) -> dict[str, Any]:
    """The whole of `runtime.json`, the parts that were asked for anew (all of them, where none was)."""
    return measure_parts("runtime", PARTS, results, only, full)
