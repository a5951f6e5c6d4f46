"""What the bundle says of its own certainty, fitted where the net has not been trained.

From the folds' nets on their own patients: the ranges, the quality model, and the rhythm of whole records. From
PTB-XL's validation fold: the probabilities of the findings. From held-out synthetic hearts, where the truth is
exact: the longest gap that may be bridged. Written to `calibration.json`; what a fold's own bundle uses is fitted
without that fold.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from edge_runtime import quality, rhythms
from edge_runtime.analysis import analyse_window, read
from edge_runtime.backends import Backend, Heads
from edge_runtime.bundle import MEASURED, Model
from edge_runtime.conditioning import Conditioning, condition
from edge_runtime.delineation import MaskGrid
from edge_runtime.intervals import heart_rate_bpm
from edge_runtime.library import cache_folder
from edge_runtime.ranges import INTERVALS
from edge_runtime.report import FINDINGS, RHYTHMS
from edge_runtime.windows import WINDOW_S, Window
from train import folds
from train.augment import EM_TRAINING_SHARE, electrode_motion
from train.by_fold import each_fold
from train.codings import coded
from train.datasets.truth import Case, ludb_cases, qtdb_cases
from train.generators import noise
from train.generators.hearts import RATE_HZ, synthetic_window
from train.logistic import newton
from train.nets import Net
from train.ranges import Residual, open_target, targets
from train.records import RhythmRows, fit_findings, fit_rhythm, rhythm_rows
from train.run import ALL, Run
from train.targets import interval_targets
from train.windows import beat_table

HARM_LIMIT_MS = 1.0
_NOISE_DB = (18, 12, 6, 0, -6, -12)
# The shares of windows whose heart rate a user may expect to be stated, as they are and at a noise of so many dB, with
# a margin for noise that no training saw. Within them the gate is as strict as it can be.
MUST_STATE: dict[float | None, float] = {None: 0.992, 6.0: 0.90, 0.0: 0.65}


class TorchBackend:
    """A net in training's own float arithmetic, behind the runtime's interface."""

    name = "torch"

    def __init__(self, net: Net) -> None:
        self._net = net.eval()

    @torch.no_grad()
    def __call__(self, companded: NDArray[np.float32]) -> Heads:
        out = self._net(coded(torch.from_numpy(companded)[None], self._net.spec.coding))
        return {k: v[0, :, 0].numpy() if k == "masks" else v.flatten().numpy() for k, v in out.items()}


def uncalibrated(net_id: str = "uncalibrated@0000000", max_bridged_ms: float = 1e9) -> Model:
    """A model that states every value: for measuring what its ranges and gates have to be."""
    return Model(
        id=net_id,
        samples=round(WINDOW_S * Conditioning().sampling_rate_hz),
        window_s=WINDOW_S,
        conditioning=Conditioning(),
        grid=MaskGrid(),
        classes=RHYTHMS,
        targets={name: open_target(name) for name in MEASURED},
        thresholds={"p_wave": 0.5, "rhythm": 0.5, "quality": -1.0},
        quality={"weights": [0.0] * len(quality.FEATURES), "bias": 0.0},
        record_rhythm={"weights": [[0.0] * len(rhythms.FEATURES)] * len(RHYTHMS), "bias": [0.0] * len(RHYTHMS)},
        findings=dict.fromkeys(FINDINGS, (1.0, 0.0)),
        max_bridged_ms=max_bridged_ms,
    )


def window_of(samples_mv: NDArray[np.float64], rate: float, lead: str) -> Window:
    return Window(samples_mv, rate, 0.0, len(samples_mv) / rate, lead)


def signal_to_noise(
    clean_mv: NDArray[np.float64], noise_mv: NDArray[np.float64], rate: float, decibel: float
) -> NDArray[np.float64]:
    """The clean signal with noise on top, at that ratio of their powers in the band that the net sees."""
    clean, noise_in_band = (float(condition(x, rate).std()) for x in (clean_mv, noise_mv))
    return clean_mv + noise_mv * (clean / (noise_in_band * 10 ** (decibel / 20) + 1e-12))


Residuals = dict[str, list[Residual]]


def residuals(cases: list[Case], backend: Backend, model: Model) -> Residuals:
    """Of each window of each case, by measure."""
    found: Residuals = {name: [] for name in MEASURED}
    for case in cases:
        patient = folds.subject(case.dataset, case.record)
        for mv, truth in zip(case.windows_mv, case.window_truth, strict=True):
            report = analyse_window(window_of(mv, case.sampling_rate_hz, case.lead), model, backend)
            for name in MEASURED:
                value, true = report.measures[name], truth[name]
                if value.evidence is not None and true is not None:
                    drawn, (centre, scale) = value.evidence.drawn, INTERVALS[name]
                    apart = centre + scale * value.evidence.direct - drawn
                    found[name].append(Residual(patient, true - drawn, apart, value.evidence.features))
    return found


def within_ec13(bpm: float | None, truth: float) -> bool:
    """ANSI/AAMI EC13: within 10 % or 5 bpm, whichever is more."""
    return bpm is not None and abs(bpm - truth) <= max(5.0, 0.1 * truth)


@dataclass(frozen=True)
class QualityRow:
    """One window with noise at `decibel` (None: as it is): features, and whether its heart rate was right."""

    features: tuple[float, ...]
    right: bool
    decibel: float | None


def quality_rows(cases: list[Case], backend: Backend, model: Model, rng: np.random.Generator) -> list[QualityRow]:
    """Of each case's first window as it is and with noise at some of _NOISE_DB."""
    em = electrode_motion((0.0, EM_TRAINING_SHARE))
    rows = []
    for case in cases:
        clean, truth, rate = case.windows_mv[0], case.window_truth[0]["hr_bpm"], case.sampling_rate_hz
        if truth is None:
            continue
        for decibel in (None, *rng.choice(_NOISE_DB, 4, replace=False)):
            mv = clean
            if decibel is not None:
                mv = signal_to_noise(clean, _noise(rng, len(clean), rate, em), rate, float(decibel))
            reading = read(mv, rate, model, backend)
            noisy = float(reading.heads["rhythm"][RHYTHMS.index("noisy")])
            values = quality.features(reading.doubt, reading.beats, noisy, reading.conditioned_mv)
            right = within_ec13(heart_rate_bpm(reading.beats), truth)
            rows.append(QualityRow(tuple(values.tolist()), right, None if decibel is None else float(decibel)))
    return rows


def fit_quality(rows: Sequence[QualityRow]) -> dict[str, Any]:
    """The logistic, and the strictest threshold under which the shares of MUST_STATE are still stated."""
    x, right = np.array([r.features for r in rows]), np.array([r.right for r in rows])
    model = fit_logistic(x, right)
    good = np.array([quality.probability(values, model) for values in x])
    limits = []
    for decibel, share in MUST_STATE.items():
        own = good[[r.decibel == decibel for r in rows]]
        if len(own):
            limits.append(float(np.quantile(own, 1 - share)))
    return {**model, "threshold": round(min(limits, default=0.5), 4)}


def _noise(
    rng: np.random.Generator, n: int, rate: float, em: tuple[NDArray[np.float64], float] | None
) -> NDArray[np.float64]:
    if em is None or rng.random() < 0.4:
        return noise.muscle(rng, n, rate) if rng.random() < 0.5 else noise.motion(rng, n, rate)
    size = round(n / rate * em[1])
    first = rng.integers(em[0].shape[1] - size)
    piece = em[0][rng.integers(2), first : first + size]
    return np.interp(np.linspace(0, size - 1, n), np.arange(size), piece)


def fit_logistic(x: NDArray[np.float64], y: NDArray[np.bool_], ridge: float = 1.0) -> dict[str, Any]:
    """Weights and bias of P(y), ridge on the standardised weights."""
    mean, scale = x.mean(0), x.std(0) + 1e-9
    z = np.column_stack([(x - mean) / scale, np.ones(len(x))])
    penalty = np.diag([ridge] * (z.shape[1] - 1) + [1e-6])
    w = newton(z, y.astype(np.float64), penalty, np.zeros(z.shape[1]))
    weights = w[:-1] / scale
    return {"features": list(quality.FEATURES), "weights": weights.tolist(), "bias": float(w[-1] - weights @ mean)}


def bridging_harm(run: Run, backend: Backend, model: Model, windows: int) -> dict[str, dict[str, float]]:
    """By gap length: by how much the MAE of PR, QRS and QT grows when that gap falls into a window three times. On
    held-out synthetic hearts, whose intervals are known exactly."""
    first = run.config.synthetic_windows + run.config.held_out_windows  # hearts that no training has seen
    harm: dict[str, dict[str, list[float]]] = {}
    for index in tqdm(range(first, first + windows), desc="bridging", mininterval=5):
        rng = np.random.default_rng([run.config.seed, index])
        heart = synthetic_window(rng)
        target = interval_targets(torch.from_numpy(beat_table(heart.beats))[None])[0].tolist()
        truth = {name: z * scale + centre for z, (name, (centre, scale)) in zip(target, INTERVALS.items(), strict=True)}
        before = analyse_window(window_of(heart.samples_mv, RATE_HZ, "I"), model, backend)
        for gap_ms in run.config.max_bridged_candidates_ms:
            broken = heart.samples_mv.copy()
            for at in rng.uniform(0.5, 9.3, 3):
                broken[round(at * RATE_HZ) : round((at + gap_ms * 1e-3) * RATE_HZ)] = np.nan
            after = analyse_window(window_of(broken, RATE_HZ, "I"), model, backend)
            for name in ("pr_ms", "qrs_ms", "qt_ms"):
                a, b = before.measures[name].value, after.measures[name].value
                if a is not None and b is not None and np.isfinite(truth[name]):
                    grown = abs(b - truth[name]) - abs(a - truth[name])
                    harm.setdefault(f"{gap_ms:g}", {}).setdefault(name, []).append(grown)
    return {gap: {name: float(np.mean(v)) for name, v in by.items()} for gap, by in harm.items()}


def longest_bridged_ms(harm: dict[str, dict[str, float]]) -> float:
    """The longest gap up to which no interval's MAE grows by more than HARM_LIMIT_MS."""
    longest = 0.0
    for gap in sorted(harm, key=float):
        if max(harm[gap].values()) > HARM_LIMIT_MS:
            break
        longest = float(gap)
    return longest


def _seen_by_a_fold(job: tuple[Path, Path, str]) -> tuple[Residuals, list[QualityRow], RhythmRows]:
    """What a fold's net makes of the patients that it has not seen."""
    folder, cache, fold = job
    torch.set_num_threads(1)
    run, model = replace(Run.open(folder), cache=cache), uncalibrated()
    data, few = cache_folder(), run.config.records_per_set
    cases = ludb_cases(data / "ludb", most_records=few) + qtdb_cases(data / "qtdb", most_records=few)
    own = [c for c in cases if str(c.fold) == fold]
    backend, rng = TorchBackend(run.load("transfer", fold)), np.random.default_rng([run.config.seed, 5, int(fold)])
    return (
        residuals(own, backend, model),
        quality_rows(own, backend, model, rng),
        rhythm_rows(run, backend, model, fold),
    )


def evaluate(run: Run) -> None:
    """Fit everything on the folds' own patients, and for each fold on the others', and write `calibration.json`."""
    by_fold: dict[str, Residuals] = {}
    rows: dict[str, list[QualityRow]] = {}
    records: dict[str, RhythmRows] = {}
    jobs = [(run.folder, run.cache, str(fold)) for fold in run.config.folds]
    for (*_, fold), found in zip(jobs, each_fold(run, _seen_by_a_fold, jobs), strict=True):
        by_fold[fold], rows[fold], records[fold] = found

    def fitted(chosen: list[str]) -> dict[str, Any]:
        return {
            "targets": {n: asdict(t) for n, t in targets([by_fold[f] for f in chosen]).items()},
            "quality": fit_quality([row for f in chosen for row in rows[f]]),
            "record_rhythm": fit_rhythm([records[f] for f in chosen]),
        }

    every = list(by_fold)
    stated = replace(uncalibrated(), targets=targets(list(by_fold.values())))
    harm = bridging_harm(run, TorchBackend(run.load("transfer", ALL)), stated, run.config.bridging_windows)
    whole = [row for own in rows.values() for row in own]
    calibration = {
        **fitted(every),
        "without_fold": {fold: fitted([f for f in every if f != fold] or every) for fold in every},
        "findings": {f: fit_findings(run, f) for f in [*every, ALL]},
        "residuals_by_fold": {f: {n: [r.to_row() for r in own[n]] for n in own} for f, own in by_fold.items()},
        "quality_windows": len(whole),
        "quality_base_rate": float(np.mean([row.right for row in whole])),
        "bridging_harm_ms": harm,
        "max_bridged_ms": longest_bridged_ms(harm),
    }
    path = run.folder / "calibration.json"
    path.write_text(json.dumps(calibration) + "\n")
    print(
        f"{path}: quality from {calibration['quality']['threshold']}, bridge up to {calibration['max_bridged_ms']:g} ms"
    )
