"""P waves by their size: which are found, how exactly, what PR comes of them, and what a coding leaves of them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.cases import annotated
from benchmarks.matching import matched
from edge_runtime.analysis import analyse_window
from edge_runtime.backends import Backend
from edge_runtime.bundle import Model
from edge_runtime.conditioning import DEFAULT, compand, condition
from edge_runtime.delineation import P
from train.codings import CODINGS
from train.datasets.annotations import AnnotatedWave
from train.datasets.truth import Case
from train.evaluate import window_of

BANDS_UV = {
    "under 50 µV": (0, 50),
    "50 to 100 µV": (50, 100),
    "100 to 150 µV": (100, 150),
    "150 µV and over": (150, 1e9),
}
_EDGE_S = 0.5  # of a window: nothing is stated there
_RATE_HZ = DEFAULT.sampling_rate_hz


@dataclass(frozen=True)
class Marked:
    """One window of a case with its P waves by hand; s from its start.

    sizes_uv: of each of `waves`; pr_ms: of the window, by hand.
    """

    case: Case
    samples_mv: NDArray[np.float64]
    conditioned_mv: NDArray[np.float32]
    waves: list[AnnotatedWave]
    sizes_uv: list[float]
    spans_s: list[tuple[float, float]]
    pr_ms: float | None


def size_uv(conditioned_mv: NDArray[np.float32], wave: AnnotatedWave) -> float | None:
    """How far a wave leaves the line between its ends; None where it has none."""
    if wave.onset_s is None or wave.offset_s is None:
        return None
    piece = conditioned_mv[max(0, round(wave.onset_s * _RATE_HZ)) : round(wave.offset_s * _RATE_HZ) + 1]
    if len(piece) < 3:
        return None
    return 1e3 * float(np.abs(piece - np.linspace(piece[0], piece[-1], len(piece))).max())


def marked(cases: Iterable[Case]) -> list[Marked]:
    out = []
    for case in cases:
        for k, mv in enumerate(case.windows_mv):
            waves, spans = annotated(case, k)
            conditioned = condition(mv, case.sampling_rate_hz)
            end_s = len(mv) / case.sampling_rate_hz - _EDGE_S
            sized = [
                (wave, size)
                for wave in waves
                if wave.kind == P and _EDGE_S < wave.peak_s < end_s and (size := size_uv(conditioned, wave)) is not None
            ]
            spans = [(max(_EDGE_S, a), min(end_s, b)) for a, b in spans]
            own, sizes = [w for w, _ in sized], [s for _, s in sized]
            out.append(Marked(case, mv, conditioned, own, sizes, spans, case.window_truth[k]["pr_ms"]))
    return out


@dataclass
class _Band:
    annotated: int = 0
    onsets_ms: list[float] = field(default_factory=list)  # found - annotated, of those that were found
    extra: int = 0
    pr_ms: list[float | None] = field(default_factory=list)  # stated - by hand, None: not stated


def _band(uv: float) -> str:
    return next(name for name, (low, high) in BANDS_UV.items() if low <= uv < high)


def judge(windows: Iterable[Marked], model: Model, backend: Backend) -> dict[str, dict[str, Any]]:
    """By band of size: P waves annotated and found, found where none was annotated (by its own size), the error of the
    onset, and of PR by the median size of the window's P waves."""
    bands = {name: _Band() for name in BANDS_UV}
    for w in windows:
        window = window_of(w.samples_mv, w.case.sampling_rate_hz, w.case.lead)
        report = analyse_window(window, model, backend, fiducials=True)
        found = [AnnotatedWave(P, f.onset_s, f.peak_s, f.offset_s) for f in report.fiducials or () if f.kind == P]
        pairs = matched(w.waves, found)
        for i, (wave, size) in enumerate(zip(w.waves, w.sizes_uv, strict=True)):
            band = bands[_band(size)]
            band.annotated += 1
            if i in pairs and wave.onset_s is not None:
                band.onsets_ms.append(1e3 * (found[pairs[i]].onset_s - wave.onset_s))  # type: ignore[operator]
        for j, wave in enumerate(found):
            if j not in pairs.values() and any(low <= wave.peak_s <= high for low, high in w.spans_s):
                bands[_band(size_uv(w.conditioned_mv, wave) or 0.0)].extra += 1
        if w.pr_ms is not None and w.sizes_uv:
            value = report.measures["pr_ms"].value
            bands[_band(float(np.median(w.sizes_uv)))].pr_ms.append(None if value is None else value - w.pr_ms)
    return {name: _figures(band) for name, band in bands.items()}


def _figures(band: _Band) -> dict[str, Any]:
    onsets = np.abs(band.onsets_ms)
    pr = np.abs([e for e in band.pr_ms if e is not None])
    return {
        "annotated": band.annotated,
        "found": len(onsets),
        "extra": band.extra,
        "onset_mae_ms": round(float(onsets.mean()), 2) if len(onsets) else None,
        "pr_windows": len(band.pr_ms),
        "pr_stated": len(pr),
        "pr_mae_ms": round(float(pr.mean()), 2) if len(pr) else None,
    }


def step_uv(coding: str, scale: float) -> float:
    """What one step of the int8 input is at zero, in the finest of the code's channels."""
    code = CODINGS[coding]
    return 1e3 * float(code.millivolts(torch.full((1, code.channels, 1), scale)))


def code_error_uv(windows: Iterable[Marked], coding: str, scale: float, zero: int) -> dict[str, float | None]:
    """By band of size, the RMS difference over P waves of what the code's int8 says from the signal."""
    found: dict[str, list[NDArray[np.float64]]] = {name: [] for name in BANDS_UV}
    code = CODINGS[coding]
    for w in windows:
        exact = code.of(torch.from_numpy(compand(w.conditioned_mv))[None])
        levels = ((exact / scale).round() + zero).clamp(-128, 127)
        apart = 1e3 * (code.millivolts((levels - zero) * scale)[0].numpy() - w.conditioned_mv).astype(np.float64)
        for wave, size in zip(w.waves, w.sizes_uv, strict=True):
            assert wave.onset_s is not None and wave.offset_s is not None  # or it had no size
            found[_band(size)].append(apart[round(wave.onset_s * _RATE_HZ) : round(wave.offset_s * _RATE_HZ) + 1])
    return {
        name: round(float(np.sqrt((np.concatenate(pieces) ** 2).mean())), 2) if pieces else None
        for name, pieces in found.items()
    }
