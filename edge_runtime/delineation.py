"""P, QRS and T as masks over a window, and back: what the net draws, and the waves and beats that it means.

A mask sample is the share of its own time step that a wave covers, so a boundary inside a step is still known, and the
place where it crosses one half is the onset or offset without bias.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

P, QRS, T = 0, 1, 2
WAVES = ("P", "QRS", "T")

# A run of mask shorter than this is noise, and two runs closer than this are one wave (s); physiology, not tuning.
_SHORTEST_S = (0.024, 0.024, 0.040)
_BRIDGE_S = 0.024
_P_TO_QRS_MAX_S = 0.44  # the longest PR that is looked for
_QRS_TO_T_END_MAX_S = 0.85  # longer than any QT that is drawn or annotated


@dataclass(frozen=True)
class Wave:
    """kind: P, QRS or T; onset and offset in s from the window's start; confidence: mean mask probability."""

    kind: int
    onset_s: float
    offset_s: float
    confidence: float = 1.0


def probability_of(logits: ArrayLike) -> NDArray[np.float32]:
    """The logistic of whatever shape, its argument held to +-30."""
    return np.asarray(1.0 / (1.0 + np.exp(-np.clip(logits, -30, 30))))


def doubt_of(probability: NDArray[np.float32]) -> NDArray[np.float64]:
    """(3,) of (3, length) mask probabilities: the mean of p (1 - p), 0 where every step is sure, a quarter at most."""
    return np.asarray((probability * (1 - probability)).mean(axis=1, dtype=np.float64))


@dataclass(frozen=True)
class MaskGrid:
    """Where mask sample j lies: at (j - margin) / sampling_rate_hz from the window's start."""

    sampling_rate_hz: float = 125.0
    length: int = 1280
    margin: int = 15

    def draw(self, waves: Iterable[Wave]) -> NDArray[np.float32]:
        """(3, length) coverage in 0 to 1."""
        mask = np.zeros((3, self.length), np.float32)
        for wave in waves:
            low = wave.onset_s * self.sampling_rate_hz + self.margin + 0.5
            high = wave.offset_s * self.sampling_rate_hz + self.margin + 0.5
            first, last = max(0, int(low)), min(self.length - 1, int(high))
            if last < first:
                continue
            j = np.arange(first, last + 1)
            covered = np.minimum(high, j + 1) - np.maximum(low, j)
            row = mask[wave.kind]
            row[first : last + 1] = np.maximum(row[first : last + 1], covered)
        return mask

    def read(self, logits: NDArray[np.float32]) -> list[Wave]:
        """The waves of (3, length) mask logits, by onset. A wave that is cut by the grid's edge is left out."""
        return self.waves(probability_of(logits))

    def waves(self, probability: NDArray[np.float32]) -> list[Wave]:
        """The same, of probabilities."""
        waves: list[Wave] = []
        for kind in (P, QRS, T):
            waves += self._runs(kind, probability[kind])
        return sorted(waves, key=lambda w: w.onset_s)

    def _runs(self, kind: int, probability: NDArray[np.float32]) -> list[Wave]:
        inside = probability > 0.5
        turns = np.flatnonzero(inside[1:] != inside[:-1])
        if inside[0]:
            turns = turns[1:]
        starts, ends = turns[0::2], turns[1::2]  # the run is starts + 1 ... ends
        starts = starts[: len(ends)]
        if len(starts) == 0:
            return []

        def crossing(j: NDArray[np.intp]) -> NDArray[np.float64]:
            a, b = probability[j].astype(np.float64), probability[j + 1].astype(np.float64)
            return (j + (0.5 - a) / (b - a) - self.margin) / self.sampling_rate_hz

        onset, offset = crossing(starts), crossing(ends)
        apart = np.flatnonzero(onset[1:] - offset[:-1] >= _BRIDGE_S).tolist()
        total = probability.cumsum()
        # A dozen numbers each from here on: lists are the faster.
        first, began, before = onset.tolist(), starts.tolist(), total[starts].tolist()
        last, ended, within = offset.tolist(), ends.tolist(), total[ends].tolist()
        return [
            Wave(kind, first[i], last[k], (within[k] - before[i]) / (ended[k] - began[i]))
            for i, k in zip([0, *(j + 1 for j in apart)], [*apart, len(first) - 1], strict=True)
            if last[k] - first[i] >= _SHORTEST_S[kind]
        ]


@dataclass(frozen=True)
class Beat:
    """One QRS with the P before it and the T after it, where there are such; s from the window's start."""

    r_peak_s: float
    qrs: Wave
    p: Wave | None
    t: Wave | None


def beats_of(waves: list[Wave], conditioned_mv: NDArray[np.float32], sampling_rate_hz: float) -> list[Beat]:
    """Beats by their QRS. The R peak is the largest deflection inside the QRS, refined by a parabola."""
    p_waves, complexes, t_waves = ([w for w in waves if w.kind == kind] for kind in (P, QRS, T))
    size_mv = np.abs(conditioned_mv)
    found = []
    for i, qrs in enumerate(complexes):
        before = complexes[i - 1].offset_s if i else -math.inf
        after = complexes[i + 1].onset_s if i + 1 < len(complexes) else math.inf
        earliest, latest = (
            max(before, qrs.onset_s - _P_TO_QRS_MAX_S),
            min(after + 0.04, qrs.onset_s + _QRS_TO_T_END_MAX_S),
        )
        p = [w for w in p_waves if w.onset_s > earliest and (w.onset_s + w.offset_s) / 2 < qrs.onset_s]
        t = [w for w in t_waves if w.offset_s < latest and (w.onset_s + w.offset_s) / 2 > qrs.offset_s]
        peak = _peak(size_mv, sampling_rate_hz, qrs)
        found.append(Beat(peak, qrs, p[-1] if p else None, max(t, key=lambda w: w.offset_s - w.onset_s) if t else None))
    return found


def _peak(size_mv: NDArray[np.float32], rate: float, qrs: Wave) -> float:
    low = max(0, math.floor(qrs.onset_s * rate))
    high = min(len(size_mv), math.ceil(qrs.offset_s * rate) + 1)
    if high - low < 3:
        return (qrs.onset_s + qrs.offset_s) / 2
    size = size_mv[low:high]
    k = int(size.argmax())
    if 0 < k < len(size) - 1:
        a, b, c = size[k - 1 : k + 2].tolist()
        bend = a - 2 * b + c
        return (low + k + (0.5 * (a - c) / bend if bend else 0.0)) / rate
    return (low + k) / rate
