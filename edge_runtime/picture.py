"""The picture at the end of a run: the trace on ECG paper, the intervals over time with their ranges, the rhythm."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_runtime.errors import UsageError
from edge_runtime.report import MEASURABLE, Report
from firmware_bridge.clock import Samples

_KEPT_REPORTS = 24 * 3600
_COLOURS = {"pr_ms": "#4477aa", "qrs_ms": "#cc3311", "qt_ms": "#998800"}
_RIBBON = {
    "normal": "#66aa77", "af": "#cc3311", "other": "#ee9944", "noisy": "#999999", "uncertain": "#dddddd",
    "disconnected": "#222222", "silent": "#444444", "gap": "#8899bb", "lead_off": "#aa66aa",
    "poor_signal": "#999999", "warming_up": "#eeeecc", "clock": "#eeeecc",
}  # fmt: skip


class Picture:
    """A sink that keeps what the picture needs: the reports (a day at most) and the newest samples of a good window."""

    def __init__(self, path: Path) -> None:
        try:
            import matplotlib
        except ImportError:
            raise UsageError("--picture needs matplotlib: pip install 'leadwire[demo]'") from None
        matplotlib.use("Agg")
        if path.suffix.lower() != ".png":
            raise UsageError(f"--picture {path}: give it a name that ends in .png")
        if not path.parent.is_dir():
            raise UsageError(f"--picture {path}: no folder {path.parent}; make it first")
        self.path = path
        self._reports: list[Report] = []
        self._recent: list[Samples] = []
        self._good: tuple[float, NDArray[np.float64], float] | None = None

    def watch(self, samples: Samples) -> None:
        """Called by the session with every chunk; keeps the last window's worth."""
        self._recent.append(samples)
        while self._recent and samples.index - self._recent[0].index > 12 * samples.sampling_rate_hz:
            self._recent.pop(0)

    def write(self, report: Report) -> None:
        if len(self._reports) < _KEPT_REPORTS:
            self._reports.append(report)
        if report.state == "ok" and self._recent:
            recent = list(self._recent)
            rate = recent[-1].sampling_rate_hz
            first = round(report.start_s * rate)
            trace = np.full(round((report.end_s - report.start_s) * rate), np.nan)
            for chunk in recent:
                at = chunk.index - first
                low, high = max(0, at), min(len(trace), at + len(chunk.millivolts))
                if high > low:
                    trace[low:high] = chunk.millivolts[low - at : high - at]
            if np.isfinite(trace).mean() > 0.9:
                self._good = (report.start_s, trace, rate)

    def close(self) -> None:
        if self._reports:
            draw(self.path, self._reports, self._good)


def draw(path: Path, reports: list[Report], trace: tuple[float, NDArray[np.float64], float] | None) -> None:
    """Write the PNG."""
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(
        4, 1, figsize=(13, 9), layout="constrained", gridspec_kw={"height_ratios": [2.4, 1.6, 2.4, 0.8]}
    )
    last = reports[-1]
    name = Path(last.source).name.replace("$", r"\$")  # or matplotlib takes it for a formula
    lead = last.lead.replace("$", r"\$")
    figure.suptitle(f"Leadwire  -  {name}, lead {lead}  -  research use only, not a medical device", fontsize=10)
    _paper(axes[0], trace, lead)
    t = np.array([r.end_s for r in reports])
    _band(axes[1], t, reports, "hr_bpm", "#224466", "HR")
    axes[1].set_ylabel("bpm")
    for name, label in (("qt_ms", "QT"), ("pr_ms", "PR"), ("qrs_ms", "QRS")):
        _band(axes[2], t, reports, name, _COLOURS[name], label)
    axes[2].set_ylabel("ms")
    axes[2].legend(loc="upper right", ncols=3, frameon=False, fontsize=8)
    _ribbon(axes[3], reports)
    for ax in axes[1:]:
        ax.set_xlim(0, max(1.0, float(t.max())))
    for ax in axes[1:3]:
        ax.grid(alpha=0.25)
        ax.tick_params(labelbottom=False)
    axes[3].set_xlabel("s on the device's clock")
    figure.savefig(path, dpi=100)
    plt.close(figure)


def _paper(ax: Any, trace: tuple[float, NDArray[np.float64], float] | None, lead: str) -> None:
    """25 mm/s, 10 mm/mV: small squares of 40 ms and 0.1 mV, large ones of 200 ms and 0.5 mV."""
    ax.set_title(f"10 s of lead {lead}, 25 mm/s, 10 mm/mV", fontsize=9, loc="left")
    if trace is None:
        ax.text(0.5, 0.5, "no good window was seen", ha="center", transform=ax.transAxes)
        return
    start, mv, rate = trace
    mv = mv - np.nanmedian(mv)
    t = start + np.arange(len(mv)) / rate
    low, high = min(-1.0, np.floor(np.nanmin(mv) * 2) / 2), max(1.5, np.ceil(np.nanmax(mv) * 2) / 2)
    ax.set(xlim=(t[0], t[-1]), ylim=(low, high), ylabel="mV", facecolor="#fffafa")
    ax.set_aspect(10 / 25)  # a second is as wide as 2.5 mV are high
    ax.set_xticks(np.arange(np.ceil(t[0]), t[-1] + 1e-6, 1.0))
    for step, width, alpha in ((0.04, 0.3, 0.35), (0.2, 0.7, 0.6)):
        ax.vlines(np.arange(t[0], t[-1], step), low, high, color="#ee9999", lw=width, alpha=alpha)
    for step, width, alpha in ((0.1, 0.3, 0.35), (0.5, 0.7, 0.6)):
        ax.hlines(np.arange(low, high + 1e-6, step), t[0], t[-1], color="#ee9999", lw=width, alpha=alpha)
    ax.plot(t, mv, color="#111122", lw=1.0)


def _band(ax: Any, t: NDArray[np.float64], reports: list[Report], name: str, colour: str, label: str) -> None:
    """A value with its range; a break where it was not valid."""
    rows = [r.measures[name] for r in reports]
    value, low, high = (
        np.array([np.nan if x is None else x for x in v])
        for v in zip(*((r.value, r.low, r.high) for r in rows), strict=True)
    )
    ax.fill_between(t, low, high, color=colour, alpha=0.18, lw=0)
    ax.plot(t, value, color=colour, lw=1.4, marker=".", ms=2.5, label=label)


def ribbon_label(report: Report) -> str:
    """The rhythm, or the state that hides it."""
    if report.state not in MEASURABLE:
        return report.state
    return report.rhythm.label or "uncertain"


def _ribbon(ax: Any, reports: list[Report]) -> None:
    labels = [ribbon_label(r) for r in reports]
    ends = [r.end_s for r in reports]
    for i, (end, label) in enumerate(zip(ends, labels, strict=True)):
        absent = label in ("disconnected", "silent") and i + 1 < len(ends)  # it lasts until something is heard again
        start = (ends[i - 1] if i else end) if absent else end - 1.0
        ax.axvspan(start, ends[i + 1] - 1.0 if absent else end, color=_RIBBON[label], lw=0)
    from matplotlib.patches import Patch

    shown = [label for label in _RIBBON if label in labels]
    ax.legend(
        [Patch(color=_RIBBON[x]) for x in shown],
        shown,
        loc="upper center",
        bbox_to_anchor=(0.5, -0.55),
        ncols=9,
        fontsize=8,
        frameon=False,
    )
    ax.set_yticks([])
    ax.set_title("rhythm, or why there is none", fontsize=9, loc="left")
