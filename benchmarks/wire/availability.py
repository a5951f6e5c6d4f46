"""How much of a recording still gives values when frames are lost, and what bridging the gaps costs.

Each annotated window of LUDB (leads I and II) and QTDB (channel 0) is played by the native simulated device with a
share of its frames dropped, and goes through receiver and default bundle. The default bundle has seen these patients:
what is measured is the change from the same window without a loss, not its accuracy. The cost of bridging is how much
farther from the annotator the stated values are, in ms, over windows that state both.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_runtime.analysis import analyse_window
from edge_runtime.backends import Backend, open_backend
from edge_runtime.bundle import DEFAULT, MEASURED, Model, load_bundle
from edge_runtime.library import cache_folder
from edge_runtime.records import Lead, Record
from edge_runtime.report import Report
from edge_runtime.wearable import wearable_of
from edge_runtime.windows import Window
from firmware_bridge.boards import BOARDS
from firmware_bridge.receiver import Receiver
from train.datasets.truth import Case, ludb_cases, qtdb_cases

LOSSES = (0.0, 0.001, 0.01, 0.05)
TARGET_MS, TARGET_AT = 1.0, 0.01
_PICOVOLTS = 1_000_000  # a microvolt, and finer than any of the recordings


def record_of(samples_mv: NDArray[np.float64], rate: float, lead: str) -> Record:
    missing = ~np.isfinite(samples_mv)
    counts = np.round(np.where(missing, 0.0, samples_mv) * 1e9 / _PICOVOLTS).astype(np.int32)
    return Record("window", rate, (Lead(lead, counts, float(_PICOVOLTS), 0, 16, missing),))


def over_the_wire(record: Record, loss: float, seed: int) -> tuple[Window, int, int]:
    """The record as a window with holes, and how many frames were lost of how many."""
    device = wearable_of(record, None, 0.0, None, f"drop={loss:g}", seed)
    receiver = Receiver(BOARDS["native"])
    receiver.opened()
    lead = record.leads[0]
    held = np.full(len(lead.counts), np.nan)
    receiver.feed(device.describe(0.0), 0.0)
    first: int | None = None
    for piece in device.pieces():
        for samples in receiver.feed(piece.data, piece.due_s):
            first = piece.first if first is None else first  # the timeline begins with what came first
            at = samples.index + first
            held[at : at + len(samples.millivolts)] = samples.millivolts
    ledger, rate = device.ledger, record.sampling_rate_hz
    return Window(held, rate, 0.0, len(held) / rate, lead.name), ledger.dropped_frames, ledger.frames


class Tally:
    """Of one loss: windows, how often each measure was stated, and how much farther off it was than without a loss."""

    def __init__(self) -> None:
        self.windows = self.lost_frames = self.frames = 0
        self.stated = dict.fromkeys(MEASURED, 0)
        self.bridged_windows = 0
        self.grown: dict[str, list[float]] = {name: [] for name in MEASURED}
        self.moved: dict[str, list[float]] = {name: [] for name in MEASURED}

    def add(self, report: Report, whole: Report, truth: dict[str, float | None]) -> None:
        self.windows += 1
        self.bridged_windows += report.bridged_samples > 0
        for name in MEASURED:
            value, before, true = report.measures[name].value, whole.measures[name].value, truth[name]
            self.stated[name] += value is not None
            if value is None or before is None:
                continue
            self.moved[name].append(abs(value - before))
            if true is not None:
                self.grown[name].append(abs(value - true) - abs(before - true))

    def to_dict(self) -> dict[str, Any]:
        return {
            "windows": self.windows,
            "lost_frames": self.lost_frames,
            "frames": self.frames,
            "bridged_windows": self.bridged_windows,
            "measures": {
                name: {
                    "stated": self.stated[name],
                    "n": len(self.grown[name]),
                    "grown": _mean(self.grown[name]),
                    "moved": _mean(self.moved[name]),
                    "moved_n": len(self.moved[name]),
                }
                for name in MEASURED
            },
        }


def _mean(values: Sequence[float]) -> float | None:
    return float(np.mean(values)) if values else None


def tallied(
    windows: Sequence[tuple[NDArray[np.float64], float, str, dict[str, float | None]]],
    model: Model,
    backend: Backend,
    seeds: int,
) -> dict[str, Any]:
    """windows: samples in mV, rate, lead, truth of each."""
    tallies = {f"{loss:g}": Tally() for loss in LOSSES}
    for number, (mv, rate, lead, truth) in enumerate(windows):
        record = record_of(mv, rate, lead)
        whole = analyse_window(over_the_wire(record, 0.0, 0)[0], model, backend)
        for loss in LOSSES:
            for seed in range(seeds if loss else 1):
                window, lost, frames = over_the_wire(record, loss, seeds * number + seed)
                tally = tallies[f"{loss:g}"]
                tally.add(analyse_window(window, model, backend), whole, truth)
                tally.lost_frames += lost
                tally.frames += frames
    return {loss: tally.to_dict() for loss, tally in tallies.items()}


def _windows(cases: Sequence[Case]) -> list[tuple[NDArray[np.float64], float, str, dict[str, float | None]]]:
    return [
        (mv, case.sampling_rate_hz, case.lead, dict(truth))
        for case in cases
        for mv, truth in zip(case.windows_mv, case.window_truth, strict=True)
    ]


def measure(full: bool) -> dict[str, Any]:
    """By data set and loss; needs LUDB and QTDB where `leadwire analyse` looks for them."""
    bundle = load_bundle(DEFAULT)
    backend, most = open_backend(bundle), 0 if full else 3
    data = cache_folder()
    sets = {
        "ludb": _windows(ludb_cases(data / "ludb", most_records=most)),
        "qtdb": _windows(qtdb_cases(data / "qtdb", most_records=most)),
    }
    return {
        "what": "native simulated device, default bundle; grown: |error| with the loss - |error| without, ms (bpm)",
        "bundle": bundle.model.id,
        "max_bridged_ms": bundle.model.max_bridged_ms,
        "target_ms": TARGET_MS,
        "sets": {name: tallied(windows, bundle.model, backend, 3 if full else 1) for name, windows in sets.items()},
    }
