"""A benchmark of several parts: each is written into the result as soon as it is done, with the commit and the machine
that it ran on, and leaves the other parts as they are."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from edge_runtime.doctor import examine


def measure_parts(
    name: str, parts: Mapping[str, str], results: Path, only: Sequence[str], full: bool
) -> dict[str, Any]:
    """The whole of `NAME.json`, the parts that were asked for anew (all of them, where none was).

    parts: each one's module in `benchmarks.NAME`, whose `measure(full)` is called.
    """
    from train.run import commit

    path = results / f"{name}.json"
    found: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    results.mkdir(parents=True, exist_ok=True)
    for part in only or parts:
        measure: Callable[[bool], dict[str, Any]] = import_module(f"benchmarks.{name}.{parts[part]}").measure
        found[part] = {"full": full, "measured_at_commit": commit(), "machine": machine(), **measure(full)}
        found = {key: found[key] for key in parts if key in found}
        path.write_text(json.dumps(found, indent=1) + "\n")
    return found


def machine() -> str:
    """Processor and Python, as the doctor says them."""
    said = [line for line in examine() if line.startswith(("machine: ", "python "))]
    return ", ".join(line.removeprefix("machine: ") for line in reversed(said))
