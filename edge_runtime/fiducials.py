"""Onset, peak and offset of every P, QRS and T, in a window and over a whole record, where each stands once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge_runtime.delineation import QRS, WAVES, Beat, Wave

_SMOOTH_S = 0.044  # a P or T wave is wider; what is narrower only rides on it
# Points on a bridged stretch of 8 ms move by 1 ms, on one of 16 ms an R peak moves by 6 (mean over LUDB's lead II).
_HARMLESS_GAP_S = 0.010
# Of two windows at least: what one cuts, or sees within half a second of its edge, the other sees whole.
OVERLAP_S = 1.0


@dataclass(frozen=True)
class Fiducials:
    """One wave: kind P, QRS or T; s on the record's timeline; confidence: mean mask probability."""

    kind: int
    onset_s: float
    peak_s: float
    offset_s: float
    confidence: float

    @property
    def middle_s(self) -> float:
        return (self.onset_s + self.offset_s) / 2

    def overlaps(self, other: Fiducials) -> bool:
        """They are one wave, seen twice."""
        return self.kind == other.kind and self.onset_s < other.offset_s and other.onset_s < self.offset_s

    def to_dict(self) -> dict[str, str | float]:
        """As it stands in the report: to a millisecond, since even a QRS onset is known to no better than several."""
        times = {name: round(getattr(self, name), 3) for name in ("onset_s", "peak_s", "offset_s")}
        return {"wave": WAVES[self.kind], **times, "confidence": round(self.confidence, 3)}


def fiducials_of(
    waves: Sequence[Wave],
    beats: Sequence[Beat],
    conditioned_mv: NDArray[np.float32],
    rate: float,
    start_s: float,
    last_s: float,
    bridged_s: Sequence[tuple[float, float]] = (),
) -> tuple[Fiducials, ...]:
    """The waves that lie wholly inside a window, by onset.

    start_s: the window's first sample on the record's timeline; last_s: its last one, from there; bridged_s: stretches
    that were interpolated. A wave with a point on a long one is left out: nobody saw that point.

    The peak of a QRS is its beat's R peak; P and T peak where the smoothed signal is farthest from the line between the
    wave's ends, which neither baseline nor ST segment moves. A P wave that no QRS follows is a wave too.
    """
    size = round(_SMOOTH_S * rate)
    smooth_mv = np.convolve(conditioned_mv, np.hanning(size + 2) / np.hanning(size + 2).sum(), "same")
    unseen_s = [(low, high) for low, high in bridged_s if high - low > _HARMLESS_GAP_S]
    r_peaks_s = {beat.qrs: beat.r_peak_s for beat in beats}
    found = []
    for wave in waves:
        if wave.onset_s < 0 or wave.offset_s > last_s:
            continue  # cut
        if wave.kind != QRS:
            peak_s = _farthest_from_chord(smooth_mv, rate, wave)
        elif wave in r_peaks_s:
            peak_s = min(max(r_peaks_s[wave], wave.onset_s), wave.offset_s)
        else:
            continue
        points = (wave.onset_s, peak_s, wave.offset_s)
        if not any(low <= t <= high for low, high in unseen_s for t in points):
            onset_s, peak_s, offset_s = (start_s + t for t in points)
            found.append(Fiducials(wave.kind, onset_s, peak_s, offset_s, wave.confidence))
    return tuple(found)


def _farthest_from_chord(x: NDArray[np.float64], rate: float, wave: Wave) -> float:
    low, high = int(np.ceil(wave.onset_s * rate)), min(len(x) - 1, int(wave.offset_s * rate))
    if high - low < 2:
        return (wave.onset_s + wave.offset_s) / 2
    piece = x[low : high + 1]
    size = np.abs(piece - np.linspace(piece[0], piece[-1], len(piece)))
    k = int(size[1:-1].argmax()) + 1
    a, b, c = size[k - 1 : k + 2]
    bend = a - 2 * b + c
    return (low + k + (0.5 * (a - c) / bend if bend else 0.0)) / rate


def not_given(
    seen: Sequence[Fiducials], given: Sequence[Fiducials], left: Sequence[Fiducials], seam_s: float
) -> list[Fiducials]:
    """Of the waves that a window sees, those that are its to give.

    given: what the windows before it gave; left: what the one before it saw beyond the seam, and left to this one;
    seam_s: from where on this one is the better judge. A wave at the seam, of which each of the two holds that it lies
    on the other's side, is therefore given, and one of which each holds that it is its own is given once.
    """
    return [
        wave
        for wave in seen
        if not any(wave.overlaps(other) for other in given)
        and (wave.middle_s >= seam_s or any(wave.overlaps(other) for other in left))
    ]
