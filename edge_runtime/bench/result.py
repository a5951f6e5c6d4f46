"""The result file: what was measured, on what, and every sample; `bench.schema.json` is its schema."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from edge_runtime.bench.probe import STAGES
from edge_runtime.bundle import Bundle
from edge_runtime.doctor import machine, versions
from edge_runtime.errors import UsageError
from edge_runtime.vitals import hardware

FORMAT = 1
SCHEMA = Path(__file__).parent.parent / "bench.schema.json"
TOTAL = "report"  # the sum of all stages
COLD = ("interpreter", "import", "load", "first_inference", "first_report")
_BUSY = 0.5  # processes a core that want it before we come
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "MALLOC_ARENA_MAX")
# What has to be the same for two results to differ by the software alone.
SAME_MACHINE = ("name", "architecture", "cores", "usable_cores", "memory_mb", "system", "libc", "python", "environment")


def header(bundle: Bundle, root: Path = Path("/")) -> dict[str, Any]:
    """Where and of what a measurement is. threads: of a net; the back ends are given one each."""
    return {
        "made_utc": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": {
            "name": machine(root),
            **hardware(root),
            "packages": versions(),
            "threads": 1,
            "environment": {name: os.environ[name] for name in _THREADS if name in os.environ},
        },
        "bundle": {
            "id": bundle.model.id,
            "files": {name: said["sha256"] for name, said in bundle.manifest["files"].items()},
        },
    }


def quantiles(samples: Sequence[float]) -> dict[str, float]:
    """n, p50, p95, p99, max and mean. Needs one sample."""
    p50, p95, p99 = np.percentile(samples, (50, 95, 99))
    found = {"p50": p50, "p95": p95, "p99": p99, "max": np.max(samples), "mean": np.mean(samples)}
    return {"n": len(samples), **{key: round(float(value), 4) for key, value in found.items()}}


def stage_samples(row: dict[str, Any]) -> dict[str, list[list[float]]]:
    """ms by stage, and TOTAL: a list a run."""
    found = {stage: [run["stages_ms"][stage] for run in row["runs"]] for stage in STAGES}
    found[TOTAL] = [np.sum([run["stages_ms"][stage] for stage in STAGES], axis=0).tolist() for run in row["runs"]]
    return found


def processor_ms(row: dict[str, Any]) -> list[float]:
    """Of a core's time a report, one a run: what others on the machine hardly change."""
    return [1e3 * run["processor_s"] / len(run["stages_ms"][STAGES[0]]) for run in row["runs"]]


def cold_samples(row: dict[str, Any]) -> dict[str, list[float]]:
    """ms by part of a cold start, and `start`, all of them together: one a run."""
    found = {part: [float(run["cold_ms"][part]) for run in row["runs"]] for part in COLD}
    found["start"] = [sum(run["cold_ms"][part] for part in COLD) for run in row["runs"]]
    return found


def summary(row: dict[str, Any]) -> dict[str, Any]:
    """Of a net's row: quantiles by stage and of the start, and what follows from them.

    real_time_factor: seconds of signal of one lead that a core does in one second. core_share: of one core, for one
    lead at the pace of life.
    """
    runs = row["runs"]
    signal_s, processor_s = (sum(run[key] for run in runs) for key in ("signal_s", "processor_s"))
    spent_s = sum(sum(run["stages_ms"][stage]) for run in runs for stage in STAGES) / 1e3
    return {
        "stages_ms": {name: quantiles([v for run in every for v in run]) for name, every in stage_samples(row).items()},
        "cold_ms": {part: quantiles(samples) for part, samples in cold_samples(row).items()},
        "real_time_factor": round(signal_s / spent_s, 1),
        "core_share": round(processor_s / signal_s, 6),
        "peak_memory_mb": max((run["peak_memory_mb"] for run in runs if run["peak_memory_mb"]), default=None),
    }


def busy(result: dict[str, Any]) -> bool:
    """Whether others wanted the cores: then times of the wall clock are longer by no one knows what."""
    load = result["vitals"]["before"]["load"]
    return load is not None and load > _BUSY * result["machine"]["usable_cores"]


def write(result: dict[str, Any], path: Path) -> None:
    """Raises UsageError."""
    try:
        path.write_text(json.dumps(result, indent=1) + "\n")
    except OSError as error:
        raise UsageError(f"--out {path}: cannot be written ({error.strerror}); choose another file") from error


def load(path: Path) -> dict[str, Any]:
    """Raises UsageError for what is no result, or whose summaries are not those of its samples."""
    try:
        found = json.loads(path.read_text())
        if found["format"] != FORMAT:
            raise UsageError(f"{path}: format {found['format']!r}; this version reads {FORMAT}: update leadwire")
        wrong = [r["backend"] for r in found["nets"] if r["error"] is None and r["summary"] != summary(r)]
        machine_of, bundle_id = found["machine"], found["bundle"]["id"]
    except OSError as error:
        raise UsageError(f"{path}: cannot be read ({error.strerror}); check the path") from error
    except (ValueError, KeyError, TypeError, IndexError, AttributeError, RecursionError, OverflowError) as error:
        raise UsageError(f"{path}: no result of leadwire bench ({type(error).__name__} {error})") from error
    if wrong or not isinstance(machine_of, dict) or not isinstance(bundle_id, str):
        raise UsageError(f"{path}: what it sums up is not what its samples say ({', '.join(wrong)}); measure again")
    result: dict[str, Any] = found
    return result
