"""Labelled windows as the net's training sees them: conditioned signal, and labels that may be unknown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_runtime.conditioning import condition
from edge_runtime.delineation import MaskGrid
from edge_runtime.report import FINDINGS
from train import folds
from train.datasets import cinc2017, ludb, ptbxl, qtdb
from train.datasets.annotations import AnnotatedBeat, beats_of, p_label, window_labels

WINDOW_S = 10.0
SAMPLES = 2500
GRID = MaskGrid()
UNKNOWN = -1
P_ON, QRS_ON, QRS_OFF, T_OFF = range(4)
MOST_BEATS = 48


@dataclass
class Windows:
    """n windows. `mask`, `known` and `beats` are None where no window of the set has any.

    signal_uv (n, 2500) int16 conditioned microvolts; mask, known (n, 3, 1280) uint8; beats (n, MOST_BEATS, 4) float32,
    a row a beat: P onset, QRS onset, QRS offset, T offset, s, NaN where not marked; p_wave, rhythm (n,) int8 with
    UNKNOWN; findings (n, 5) int8 with UNKNOWN; fold (n,) int8, that of whoever is never trained on 8 (validates) or 9
    (tests); group (n,) int32: the record, of which one window is drawn an epoch; validates (n,) bool: its patient
    chooses the epoch that is kept.
    """

    signal_uv: NDArray[np.int16]
    mask: NDArray[np.uint8] | None
    known: NDArray[np.uint8] | None
    beats: NDArray[np.float32] | None
    p_wave: NDArray[np.int8]
    rhythm: NDArray[np.int8]
    findings: NDArray[np.int8]
    fold: NDArray[np.int8]
    group: NDArray[np.int32]
    validates: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.signal_uv)

    def select(self, keep: NDArray[np.bool_] | NDArray[np.intp]) -> Windows:
        """Those of a mask or of a list of indices."""
        chosen: dict[str, Any] = {k: None if v is None else v[keep] for k, v in vars(self).items()}
        return Windows(**chosen)

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


@dataclass(frozen=True)
class Labels:
    """What is known of one window; see Windows."""

    masks: tuple[NDArray[np.uint8], NDArray[np.uint8]] | None = None
    beats: NDArray[np.float32] | None = None
    p_wave: int = UNKNOWN
    rhythm: int = UNKNOWN
    findings: tuple[int, ...] = (UNKNOWN,) * len(FINDINGS)


class Collector:
    """Gathers windows one by one."""

    def __init__(self) -> None:
        self.signals: list[NDArray[np.int16]] = []
        self.labels: list[Labels] = []
        self.places: list[tuple[int, int, bool]] = []

    def add(
        self,
        samples_mv: NDArray[np.float64],
        rate: float,
        fold: int,
        group: int,
        labels: Labels,
        validates: bool = False,
    ) -> None:
        signal = np.zeros(SAMPLES, np.int16)
        conditioned = condition(samples_mv, rate)[:SAMPLES]
        signal[: len(conditioned)] = np.clip(np.round(conditioned * 1e3), -32767, 32767)
        self.signals.append(signal)
        self.labels.append(labels)
        self.places.append((fold, group, validates))

    def windows(self) -> Windows:
        if not self.signals:
            raise ValueError("no window was found; is the data where LEADWIRE_DATA says?")
        fold, group, validates = zip(*self.places, strict=True)
        masks = [lab.masks for lab in self.labels if lab.masks is not None]
        beats = [lab.beats for lab in self.labels if lab.beats is not None]
        return Windows(
            signal_uv=np.stack(self.signals),
            mask=np.stack([m for m, _ in masks]) if masks else None,
            known=np.stack([k for _, k in masks]) if masks else None,
            beats=np.stack(beats) if beats else None,
            p_wave=np.array([lab.p_wave for lab in self.labels], np.int8),
            rhythm=np.array([lab.rhythm for lab in self.labels], np.int8),
            findings=np.array([lab.findings for lab in self.labels], np.int8),
            fold=np.array(fold, np.int8),
            group=np.array(group, np.int32),
            validates=np.array(validates, np.bool_),
        )


def beat_table(rows: Sequence[tuple[float | None, ...]]) -> NDArray[np.float32]:
    """(MOST_BEATS, 4) from (P onset, QRS onset, QRS offset, T offset) of each beat, s."""
    table = np.full((MOST_BEATS, 4), np.nan, np.float32)
    for row, values in zip(table, rows[:MOST_BEATS], strict=False):
        row[:] = [np.nan if v is None else v for v in values]
    return table


def _annotated(beats: list[AnnotatedBeat], start_s: float) -> NDArray[np.float32]:
    def moved(t: float | None) -> float | None:
        return None if t is None else t - start_s

    return beat_table(
        [
            (
                moved(b.p.onset_s if b.p else None),
                moved(b.qrs.onset_s),
                moved(b.qrs.offset_s),
                moved(b.t.offset_s if b.t else None),
            )
            for b in beats
        ]
    )


def ludb_windows(folder: Path, most_records: int = 0) -> Windows:
    """Every lead of every record (0: of all): one window each."""
    out = Collector()
    for record in ludb.records(folder)[: most_records or None]:
        for lead in ludb.read(folder, record):
            if not lead.waves:
                continue
            hand = beats_of(lead.waves)
            masks = window_labels(GRID, lead.waves, [lead.span_s], 0.0)
            labels = Labels(masks, _annotated(hand, 0.0), p_label(hand))
            place = folds.fold_of("ludb", record), len(out.signals)
            out.add(lead.samples_mv, lead.sampling_rate_hz, *place, labels, folds.validates("ludb", record))
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
            by_span = [[b for b in inside if low <= b.qrs.peak_s <= high] for low, high in spans]
            neighbours = max(by_span, key=len)  # a rate is of beats that follow each other
            labels = Labels(masks, _annotated(neighbours, start_s), p_label(inside))
            for channel, mv in enumerate(leads):
                piece = mv[first : first + round(WINDOW_S * rate)]
                if np.isfinite(piece).all():
                    place = folds.fold_of("qtdb", name), 2 * group + channel
                    out.add(piece, rate, *place, labels, folds.validates("qtdb", name))
    return out.windows()


def cinc2017_windows(folder: Path, most_records: int = 0, hop_s: float = 5.0) -> Windows:
    """Windows over every record, the last one ending with it; a record under 10 s gives one, zeros behind it."""
    out = Collector()
    for group, (name, label) in enumerate(list(cinc2017.records(folder).items())[: most_records or None]):
        mv, rate = cinc2017.read(folder, name)
        size, fold = round(WINDOW_S * rate), folds.fold_of("cinc2017", name)
        last = max(0, len(mv) - size)
        for first in dict.fromkeys([*range(0, last, round(hop_s * rate)), last]):
            labels = Labels(p_wave=cinc2017.P_WAVES[label], rhythm=label)
            out.add(mv[first : first + size], rate, fold, group, labels, folds.validates("cinc2017", name))
    return out.windows()


def ptbxl_windows(folder: Path, most_records: int = 0) -> Windows:
    """Leads I and II of every record: folds 1 to 7 train every net, 8 validates, 9 tests (`fold`: UNKNOWN, 8, 9)."""
    out = Collector()
    for group, record in enumerate(ptbxl.records(folder)[: most_records or None]):
        whole = ptbxl.read(record)
        labels = Labels(p_wave=record.p_waves, findings=tuple(int(f) for f in record.findings))
        fold = UNKNOWN if record.fold in ptbxl.TRAIN_FOLDS else record.fold
        for k, name in enumerate(ptbxl.LEADS):
            mv = whole.lead(name).millivolts
            validates = record.fold == ptbxl.VALIDATION_FOLD
            out.add(mv, whole.sampling_rate_hz, fold, 2 * group + k, labels, validates)
    return out.windows()
