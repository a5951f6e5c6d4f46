"""What the bundle says of its own certainty, fitted where the net has not been trained.

From the folds' nets on their own patients: the ranges (residual quantiles) and the quality model. From held-out
synthetic hearts, where the truth is exact: the longest gap that may be bridged. Written to `calibration.json`.
"""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from edge_runtime import quality
from edge_runtime.analysis import analyse_window, read
from edge_runtime.backends import Heads
from edge_runtime.bundle import MEASURED, Model
from edge_runtime.conditioning import Conditioning
from edge_runtime.delineation import MaskGrid
from edge_runtime.intervals import heart_rate_bpm
from edge_runtime.library import cache_folder
from edge_runtime.report import MEASURES, RHYTHMS
from edge_runtime.windows import WINDOW_S, Window
from train.augment import EM_TRAINING_SHARE, electrode_motion
from train.datasets.truth import Case, ludb_cases, qtdb_cases
from train.generators import noise
from train.generators.hearts import RATE_HZ, synthetic_window
from train.nets import Net
from train.run import ALL, Run

COVERAGE = 0.90
HARM_LIMIT_MS = 1.0
_WIDEST = (-1e9, 1e9)
_NOISE_DB = (24, 12, 6, 0, -6)


class TorchBackend:
    """A net in training's own float arithmetic, behind the runtime's interface."""

    name = "torch"

    def __init__(self, net: Net) -> None:
        self._net = net.eval()

    @torch.no_grad()
    def __call__(self, companded: NDArray[np.float32]) -> Heads:
        out = self._net(torch.from_numpy(companded)[None, None, None])
        return {
            "masks": out["masks"][0, :, 0].numpy(),
            "rhythm": out["rhythm"].flatten().numpy(),
            "p_wave": out["p_wave"].flatten().numpy(),
        }


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
    clean_mv: NDArray[np.float64], noise_mv: NDArray[np.float64], decibel: float
) -> NDArray[np.float64]:
    """The clean signal with noise on top at that ratio of powers (both without their mean)."""
    scale = np.std(clean_mv) / (np.std(noise_mv) * 10 ** (decibel / 20) + 1e-12)
    return clean_mv + scale * (noise_mv - noise_mv.mean())


def residual_range(residuals: NDArray[np.float64]) -> tuple[float, float]:
    """What to add to a value so that COVERAGE of the residuals (truth - value) lie inside: both tails alike."""
    if len(residuals) == 0:
        return _WIDEST
    # The finite-sample correction of split conformal prediction (Vovk 2005): one more than there are.
    tail = max(0.0, (1 - COVERAGE) / 2 - (1 - COVERAGE) / 2 / (len(residuals) + 1))
    low, high = np.quantile(residuals, (tail, 1 - tail))
    return float(low), float(high)


def _residuals(cases: list[Case], backend: TorchBackend, model: Model) -> dict[str, list[float]]:
    """truth - value of each window, by measure."""
    found: dict[str, list[float]] = {name: [] for name in MEASURED}
    for case in cases:
        for mv, truth in zip(case.windows_mv, case.window_truth, strict=True):
            report = analyse_window(window_of(mv, case.sampling_rate_hz, case.lead), model, backend)
            for name in MEASURED:
                value, true = report.measures[name].value, truth[name]
                if value is not None and true is not None:
                    found[name].append(true - value)
    return found


def _quality_rows(
    cases: list[Case], backend: TorchBackend, model: Model, rng: np.random.Generator
) -> tuple[list[NDArray[np.float64]], list[bool]]:
    """Features of clean and noisy windows, and whether their heart rate was within EC13 (10 % or 5 bpm)."""
    em = electrode_motion((0.0, EM_TRAINING_SHARE))
    rows, right = [], []
    for case in cases:
        truth = case.truth["hr_bpm"]
        if truth is None or len(case.windows_mv) != 1:
            continue
        clean = case.windows_mv[0]
        for decibel in (None, *rng.choice(_NOISE_DB, 2, replace=False)):
            mv = clean
            if decibel is not None:
                mv = signal_to_noise(clean, _noise(rng, len(clean), case.sampling_rate_hz, em), float(decibel))
            reading = read(mv, case.sampling_rate_hz, model, backend)
            noisy = float(reading.heads["rhythm"][RHYTHMS.index("noisy")])
            rows.append(quality.features(reading.heads["masks"], reading.beats, noisy, reading.conditioned_mv))
            bpm = heart_rate_bpm(reading.beats)
            right.append(bpm is not None and abs(bpm - truth) <= max(5.0, 0.1 * truth))
    return rows, right


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
    by_fold: dict[str, dict[str, list[float]]] = {}
    rows: list[NDArray[np.float64]] = []
    right: list[bool] = []
    for fold in tqdm(run.config.folds, desc="folds"):
        backend = TorchBackend(run.load("transfer", str(fold)))
        own = [c for c in cases if c.fold == fold]
        by_fold[str(fold)] = _residuals(own, backend, model)
        more, said = _quality_rows([c for c in own if c.dataset == "ludb"], backend, model, rng)
        rows += more
        right += said
    pooled = {name: np.array([r for fold in by_fold.values() for r in fold[name]]) for name in MEASURED}
    harm = bridging_harm(
        run,
        TorchBackend(run.load("transfer", ALL)),
        replace(model, max_bridged_ms=1e9),
        20 + 2 * run.config.held_out_windows // 5,
    )
    calibration = {
        "ranges": {name: residual_range(r) for name, r in pooled.items()},
        "residuals_by_fold": {f: {n: [round(v, 2) for v in r] for n, r in by.items()} for f, by in by_fold.items()},
        "quality": fit_logistic(np.array(rows), np.array(right)),
        "quality_windows": len(rows),
        "quality_base_rate": float(np.mean(right)),
        "bridging_harm_ms": harm,
        "max_bridged_ms": longest_bridged_ms(harm),
    }
    path = run.folder / "calibration.json"
    path.write_text(json.dumps(calibration, indent=1) + "\n")
    print(f"{path}: ranges {calibration['ranges']}, bridge up to {calibration['max_bridged_ms']:g} ms")
