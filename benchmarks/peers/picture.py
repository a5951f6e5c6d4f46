"""Error against the time of a window, log axes, a point a peer: what is lower and further left is better."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from benchmarks.peers.judge import mean_interval_mae
from train.peers.finders import OURS

# Of a label, points from its own.
_BESIDE = [(x, y) for y in (4, -11, 15, -22, 26, -33, 37, -44, 48) for x in (7, -7)]
_INK, _FAINT, _OURS = "#333333", "#8a9aa9", "#c0392b"


def picture(result: dict[str, Any], path: Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot, ticker

    figure, both = pyplot.subplots(1, 2, figsize=(12, 5.4), layout="constrained")
    times = {name: row["processor_ms"]["p50"] for name, row in result["time"]["peers"].items()}
    labels = []
    for axes, title, error in (
        (both[0], "PR, QRS and QT: mean of the three MAEs, ms", mean_interval_mae),
        (both[1], "heart rate: MAE, bpm", _rate_mae),
    ):
        for name, row in result["peers"].items():
            mae = error(row["errors"])
            if mae is None:
                continue
            ours = name == OURS
            color, weight = (_OURS, "bold") if ours else (_INK, "normal")
            axes.plot(times[name], mae, "o", color=_OURS if ours else _FAINT, markersize=9 if ours else 6)
            place = {"xytext": _BESIDE[0], "textcoords": "offset points"}
            labels.append(axes.annotate(name, (times[name], mae), fontsize=8, color=color, weight=weight, **place))
        axes.set(xscale="log", yscale="log", xlabel="a core's time for a window of 10 s, ms", title=title)
        axes.margins(0.2)
        axes.grid(alpha=0.25, which="both")
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_minor_locator(ticker.LogLocator(subs=(2.0, 5.0)))
            axis.set_major_formatter(ticker.FuncFormatter(lambda value, _: f"{value:g}"))
            axis.set_minor_formatter(ticker.FuncFormatter(lambda value, _: f"{value:g}"))
    figure.suptitle(f"LUDB I + II and QTDB, patients that our net never saw; {result['machine']['name']}", fontsize=10)
    figure.canvas.draw()
    _set_apart(labels)
    figure.savefig(path, dpi=110)
    pyplot.close(figure)


def _set_apart(labels: list[Any]) -> None:
    """Each at the first place beside its point where it covers no other."""
    taken: list[Any] = []
    for label in labels:
        for place in _BESIDE:
            label.set_position(place)
            label.set_horizontalalignment("left" if place[0] > 0 else "right")
            box = label.get_window_extent()
            if not any(box.overlaps(other) for other in taken):
                break
        taken.append(box)


def _rate_mae(errors: dict[str, Any]) -> float | None:
    mae = errors["both"]["hr_bpm"].get("mae")
    return None if mae is None else float(mae)
