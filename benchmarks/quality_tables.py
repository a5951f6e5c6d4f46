"""`quality.json` as the tables of `docs/quality.md`, and the curve as a picture."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from train.markdown import sections, table

_ORDER = (
    "lead_off", "flat", "clipped", "low_amplitude", "mains", "muscle", "motion", "implausible_rate", "few_beats",
    "noise",
)  # fmt: skip
_PANELS = (("hr_bpm", "HR, bpm"), ("pr_ms", "PR, ms"), ("qrs_ms", "QRS, ms"), ("qt_ms", "QT, ms"))


def _share(part: float, whole: float, digits: int = 1) -> str:
    return f"{100 * part / whole:.{digits}f} %" if whole else "-"


def _reasons(said: dict[str, Any], shown: tuple[str, ...]) -> list[str]:
    return [str(said["reasons"].get(name, "")) for name in shown]


def noise_markdown(noise: dict[str, Any]) -> str:
    """By noise and level: stated, right, and why the rest is not."""
    shown = tuple(r for r in _ORDER if any(r in s["reasons"] for by in noise["all"].values() for s in by.values()))
    rows = []
    for name, by in noise["all"].items():
        for level, said in by.items():
            where = "clean" if level == "clean" else f"{name}, {level} dB"
            stated = [_share(said["stated"], said["n"]), _share(said["right"], said["stated"])]
            rows.append([where, str(said["n"]), *stated, *_reasons(said, shown)])
    return table(["LUDB, QTDB, MIT-BIH under", "windows", "HR stated", "of these right", *shown], rows)


def fault_markdown(faults: dict[str, Any]) -> str:
    shown = tuple(r for r in _ORDER if any(r in said["reasons"] for said in faults.values()))
    rows = []
    for name, said in faults.items():
        right = _share(said["right"], said["stated"]) if said["heart"] else ("none can be" if said["stated"] else "-")
        refused = said["n"] - said["stated"]
        named = _share(said["named"], refused, 0) if said["means"] else ""
        rows.append([name, str(said["stated"]), right, named, *_reasons(said, shown)])
    count = max((said["n"] for said in faults.values()), default=0)
    return table([f"fault, {count} windows each", "HR stated", "of these right", "refused by its name", *shown], rows)


def cinc_markdown(cinc: dict[str, Any]) -> str:
    shown = tuple(r for r in _ORDER if any(r in said["reasons"] for said in cinc.values()))
    rows = [
        [
            name,
            str(said["records"]),
            _share(said["called_noisy"], said["records"]),
            _share(said["wholly_refused"], said["records"]),
            _share(said["refused"], said["windows"]),
            *(_share(said["reasons"].get(r, 0), said["refused"], 0) for r in shown),
        ]
        for name, said in cinc.items()
    ]
    head = ["CinC 2017", "records", "called noisy", "every window refused", "windows refused"]
    return table([*head, *(f"of these {r}" for r in shown)], rows)


def worn_markdown(worn: dict[str, Any]) -> str:
    rows = [
        [
            name,
            f"{said['false_alarms']} of {said['as_it_is']}",
            str(said["patients_with_false_alarms"]),
            f"{said['recognised']} of {said['turned']} ({_share(said['recognised'], said['turned'])})",
        ]
        for name, said in worn.items()
    ]
    return table(["one window of", "looks turned, as it is", "patients", "looks turned, turned"], rows)


def quality_markdown(result: dict[str, Any]) -> str:
    parts = {
        "### Noise on annotated hearts": noise_markdown(result["noise"]),
        "### Faults made on purpose": fault_markdown(result["faults"]),
        "### Records that their annotators called noisy": cinc_markdown(result["cinc2017"]),
        "### Leads as they are and turned": worn_markdown(result["worn"]),
    }
    return sections(parts)


def curve_picture(curve: dict[str, Any], path: Path) -> None:
    """A PNG: of each measure the mean absolute error of the windows with the best quality, as more and more of them
    are stated, a line a noise level; a dot where the product's threshold stands."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(1, 4, figsize=(13, 3.6), layout="constrained")
    levels = list(curve["levels"])
    colours = plt.get_cmap("viridis_r")
    for ax, (name, label) in zip(axes, _PANELS, strict=True):
        for k, level in enumerate(levels):
            colour = colours(0.08 + 0.87 * k / max(1, len(levels) - 1))
            mae = [float("nan") if v is None else v for v in curve["levels"][level][name]["mae"]]
            shown = level if level == "clean" else f"{level} dB"
            ax.plot([100 * s for s in curve["shares"]], mae, color=colour, lw=1.4, label=shown)
            share, at = curve["at_threshold"][level][name]
            if at is not None:
                ax.plot(100 * share, at, "o", color=colour, ms=6, mec="white", mew=0.8)
        ax.set(xlim=(0, 101), title=label, xlabel="windows stated, %")
        ax.grid(alpha=0.25)
        if name == "hr_bpm":
            ax.set_yscale("log")
        else:
            ax.set_ylim(bottom=0)
    axes[0].set_ylabel("mean absolute error")
    axes[0].legend(fontsize=7, frameon=False, title="electrode motion", title_fontsize=7)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=80)
    plt.close(figure)
