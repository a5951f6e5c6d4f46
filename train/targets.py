"""What a window's labels ask of the direct head: its intervals, from its beats, wherever these were moved to."""

from __future__ import annotations

import torch
from torch import Tensor

from edge_runtime.intervals import EDGE_S, MIN_BEATS
from edge_runtime.ranges import INTERVALS
from train.windows import P_ON, QRS_OFF, QRS_ON, T_OFF, WINDOW_S

_SPANS = {"pr_ms": (P_ON, QRS_ON), "qrs_ms": (QRS_ON, QRS_OFF), "qt_ms": (QRS_ON, T_OFF)}


def interval_targets(beats: Tensor) -> Tensor:
    """(n, MOST_BEATS, 4) s to (n, 4): INTERVALS, each less its centre and over its scale; NaN where it is not known.

    Medians over at least MIN_BEATS beats that lie clear of the edges, as edge_runtime.intervals has them; heart rate is
    60 / mean RR over the marked beats.
    """
    out = []
    for name, (centre, scale) in INTERVALS.items():
        if name == "hr_bpm":
            onsets = beats[:, :, QRS_ON]
            count = (~onsets.isnan()).sum(1)
            span_s = onsets.nan_to_num(-1e9).amax(1) - onsets.nan_to_num(1e9).amin(1)
            value = torch.where(count >= MIN_BEATS, 60.0 * (count - 1) / span_s.clamp(min=0.5), torch.nan)
        else:
            a, b = (beats[:, :, k] for k in _SPANS[name])
            length_ms = torch.where((a >= EDGE_S) & (b <= WINDOW_S - EDGE_S), 1e3 * (b - a), torch.nan)
            value = length_ms.nanquantile(0.5, dim=1)
            value = torch.where((~length_ms.isnan()).sum(1) >= MIN_BEATS, value, torch.nan)
        out.append((value - centre) / scale)
    return torch.stack(out, 1)
