"""`python -m benchmarks quality`: what is refused, whether rightly, and by which name.

Five folds by patient, as in `accuracy`: hearts of LUDB, QTDB and MIT-BIH under noise that no training saw, faults made
on purpose, CinC 2017's noisy records, and leads turned over. The curve shows what a stricter or laxer threshold on
`quality` would make of the errors.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.accuracy import fold_bundle
from benchmarks.spoiled import FAULTS, LEVELS_DB, RATE_HZ, at_rate, noises
from edge_runtime.analysis import analyse_window
from edge_runtime.backends import Backend, open_backend
from edge_runtime.bundle import MEASURED, Model
from edge_runtime.library import cache_folder
from edge_runtime.longterm import SENSE
from edge_runtime.offline import SUMMARY_HOP_S, record_rhythm
from edge_runtime.report import MEASURABLE, RHYTHMS
from edge_runtime.windows import WINDOW_S, windows_of
from train import folds
from train.by_fold import each_fold
from train.datasets import cinc2017, mitdb, ptbxl
from train.datasets.truth import Case, bpm, ludb_cases, qtdb_cases
from train.evaluate import signal_to_noise, window_of, within_ec13
from train.run import Run, commit

CLEAN = None
CURVE_NOISE = "em"
MITDB_WINDOWS_AT_S = (300.0, 900.0, 1500.0)
SHARES = tuple(round(0.02 * k, 2) for k in range(1, 51))


@dataclass(frozen=True)
class Said:
    """Of one window: why nothing is stated, or None; whether a stated heart rate is right."""

    why: str | None
    right: bool


@dataclass(frozen=True)
class NoiseRow:
    dataset: str
    noise: str
    decibel: float | None
    said: Said


@dataclass(frozen=True)
class FaultRow:
    fault: str
    said: Said


@dataclass(frozen=True)
class CurveRow:
    """One window: its quality, 0 where a gate refuses it, and the error of each measure that would be stated and has
    a truth; NaN where it would not be."""

    decibel: float | None
    quality: float
    errors: dict[str, float]


@dataclass(frozen=True)
class CincRow:
    """One record: its class, windows, why those that are refused are, and what is said of the whole."""

    truth: int
    windows: int
    refused: tuple[str, ...]
    called_noisy: bool


@dataclass(frozen=True)
class WornRow:
    """One lead as it is or turned: the log odds of being upright, None where nothing is measured."""

    dataset: str
    lead: str
    patient: str
    turned: bool
    upright: float | None


@dataclass
class Found:
    noise: list[NoiseRow] = field(default_factory=list)
    faults: list[FaultRow] = field(default_factory=list)
    curve: list[CurveRow] = field(default_factory=list)
    cinc: list[CincRow] = field(default_factory=list)
    worn: list[WornRow] = field(default_factory=list)

    def add(self, other: Found) -> None:
        for name, rows in vars(self).items():
            rows += getattr(other, name)


def said_of(mv: NDArray[np.float64], rate: float, case: Case, truth: float | None, net: tuple[Model, Backend]) -> Said:
    heart_rate = analyse_window(window_of(mv, rate, case.lead), *net).measures["hr_bpm"]
    return Said(heart_rate.why, truth is not None and within_ec13(heart_rate.value, truth))


def mitdb_cases(folder: Path, most_records: int = 0) -> list[Case]:
    """Three windows of each record, a case a window, with the heart rate of its beats by hand."""
    cases = []
    for name in sorted(p.stem for p in folder.glob("*.hea"))[: most_records or None]:
        record = mitdb.read(folder, name)
        rate = record.sampling_rate_hz
        for start_s in MITDB_WINDOWS_AT_S:
            first, size = round(start_s * rate), round(WINDOW_S * rate)
            inside = record.beat_samples[(record.beat_samples >= first) & (record.beat_samples < first + size)]
            truth = dict.fromkeys(MEASURED) | {"hr_bpm": bpm(inside / rate)}
            windows = (record.samples_mv[first : first + size],)
            place = ("mitdb", name, record.lead, folds.fold_of("mitdb", name), rate)
            cases.append(Case(*place, windows, truth, (truth,), -1, (start_s,)))
    return cases


def curve_row(
    mv: NDArray[np.float64], case: Case, which: int, decibel: float | None, net: tuple[Model, Backend]
) -> CurveRow:
    """As if every quality were good enough."""
    model, backend = net
    lax = replace(model, thresholds={**model.thresholds, "quality": -1.0})
    report = analyse_window(window_of(mv, case.sampling_rate_hz, case.lead), lax, backend)
    errors = {}
    for name, true in case.window_truth[which].items():
        if true is not None:
            value = report.measures[name].value
            errors[name] = float("nan") if value is None else abs(value - true)
    return CurveRow(decibel, report.quality or 0.0, errors)


def noise_rows(cases: Sequence[Case], net: tuple[Model, Backend], rng: np.random.Generator) -> Found:
    """The middle window of each case, clean and under each noise at each level."""
    found, made = Found(), noises()
    for case in cases:
        which, rate = len(case.windows_mv) // 2, case.sampling_rate_hz
        clean, truth = case.windows_mv[which], case.window_truth[which]["hr_bpm"]
        found.noise.append(NoiseRow(case.dataset, "none", CLEAN, said_of(clean, rate, case, truth, net)))
        judged = case.dataset != "mitdb"
        if judged:
            found.curve.append(curve_row(clean, case, which, CLEAN, net))
        for name, make in made.items():
            for decibel in LEVELS_DB:
                mv = signal_to_noise(clean, make(rng, len(clean), rate), rate, decibel)
                found.noise.append(NoiseRow(case.dataset, name, decibel, said_of(mv, rate, case, truth, net)))
                if judged and name == CURVE_NOISE:
                    found.curve.append(curve_row(mv, case, which, decibel, net))
    return found


def fault_rows(cases: Sequence[Case], net: tuple[Model, Backend], rng: np.random.Generator) -> list[FaultRow]:
    """Each fault once on each case of LUDB."""
    rows = []
    for case in (c for c in cases if c.dataset == "ludb"):
        heart = at_rate(case.windows_mv[0], case.sampling_rate_hz, RATE_HZ)
        for fault in FAULTS:
            truth = case.truth["hr_bpm"] if fault.heart else None
            mv = fault.spoil(rng, heart)
            rows.append(FaultRow(fault.name, said_of(mv, fault.rate_hz, case, truth, net)))
    return rows


def cinc_rows(folder: Path, fold: int, net: tuple[Model, Backend], few: int) -> list[CincRow]:
    own = [(n, t) for n, t in cinc2017.records(folder).items() if folds.fold_of("cinc2017", n) == fold]
    rows = []
    for name, truth in own[: few or None]:
        mv, rate = cinc2017.read(folder, name)
        reports = [analyse_window(w, *net) for w in windows_of(mv, rate, "I", SUMMARY_HOP_S)]
        refused = tuple(str(r.measures["hr_bpm"].why) for r in reports if r.state not in MEASURABLE)
        rhythm = record_rhythm(reports, net[0])
        noisy = not rhythm.distribution or int(np.argmax(rhythm.distribution)) == RHYTHMS.index("noisy")
        rows.append(CincRow(truth, len(reports), refused, noisy))
    return rows


def worn_rows(cases: Sequence[Case], folder: Path, fold: int, net: tuple[Model, Backend], few: int) -> list[WornRow]:
    """LUDB's leads I and II, and a fifth of PTB-XL's test fold, each as it is and turned."""
    leads = [
        (c.dataset, c.lead.upper(), c.record, c.windows_mv[0], c.sampling_rate_hz) for c in cases if c.dataset == "ludb"
    ]
    tests = [r for r in ptbxl.records(folder) if r.fold == ptbxl.TEST_FOLD] if folder.exists() else []
    for record in tests[fold :: folds.FOLDS][: few or None]:
        whole = ptbxl.read(record)
        for name in ptbxl.LEADS:
            leads.append(("ptbxl", name, record.patient, whole.lead(name).millivolts, whole.sampling_rate_hz))
    rows = []
    for dataset, name, patient, mv, rate in leads:
        for turned in (False, True):
            report = analyse_window(window_of(-mv if turned else mv, rate, name), *net, upright=True)
            rows.append(WornRow(dataset, name, patient, turned, report.upright))
    return rows


def judge_fold(job: tuple[Path, int]) -> Found:
    """Everything that is asked of one fold's net; a process of its own can do it."""
    run, fold = Run.open(job[0]), job[1]
    data, few = cache_folder(), run.config.records_per_set
    bundle = fold_bundle(run, fold)
    net = bundle.model, open_backend(bundle, "ai-edge-litert")
    every = ludb_cases(data / "ludb", most_records=few) + qtdb_cases(data / "qtdb", most_records=few)
    if (data / "mitdb").exists():
        every += mitdb_cases(data / "mitdb", few)
    cases = [c for c in every if c.fold == fold]
    found = noise_rows(cases, net, np.random.default_rng([fold, 31]))
    found.faults += fault_rows(cases, net, np.random.default_rng([fold, 32]))
    found.cinc += cinc_rows(data / "cinc2017", fold, net, few)
    found.worn += worn_rows(cases, data / "ptbxl", fold, net, few)
    return found


# ---- tables ----------------------------------------------------------------------------------------------------------


def told(said: Sequence[Said]) -> dict[str, Any]:
    """n, the share stated, how many of these are right, and how often each reason is given."""
    stated = [s for s in said if s.why is None]
    return {
        "n": len(said),
        "stated": len(stated),
        "right": sum(s.right for s in stated),
        "reasons": dict(Counter(s.why for s in said if s.why is not None).most_common()),
    }


def noise_tables(rows: Sequence[NoiseRow]) -> dict[str, Any]:
    """Data set -> noise -> dB -> `told`; the data sets together are `all`."""
    out: dict[str, Any] = {}
    for dataset in ("all", *dict.fromkeys(r.dataset for r in rows)):
        for row in rows:
            if dataset in ("all", row.dataset):
                level = "clean" if row.decibel is None else f"{row.decibel:g}"
                out.setdefault(dataset, {}).setdefault(row.noise, {}).setdefault(level, []).append(row.said)
    return {d: {n: {level: told(s) for level, s in by.items()} for n, by in of.items()} for d, of in out.items()}


def fault_tables(rows: Sequence[FaultRow]) -> dict[str, Any]:
    """By fault: `told`, whether there is a heart, and how many of those that are refused have a reason that names
    it."""
    out = {}
    for fault in FAULTS:
        own = [r.said for r in rows if r.fault == fault.name]
        named = sum(s.why in fault.means for s in own)
        out[fault.name] = {**told(own), "heart": fault.heart, "means": list(fault.means), "named": named}
    return out


def cinc_tables(rows: Sequence[CincRow]) -> dict[str, Any]:
    """By class: records, how many are called noisy, the share of windows refused, and why."""
    out = {}
    for k, name in enumerate(RHYTHMS):
        own = [r for r in rows if r.truth == k]
        if own:
            reasons = Counter(why for r in own for why in r.refused)
            out[name] = {
                "records": len(own),
                "called_noisy": sum(r.called_noisy for r in own),
                "windows": sum(r.windows for r in own),
                "refused": sum(len(r.refused) for r in own),
                "wholly_refused": sum(len(r.refused) == r.windows for r in own),
                "reasons": dict(reasons.most_common()),
            }
    return out


def worn_tables(rows: Sequence[WornRow]) -> dict[str, Any]:
    """By data set and lead: windows measured as they are and turned, and how many of either look turned."""
    out = {}
    for dataset, lead in dict.fromkeys((r.dataset, r.lead) for r in rows):
        own = [r for r in rows if (r.dataset, r.lead) == (dataset, lead) and r.upright is not None]
        looks = [(r, r.upright is not None and r.upright < SENSE.turned) for r in own]
        out[f"{dataset} {lead}"] = {
            "as_it_is": sum(not r.turned for r, _ in looks),
            "false_alarms": sum(said and not r.turned for r, said in looks),
            "patients_with_false_alarms": len({r.patient for r, said in looks if said and not r.turned}),
            "turned": sum(r.turned for r, _ in looks),
            "recognised": sum(said and r.turned for r, said in looks),
        }
    return out


def curve_tables(rows: Sequence[CurveRow]) -> dict[str, Any]:
    """dB -> measure -> for each of SHARES of the windows with a truth, those of the best quality first: the mean
    absolute error, None where so many are never stated."""
    out: dict[str, Any] = {}
    for decibel in dict.fromkeys(r.decibel for r in rows):
        level = "clean" if decibel is None else f"{decibel:g}"
        out[level] = {}
        for name in MEASURED:
            own = sorted((r for r in rows if r.decibel == decibel and name in r.errors), key=lambda r: -r.quality)
            errors = np.array([r.errors[name] for r in own])
            stated = np.isfinite(errors) & np.array([r.quality > 0 for r in own], np.bool_)
            count, total = np.cumsum(stated), np.cumsum(np.where(stated, errors, 0.0))
            curve: list[float | None] = []
            for share in SHARES:
                at = int(np.searchsorted(count, share * len(own)))
                curve.append(round(float(total[at] / count[at]), 4) if at < len(own) else None)
            out[level][name] = {"n": len(own), "mae": curve}
    return out


def operating_points(rows: Sequence[CurveRow], threshold: float) -> dict[str, Any]:
    """dB -> measure -> (share stated, mean absolute error) at a threshold."""
    out: dict[str, Any] = {}
    for decibel in dict.fromkeys(r.decibel for r in rows):
        level = "clean" if decibel is None else f"{decibel:g}"
        for name in MEASURED:
            own = [r for r in rows if r.decibel == decibel and name in r.errors]
            errors = [r.errors[name] for r in own if r.quality >= threshold and np.isfinite(r.errors[name])]
            mae = float(np.mean(errors)) if errors else None
            out.setdefault(level, {})[name] = [len(errors) / max(len(own), 1), mae]
    return out


def measure(run: Run, results: Path) -> dict[str, Any]:
    """Write `quality.json` and `quality-curve.png` into `results`."""
    from benchmarks.quality_tables import curve_picture

    found, jobs = Found(), [(run.folder, fold) for fold in run.config.folds]
    for part in each_fold(run, judge_fold, jobs):
        found.add(part)
    threshold = json.loads((run.folder / "calibration.json").read_text())["quality"]["threshold"]
    out: dict[str, Any] = {
        "what": "five folds by patient; nets that never saw the patient, noise that no training saw",
        "measured_at_commit": commit(),
        "weights": {str(fold): run.digest(str(fold)) for fold in run.config.folds},
        "noise": noise_tables(found.noise),
        "faults": fault_tables(found.faults),
        "cinc2017": cinc_tables(found.cinc),
        "worn": worn_tables(found.worn),
        "curve": {
            "noise": CURVE_NOISE,
            "shares": list(SHARES),
            "levels": curve_tables(found.curve),
            "at_threshold": operating_points(found.curve, threshold),
        },
    }
    results.mkdir(parents=True, exist_ok=True)
    (results / "quality.json").write_text(json.dumps(out, indent=1) + "\n")
    curve_picture(out["curve"], results / "quality-curve.png")
    return out
