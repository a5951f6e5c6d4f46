"""Labelled windows as the net's training sees them: conditioned signal, and labels that may be unknown."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_runtime.conditioning import condition
from edge_runtime.delineation import MaskGrid
from train import folds
from train.datasets import cinc2017, ludb, qtdb
from train.datasets.annotations import beats_of, p_label, window_labels

WINDOW_S = 10.0
SAMPLES = 2500
GRID = MaskGrid()
UNKNOWN = -1


@dataclass
class Windows:
    """n windows. `mask` and `known` are None where no window of the set has masks.

    signal_uv (n, 2500) int16 conditioned microvolts; mask, known (n, 3, 1280) uint8; p_wave, rhythm (n,) int8 with
    UNKNOWN; fold (n,) int8; group (n,) int32: the record, of which one window is drawn an epoch.
    """

    signal_uv: NDArray[np.int16]
    mask: NDArray[np.uint8] | None
    known: NDArray[np.uint8] | None
    p_wave: NDArray[np.int8]
    rhythm: NDArray[np.int8]
    fold: NDArray[np.int8]
    group: NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.signal_uv)

    def select(self, keep: NDArray[np.bool_]) -> Windows:
        def cut(a: NDArray[np.uint8] | None) -> NDArray[np.uint8] | None:
            return None if a is None else a[keep]

        parts = (self.p_wave[keep], self.rhythm[keep], self.fold[keep], self.group[keep])
        return Windows(self.signal_uv[keep], cut(self.mask), cut(self.known), *parts)

    def save(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(".part.npz")
        np.savez(part, **{k: v for k, v in vars(self).items() if v is not None})
        part.replace(path)

    @classmethod
    def load(cls, path: Path) -> Windows:
        with np.load(path, allow_pickle=False) as file:
            stored: dict[str, Any] = {k: file.get(k) for k in cls.__dataclass_fields__}
            return cls(**stored)


class Collector:
    """Gathers windows one by one."""

    def __init__(self) -> None:
        self.rows: list[tuple[NDArray[np.int16], NDArray[np.uint8] | None, NDArray[np.uint8] | None]] = []
        self.labels: list[tuple[int, int, int, int]] = []

    def add(
        self,
        samples_mv: NDArray[np.float64],
        rate: float,
        fold: int,
        group: int,
        masks: tuple[NDArray[np.uint8], NDArray[np.uint8]] | None = None,
        p_wave: int = UNKNOWN,
        rhythm: int = UNKNOWN,
    ) -> None:
        signal = np.zeros(SAMPLES, np.int16)
        conditioned = condition(samples_mv, rate)[:SAMPLES]
        signal[: len(conditioned)] = np.clip(np.round(conditioned * 1e3), -32767, 32767)
        self.rows.append((signal, *(masks or (None, None))))
        self.labels.append((p_wave, rhythm, fold, group))

    def windows(self) -> Windows:
        if not self.rows:
            raise ValueError("no window was found; is the data where LEADWIRE_DATA says?")
        signal, mask, known = zip(*self.rows, strict=True)
        p_wave, rhythm, fold, group = np.array(self.labels, np.int32).T
        masked = mask[0] is not None
        return Windows(
            np.stack(signal),
            np.stack(mask) if masked else None,
            np.stack(known) if masked else None,
            p_wave.astype(np.int8),
            rhythm.astype(np.int8),
            fold.astype(np.int8),
            group,
        )


def ludb_windows(folder: Path, most_records: int = 0) -> Windows:
    """Every lead of every record (0: of all): one window each."""
    out = Collector()
    for record in ludb.records(folder)[: most_records or None]:
        for lead in ludb.read(folder, record):
            if not lead.waves:
                continue
            masks = window_labels(GRID, lead.waves, [lead.span_s], 0.0)
            p = p_label(beats_of(lead.waves))
            out.add(lead.samples_mv, lead.sampling_rate_hz, folds.fold_of("ludb", record), len(out.rows), masks, p)
    return out.windows()


def qtdb_windows(folder: Path, most_records: int = 0, hop_s: float = 2.5) -> Windows:
    """Windows over the annotated stretches, both channels (the annotator saw both)."""
    out = Collector()
    for group, name in enumerate(qtdb.records(folder)[: most_records or None]):
        record = qtdb.read(folder, name)
        spans = record.spans_s
        rate = record.record.sampling_rate_hz
        leads = [lead.millivolts for lead in record.record.leads]
        length_s = len(leads[0]) / rate
        beats = beats_of(record.waves)
        for start in np.arange(max(0.0, spans[0][0] - 5.0), spans[-1][1] - 5.0, hop_s):
            first = round(min(start, length_s - WINDOW_S) * rate)
            start_s = first / rate
            inside = [b for b in beats if start_s < b.qrs.peak_s < start_s + WINDOW_S]
            if len(inside) < 3:
                continue
            masks = window_labels(GRID, record.waves, spans, start_s)
            for channel, mv in enumerate(leads):
                piece = mv[first : first + round(WINDOW_S * rate)]
                if np.isfinite(piece).all():
                    fold = folds.fold_of("qtdb", name)
                    out.add(piece, rate, fold, 2 * group + channel, masks, p_label(inside))
    return out.windows()


def cinc2017_windows(folder: Path, most_records: int = 0, hop_s: float = 5.0) -> Windows:
    """Windows over every record, the last one ending with it; a record under 10 s gives one, zeros behind it."""
    out = Collector()
    for group, (name, label) in enumerate(list(cinc2017.records(folder).items())[: most_records or None]):
        mv, rate = cinc2017.read(folder, name)
        size, fold = round(WINDOW_S * rate), folds.fold_of("cinc2017", name)
        last = max(0, len(mv) - size)
        for first in dict.fromkeys([*range(0, last, round(hop_s * rate)), last]):
            out.add(mv[first : first + size], rate, fold, group, p_wave=cinc2017.P_WAVES[label], rhythm=label)
    return out.windows()
