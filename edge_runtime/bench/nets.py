"""Every net that a bundle holds for every back end that is here, each in fresh processes, in turns."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from edge_runtime.backends import BACKENDS
from edge_runtime.bench.heart import Played, wearable, write_wire
from edge_runtime.bundle import FLOAT, Bundle, load_bundle
from edge_runtime.errors import BundleError, UsageError
from edge_runtime.monitor import HOP_S

INT8, FLOAT_FORM = "int8", "float"
_SLACK_S = 3.0
_CHILD_S = 600.0


@dataclass(frozen=True)
class Effort:
    """runs: fresh processes a net; of each its first report, warm_up reports that count for nothing, and reports."""

    runs: int = 8
    warm_up: int = 10
    reports: int = 50


def bundle_of(folder: Path, form: str) -> Bundle:
    """With its int8 files, or with the float ones that lie beside them (`python -m export --with-float`)."""
    bundle = load_bundle(folder)
    if form == INT8:
        return bundle
    files = {kind: (folder / name).read_bytes() for kind, name in FLOAT.items() if (folder / name).exists()}
    if not files:
        raise BundleError(f"{folder}: has no float net; python -m export RUN --out {folder} --with-float adds it")
    return replace(bundle, files=files)


def measure_nets(
    folders: dict[str, Path],
    backends: Sequence[str],
    played: Played,
    effort: Effort,
    scratch: Path,
    tell: Callable[[str], None],
) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Rows, one a form and back end, and what they were measured on.

    folders: by form the bundle. Raises BundleError for one without that form, UsageError where no back end works.
    """
    bundles = {form: bundle_of(folder, form) for form, folder in folders.items()}
    window_s = bundles[INT8].model.window_s
    seconds = window_s + (1 + effort.warm_up + effort.reports) * HOP_S + _SLACK_S
    device, wire = wearable(played, seconds), scratch / "wire.npz"
    sha256 = write_wire(device, wire, window_s)
    rows: list[dict[str, Any]] = [
        {"backend": backend, "form": form, "runs": [], "error": None} for form in folders for backend in backends
    ]
    for turn in range(effort.runs):
        for row in (row for row in rows if row["error"] is None):
            tell(f"{row['backend']}, {row['form']}: run {turn + 1} of {effort.runs}")
            job = {
                "bundle": str(folders[row["form"]]),
                "form": row["form"],
                "backend": row["backend"],
                "board": played.board,
                "wire": str(wire),
                "kept": str(scratch / "reports.jsonl"),
                "warm_up": effort.warm_up,
                "reports": effort.reports,
            }
            try:
                row["runs"].append(_child(job))
            except UsageError as error:
                row["error"] = str(error)
    if all(row["error"] for row in rows):
        raise UsageError("; ".join(dict.fromkeys(str(row["error"]) for row in rows)))
    return rows, {
        "record": played.record,
        "lead": played.lead,
        "board": played.board,
        "sampling_rate_hz": device.sampling_rate_hz,
        "first_window_sha256": sha256,
        "window_s": window_s,
        "hop_s": HOP_S,
    }


def _child(job: dict[str, Any]) -> dict[str, Any]:
    """Raises UsageError with the process's last words."""
    command = [sys.executable, "-m", "edge_runtime.bench.child", str(time.monotonic()), json.dumps(job)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=_CHILD_S, check=False)
    if done.returncode:
        raise UsageError((done.stderr.strip().splitlines() or [f"it ended with code {done.returncode}"])[-1])
    said: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    if len(said["stages_ms"]["net"]) != job["reports"]:
        raise UsageError(f"only {len(said['stages_ms']['net'])} of {job['reports']} windows were full")
    return said


def chosen_backends(names: Sequence[str] | None) -> tuple[str, ...]:
    """All, or those that were named. Raises UsageError for one that is not known."""
    for name in names or ():
        if name not in BACKENDS:
            raise UsageError(f"no back end {name!r}; there are {', '.join(BACKENDS)}")
    return tuple(names or BACKENDS)
