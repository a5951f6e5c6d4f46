"""The net: an encoder and decoder that draw P, QRS and T, whose deepest features also speak of the whole window.

Everything is Conv2d of height 1, so that it trains in channels_last, runs fast in ONNX Runtime and converts to TFLite
without a reshape. Only operations that both int8 back ends know are used. What a level is made of is a row of BLOCKS.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from edge_runtime.ranges import INTERVALS
from edge_runtime.report import FINDINGS, RHYTHMS
from train.codings import CODINGS, COMPANDED
from train.parallel import BatchNorm

STEPS = 1280  # of the masks, at 125 Hz

# Heads that speak of the whole window, and how many numbers each gives. `spread` is the log of the scale (Laplace's b)
# of the error of `intervals`, in the same units.
WINDOW_HEADS = {
    "rhythm": len(RHYTHMS),
    "p_wave": 1,
    "findings": len(FINDINGS),
    "intervals": len(INTERVALS),
    "spread": len(INTERVALS),
}


@dataclass(frozen=True)
class NetSpec:
    """Channels at 125, 62.5, 31.25 ... Hz, blocks at each level and their kind, kernel length; one of CODINGS."""

    channels: tuple[int, ...] = (12, 20, 30, 42, 48)
    blocks: tuple[int, ...] = (1, 1, 1, 1, 2)
    kind: str = "plain"
    kernel: int = 7
    window_channels: int = 64
    dropout: float = 0.2
    coding: str = COMPANDED


def conv(c_in: int, c_out: int, kernel: int, stride: int = 1, groups: int = 1, padding: int | None = None) -> nn.Conv2d:
    pad = kernel // 2 if padding is None else padding
    return nn.Conv2d(c_in, c_out, (1, kernel), (1, stride), (0, pad), groups=groups, bias=False)


class ConvNorm(nn.Sequential):
    def __init__(self, c_in: int, c_out: int, kernel: int, relu: bool = True, **rest: int) -> None:
        super().__init__(conv(c_in, c_out, kernel, **rest), BatchNorm(c_out), *([nn.ReLU()] if relu else []))


class Separable(nn.Module):
    """Depthwise then pointwise, with a residual (Howard 2017, He 2016)."""

    def __init__(self, channels: int, kernel: int, index: int) -> None:
        super().__init__()
        self.depthwise = ConvNorm(channels, channels, kernel, groups=channels)
        self.pointwise = ConvNorm(channels, channels, 1, relu=False)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(x + self.pointwise(self.depthwise(x)))


class Plain(ConvNorm):
    """One full convolution, no residual."""

    def __init__(self, channels: int, kernel: int, index: int) -> None:
        super().__init__(channels, channels, kernel)


class Inception(nn.Module):
    """Three kernel lengths and a pooled branch from one bottleneck, with a residual (Ismail Fawaz 2020)."""

    def __init__(self, channels: int, kernel: int, index: int) -> None:
        super().__init__()
        width = channels // 4
        self.narrow = ConvNorm(channels, width, 1)
        lengths = (kernel // 2 | 1, kernel, 2 * kernel + 1)
        self.branches = nn.ModuleList(ConvNorm(width, width, length, relu=False) for length in lengths)
        self.pooled = ConvNorm(channels, channels - 3 * width, 1, relu=False)

    def forward(self, x: Tensor) -> Tensor:
        narrow = self.narrow(x)
        pooled = self.pooled(F.max_pool2d(x, (1, 3), (1, 1), (0, 1)))
        return F.relu(x + torch.cat([*(branch(narrow) for branch in self.branches), pooled], 1))


class Dilated(nn.Module):
    """A full convolution whose reach doubles from block to block, with a residual: a TCN that may look ahead
    (Bai 2018)."""

    def __init__(self, channels: int, kernel: int, index: int) -> None:
        super().__init__()
        reach = 2**index
        wide = nn.Conv2d(
            channels, channels, (1, kernel), 1, (0, reach * (kernel // 2)), dilation=(1, reach), bias=False
        )
        self.convolved = nn.Sequential(wide, BatchNorm(channels), nn.ReLU())

    def forward(self, x: Tensor) -> Tensor:
        return x + self.convolved(x)


BLOCKS: dict[str, Callable[[int, int, int], nn.Module]] = {
    "separable": Separable,
    "plain": Plain,
    "inception": Inception,
    "dilated": Dilated,
}


class Down(nn.Sequential):
    """Half the rate: strided depthwise, then more channels. (Depthwise strides are square: TFLite has no others.)"""

    def __init__(self, c_in: int, c_out: int, kernel: int) -> None:
        depthwise = nn.Conv2d(c_in, c_in, (1, kernel), (2, 2), (0, kernel // 2), groups=c_in, bias=False)
        super().__init__(nn.Sequential(depthwise, BatchNorm(c_in)), ConvNorm(c_in, c_out, 1))


class Up(nn.Module):
    """Twice the rate: fewer channels, nearest neighbour, plus the encoder's features of that rate."""

    def __init__(self, c_in: int, c_out: int, kernel: int) -> None:
        super().__init__()
        self.narrow = ConvNorm(c_in, c_out, 1, relu=False)
        self.skip = ConvNorm(c_out, c_out, 1, relu=False)
        self.block = Separable(c_out, kernel, 0)

    def forward(self, deep: Tensor, skip: Tensor) -> Tensor:
        up = F.interpolate(self.narrow(deep), scale_factor=(1.0, 2.0), mode="nearest")
        return self.block(F.relu(up + self.skip(skip)))


class WholeWindow(nn.Module):
    """Pooled features of the whole window, and from them every head of WINDOW_HEADS."""

    def __init__(self, c_in: int, spec: NetSpec, steps: int) -> None:
        super().__init__()
        self.steps = steps  # that are pooled: fixed, as both int8 back ends know no pooling over "all"
        self.dropout = spec.dropout
        c = spec.window_channels
        self.blocks = nn.Sequential(ConvNorm(c_in, c, 1), Separable(c, spec.kernel, 0), Separable(c, spec.kernel, 1))
        self.heads = nn.ModuleDict({name: nn.Conv2d(2 * c, count, 1) for name, count in WINDOW_HEADS.items()})

    def forward(self, deep: Tensor) -> dict[str, Tensor]:
        x = self.blocks(deep)
        pooled = torch.cat([F.avg_pool2d(x, (1, self.steps)), F.max_pool2d(x, (1, self.steps))], 1)
        pooled = F.dropout(pooled, self.dropout, self.training)
        return {name: head(pooled) for name, head in self.heads.items()}


class Net(nn.Module):
    """(n, channels, 1, 2500) coded window -> masks (n, 3, 1, 1280) and each WINDOW_HEADS (n, count, 1, 1), logits."""

    def __init__(self, spec: NetSpec = NetSpec()) -> None:
        super().__init__()
        self.spec = spec
        c, k, make = spec.channels, spec.kernel, BLOCKS[spec.kind]
        # 37 = 7 to centre the stem's 15 taps + 30 so that 2500 samples become 1280 = 5 * 2^8 steps.
        self.stem = ConvNorm(CODINGS[spec.coding].channels, c[0], 15, stride=2, padding=37)
        self.levels = nn.ModuleList(
            nn.Sequential(*(make(c[i], k, j) for j in range(spec.blocks[i]))) for i in range(len(c))
        )
        self.downs = nn.ModuleList(Down(c[i], c[i + 1], k) for i in range(len(c) - 1))
        self.ups = nn.ModuleList(Up(c[i + 1], c[i], k) for i in reversed(range(len(c) - 1)))
        self.masks = nn.Conv2d(c[0], 3, 1)
        self.whole = WholeWindow(c[-1], spec, STEPS >> (len(c) - 1))

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        x = self.stem(x)
        skips = []
        for i, level in enumerate(self.levels):
            x = level(x)
            if i < len(self.downs):
                skips.append(x)
                x = self.downs[i](x)
        out = self.whole(x)
        for up, skip in zip(self.ups, reversed(skips), strict=True):
            x = up(x, skip)
        return {"masks": self.masks(x), **out}
