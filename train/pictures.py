"""Pictures of what training does: the hearts it makes and the curves it follows."""

from __future__ import annotations

import json
import os
import platform
import time
from pathlib import Path
from typing import Any

import numpy as np

from edge_runtime.delineation import WAVES
from train.generate import synthetic_windows, write_wfdb
from train.generators.hearts import synthetic_window
from train.windows import GRID, Windows

_COLOURS = ("#4477aa", "#cc3311", "#ddaa33")


def generate(seed: int, count: int, folder: Path) -> None:
    """Write `count` windows of the run's seed as WFDB under `generated/`, and a contact sheet of them."""
    for index in range(count):
        window = synthetic_window(np.random.default_rng([seed, index]))
        write_wfdb(
            window.samples_mv,
            window.waves,
            f"synthetic {window.rhythm}",
            f"synthetic{index:05d}",
            folder / "generated",
        )
    contact_sheet(synthetic_windows(seed, count), folder / "contact_sheet.png", min(count, 24))
    speed = _speed(seed)
    (folder / "generate.json").write_text(json.dumps(speed, indent=1) + "\n")
    print(f"{folder / 'generated'}: {count} records; {folder / 'contact_sheet.png'}")
    print(f"{speed['windows_per_s']:g} windows/s on {speed['cores']} cores, conditioned and with their masks")


def _speed(seed: int, count: int = 6000) -> dict[str, Any]:
    """How fast training's windows are made here, the start of the processes included."""
    started = time.perf_counter()
    synthetic_windows(seed, count)
    seconds = time.perf_counter() - started
    return {
        "windows": count,
        "windows_per_s": round(count / seconds, 1),
        "cores": len(os.sched_getaffinity(0)),
        "machine": f"{platform.machine()}, {platform.system()} {platform.release()}",
        "python": platform.python_version(),
    }


def contact_sheet(windows: Windows, path: Path, count: int = 24, seconds: float = 5.0) -> None:
    """A PNG of the first windows with their masks shaded."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    rows = -(-count // 3)
    figure, axes = plt.subplots(rows, 3, figsize=(18, 1.6 * rows + 0.6), squeeze=False, layout="constrained")
    t = np.arange(windows.signal_uv.shape[1]) / 250.0
    mask_t = (np.arange(GRID.length) - GRID.margin) / GRID.sampling_rate_hz
    for i, ax in enumerate(axes.flat[: len(windows)]):
        mv = windows.signal_uv[i] * 1e-3
        low, high = mv.min(), mv.max()
        for kind, name in enumerate(WAVES):
            if windows.mask is not None:
                level = low + (high - low) * windows.mask[i, kind] / 255.0
                ax.fill_between(
                    mask_t, low, level, color=_COLOURS[kind], alpha=0.2, lw=0, label=name if i == 0 else None
                )
        ax.plot(t, mv, "k", lw=0.7)
        ax.set(xlim=(0, seconds), ylabel="mV")
    figure.legend(loc="outside upper right", ncols=3)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=60)
    plt.close(figure)


_HEADS = {"masks": "#4477aa", "p_wave": "#cc3311", "rhythm": "#ddaa33", "findings": "#228833", "intervals": "#aa3377"}


def learning_curves(folder: Path) -> None:
    """A PNG of each stage's losses, a line a fold: in training (thin) and on the patients set aside (thick)."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(2, 3, figsize=(14, 6.4), layout="constrained", height_ratios=(2, 1), sharex="col")
    for column, stage in zip(axes.T, ("pretrain", "regress", "transfer"), strict=True):
        for log in sorted(folder.glob(f"**/{stage}.log.jsonl")):
            rows = [json.loads(line) for line in log.read_text().splitlines()]
            epochs = [row["epoch"] for row in rows]
            for head, colour in _HEADS.items():
                ax = column[int(head == "intervals")]  # a log likelihood goes below zero: it has an axis of its own
                for losses, width in ((rows, 0.7), ([row.get("validation", {}) for row in rows], 1.6)):
                    if all(head in row for row in losses):
                        ax.plot(epochs, [row[head] for row in losses], color=colour, lw=width, alpha=0.7)
        column[0].set(title=stage, yscale="log")
        column[1].set(xlabel="epoch")
        for ax in column:
            ax.grid(alpha=0.25, which="both")
    axes[0, 0].set_ylabel("loss")
    axes[1, 0].set_ylabel("loss of the intervals")
    for head, colour in _HEADS.items():
        axes[0, -1].plot([], [], color=colour, label=head)
    axes[0, -1].legend(title="thin: training; thick: validation", frameon=False, fontsize=8)
    figure.savefig(folder / "learning_curves.png", dpi=80)
    plt.close(figure)
