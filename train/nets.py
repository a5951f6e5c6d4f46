"""The net: a small U-Net that draws P, QRS and T, whose deepest features also name the rhythm and see the P wave.

Everything is Conv2d of height 1, so that it trains in channels_last, runs fast in ONNX Runtime and converts to TFLite
without a reshape. Only operations that both int8 back ends know are used.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from edge_runtime.report import RHYTHMS


@dataclass(frozen=True)
class NetSpec:
    """Channels at 125, 62.5, 31.25, 15.6 and 7.8 Hz, blocks at each level, and kernel length."""

    channels: tuple[int, ...] = (16, 24, 40, 56, 72)
    blocks: tuple[int, ...] = (1, 2, 2, 2, 2)
    kernel: int = 9
    rhythm_channels: int = 64


def conv(c_in: int, c_out: int, kernel: int, stride: int = 1, groups: int = 1, padding: int | None = None) -> nn.Conv2d:
    pad = kernel // 2 if padding is None else padding
    return nn.Conv2d(c_in, c_out, (1, kernel), (1, stride), (0, pad), groups=groups, bias=False)


class ConvNorm(nn.Sequential):
    def __init__(self, c_in: int, c_out: int, kernel: int, relu: bool = True, **rest: int) -> None:
        super().__init__(conv(c_in, c_out, kernel, **rest), nn.BatchNorm2d(c_out), *([nn.ReLU()] if relu else []))


class Block(nn.Module):
    """Depthwise then pointwise, with a residual."""

    def __init__(self, channels: int, kernel: int) -> None:
        super().__init__()
        self.depthwise = ConvNorm(channels, channels, kernel, groups=channels)
        self.pointwise = ConvNorm(channels, channels, 1, relu=False)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(x + self.pointwise(self.depthwise(x)))


class Down(nn.Sequential):
    """Half the rate: strided depthwise, then more channels. (Depthwise strides are square: TFLite has no others.)"""

    def __init__(self, c_in: int, c_out: int, kernel: int) -> None:
        depthwise = nn.Conv2d(c_in, c_in, (1, kernel), (2, 2), (0, kernel // 2), groups=c_in, bias=False)
        super().__init__(nn.Sequential(depthwise, nn.BatchNorm2d(c_in)), ConvNorm(c_in, c_out, 1))


class Up(nn.Module):
    """Twice the rate: fewer channels, nearest neighbour, plus the encoder's features of that rate."""

    def __init__(self, c_in: int, c_out: int, kernel: int) -> None:
        super().__init__()
        self.narrow = ConvNorm(c_in, c_out, 1, relu=False)
        self.skip = ConvNorm(c_out, c_out, 1, relu=False)
        self.block = Block(c_out, kernel)

    def forward(self, deep: Tensor, skip: Tensor) -> Tensor:
        up = F.interpolate(self.narrow(deep), scale_factor=(1.0, 2.0), mode="nearest")
        return self.block(F.relu(up + self.skip(skip)))


class Rhythm(nn.Module):
    """Pooled features of the whole window: the rhythm's logits, and whether there are P waves."""

    def __init__(self, c_in: int, channels: int, kernel: int, steps: int) -> None:
        super().__init__()
        self.steps = steps  # that are pooled: fixed, as both int8 back ends know no pooling over "all"
        self.blocks = nn.Sequential(ConvNorm(c_in, channels, 1), Block(channels, kernel), Block(channels, kernel))
        self.classify = nn.Conv2d(2 * channels, len(RHYTHMS) + 1, 1)

    def forward(self, deep: Tensor) -> tuple[Tensor, Tensor]:
        x = self.blocks(deep)
        pooled = torch.cat([F.avg_pool2d(x, (1, self.steps)), F.max_pool2d(x, (1, self.steps))], 1)
        out = self.classify(F.dropout(pooled, 0.2, self.training))
        return out[:, :-1], out[:, -1:]


class Net(nn.Module):
    """(n, 1, 1, 2500) companded window -> masks (n, 3, 1, 1280), rhythm (n, 4, 1, 1), p_wave (n, 1, 1, 1), logits."""

    def __init__(self, spec: NetSpec = NetSpec()) -> None:
        super().__init__()
        c, k = spec.channels, spec.kernel
        # 37 = 7 to centre the stem's 15 taps + 30 so that 2500 samples become 1280 = 5 * 2^8 steps.
        self.stem = ConvNorm(1, c[0], 15, stride=2, padding=37)
        self.levels = nn.ModuleList(
            nn.Sequential(*(Block(c[i], k) for _ in range(spec.blocks[i]))) for i in range(len(c))
        )
        self.downs = nn.ModuleList(Down(c[i], c[i + 1], k) for i in range(len(c) - 1))
        self.ups = nn.ModuleList(Up(c[i + 1], c[i], k) for i in reversed(range(len(c) - 1)))
        self.masks = nn.Conv2d(c[0], 3, 1)
        self.rhythm = Rhythm(c[-1], spec.rhythm_channels, k, 1280 >> (len(c) - 1))

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        x = self.stem(x)
        skips = []
        for i, level in enumerate(self.levels):
            x = level(x)
            if i < len(self.downs):
                skips.append(x)
                x = self.downs[i](x)
        rhythm, p_wave = self.rhythm(x)
        for up, skip in zip(self.ups, reversed(skips), strict=True):
            x = up(x, skip)
        return {"masks": self.masks(x), "rhythm": rhythm, "p_wave": p_wave}
