"""The windows that went worst, as one picture: what the annotator drew, what the net drew, and the error."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge_runtime.analysis import read
from edge_runtime.backends import Backend
from edge_runtime.bundle import Model
from edge_runtime.conditioning import condition
from edge_runtime.delineation import WAVES, Wave
from edge_runtime.library import cache_folder
from edge_runtime.ranges import INTERVALS
from train.datasets import ludb, qtdb
from train.datasets.annotations import AnnotatedWave
from train.datasets.truth import Case

COUNT = 20
_SHOWN_S = 3.0
_COLOURS = ("#4477aa", "#cc3311", "#ddaa33")


@dataclass(frozen=True)
class Worst:
    """One case's worst measure: error = value - truth, ms; `size` is the error over the measure's usual spread."""

    case: Case
    measure: str
    truth: float
    error: float

    @property
    def size(self) -> float:
        return abs(self.error) / INTERVALS[self.measure][1]


def worst_of(found: Iterable[Worst], count: int = COUNT) -> list[Worst]:
    """The largest, one a record and lead; not heart rate, which goes wrong by whole beats: noise tables show that."""
    best: dict[tuple[str, str, str], Worst] = {}
    for w in found:
        key = (w.case.dataset, w.case.record, w.case.lead)
        if w.measure != "hr_bpm" and (key not in best or best[key].size < w.size):
            best[key] = w
    return sorted(best.values(), key=lambda w: -w.size)[:count]


def _annotated(case: Case, start_s: float) -> list[AnnotatedWave]:
    """The annotator's waves, s from the window's start."""
    data = cache_folder()
    if case.dataset == "ludb":
        (lead,) = ludb.read(data / "ludb", case.record, (case.lead,))
        return list(lead.waves)
    waves = qtdb.read(data / "qtdb", case.record).waves
    return [
        AnnotatedWave(
            w.kind,
            None if w.onset_s is None else w.onset_s - start_s,
            w.peak_s - start_s,
            None if w.offset_s is None else w.offset_s - start_s,
        )
        for w in waves
    ]


def picture(rows: list[tuple[Worst, Model, Backend]], path: Path) -> None:
    """A PNG: above each trace the annotator's waves, below it the net's."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    columns = 4
    height = -(-len(rows) // columns)
    figure, axes = plt.subplots(height, columns, figsize=(20, 2.1 * height + 0.5), squeeze=False, layout="constrained")
    for ax, (worst, model, backend) in zip(axes.flat, rows, strict=False):
        case = worst.case
        middle = len(case.windows_mv) // 2
        mv, rate = case.windows_mv[middle], case.sampling_rate_hz
        seen = model.grid.read(read(mv, rate, model, backend).heads["masks"])
        low_s = len(mv) / rate / 2 - _SHOWN_S / 2
        _trace(ax, condition(mv, rate), low_s)
        _waves(ax, seen, 0.0, 0.12)
        marked = [
            Wave(w.kind, w.onset_s if w.onset_s is not None else w.peak_s, w.offset_s)
            for w in _annotated(case, case.starts_s[middle])
            if w.offset_s is not None
        ]
        _waves(ax, marked, 0.88, 1.0)
        name = worst.measure.split("_")[0].upper()
        ax.set_title(
            f"{case.dataset}/{case.record} {case.lead}: {name} {worst.error:+.0f} of {worst.truth:.0f} ms", fontsize=9
        )
        ax.set(xlim=(low_s, low_s + _SHOWN_S), yticks=[])
    for ax in axes.flat[len(rows) :]:
        ax.set_visible(False)
    handles = [plt.Rectangle((0, 0), 1, 1, color=c, alpha=0.5) for c in _COLOURS]
    figure.legend(handles, WAVES, loc="outside upper right", ncols=3, title="above: annotator, below: net", fontsize=9)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=60)
    plt.close(figure)


def _trace(ax: object, x: NDArray[np.float32], low_s: float) -> None:
    ax.plot(np.arange(len(x)) / 250.0, x, "k", lw=0.8)  # type: ignore[attr-defined]


def _waves(ax: object, waves: list[Wave], low: float, high: float) -> None:
    for w in waves:
        ax.axvspan(w.onset_s, w.offset_s, low, high, color=_COLOURS[w.kind], alpha=0.5, lw=0)  # type: ignore[attr-defined]
