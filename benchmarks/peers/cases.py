"""What every peer is asked: the windows of the accuracy's cases, and MIT-BIH's recordings."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.matching import TOLERANCE_S, nearest_pairs
from edge_runtime.library import cache_folder
from train import folds
from train.datasets import mitdb
from train.datasets.annotations import read_annotation
from train.datasets.truth import Case, ludb_cases, qtdb_cases
from train.peers import Signal
from train.run import Run

LEARNING_S = 300.0  # EC57: a detector may take five minutes to know the patient
_FLUTTER = ("[", "]")


def cases_of(run: Run, records: int) -> list[Case]:
    """LUDB's leads I and II and QTDB's first channel; of each set so many records, all for 0."""
    data, few = cache_folder(), records or run.config.records_per_set
    return ludb_cases(data / "ludb", most_records=few) + qtdb_cases(data / "qtdb", most_records=few)


def windows_of(cases: list[Case]) -> list[Signal]:
    return [(mv, case.sampling_rate_hz) for case in cases for mv in case.windows_mv]


@dataclass(frozen=True)
class Recording:
    """Of MIT-BIH. beats_s: where its annotators saw one; left_out_s: flutter, of which EC57 asks nothing."""

    name: str
    fold: int
    signal: Signal
    beats_s: NDArray[np.float64]
    left_out_s: tuple[tuple[float, float], ...]


def recordings(records: int) -> list[Recording]:
    """All 48, or the first so many; none where the data set is not at hand."""
    folder = cache_folder() / "mitdb"
    names = sorted(path.stem for path in folder.glob("*.hea"))[: records or None]
    return [_recording(folder, name) for name in names]


def _recording(folder: Path, name: str) -> Recording:
    record = mitdb.read(folder, name)
    rate = record.sampling_rate_hz
    symbols, at = read_annotation(folder / name, "atr")
    begins, ends = ([t / rate for s, t in zip(symbols, at.tolist(), strict=True) if s == sign] for sign in _FLUTTER)
    flutter = tuple(zip(begins, [*ends, len(record.samples_mv) / rate], strict=False))
    signal = (record.samples_mv, rate)
    return Recording(name, folds.fold_of("mitdb", name), signal, record.beat_samples / rate, flutter)


def counts(recording: Recording, found_s: NDArray[np.float64]) -> dict[str, int]:
    """found, missed and extra beats by EC57's rule: one to one within 150 ms, behind the first five minutes."""

    def judged(times_s: NDArray[np.float64]) -> NDArray[np.bool_]:
        inside = times_s >= LEARNING_S
        for begin, end in recording.left_out_s:
            inside &= (times_s < begin) | (times_s > end)
        return inside

    truth, found = recording.beats_s, np.sort(found_s[np.isfinite(found_s)])
    pairs = nearest_pairs(truth, found, TOLERANCE_S)
    own, theirs = judged(truth), judged(found)
    hits = sum(bool(own[i]) for i in pairs)
    taken = set(pairs.values())
    extra = sum(bool(theirs[j]) for j in range(len(found)) if j not in taken)
    return {"found": hits, "missed": int(own.sum()) - hits, "extra": extra}
