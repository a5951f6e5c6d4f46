"""Error against the time of a window, log axes, a point a peer: what is lower and further left is better."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from benchmarks.peers.judge import mean_interval_mae
from train.peers.finders import OURS

_INK, _FAINT, _OURS = "#333333", "#8a9aa9", "#c0392b"


def picture(result: dict[str, Any], path: Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, (left, right) = pyplot.subplots(1, 2, figsize=(11, 4.6), layout="constrained")
    times = {name: row["processor_ms"]["p50"] for name, row in result["time"]["peers"].items()}
    for axes, title, error in (
        (left, "PR, QRS and QT: mean of the three MAEs, ms", mean_interval_mae),
        (right, "heart rate: MAE, bpm", _rate_mae),
    ):
        for name, row in result["peers"].items():
            mae = error(row["errors"])
            if mae is None:
                continue
            own = name == OURS
            axes.plot(times[name], mae, "o", color=_OURS if own else _FAINT, markersize=9 if own else 6)
            axes.annotate(
                name,
                (times[name], mae),
                xytext=(6, 4),
                textcoords="offset points",
                fontsize=8,
                color=_OURS if own else _INK,
                weight="bold" if own else "normal",
            )
        axes.set(xscale="log", yscale="log", xlabel="a core's time for a window of 10 s, ms", title=title)
        axes.margins(0.18)
        axes.grid(alpha=0.25, which="both")
    figure.suptitle(f"LUDB I + II and QTDB, patients that our net never saw; {result['machine']['name']}", fontsize=10)
    figure.savefig(path, dpi=110)
    pyplot.close(figure)


def _rate_mae(errors: dict[str, Any]) -> float | None:
    mae = errors["both"]["hr_bpm"].get("mae")
    return None if mae is None else float(mae)
