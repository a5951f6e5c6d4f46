"""A sheet of traces, each with what one judge drew above it and what another drew below."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_runtime.conditioning import DEFAULT
from edge_runtime.delineation import WAVES, MaskGrid, Wave

SHOWN_S = 3.0
_COLUMNS = 4
_COLOURS = ("#4477aa", "#cc3311", "#ddaa33")
_BAND = 0.16  # of a trace's height


@dataclass(frozen=True)
class Drawn:
    """Waves, s from the window's start; and the (3, length) mask probabilities that they were read from, if any."""

    waves: Sequence[Wave]
    probability: NDArray[np.float32] | None = None


@dataclass(frozen=True)
class Trace:
    """conditioned_mv: (n,); from_s: where the SHOWN_S of it that are shown begin."""

    title: str
    conditioned_mv: NDArray[np.float32]
    from_s: float
    above: Drawn
    below: Drawn


def sheet(traces: Sequence[Trace], path: Path, legend: str) -> None:
    """A PNG."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    rows = -(-len(traces) // _COLUMNS)
    figure, axes = plt.subplots(rows, _COLUMNS, figsize=(20, 2.3 * rows + 0.5), squeeze=False, layout="constrained")
    for ax, trace in zip(axes.flat, traces, strict=False):
        t = np.arange(len(trace.conditioned_mv)) / DEFAULT.sampling_rate_hz
        shown = (t >= trace.from_s) & (t <= trace.from_s + SHOWN_S)
        ax.plot(t[shown], trace.conditioned_mv[shown], "k", lw=0.8)
        ax.margins(y=0.3)  # so that no trace hides behind the bands
        for drawn, low in ((trace.above, 1 - _BAND), (trace.below, 0.0)):
            _draw(ax, drawn, low)
        ax.set_title(trace.title, fontsize=9)
        ax.set(xlim=(trace.from_s, trace.from_s + SHOWN_S), yticks=[])
    for ax in axes.flat[len(traces) :]:
        ax.set_visible(False)
    handles = [plt.Rectangle((0, 0), 1, 1, color=c, alpha=0.5) for c in _COLOURS]
    figure.legend(handles, WAVES, loc="outside upper right", ncols=3, title=legend, fontsize=9)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=72)
    plt.close(figure)


def _draw(ax: Any, drawn: Drawn, low: float) -> None:
    """A band: waves as boxes; where there are masks, these as hills with lines at what was read from them."""
    if drawn.probability is None:
        for w in drawn.waves:
            ax.axvspan(w.onset_s, w.offset_s, low, low + _BAND, color=_COLOURS[w.kind], alpha=0.5, lw=0)
        return
    grid, across = MaskGrid(), ax.get_xaxis_transform()
    t = (np.arange(grid.length) - grid.margin) / grid.sampling_rate_hz
    for kind, row in enumerate(drawn.probability):
        ax.fill_between(t, low, low + _BAND * row, color=_COLOURS[kind], alpha=0.5, lw=0, transform=across)
    for w in drawn.waves:
        for edge in (w.onset_s, w.offset_s):
            ax.plot([edge, edge], [low, low + _BAND], color=_COLOURS[w.kind], lw=1.2, transform=across)
