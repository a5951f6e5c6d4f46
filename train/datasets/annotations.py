"""WFDB annotations to waves and beats, and from there to the labels of a window."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge_runtime.delineation import QRS, MaskGrid, P, T, Wave

_WAVE_OF = {"p": P, "t": T}
_BEATS = set("NLRBAaJSVrFejnE/fQ?")
_MARGIN_S = 0.04  # how far beyond an annotated stretch its silence is still believed


@dataclass(frozen=True)
class AnnotatedWave:
    """One wave by hand; s. None where the annotator gave no onset (QTDB's T waves) or offset."""

    kind: int
    onset_s: float | None
    peak_s: float
    offset_s: float | None


@dataclass(frozen=True)
class AnnotatedBeat:
    qrs: AnnotatedWave
    p: AnnotatedWave | None
    t: AnnotatedWave | None


def read_annotation(path: Path, extension: str) -> tuple[list[str], NDArray[np.int64]]:
    """Symbols and sample numbers."""
    import wfdb

    annotation = wfdb.rdann(str(path), extension)
    return list(annotation.symbol), np.asarray(annotation.sample, np.int64)


def beat_samples(path: Path, extension: str) -> NDArray[np.int64]:
    """The sample numbers of the beats of a beat annotation such as `atr`."""
    symbols, samples = read_annotation(path, extension)
    return samples[[s in _BEATS for s in symbols]]


def read_waves(path: Path, extension: str, rate: float) -> list[AnnotatedWave]:
    """The P, QRS and T waves of a `( p )`-style annotation, by time."""
    waves: list[AnnotatedWave] = []
    onset: float | None = None
    current: tuple[int, float] | None = None
    for symbol, sample in zip(*read_annotation(path, extension), strict=True):
        t = int(sample) / rate
        kind = QRS if symbol in _BEATS else _WAVE_OF.get(symbol)
        if symbol == "(" or kind is not None:
            if current is not None:  # the wave before had no offset
                waves.append(AnnotatedWave(current[0], onset, current[1], None))
                current, onset = None, None
            if symbol == "(":
                onset = t
            elif kind is not None:
                current = (kind, t)
        elif symbol == ")":
            if current is not None:
                waves.append(AnnotatedWave(current[0], onset, current[1], t))
            current, onset = None, None
        else:  # a U wave or a comment
            onset = None
    return waves


def beats_of(waves: Sequence[AnnotatedWave]) -> list[AnnotatedBeat]:
    """Each QRS with the P before and the T after it, where they were marked."""
    beats = []
    for i, wave in enumerate(waves):
        if wave.kind != QRS or wave.onset_s is None or wave.offset_s is None:
            continue
        p = waves[i - 1] if i and waves[i - 1].kind == P and wave.peak_s - waves[i - 1].peak_s < 0.5 else None
        after = [w for w in waves[i + 1 : i + 3] if w.kind != P]
        t = after[0] if after and after[0].kind == T else None
        if t is not None and len(after) > 1 and after[1].kind == T:
            t = after[1]  # both halves of a biphasic T were marked: it ends with the second
        beats.append(AnnotatedBeat(wave, p, t))
    return beats


@dataclass(frozen=True)
class Intervals:
    """Medians over a stretch's annotated beats, ms; None where no beat has the interval. n counts the beats."""

    pr_ms: float | None
    qrs_ms: float | None
    qt_ms: float | None
    n: int


def intervals_of(beats: Sequence[AnnotatedBeat]) -> Intervals:
    pr = [b.qrs.onset_s - b.p.onset_s for b in beats if b.p and b.p.onset_s is not None and b.qrs.onset_s is not None]
    qrs = [b.qrs.offset_s - b.qrs.onset_s for b in beats if b.qrs.offset_s is not None and b.qrs.onset_s is not None]
    qt = [b.t.offset_s - b.qrs.onset_s for b in beats if b.t and b.t.offset_s is not None and b.qrs.onset_s is not None]
    median = [float(np.median(v)) * 1e3 if v else None for v in (pr, qrs, qt)]
    return Intervals(median[0], median[1], median[2], len(beats))


def p_label(beats: Sequence[AnnotatedBeat]) -> int:
    """1: most beats have a P wave; 0: none has; -1: neither, or too few to say."""
    share = np.mean([b.p is not None for b in beats]) if len(beats) >= 3 else 0.25
    return 1 if share > 0.5 else 0 if share == 0 else -1


def window_labels(
    grid: MaskGrid, waves: Sequence[AnnotatedWave], spans: Sequence[tuple[float, float]], start_s: float
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Masks (3, length) in 0 to 255, and where they are known (0 or 1), of the window that begins at `start_s`.

    spans: stretches of the record, s, in which everything there is was annotated.
    """
    drawn = grid.draw(
        Wave(w.kind, w.onset_s - start_s, w.offset_s - start_s)
        for w in waves
        if w.onset_s is not None and w.offset_s is not None
    )
    t = (np.arange(grid.length) - grid.margin) / grid.sampling_rate_hz + start_s
    known = np.zeros((3, grid.length), np.uint8)
    for low, high in spans:  # beyond its marks an unmarked P may end a stretch's silence, and an unmarked T begin
        known[P, (t >= low) & (t <= high + _MARGIN_S)] = 1
        known[QRS, (t >= low - _MARGIN_S) & (t <= high + _MARGIN_S)] = 1
        known[T, (t >= low - _MARGIN_S) & (t <= high)] = 1
    for w in waves:
        if w.onset_s is None or w.offset_s is None:
            step = 1.5 / grid.sampling_rate_hz
            if w.kind == T and w.offset_s is not None:
                # The onset is not marked: from the QRS to the peak nothing is known, from the peak on all is.
                before = [q.offset_s for q in waves if q.kind == QRS and q.offset_s and q.offset_s <= w.peak_s]
                from_s = max(before) if before else w.peak_s - 0.2
                known[T, (t > from_s - step) & (t < w.peak_s)] = 0
                drawn[T] = np.maximum(drawn[T], grid.draw([Wave(T, w.peak_s - start_s, w.offset_s - start_s)])[T])
            else:
                low = (w.onset_s if w.onset_s is not None else w.peak_s) - 0.1
                high = (w.offset_s if w.offset_s is not None else w.peak_s) + 0.1
                known[w.kind, (t > low) & (t < high)] = 0
    return np.round(drawn * 255).astype(np.uint8), known
