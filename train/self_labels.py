"""Labels that a net gives to windows which no hand has marked: waves where records have a class alone.

A stage that starts from a net which delineates, and goes on with thousands of such windows, forgets; with the net's own
masks as soft labels it keeps what it knew on hearts and recorders that no annotator saw (Li 2018, Xie 2020: the labels
are of the window as it is, the one who learns sees it bent and with noise on top).
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from edge_runtime.delineation import P, beats_of, probability_of
from edge_runtime.report import RHYTHMS
from train.loop import to_input
from train.nets import Net
from train.windows import GRID, WINDOW_S, Windows, beat_table

RATE_HZ = 250.0
_BATCH = 128


@torch.no_grad()
def self_labelled(net: Net, windows: Windows) -> Windows:
    """The windows with the net's masks as soft labels, and the beats that are read off them; as they are where they
    have masks already.

    Where a class says that there is no P wave none is labelled, and of a window called noisy nothing is known.
    """
    if windows.mask is not None:
        return windows
    n = len(windows)
    mask = np.empty((n, 3, GRID.length), np.uint8)
    beats = np.empty((n, *beat_table([]).shape), np.float32)
    net.eval()
    for start in tqdm(range(0, n, _BATCH), desc="own labels", mininterval=5):
        rows = slice(start, min(start + _BATCH, n))
        mv = windows.signal_uv[rows].astype(np.float32) * 1e-3
        probability = probability_of(net(to_input(torch.from_numpy(mv)))["masks"][:, :, 0].numpy())
        probability[windows.p_wave[rows] == 0, P] = 0.0
        mask[rows] = np.round(probability * 255)
        for i, (x, p) in enumerate(zip(mv, probability, strict=True), start):
            beats[i] = _beats(x, p)
    known = np.ones_like(mask)
    noisy = windows.rhythm == RHYTHMS.index("noisy")
    known[noisy], beats[noisy] = 0, np.nan
    return Windows(**{**vars(windows), "mask": mask, "known": known, "beats": beats})


def _beats(mv: NDArray[np.float32], probability: NDArray[np.float32]) -> NDArray[np.float32]:
    """A row a beat; see Windows."""
    found = beats_of(GRID.waves(probability), mv, RATE_HZ)
    return beat_table(
        [
            (b.p.onset_s if b.p else None, b.qrs.onset_s, b.qrs.offset_s, b.t.offset_s if b.t else None)
            for b in found
            if b.qrs.onset_s >= 0 and b.qrs.offset_s <= WINDOW_S
        ]
    )
