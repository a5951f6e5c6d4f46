"""`python -m benchmarks accuracy`: how right the values are, for patients that the net has never seen.

Five folds by patient: each fold's net (pretrained once on synthetic hearts, then fine-tuned and transferred without
that fold's patients) is exported to int8 like the shipped one and judged through the product's own code, as float
(torch) and as int8 (LiteRT).
"""

from __future__ import annotations

import contextlib
import csv
import hashlib
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
from edge_runtime.errors import BundleError
from edge_runtime.library import cache_folder
from edge_runtime.offline import record_rhythm
from edge_runtime.report import RHYTHMS
from edge_runtime.windows import windows_of
from export.bundle_writer import write_bundle
from train import folds
from train.augment import EM_TRAINING_SHARE, electrode_motion
from train.datasets import cinc2017
from train.datasets.truth import Case, ludb_cases, qtdb_cases
from train.evaluate import TorchBackend, signal_to_noise, window_of, within_ec13
from train.run import Run, commit

ARITHMETICS = ("float", "int8")
NOISE_DB = (18.0, 12.0, 6.0, 0.0, -6.0)
# fold, arithmetic, truth, likeliest class, and whether the product would state it (its probability is high enough)
RhythmRow = tuple[int, str, int, int, bool]


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


def harmonic(values: np.ndarray) -> np.ndarray:
    """The rate whose RR is the mean of the rates' RR, down the first axis."""
    return np.asarray(1 / np.mean(1 / values, axis=0))


def true_value(case: Case, name: str) -> float | None:
    """What a device that is right in every window would say of the case."""
    if name != "hr_bpm":
        return case.truth[name]
    rates = [t[name] for t in case.window_truth]
    return None if None in rates else float(harmonic(np.array(rates, np.float64)))


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
            middle = harmonic(stated) if name == "hr_bpm" else np.median(stated, axis=0)
            out[name] = (float(middle[0]), float(middle[1]), float(middle[2]), None)
        else:
            out[name] = (None, None, None, values[0].why)
    return out


def _constant(cases: list[Case], case: Case, name: str) -> float:
    """The median truth of the other folds' cases of the same data set: the best that knows nothing of the patient."""
    known = [true_value(c, name) for c in cases if c.dataset == case.dataset and c.fold != case.fold]
    return float(np.median([t for t in known if t is not None]))


def interval_rows(cases: list[Case], fold: int, bundle: Bundle, backends: dict[str, Backend]) -> list[Row]:
    rows = []
    own = [c for c in cases if c.fold == fold]
    # By data set, not by case: the other folds' cases are the same for all of this one's.
    constants = {
        (c.dataset, name): _constant(cases, c, name) for c in {c.dataset: c for c in own}.values() for name in MEASURED
    }
    for case in own:
        for arithmetic, backend in backends.items():
            for name, (value, low, high, why) in judge(case, bundle.model, backend).items():
                truth = true_value(case, name)
                if truth is not None:
                    place = (case.dataset, case.record, case.lead, case.fold, arithmetic, name)
                    rows.append(Row(*place, truth, constants[case.dataset, name], value, low, high, why))
    return rows


def false_pr(cases: list[Case], fold: int, model: Model, backend: Backend) -> list[tuple[str, bool]]:
    """(data set, whether a PR is stated) of the fold's cases in which the annotator marked no P wave at all."""
    without = [c for c in cases if c.fold == fold and c.p_waves == 0]
    return [(c.dataset, judge(c, model, backend)["pr_ms"][0] is not None) for c in without]


def noise_rows(
    cases: list[Case], fold: int, model: Model, backend: Backend, em: tuple[np.ndarray, float]
) -> list[tuple[float, bool, bool, float]]:
    """(dB, stated, right, quality) of the heart rate of LUDB windows under electrode motion that no training saw."""
    rng = np.random.default_rng([fold, 8])
    rows = []
    for case in (c for c in cases if c.fold == fold and c.dataset == "ludb"):
        clean, rate, truth = case.windows_mv[0], case.sampling_rate_hz, case.truth["hr_bpm"]
        for decibel in NOISE_DB:
            size = round(len(clean) / rate * em[1])
            first = rng.integers(em[0].shape[1] - size)
            piece = em[0][rng.integers(2), first : first + size]
            noise = np.interp(np.linspace(0, size - 1, len(clean)), np.arange(size), piece)
            mv = signal_to_noise(clean, noise, rate, decibel)
            report = analyse_window(window_of(mv, rate, case.lead), model, backend)
            value = report.measures["hr_bpm"].value
            if truth is not None:
                rows.append((decibel, value is not None, within_ec13(value, truth), report.quality or 0.0))
    return rows


def noise_table(rows: list[tuple[float, bool, bool, float]]) -> dict[str, dict[str, float]]:
    """By dB: windows, the share whose heart rate is stated, and the share of these that is within 10 % or 5 bpm."""
    out = {}
    for decibel in NOISE_DB:
        own = [(stated, right) for db, stated, right, _ in rows if db == decibel]
        stated = sum(s for s, _ in own)
        right = sum(s and r for s, r in own)
        out[f"{decibel:g}"] = {
            "n": len(own),
            "stated": stated / len(own) if own else 0.0,
            "right_of_stated": right / stated if stated else 0.0,
        }
    return out


def rhythm_rows(folder: Path, fold: int, model: Model, backends: dict[str, Backend], few: int) -> list[RhythmRow]:
    """Each of the fold's CinC records, whole record by its windows' mean."""
    own = [(n, t) for n, t in cinc2017.records(folder).items() if folds.fold_of("cinc2017", n) == fold]
    rows = []
    for name, truth in tqdm(own[: few or None], desc=f"cinc2017 fold {fold}", mininterval=5):
        mv, rate = cinc2017.read(folder, name)
        windows = windows_of(mv, rate, "I", 5.0)
        for arithmetic, backend in backends.items():
            reports = [analyse_window(w, model, backend) for w in windows]
            rhythm = record_rhythm(reports, model)
            said = int(np.argmax(rhythm.distribution)) if rhythm.distribution else RHYTHMS.index("noisy")
            rows.append((fold, arithmetic, truth, said, rhythm.label is not None))
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


def rhythm_tables(rows: list[RhythmRow]) -> dict[str, Any]:
    """F1 of N, A and O: all records out of fold, and fold 0's fifth alone."""
    out: dict[str, Any] = {}
    for label, chosen in (("five folds", None), ("fold 0", 0)):
        for arithmetic in ARITHMETICS:
            own = [r for r in rows if r[1] == arithmetic and (chosen is None or r[0] == chosen)]
            if own:
                scores = f1_scores([r[2] for r in own], [r[3] for r in own], RHYTHMS)
                scores["labelled"] = float(np.mean([r[4] for r in own]))
                scores["f1_mean_nao"] = float(np.mean([scores["f1"][c] for c in ("normal", "af", "other")]))
                out.setdefault(label, {})[arithmetic] = scores
    return out


def fold_bundle(run: Run, fold: int) -> Bundle:
    """The fold's int8 bundle, exported again unless weights, calibration and code are those it was made from."""
    place, name = run.folder / "cache" / f"bundle-fold{fold}", str(fold)
    if place.exists():
        with contextlib.suppress(BundleError):
            bundle = load_bundle(place)
            made = bundle.manifest["provenance"]
            calibration = hashlib.sha256((run.folder / "calibration.json").read_bytes()).hexdigest()
            now = (run.digest(name), calibration, commit())
            if now == (made["weights_sha256"], made["calibration_sha256"], made["exported_at_commit"]):
                return bundle
    return write_bundle(run, place, name, allow=True)


def measure(run: Run, results: Path) -> dict[str, Any]:
    """Run everything; write `accuracy.json` and `accuracy-rows.csv` into `results`."""
    data, few = cache_folder(), run.config.records_per_set
    cases = ludb_cases(data / "ludb", most_records=few) + qtdb_cases(data / "qtdb", most_records=few)
    rows: list[Row] = []
    rhythms: list[RhythmRow] = []
    bundles = []
    without_p: list[tuple[str, bool]] = []
    noisy: list[tuple[float, bool, bool, float]] = []
    em = electrode_motion((EM_TRAINING_SHARE, 1.0))
    for fold in run.config.folds:
        bundle = fold_bundle(run, fold)
        bundles.append({"fold": fold, "id": bundle.model.id, "agreement": bundle.manifest["agreement"]})
        backends: dict[str, Backend] = {
            "float": TorchBackend(run.load("transfer", str(fold))),
            "int8": open_backend(bundle, "ai-edge-litert"),
        }
        rows += interval_rows(cases, fold, bundle, backends)
        without_p += false_pr(cases, fold, bundle.model, backends["int8"])
        if em is not None:
            noisy += noise_rows(cases, fold, bundle.model, backends["int8"], em)
        rhythms += rhythm_rows(data / "cinc2017", fold, bundle.model, backends, few)
    out = {
        "what": "five folds by patient (cinc2017: by record); values of nets that never saw the patient",
        "run": run.config.name,
        "trained_at_commits": run.commits(str(run.config.folds[0])),
        "measured_at_commit": commit(),
        "weights": {str(fold): run.digest(str(fold)) for fold in run.config.folds},
        "bundles": bundles,
        "intervals": tables(rows),
        "pr_where_there_is_no_p": {
            name: {"n": len(own), "stated": sum(own)}
            for name in ("ludb", "qtdb")
            if (own := [stated for dataset, stated in without_p if dataset == name])
        },
        "noise": noise_table(noisy),
        "quality_brier": float(np.mean([(q - right) ** 2 for _, _, right, q in noisy])) if noisy else None,
        "rhythm": rhythm_tables(rhythms),
    }
    (run.folder / "accuracy.json").write_text(json.dumps(out) + "\n")
    results.mkdir(parents=True, exist_ok=True)
    (results / "accuracy.json").write_text(json.dumps(out, indent=1) + "\n")
    with (results / "accuracy-rows.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(Row.__dataclass_fields__), lineterminator="\n")
        writer.writeheader()
        for row in rows:
            writer.writerow({k: round(v, 3) if isinstance(v, float) else v for k, v in asdict(row).items()})
    return out
