"""What of a window reaches the net's first layer: the coding that ships, and those that were measured against it.

A back end is given what the device compands (`edge_runtime.conditioning.compand`). The others are made from that, so
that a net of any coding is judged by the product's own code; the runtime knows none of them. All span about -5 to 5.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from edge_runtime.conditioning import DEFAULT

COMPANDED = "companded"
COARSE_MV, FINE_MV = 5.0, 1.0  # where the linear codes clip


def millivolts(companded: Tensor) -> Tensor:
    """`compand`, undone."""
    return torch.sinh(companded) * DEFAULT.compand_mv


def _linear(companded: Tensor, clip_mv: float) -> Tensor:
    """Clipped at +-clip_mv and spread over +-COARSE_MV: TFLite quantizes all channels of its input by one scale."""
    return millivolts(companded).clamp(-clip_mv, clip_mv) * (COARSE_MV / clip_mv)


@dataclass(frozen=True)
class Coding:
    """of: (n, samples) companded to (n, channels, samples); millivolts: back again, as well as the code can."""

    channels: int
    of: Callable[[Tensor], Tensor]
    millivolts: Callable[[Tensor], Tensor]


CODINGS = {
    COMPANDED: Coding(1, lambda x: x[:, None], lambda y: millivolts(y[:, 0])),
    "linear": Coding(1, lambda x: _linear(x, COARSE_MV)[:, None], lambda y: y[:, 0]),
    "two_channels": Coding(
        2,
        lambda x: torch.stack([_linear(x, FINE_MV), _linear(x, COARSE_MV)], 1),
        lambda y: torch.where(y[:, 1].abs() < FINE_MV, y[:, 0] * (FINE_MV / COARSE_MV), y[:, 1]),
    ),
}


def channels_last(companded: NDArray[np.float32], coding: str = COMPANDED) -> NDArray[np.float32]:
    """(samples,) companded to (samples, channels), as a TFLite file takes it."""
    return coded(torch.from_numpy(companded)[None], coding)[0, :, 0].T.contiguous().numpy()


def coded(companded: Tensor, coding: str = COMPANDED) -> Tensor:
    """(n, samples) companded to the net's (n, channels, 1, samples)."""
    return CODINGS[coding].of(companded)[:, :, None]
