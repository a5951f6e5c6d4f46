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
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks import classes, coverage, neighbour, worst
from benchmarks.cases import all_cases
from benchmarks.statistics import error_table
from edge_runtime.analysis import analyse_window
from edge_runtime.backends import Backend, open_backend
from edge_runtime.bundle import MEASURED, Bundle, Model, load_bundle
from edge_runtime.errors import BundleError
from edge_runtime.library import cache_folder
from export.bundle_writer import write_bundle
from train import folds
from train.augment import EM_TRAINING_SHARE, electrode_motion
from train.by_fold import each_fold
from train.datasets import ludb
from train.datasets.truth import Case
from train.evaluate import TorchBackend, signal_to_noise, window_of, within_ec13
from train.run import Run, commit

ARITHMETICS = ("float", "int8", neighbour.NEIGHBOUR)
NOISE_DB = (18.0, 12.0, 6.0, 0.0, -6.0)
SELECTION_FOLD = 0  # train/configs/compare.toml


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
    share: float  # of the case's windows that state it


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
) -> dict[str, tuple[float | None, float | None, float | None, str | None, float]]:
    """By measure: value, low and high over the case's windows, or why there is none; the share that states it.

    Intervals: medians. Heart rate is 60 / mean RR of the stretch, so mean RR are averaged here, and not rates.
    """
    reports = [
        analyse_window(window_of(mv, case.sampling_rate_hz, case.lead), model, backend) for mv in case.windows_mv
    ]
    out: dict[str, tuple[float | None, float | None, float | None, str | None, float]] = {}
    for name in MEASURED:
        values = [r.measures[name] for r in reports]
        stated = np.array([(v.value, v.low, v.high) for v in values if v.valid], np.float64)
        if len(stated):
            middle = harmonic(stated) if name == "hr_bpm" else np.median(stated, axis=0)
            out[name] = (float(middle[0]), float(middle[1]), float(middle[2]), None, len(stated) / len(values))
        else:
            out[name] = (None, None, None, values[0].why, 0.0)
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
            for name, (value, low, high, why, share) in judge(case, bundle.model, backend).items():
                truth = true_value(case, name)
                if truth is not None:
                    place = (case.dataset, case.record, case.lead, case.fold, arithmetic, name)
                    rows.append(Row(*place, truth, constants[case.dataset, name], value, low, high, why, share))
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


def tables(rows: list[Row]) -> dict[str, Any]:
    """Data set and lead -> measure -> arithmetic -> error table. LUDB's two leads also together."""
    groups: dict[str, Callable[[Row], bool]] = {
        "ludb I": lambda r: r.dataset == "ludb" and r.lead == "i",
        "ludb II": lambda r: r.dataset == "ludb" and r.lead == "ii",
        "ludb I + II": lambda r: r.dataset == "ludb",
        "qtdb": lambda r: r.dataset == "qtdb",
        # The selection fold chose the net and its heads; the others chose nothing.
        "ludb I + II, folds 1 to 4": lambda r: r.dataset == "ludb" and r.fold != SELECTION_FOLD,
        "qtdb, folds 1 to 4": lambda r: r.dataset == "qtdb" and r.fold != SELECTION_FOLD,
    }
    return {g: by for g, belongs in groups.items() if (by := _by_measure([r for r in rows if belongs(r)], ARITHMETICS))}


def group_tables(rows: list[Row], subjects: dict[str, ludb.Subject]) -> dict[str, Any]:
    """int8 on LUDB I + II by sex, age and rate, and on both sets by rate: group -> measure -> error table."""
    rates = {(r.dataset, r.record, r.lead): r.truth for r in rows if r.measure == "hr_bpm"}

    def rate(r: Row) -> float:
        return rates.get((r.dataset, r.record, r.lead), np.nan)

    def age(r: Row) -> float:
        found = subjects.get(r.record) if r.dataset == "ludb" else None
        return np.nan if found is None or found.age is None else found.age

    def sex(r: Row) -> str | None:
        found = subjects.get(r.record) if r.dataset == "ludb" else None
        return found.sex if found else None

    groups: dict[str, Callable[[Row], bool]] = {
        "ludb, women": lambda r: sex(r) == "F",
        "ludb, men": lambda r: sex(r) == "M",
        "ludb, under 50 years": lambda r: age(r) < 50,
        "ludb, 50 to 69 years": lambda r: 50 <= age(r) < 70,
        "ludb, 70 years and over": lambda r: age(r) >= 70,
        "both, under 60 bpm": lambda r: rate(r) < 60,
        "both, 60 to 99 bpm": lambda r: 60 <= rate(r) < 100,
        "both, 100 bpm and over": lambda r: rate(r) >= 100,
    }
    return {g: by for g, belongs in groups.items() if (by := _by_measure([r for r in rows if belongs(r)], ("int8",)))}


def _by_measure(rows: list[Row], arithmetics: tuple[str, ...]) -> dict[str, Any]:
    """Measure -> arithmetic -> error table."""
    out: dict[str, Any] = {}
    for name in MEASURED:
        for arithmetic in arithmetics:
            own = [r for r in rows if r.measure == name and r.arithmetic == arithmetic]
            if own:
                truth, value, low, high, constant, share = (
                    np.array([np.nan if (v := getattr(r, field)) is None else v for r in own], np.float64)
                    for field in ("truth", "value", "low", "high", "constant", "share")
                )
                patients = [folds.subject(r.dataset, r.record) for r in own]
                out.setdefault(name, {})[arithmetic] = error_table(truth, value, low, high, constant, patients, share)
    return out


def peer_rows(rows: list[Row], values: neighbour.Values) -> list[Row]:
    """The same cases and truths with the peer's values; it has no ranges."""
    out = []
    for r in rows:
        said = values.get((r.dataset, r.record, r.lead))
        if r.arithmetic == "int8" and said is not None:
            value, why = said[r.measure], None if said[r.measure] is not None else "not given"
            share = float(value is not None)
            own = replace(r, arithmetic=neighbour.NEIGHBOUR, value=value, low=None, high=None)
            out.append(replace(own, why=why, share=share))
    return out


def _presence(case: Case, backend: Backend) -> classes.PresenceRow:
    place = case.dataset, folds.subject(case.dataset, case.record), case.p_waves == 1
    return classes.presence_row(*place, case.windows_mv[0], case.sampling_rate_hz, backend)


def fold_bundle(run: Run, fold: int) -> Bundle:
    """The fold's int8 bundle, exported again unless weights, calibration and code are those it was made from."""
    place, name = run.cache / f"bundle-fold{fold}", str(fold)
    if place.exists():
        with contextlib.suppress(BundleError):
            bundle = load_bundle(place)
            made = bundle.manifest["provenance"]
            calibration = hashlib.sha256((run.folder / "calibration.json").read_bytes()).hexdigest()
            now = (run.digest(name), calibration, commit())
            if not now[2].endswith(("+", "unknown")) and now == (
                made["weights_sha256"],
                made["calibration_sha256"],
                made["exported_at_commit"],
            ):
                return bundle
    return write_bundle(run, place, name, allow=True)


def draw_worst(run: Run, rows: list[Row], cases: list[Case], results: Path) -> None:
    """`worst-windows.png`: the int8 values that are furthest off, each beside its annotator's waves."""
    by_place = {(c.dataset, c.record, c.lead): c for c in cases}
    found = [
        worst.Worst(by_place[r.dataset, r.record, r.lead], r.measure, r.truth, r.value - r.truth)
        for r in rows
        if r.arithmetic == "int8" and r.value is not None
    ]
    chosen = worst.worst_of(found)
    bundles = {f: fold_bundle(run, f) for f in {w.case.fold for w in chosen}}
    backends = {f: open_backend(bundle, "ai-edge-litert") for f, bundle in bundles.items()}
    drawn = [(w, bundles[w.case.fold].model, backends[w.case.fold]) for w in chosen]
    worst.picture(drawn, results / "worst-windows.png")


@dataclass(frozen=True)
class Found:
    """What one fold's nets, or several, were found to say."""

    rows: list[Row] = field(default_factory=list)
    ranges: list[coverage.RangeRow] = field(default_factory=list)
    presence: list[classes.PresenceRow] = field(default_factory=list)
    without_p: list[tuple[str, bool]] = field(default_factory=list)
    noisy: list[tuple[float, bool, bool, float]] = field(default_factory=list)
    rhythms: list[classes.RhythmRow] = field(default_factory=list)
    findings: list[classes.FindingRow] = field(default_factory=list)
    bundles: list[dict[str, Any]] = field(default_factory=list)

    def add(self, other: Found) -> None:
        for name, rows in vars(self).items():
            rows += getattr(other, name)


def judge_fold(job: tuple[Path, int]) -> Found:
    """Everything that is asked of one fold's nets; a process of its own can do it."""
    run, fold = Run.open(job[0]), job[1]
    torch.set_num_threads(1)
    data, few, cases = cache_folder(), run.config.records_per_set, all_cases(run)
    calibration = json.loads((run.folder / "calibration.json").read_text())
    bundle = fold_bundle(run, fold)
    model, int8 = bundle.model, open_backend(bundle, "ai-edge-litert")
    backends: dict[str, Backend] = {"float": TorchBackend(run.load("transfer", str(fold))), "int8": int8}
    em = electrode_motion((EM_TRAINING_SHARE, 1.0))
    out = Found(
        rows=interval_rows(cases, fold, bundle, backends),
        ranges=coverage.range_rows(cases, fold, model, int8, calibration),
        presence=[_presence(c, int8) for c in cases if c.fold == fold and c.p_waves in (0, 1)],
        without_p=false_pr(cases, fold, model, int8),
        noisy=[] if em is None else noise_rows(cases, fold, model, int8, em),
        rhythms=classes.rhythm_rows(data / "cinc2017", fold, model, backends, few),
        bundles=[{"fold": fold, "id": model.id, "agreement": bundle.manifest["agreement"]}],
    )
    if (data / "ptbxl").exists():
        out.presence.extend(classes.ptbxl_presence(data / "ptbxl", fold, int8, few))
        out.findings.extend(classes.finding_rows(data / "ptbxl", fold, model, backends, few))
    return out


def measure(run: Run, results: Path) -> dict[str, Any]:
    """Run everything, a fold a core; write `accuracy.json`, `accuracy-rows.csv` and the pictures into `results`."""
    found = Found()
    jobs = [(run.folder, fold) for fold in run.config.folds]
    for part in each_fold(run, judge_fold, jobs):
        found.add(part)
    results.mkdir(parents=True, exist_ok=True)
    rows = [*found.rows, *peer_rows(found.rows, neighbour.kept(results))]
    out: dict[str, Any] = {
        "what": "five folds by patient (cinc2017: by record); values of nets that never saw the patient",
        "run": run.config.name,
        "trained_at_commits": run.commits(str(run.config.folds[0])),
        "measured_at_commit": commit(),
        "weights": {str(fold): run.digest(str(fold)) for fold in run.config.folds},
        "bundles": found.bundles,
        "intervals": tables(rows),
        "by_group": group_tables(rows, ludb.subjects(cache_folder() / "ludb")),
        "ranges": coverage.coverage_tables(found.ranges),
        "p_presence": classes.presence_tables(found.presence),
        "pr_where_there_is_no_p": {
            name: {"n": len(own), "stated": sum(own)}
            for name in ("ludb", "qtdb")
            if (own := [stated for dataset, stated in found.without_p if dataset == name])
        },
        "noise": noise_table(found.noisy),
        "rhythm": classes.rhythm_tables(found.rhythms),
        "findings": classes.finding_tables(found.findings),
    }
    draw_worst(run, rows, all_cases(run), results)
    classes.presence_picture(out["p_presence"], results / "p-presence.png")
    (run.folder / "accuracy.json").write_text(json.dumps(out) + "\n")
    (results / "accuracy.json").write_text(json.dumps(out, indent=1) + "\n")
    with (results / "accuracy-rows.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(Row.__dataclass_fields__), lineterminator="\n")
        writer.writeheader()
        for row in rows:
            writer.writerow({k: round(v, 3) if isinstance(v, float) else v for k, v in asdict(row).items()})
    return out
