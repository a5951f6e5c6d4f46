"""QT Database 1.0.0 (Laguna 1997): 15 min, 2 leads, 30 to 100 beats a record by hand (`q1c`)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge_runtime.records import Record, read_record
from train.datasets.annotations import AnnotatedWave, beat_samples, read_waves

# Excerpts of the MIT-BIH record of that number: one subject. (A pattern would also catch sel14xxx to sel17xxx.)
MITDB_SUBJECTS = {
    f"sel{n}": str(n) for n in (100, 102, 103, 104, 114, 116, 117, 123, 213, 221, 223, 230, 231, 232, 233)
}


@dataclass(frozen=True)
class QtdbRecord:
    name: str
    record: Record
    waves: tuple[AnnotatedWave, ...]
    beats_s: NDArray[np.float64]

    @property
    def spans_s(self) -> list[tuple[float, float]]:
        """Stretches in which every beat was annotated: runs of marked beats with no unmarked one between."""
        groups: list[list[AnnotatedWave]] = []
        last_qrs = None
        for wave in self.waves:
            if wave.kind == 1:
                if last_qrs is not None:
                    between = (self.beats_s > last_qrs + 0.15) & (self.beats_s < wave.peak_s - 0.15)
                    if between.any() or wave.peak_s - last_qrs > 3.0:
                        # The P wave that was put before this QRS belongs to the new group.
                        carried = [groups[-1].pop()] if groups[-1][-1].kind == 0 else []
                        groups.append(carried)
                last_qrs = wave.peak_s
            if not groups:
                groups.append([])
            groups[-1].append(wave)
        spans = []
        for group in groups:
            times = [t for w in group for t in (w.onset_s, w.peak_s, w.offset_s) if t is not None]
            if times:
                spans.append((min(times), max(times)))
        return spans

    @property
    def span_s(self) -> tuple[float, float]:
        spans = self.spans_s
        return spans[0][0], spans[-1][1]


def records(folder: Path) -> list[str]:
    return sorted(p.stem for p in folder.glob("*.q1c"))


def read(folder: Path, name: str) -> QtdbRecord:
    path = folder / name
    record = read_record(path)
    rate = record.sampling_rate_hz
    extension = "atr" if path.with_suffix(".atr").exists() else "pu0"
    beats = beat_samples(path, extension)
    return QtdbRecord(name, record, tuple(read_waves(path, "q1c", rate)), beats / rate)
