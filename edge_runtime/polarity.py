"""Whether a lead whose place is known is worn the other way round.

In lead I and in lead II the P wave of a sinus rhythm stands up, and mostly QRS and T do, too. How far they do in one
window gives the odds that its electrodes are where they belong; the weights (`polarity.json`) were fitted on PTB-XL by
`python -m train.polarity`. A heart may look so by nature (dextrocardia, an ectopic atrial rhythm, an old lateral
infarct), and a window alone says nothing: see `longterm`.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge_runtime.delineation import QRS, MaskGrid, P, T

FEATURES = ("p", "qrs", "t", "qrs_reach")
LEAD_OF = {"i": "I", "ii": "II", "mlii": "II"}  # by the lead's name; of any other nothing is known


def features(
    probability: NDArray[np.float32], conditioned_mv: NDArray[np.float32], rate: float, grid: MaskGrid, p_waves: bool
) -> NDArray[np.float64]:
    """(len(FEATURES),): the mean height of P, QRS and T over what lies between them, and of the QRS's two ends their
    sum over their distance; all change sign with the lead.

    probability: (3, grid.length) of the masks. Heights are in units of the QRS's RMS; P counts only where there is one.
    """
    step = round(rate / grid.sampling_rate_hz)
    mv = conditioned_mv[::step].astype(np.float64)
    waves = probability[:, grid.margin : grid.margin + len(mv)].astype(np.float64)
    mv = mv[: waves.shape[1]]
    between = (1 - waves).prod(axis=0)
    mv = mv - (between @ mv) / (between.sum() + 1e-9)
    steps = waves.sum(axis=1) + 1e-9
    heights = (waves @ mv) / steps
    size = np.sqrt((waves[QRS] @ mv**2) / steps[QRS]) + 1e-9
    inside = mv * (waves[QRS] > 0.5)
    low, high = float(inside.min()), float(inside.max())
    p = heights[P] / size if p_waves else 0.0
    return np.array([p, heights[QRS] / size, heights[T] / size, (high + low) / (high - low + 1e-9)])


def upright(values: NDArray[np.float64], lead: str) -> float | None:
    """The logarithm of the odds that the lead is the right way round; None for a lead of which nothing is known."""
    name = LEAD_OF.get(lead.lower())
    return None if name is None else float(weights()[name] @ values)


@cache
def weights() -> dict[str, NDArray[np.float64]]:
    """By lead: (len(FEATURES),), as they were fitted."""
    text = Path(__file__).with_name("polarity.json").read_text("utf-8")
    said = json.loads(text)
    if said["features"] != list(FEATURES):
        raise ValueError("polarity.json is of other features; fit it again: python -m train.polarity")
    return {lead: np.array(row, np.float64) for lead, row in said["weights"].items()}
