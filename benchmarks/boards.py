"""`python -m benchmarks boards`: LUDB's leads I and II as each board of the table would have recorded them.

The analogue band, the rate, the bits and the rails of the row; then the same int8 nets of five folds, on the same
patients, that judged the recordings as they are. What the board costs is the difference, case by case.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from benchmarks.accuracy import fold_bundle
from benchmarks.statistics import bootstrap_by_patient
from edge_runtime.analysis import analyse_window
from edge_runtime.backends import open_backend
from edge_runtime.bundle import MEASURED
from edge_runtime.library import cache_folder
from firmware_bridge.boards import BOARDS, Board
from firmware_bridge.front_end import through
from train.datasets.truth import ludb_cases
from train.evaluate import window_of
from train.run import Run, commit

AS_RECORDED = "as recorded"


def playable() -> dict[str, Board]:
    """The rows whose rate and counts are known without a stream."""
    return {
        name: board
        for name, board in BOARDS.items()
        if board.sampling_rate_hz is not None and board.picovolts_per_count is not None
    }


def measure(run: Run, results: Path) -> dict[str, Any]:
    """Write `boards.json`: by board its numbers, and by measure MAE, its difference to the recording's own, n."""
    cases = ludb_cases(cache_folder() / "ludb", most_records=run.config.records_per_set)
    boards = playable()
    errors: dict[str, dict[str, list[float | None]]] = {
        name: {m: [] for m in MEASURED} for name in (AS_RECORDED, *boards)
    }
    patients: dict[str, list[str]] = {m: [] for m in MEASURED}
    for fold in tqdm(run.config.folds, desc="folds"):
        bundle = fold_bundle(run, fold)
        backend = open_backend(bundle, "ai-edge-litert")
        for case in (c for c in cases if c.fold == fold):
            mv, rate = case.windows_mv[0], case.sampling_rate_hz
            seen = {AS_RECORDED: (mv, rate)} | {name: through(board, mv, rate) for name, board in boards.items()}
            for name, (samples_mv, hz) in seen.items():
                report = analyse_window(window_of(samples_mv, hz, case.lead), bundle.model, backend)
                for m in MEASURED:
                    truth, value = case.truth[m], report.measures[m].value
                    if truth is not None:
                        errors[name][m].append(None if value is None else value - truth)
            for m in MEASURED:
                if case.truth[m] is not None:
                    patients[m].append(case.record)
    out = {
        "what": "LUDB I + II through each board's front end; int8, nets that never saw the patient",
        "measured_at_commit": commit(),
        "boards": {
            name: {
                **_numbers(boards.get(name)),
                "measures": {m: _judged(by[m], errors[AS_RECORDED][m], patients[m]) for m in MEASURED},
            }
            for name, by in errors.items()
        },
    }
    results.mkdir(parents=True, exist_ok=True)
    (results / "boards.json").write_text(json.dumps(out, indent=1) + "\n")
    return out


def _numbers(board: Board | None) -> dict[str, Any]:
    if board is None:
        return {"sampling_rate_hz": 500.0}
    names = ("sampling_rate_hz", "bits", "picovolts_per_count", "high_pass_hz", "low_pass_hz")
    return {name: getattr(board, name) for name in names}


def _judged(ours: list[float | None], plain: list[float | None], patients: list[str]) -> dict[str, Any]:
    stated = np.array([e is not None for e in ours])
    pairs = zip(ours, plain, patients, strict=True)
    both = [(abs(a) - abs(b), p) for a, b, p in pairs if a is not None and b is not None]
    worse, who = np.array([d for d, _ in both]), [p for _, p in both]
    found = np.abs([e for e in ours if e is not None])
    return {
        "n": len(ours),
        "stated": int(stated.sum()),
        "mae": float(found.mean()) if len(found) else None,
        "worse": float(worse.mean()) if both else None,
        "worse_ci95": list(bootstrap_by_patient(worse, who)) if both else None,
    }
