"""What the bundle says of its own certainty, fitted where the net has not been trained.

From the folds' nets on their own patients: the ranges (residual quantiles) and the quality model. From held-out
synthetic hearts, where the truth is exact: the longest gap that may be bridged. Written to `calibration.json`.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from edge_runtime import quality
from edge_runtime.analysis import analyse_window, read
from edge_runtime.backends import Heads
from edge_runtime.bundle import MEASURED, Model
from edge_runtime.conditioning import Conditioning, condition
from edge_runtime.delineation import MaskGrid
from edge_runtime.intervals import heart_rate_bpm
from edge_runtime.library import cache_folder
from edge_runtime.report import MEASURES, RHYTHMS
from edge_runtime.windows import WINDOW_S, Window
from train import folds
from train.augment import EM_TRAINING_SHARE, electrode_motion
from train.datasets.truth import Case, ludb_cases, qtdb_cases
from train.generators import noise
from train.generators.hearts import RATE_HZ, synthetic_window
from train.nets import Net
from train.run import ALL, Run

COVERAGE = 0.90
HARM_LIMIT_MS = 1.0
_WIDEST = (-1e9, 1e9)
_NOISE_DB = (18, 12, 6, 0, -6, -12)


class TorchBackend:
    """A net in training's own float arithmetic, behind the runtime's interface."""

    name = "torch"

    def __init__(self, net: Net) -> None:
        self._net = net.eval()

    @torch.no_grad()
    def __call__(self, companded: NDArray[np.float32]) -> Heads:
        out = self._net(torch.from_numpy(companded)[None, None, None])
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
        ranges=dict.fromkeys(MEASURES, _WIDEST),
        thresholds={"p_wave": 0.5, "rhythm": 0.5, "quality": -1.0},
        quality={"weights": [0.0] * len(quality.FEATURES), "bias": 0.0},
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


def residual_range(residuals: NDArray[np.float64], patients: Sequence[str]) -> tuple[float, float]:
    """What to add to a value so that COVERAGE of the residuals (truth - value) lie inside, both tails alike.

    Each patient weighs the same, however many windows there are of one; the level has the finite-sample correction of
    split conformal prediction for that many patients (Vovk 2005). The value itself is always inside.
    """
    if len(residuals) == 0:
        return _WIDEST
    _, inverse, counts = np.unique(np.asarray(patients), return_inverse=True, return_counts=True)
    n = len(counts)
    level = min(1.0, (n + 1) / n * (1 + COVERAGE) / 2)
    order = np.argsort(residuals)
    weight = np.cumsum(1.0 / counts[inverse[order]]) / n
    low, high = (min(int(np.searchsorted(weight, at)), len(order) - 1) for at in (1 - level + 1e-12, level - 1e-12))
    return min(0.0, float(residuals[order[low]])), max(0.0, float(residuals[order[high]]))


Residuals = dict[str, list[tuple[str, float]]]


def pooled_ranges(by_fold: Sequence[Residuals]) -> dict[str, tuple[float, float]]:
    """By measure, from the (patient, residual) pairs of some folds."""
    out = {}
    for name in MEASURED:
        pairs = [(str(p), float(r)) for by in by_fold for p, r in by[name]]
        out[name] = residual_range(np.array([r for _, r in pairs]), [p for p, _ in pairs])
    return out


def _residuals(cases: list[Case], backend: TorchBackend, model: Model) -> Residuals:
    """(patient, truth - value) of each window, by measure."""
    found: Residuals = {name: [] for name in MEASURED}
    for case in cases:
        patient = folds.subject(case.dataset, case.record)
        for mv, truth in zip(case.windows_mv, case.window_truth, strict=True):
            report = analyse_window(window_of(mv, case.sampling_rate_hz, case.lead), model, backend)
            for name in MEASURED:
                value, true = report.measures[name].value, truth[name]
                if value is not None and true is not None:
                    found[name].append((patient, round(true - value, 3)))
    return found


def within_ec13(bpm: float | None, truth: float) -> bool:
    """ANSI/AAMI EC13: within 10 % or 5 bpm, whichever is more."""
    return bpm is not None and abs(bpm - truth) <= max(5.0, 0.1 * truth)


QualityRow = tuple[list[float], bool]


def _quality_rows(cases: list[Case], backend: TorchBackend, model: Model, rng: np.random.Generator) -> list[QualityRow]:
    """Features of clean and noisy windows, and whether their heart rate was right."""
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
            values = quality.features(reading.heads["masks"], reading.beats, noisy, reading.conditioned_mv)
            rows.append((values.tolist(), within_ec13(heart_rate_bpm(reading.beats), truth)))
    return rows


def fit_quality(rows: Sequence[QualityRow]) -> dict[str, object]:
    return fit_logistic(np.array([x for x, _ in rows]), np.array([y for _, y in rows]))


def _noise(
    rng: np.random.Generator, n: int, rate: float, em: tuple[NDArray[np.float64], float] | None
) -> NDArray[np.float64]:
    if em is None or rng.random() < 0.4:
        return noise.muscle(rng, n, rate) if rng.random() < 0.5 else noise.motion(rng, n, rate)
    size = round(n / rate * em[1])
    first = rng.integers(em[0].shape[1] - size)
    piece = em[0][rng.integers(2), first : first + size]
    return np.interp(np.linspace(0, size - 1, n), np.arange(size), piece)


def fit_logistic(x: NDArray[np.float64], y: NDArray[np.bool_], ridge: float = 1.0) -> dict[str, object]:
    """Weights and bias of P(y) by Newton's method, ridge on the standardised weights."""
    mean, scale = x.mean(0), x.std(0) + 1e-9
    z = np.column_stack([(x - mean) / scale, np.ones(len(x))])
    w = np.zeros(z.shape[1])
    penalty = np.diag([ridge] * (z.shape[1] - 1) + [1e-6])
    for _ in range(50):
        p = 1 / (1 + np.exp(-np.clip(z @ w, -30, 30)))
        gradient = z.T @ (p - y) + penalty @ w
        step = np.linalg.solve((z * (p * (1 - p))[:, None]).T @ z + penalty, gradient)
        w -= step
        if np.abs(step).max() < 1e-8:
            break
    weights = w[:-1] / scale
    return {"features": list(quality.FEATURES), "weights": weights.tolist(), "bias": float(w[-1] - weights @ mean)}


def bridging_harm(run: Run, backend: TorchBackend, model: Model, windows: int) -> dict[str, dict[str, float]]:
    """By gap length: by how much the MAE of PR, QRS and QT grows when that gap falls into a window three times."""
    first = run.config.synthetic_windows + run.config.held_out_windows  # hearts that no training has seen
    harm: dict[str, dict[str, list[float]]] = {}
    for index in tqdm(range(first, first + windows), desc="bridging", mininterval=5):
        rng = np.random.default_rng([run.config.seed, index])
        heart = synthetic_window(rng)
        before = analyse_window(window_of(heart.samples_mv, RATE_HZ, "I"), model, backend)
        for gap_ms in run.config.max_bridged_candidates_ms:
            broken = heart.samples_mv.copy()
            for at in rng.uniform(0.5, 9.3, 3):
                broken[round(at * RATE_HZ) : round((at + gap_ms * 1e-3) * RATE_HZ)] = np.nan
            after = analyse_window(window_of(broken, RATE_HZ, "I"), model, backend)
            for name in ("pr_ms", "qrs_ms", "qt_ms"):
                a, b = before.measures[name].value, after.measures[name].value
                if a is not None and b is not None:
                    harm.setdefault(f"{gap_ms:g}", {}).setdefault(name, []).append(abs(b - a))
    return {gap: {name: float(np.mean(v)) for name, v in by.items()} for gap, by in harm.items()}


def longest_bridged_ms(harm: dict[str, dict[str, float]]) -> float:
    """The longest gap up to which no interval is moved by more than HARM_LIMIT_MS on average."""
    longest = 0.0
    for gap in sorted(harm, key=float):
        if max(harm[gap].values()) > HARM_LIMIT_MS:
            break
        longest = float(gap)
    return longest


def evaluate(run: Run) -> None:
    model = uncalibrated()
    data, few = cache_folder(), run.config.records_per_set
    cases = ludb_cases(data / "ludb", most_records=few) + qtdb_cases(data / "qtdb", most_records=few)
    rng = np.random.default_rng([run.config.seed, 5])
    by_fold: dict[str, Residuals] = {}
    rows: dict[str, list[QualityRow]] = {}
    for fold in tqdm([str(f) for f in run.config.folds], desc="folds"):
        backend = TorchBackend(run.load("transfer", fold))
        own = [c for c in cases if str(c.fold) == fold]
        by_fold[fold] = _residuals(own, backend, model)
        rows[fold] = _quality_rows(own, backend, model, rng)
    every = [row for fold in rows.values() for row in fold]
    others = {fold: [row for other, own in rows.items() if other != fold for row in own] or every for fold in rows}
    harm = bridging_harm(run, TorchBackend(run.load("transfer", ALL)), model, run.config.bridging_windows)
    calibration = {
        "ranges": pooled_ranges(list(by_fold.values())),
        "residuals_by_fold": by_fold,
        "quality": fit_quality(every),
        "quality_without_fold": {fold: fit_quality(own) for fold, own in others.items()},
        "quality_windows": len(every),
        "quality_base_rate": float(np.mean([y for _, y in every])),
        "bridging_harm_ms": harm,
        "max_bridged_ms": longest_bridged_ms(harm),
    }
    path = run.folder / "calibration.json"
    path.write_text(json.dumps(calibration) + "\n")
    print(f"{path}: ranges {calibration['ranges']}, bridge up to {calibration['max_bridged_ms']:g} ms")
