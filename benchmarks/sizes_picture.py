"""What `benchmarks.sizes` found, as pictures: error against instructions, and the codings of the input by P wave."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

CODINGS = {"linear": "linear, ±5 mV", "two_channels": "two channels, ±1 and ±5 mV", "companded": "asinh(mV / 0.1)"}
DEFAULT, FAMILY = "x1", "x"  # the net that ships, and how the names of its sizes begin
_COLOURS = {"float": "#888888", "int8": "#4477aa", "int8, a scale a layer": "#ddaa33"}
_PANELS = {"all measures": None, "PR": "pr_ms", "QRS": "qrs_ms", "QT": "qt_ms"}


def instructions(net: dict[str, Any], core: str) -> float:
    """Millions a window."""
    return sum(net["instructions"][core].values()) / 1e6


def family(nets: dict[str, Any]) -> list[str]:
    """The sizes by their multiply-accumulates."""
    return sorted((n for n in nets if n.startswith(FAMILY)), key=lambda n: nets[n]["macs"])


def error(net: dict[str, Any], form: str, measure: str | None) -> float:
    """MAE over both data sets alike, ms, refused values as the constant's; without a measure the score."""
    if measure is None:
        return float(net["score"][form])
    return float(np.mean([by[measure]["mae_all"] for by in net["errors"][form].values()]))


def by_coding(nets: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The nets of the default's kind and size, by the coding of their input as it is shown."""
    own = {n["coding"]: n for n in nets.values() if (n["channels"], n["kind"]) == _shape(nets[DEFAULT])}
    return {shown: own[coding] for coding, shown in CODINGS.items() if coding in own}


def _shape(net: dict[str, Any]) -> tuple[list[int], str]:
    return net["channels"], net["kind"]


def picture(result: dict[str, Any], path: Path) -> None:
    """A PNG: a panel for the score and for each interval, over instructions on a Cortex-A72."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    nets = {name: net for name, net in result["nets"].items() if "instructions" in net}
    sizes = family(nets)
    others = [n for n in nets if n not in sizes and nets[n]["coding"] == nets[DEFAULT]["coding"]]
    figure, axes = plt.subplots(1, len(_PANELS), figsize=(17, 4.2), layout="constrained")
    for ax, (title, measure) in zip(axes, _PANELS.items(), strict=True):
        for form, colour in _COLOURS.items():
            x = [instructions(nets[n], "cortex-a72") for n in sizes]
            y = [error(nets[n], form, measure) for n in sizes]
            ax.plot(x, y, "o-", ms=4, color=colour, lw=1.6 if form == "int8" else 1, label=form)
            for name in others:
                place = instructions(nets[name], "cortex-a72"), error(nets[name], form, measure)
                ax.plot(*place, "^", ms=6, color=colour)
                if form == "int8":
                    ax.annotate(name, place, (6, 4), textcoords="offset points", fontsize=8)
        for name in sizes:
            place = instructions(nets[name], "cortex-a72"), error(nets[name], "int8", measure)
            ax.annotate(name, place, (0, -14), textcoords="offset points", fontsize=8, ha="center")
            if name == DEFAULT:
                ax.plot(*place, "o", ms=12, mfc="none", mec="#cc3311", mew=1.6, label="ships")
        ax.set(title=title, xscale="log", xlabel="M instructions a window, Cortex-A72")
        ax.set_xticks(ticks := [2, 4, 8, 16, 32], [f"{t}" for t in ticks])
        ax.minorticks_off()
        ax.set_ylabel("MAE over the constant's" if measure is None else "MAE, ms")
        ax.grid(alpha=0.25, which="both")
        ax.margins(0.12, 0.15)
    axes[-1].legend(frameon=False, fontsize=8)
    _save(figure, path)


def codings_picture(result: dict[str, Any], path: Path) -> None:
    """A PNG: by the P wave's size the share found, and the errors of its onset and of PR; float pale, int8 full."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    nets = by_coding(result["nets"])
    figure, axes = plt.subplots(1, 3, figsize=(15, 3.8), layout="constrained")
    for (shown, net), colour in zip(nets.items(), ("#cc3311", "#ddaa33", "#4477aa"), strict=False):
        for form, style in (("float", {"ls": "--", "alpha": 0.5}), ("int8", {"ls": "-"})):
            bands = net["p_waves"][form]
            found = [100 * row["found"] / row["annotated"] if row["annotated"] else np.nan for row in bands.values()]
            onset, pr = (
                [np.nan if row[key] is None else row[key] for row in bands.values()]
                for key in ("onset_mae_ms", "pr_mae_ms")
            )
            for ax, values in zip(axes, (found, onset, pr), strict=True):
                ax.plot(list(bands), values, "o", ms=4, color=colour, label=f"{shown}, {form}", **style)
    for ax, title in zip(axes, ("P waves found, %", "P onset, MAE, ms", "PR, MAE, ms"), strict=True):
        ax.set(title=title, xlabel="size of the P wave")
        ax.grid(alpha=0.25)
    axes[-1].legend(frameon=False, fontsize=8)
    _save(figure, path)


def _save(figure: Any, path: Path) -> None:
    from matplotlib import pyplot as plt

    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=75)
    plt.close(figure)
