"""`python -m benchmarks wire [--only PART] [--full]`: what holds of the wire, part by part.

Each part is written into `wire.json` as soon as it is done, with the commit and the machine that it ran on, and leaves
the other parts as they are. Without `--full` each is small enough for a test.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from edge_runtime.doctor import examine

PARTS = {
    "fuzz": "fuzz",
    "native": "native",
    "faults": "matrix",
    "availability": "availability",
    "soak": "soak",
}  # a part's name to its module


def measure(results: Path, only: Sequence[str] = (), full: bool = False) -> dict[str, Any]:
    """The whole of `wire.json`, the parts that were asked for anew (all of them, where none was)."""
    from train.run import commit

    path = results / "wire.json"
    found: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    results.mkdir(parents=True, exist_ok=True)
    for name in only or PARTS:
        part: Callable[[bool], dict[str, Any]] = import_module(f"benchmarks.wire.{PARTS[name]}").measure
        found[name] = {"full": full, "measured_at_commit": commit(), "machine": _machine(), **part(full)}
        found = {part: found[part] for part in PARTS if part in found}
        path.write_text(json.dumps(found, indent=1) + "\n")
    return found


def _machine() -> str:
    """Processor and Python, as the doctor says them."""
    said = [line for line in examine() if line.startswith(("machine: ", "python "))]
    return ", ".join(line.removeprefix("machine: ") for line in reversed(said))
