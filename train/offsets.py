"""Where annotators put an onset on a smooth wave: what lies between the exact fiducials of a synthetic heart and a
hand's.

A net that has seen synthetic hearts alone marks waves as the simulator does. On the annotated patients that a fold may
train on, the median difference between the hand's mark and the net's is that convention, six numbers; the synthetic
hearts that are rehearsed beside real ones are then labelled by it, so that the two do not pull the net apart.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch
from numpy.typing import NDArray

from edge_runtime.delineation import QRS, P, T
from train.loop import to_input
from train.nets import Net
from train.windows import GRID, P_ON, QRS_OFF, QRS_ON, T_OFF, Windows

Array = NDArray[np.float64]

_MATCH_S = 0.15
_EDGES = {P_ON: (P, 0), QRS_ON: (QRS, 0), QRS_OFF: (QRS, 1), T_OFF: (T, 1)}


@torch.no_grad()
def fit_offsets(net: Net, sets: Iterable[Windows], most: int = 400, seed: int = 0) -> Array:
    """(3, 2) s to add to the net's onset and offset of P, QRS and T; 0 where no wave was matched."""
    rng = np.random.default_rng(seed)
    found: dict[tuple[int, int], list[float]] = {(kind, edge): [] for kind in (P, QRS, T) for edge in (0, 1)}
    for windows in sets:
        if windows.mask is None or windows.known is None:
            continue
        for i in rng.choice(len(windows), min(most, len(windows)), replace=False):
            signal = torch.from_numpy(windows.signal_uv[i : i + 1].astype(np.float32) * 1e-3)
            seen = GRID.read(net(to_input(signal, net.spec.coding))["masks"][0, :, 0].numpy())
            for truth in GRID.waves(windows.mask[i].astype(np.float32) / 255):
                same = [w for w in seen if w.kind == truth.kind]
                if not same:
                    continue
                near = min(same, key=lambda w: abs(w.onset_s + w.offset_s - truth.onset_s - truth.offset_s))
                for edge, (a, b) in enumerate(((truth.onset_s, near.onset_s), (truth.offset_s, near.offset_s))):
                    j = round(a * GRID.sampling_rate_hz) + GRID.margin
                    if abs(a - b) < _MATCH_S and windows.known[i, truth.kind, max(0, j - 2) : j + 3].all():
                        found[truth.kind, edge].append(a - b)
    return np.array([[float(np.median(found[k, e] or [0.0])) for e in (0, 1)] for k in (P, QRS, T)])


def shifted(windows: Windows, offsets_s: Array) -> Windows:
    """The windows with the edges of their masks, and their beats, moved by (3, 2) offsets."""
    if windows.mask is None or windows.beats is None:
        return windows
    mask, beats = windows.mask.copy(), windows.beats.copy()
    for kind in (P, QRS, T):
        for edge in (0, 1):
            steps = float(offsets_s[kind, edge]) * GRID.sampling_rate_hz
            outward = -steps if edge == 0 else steps
            # To widen a wave at its onset, each step takes what lies just behind it in time too; and the other way
            # round.
            look = abs(steps) if (edge == 0) == (outward > 0) else -abs(steps)
            moved = _look_ahead(mask[:, kind], look)
            mask[:, kind] = np.maximum(mask[:, kind], moved) if outward > 0 else np.minimum(mask[:, kind], moved)
    for column, (kind, edge) in _EDGES.items():
        beats[:, :, column] += np.float32(offsets_s[kind, edge])
    return Windows(**{**vars(windows), "mask": mask, "beats": beats})


def _look_ahead(row: NDArray[np.uint8], steps: float) -> NDArray[np.uint8]:
    """(n, m) read `steps` later, a line between samples; the ends repeat."""
    m = row.shape[1]
    at = np.clip(np.arange(m) + steps, 0, m - 1)
    low = np.minimum(at.astype(int), m - 2)
    part = (at - low).astype(np.float32)
    values = row[:, low] * (1 - part) + row[:, low + 1] * part
    return np.asarray(np.round(values).astype(np.uint8))
