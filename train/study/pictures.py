"""The figures of the report: label curves with bands, and paired differences."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from train.study.report_text import ARMS, arm_name, labels_name
from train.study.results import Result

_COLOURS = {
    "scratch": "#000000",
    "all": "#cc3311",
    "delineation": "#0077bb",
    "masking": "#009988",
    "hr": "#ee7733",
    "pr": "#ee3377",
    "qrs": "#aa3377",
    "qt": "#ddaa33",
}


def _plt() -> Any:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    return plt


def label_curves(curves: dict[str, dict[int, np.ndarray]], path: Path) -> None:
    """curves: source -> training records -> (folds,) macro AUC. A band is the standard error over folds."""
    plt = _plt()
    figure, axes = plt.subplots(1, 2, figsize=(11, 4.4), sharey=True, layout="constrained")
    main = ("scratch", "all", "delineation", "masking")
    for ax, shown in zip(axes, (main, ("scratch", "hr", "pr", "qrs", "qt", "all")), strict=True):
        for source in (s for s in shown if curves.get(s)):
            counts = sorted(curves[source])
            mean = np.array([curves[source][n].mean() for n in counts])
            spread = np.array([curves[source][n].std(ddof=1) / len(curves[source][n]) ** 0.5 for n in counts])
            colour = _COLOURS[source]
            ax.plot(counts, mean, "o-", ms=3, color=colour, label=ARMS[source])
            ax.fill_between(counts, mean - spread, mean + spread, color=colour, alpha=0.12, lw=0)
        ax.set(xscale="log", xlabel="labelled records of PTB-XL")
        ax.grid(alpha=0.25)
        ax.legend(frameon=False, fontsize=8, loc="lower right", title="pretrained on")
    axes[0].set_ylabel("macro AUC, five superclasses, lead I")
    figure.savefig(path, dpi=80)
    plt.close(figure)


def differences(results: Sequence[Result], bound: float, path: Path) -> None:
    """Each decided comparison with its interval over seeds and folds (thick) and over patients (thin)."""
    plt = _plt()
    known = [r for r in results if r.difference is not None]
    figure, ax = plt.subplots(figsize=(8.5, 0.24 * len(known) + 1.2), layout="constrained")
    for y, r in enumerate(reversed(known)):
        d = r.difference
        assert d is not None
        ax.plot([d.patients_low, d.patients_high], [y - 0.18] * 2, color="#888888", lw=1)
        ax.plot([d.low, d.high], [y, y], color="#4477aa", lw=2.5)
        ax.plot(d.mean, y, "o", color="#cc3311", ms=4)
    ax.axvspan(-bound, bound, color="#ddaa33", alpha=0.15, lw=0)
    ax.axvline(0, color="k", lw=0.8)
    names = [f"{arm_name(r.comparison)}, {labels_name(r.labels)}" for r in reversed(known)]
    ax.set_yticks(range(len(known)), names, fontsize=7)
    ax.set(xlabel="difference (blue: 95 % over seeds and folds; grey: over patients; yellow: too small to matter)")
    ax.set_ylim(-0.8, len(known) - 0.2)
    figure.savefig(path, dpi=80)
    plt.close(figure)
