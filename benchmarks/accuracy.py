"""`python -m benchmarks accuracy`: how right the values are, for patients that the net has never seen.

Five folds by patient: each fold's net (pretrained once on synthetic hearts, then fine-tuned and transferred without
that fold's patients) is exported to int8 like the shipped one and judged through the product's own code, as float
(torch) and as int8 (LiteRT).
"""

from __future__ import annotations

import csv
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from benchmarks.statistics import error_table, f1_scores
from edge_runtime.analysis import analyse_window
from edge_runtime.backends import Backend, open_backend
from edge_runtime.bundle import MEASURED, Bundle, Model, load_bundle
from edge_runtime.library import cache_folder
from edge_runtime.offline import record_rhythm
from edge_runtime.report import RHYTHMS
from edge_runtime.windows import windows_of
from export.bundle_writer import write_bundle
from train import folds
from train.datasets import cinc2017
from train.datasets.truth import Case, ludb_cases, qtdb_cases
from train.evaluate import TorchBackend, window_of
from train.run import Run

ARITHMETICS = ("float", "int8")


@dataclass(frozen=True)
class Row:
    """One measure of one case by one arithmetic; None where it was not stated, `why` says why."""

    dataset: str
    record: str
    lead: str
    fold: int
    arithmetic: str
    measure: str
    truth: float
    constant: float
    value: float | None
    low: float | None
    high: float | None
    why: str | None


def judge(
    case: Case, model: Model, backend: Backend
) -> dict[str, tuple[float | None, float | None, float | None, str | None]]:
    """By measure: value, low and high over the case's windows, or why there is none.

    Intervals: medians. Heart rate is 60 / mean RR of the stretch, so mean RR are averaged here, and not rates.
    """
    reports = [
        analyse_window(window_of(mv, case.sampling_rate_hz, case.lead), model, backend) for mv in case.windows_mv
    ]
    out: dict[str, tuple[float | None, float | None, float | None, str | None]] = {}
    for name in MEASURED:
        values = [r.measures[name] for r in reports]
        stated = np.array([(v.value, v.low, v.high) for v in values if v.valid], np.float64)
        if len(stated):
            middle = 1 / np.mean(1 / stated, axis=0) if name == "hr_bpm" else np.median(stated, axis=0)
            out[name] = (float(middle[0]), float(middle[1]), float(middle[2]), None)
        else:
            out[name] = (None, None, None, values[0].why)
    return out


def _constant(cases: list[Case], case: Case, name: str) -> float:
    """The median truth of the other folds' cases of the same data set: the best that knows nothing of the patient."""
    known = [c.truth[name] for c in cases if c.dataset == case.dataset and c.fold != case.fold]
    return float(np.median([t for t in known if t is not None]))


def interval_rows(cases: list[Case], fold: int, bundle: Bundle, backends: dict[str, Backend]) -> list[Row]:
    rows = []
    for case in (c for c in cases if c.fold == fold):
        for arithmetic, backend in backends.items():
            for name, (value, low, high, why) in judge(case, bundle.model, backend).items():
                truth = case.truth[name]
                if truth is not None:
                    constant = _constant(cases, case, name)
                    place = (case.dataset, case.record, case.lead, case.fold, arithmetic, name)
                    rows.append(Row(*place, truth, constant, value, low, high, why))
    return rows


def rhythm_rows(
    folder: Path, fold: int, model: Model, backends: dict[str, Backend], few: int
) -> list[tuple[int, str, int, int]]:
    """(fold, arithmetic, truth, said) of each of the fold's CinC records, whole record by its windows' mean."""
    own = [(n, t) for n, t in cinc2017.records(folder).items() if folds.fold_of("cinc2017", n) == fold]
    rows = []
    for name, truth in tqdm(own[: few or None], desc=f"cinc2017 fold {fold}", mininterval=5):
        mv, rate = cinc2017.read(folder, name)
        windows = windows_of(mv, rate, "I", 5.0)
        for arithmetic, backend in backends.items():
            reports = [analyse_window(w, model, backend) for w in windows]
            distribution = record_rhythm(reports, model).distribution
            said = int(np.argmax(distribution)) if distribution else RHYTHMS.index("noisy")
            rows.append((fold, arithmetic, truth, said))
    return rows


def tables(rows: list[Row]) -> dict[str, Any]:
    """Data set and lead -> measure -> arithmetic -> error table. LUDB's two leads also together."""
    groups = {
        "ludb I": lambda r: r.dataset == "ludb" and r.lead == "i",
        "ludb II": lambda r: r.dataset == "ludb" and r.lead == "ii",
        "ludb I + II": lambda r: r.dataset == "ludb",
        "qtdb": lambda r: r.dataset == "qtdb",
    }
    out: dict[str, Any] = {}
    for group, belongs in groups.items():
        for name in MEASURED:
            for arithmetic in ARITHMETICS:
                own = [r for r in rows if belongs(r) and r.measure == name and r.arithmetic == arithmetic]
                if not own:
                    continue

                def column(field: str, own: list[Row] = own) -> np.ndarray:
                    return np.array([np.nan if (v := getattr(r, field)) is None else v for r in own], np.float64)

                patients = [folds.subject(r.dataset, r.record) for r in own]
                table = error_table(
                    column("truth"), column("value"), column("low"), column("high"), column("constant"), patients
                )
                out.setdefault(group, {}).setdefault(name, {})[arithmetic] = table
    return out


def rhythm_tables(rows: list[tuple[int, str, int, int]]) -> dict[str, Any]:
    """F1 of N, A and O: all records out of fold, and fold 0's fifth alone."""
    out: dict[str, Any] = {}
    for label, chosen in (("five folds", None), ("fold 0", 0)):
        for arithmetic in ARITHMETICS:
            own = [(t, s) for f, a, t, s in rows if a == arithmetic and (chosen is None or f == chosen)]
            if own:
                scores = f1_scores([t for t, _ in own], [s for _, s in own], RHYTHMS)
                scores["f1_mean_nao"] = float(np.mean([scores["f1"][c] for c in ("normal", "af", "other")]))
                out.setdefault(label, {})[arithmetic] = scores
    return out


def measure(run: Run, results: Path) -> dict[str, Any]:
    """Run everything; write `accuracy.json` and `accuracy-rows.csv` into `results`."""
    data, few = cache_folder(), run.config.records_per_set
    cases = ludb_cases(data / "ludb", most_records=few) + qtdb_cases(data / "qtdb", most_records=few)
    rows: list[Row] = []
    rhythms: list[tuple[int, str, int, int]] = []
    bundles = []
    for fold in run.config.folds:
        place = run.folder / "cache" / f"bundle-fold{fold}"
        bundle = load_bundle(place) if place.exists() else write_bundle(run, place, str(fold), allow=True)
        bundles.append({"fold": fold, "id": bundle.model.id, "agreement": bundle.manifest["agreement"]})
        backends: dict[str, Backend] = {
            "float": TorchBackend(run.load("transfer", str(fold))),
            "int8": open_backend(bundle, "ai-edge-litert"),
        }
        rows += interval_rows(cases, fold, bundle, backends)
        rhythms += rhythm_rows(data / "cinc2017", fold, bundle.model, backends, few)
    made = json.loads((run.folder / "run.json").read_text())
    out = {
        "what": "five folds by patient (cinc2017: by record); values of nets that never saw the patient",
        "run": run.config.name,
        "commit": made["commit"],
        "bundles": bundles,
        "intervals": tables(rows),
        "rhythm": rhythm_tables(rhythms),
    }
    results.mkdir(parents=True, exist_ok=True)
    (results / "accuracy.json").write_text(json.dumps(out, indent=1) + "\n")
    with (results / "accuracy-rows.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(Row.__dataclass_fields__), lineterminator="\n")
        writer.writeheader()
        for row in rows:
            writer.writerow({k: round(v, 3) if isinstance(v, float) else v for k, v in asdict(row).items()})
    return out
