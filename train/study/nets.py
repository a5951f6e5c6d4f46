"""The study's net: one trunk, and on it what a source or a task asks for. What is transferred is the whole trunk.

It is a cheaper relative of the shipped net (train.nets): the same kind of blocks and about as many parameters, but it
starts at 62.5 Hz and has channels that suit bfloat16, and trains some six times as fast. In every arm the last linear
layer is new, and all that was pretrained lies before it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from train.nets import ConvNorm, Up
from train.study.config import TrunkSpec
from train.windows import GRID

Weights = dict[str, NDArray[np.float32]]

STEM_STRIDE = 4
STEM_STEPS = 640  # of the first level, at 62.5 Hz; its step k is steps 2 k and 2 k + 1 of the masks


class Trunk(nn.Module):
    """(n, 1, 1, 2500) companded window to the features of each level, the deepest last: (n, c, 1, 640 / 2^level)."""

    def __init__(self, spec: TrunkSpec) -> None:
        super().__init__()
        c, k = spec.channels, spec.kernel
        self.stem = ConvNorm(1, c[0], 15, stride=STEM_STRIDE, padding=37)
        self.downs = nn.ModuleList(ConvNorm(c[i], c[i + 1], k, stride=2) for i in range(len(c) - 1))
        self.levels = nn.ModuleList(
            nn.Sequential(*(ConvNorm(c[i], c[i], k) for _ in range(spec.blocks[i]))) for i in range(len(c))
        )
        self.width = 2 * c[-1]

    def forward(self, x: Tensor) -> list[Tensor]:
        out = [self.levels[0](self.stem(x))]
        for down, level in zip(self.downs, list(self.levels)[1:], strict=True):
            out.append(level(down(out[-1])))
        return out

    def pooled(self, x: Tensor) -> Tensor:
        """(n, width): mean and maximum of the deepest features."""
        deep = self(x)[-1]
        return torch.cat([deep.mean((2, 3)), deep.amax((2, 3))], 1)

    def shallow(self) -> list[nn.Module]:
        """The first half, down to 31.25 Hz: what stays as it is when a trunk is partly frozen."""
        return [self.stem, self.levels[0], self.downs[0], self.levels[1]]


class Recurrent(nn.Module):
    """Patches of 20 samples (80 ms) through a recurrent layer; mean and last state."""

    def __init__(self, kind: type[nn.RNN] | type[nn.LSTM], hidden: int = 96) -> None:
        super().__init__()
        self.patch = nn.Conv2d(1, hidden, (1, 20), (1, 20))
        self.recurrent = kind(hidden, hidden, batch_first=True)
        self.width = 2 * hidden

    def pooled(self, x: Tensor) -> Tensor:
        states = self.recurrent(self.patch(x)[:, :, 0].transpose(1, 2))[0]
        return torch.cat([states.mean(1), states[:, -1]], 1)


class PlainCnn(nn.Module):
    """Four convolutions with pooling between them, and nothing else (no normalisation, no residual)."""

    def __init__(self, channels: tuple[int, ...] = (16, 32, 48, 64)) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for c_in, c_out in zip((1, *channels), channels, strict=False):
            layers += [nn.Conv2d(c_in, c_out, (1, 9), (1, 2), (0, 4)), nn.ReLU(), nn.MaxPool2d((1, 2))]
        self.layers = nn.Sequential(*layers)
        self.width = channels[-1]

    def pooled(self, x: Tensor) -> Tensor:
        deep: Tensor = self.layers(x).mean((2, 3))
        return deep


class Vit(nn.Module):
    """Patches of 50 samples (200 ms) as tokens of a transformer (Dosovitskiy 2021); the mean of its tokens."""

    def __init__(self, width: int = 64, depth: int = 3, heads: int = 4) -> None:
        super().__init__()
        self.patch = nn.Conv2d(1, width, (1, 50), (1, 50))
        self.place = nn.Parameter(torch.randn(1, 50, width) * 0.02)
        layer = nn.TransformerEncoderLayer(width, heads, 2 * width, dropout=0.1, batch_first=True, norm_first=True)
        self.layers = nn.TransformerEncoder(layer, depth, norm=nn.LayerNorm(width), enable_nested_tensor=False)
        self.width = width

    def pooled(self, x: Tensor) -> Tensor:
        tokens: Tensor = self.layers(self.patch(x)[:, :, 0].transpose(1, 2) + self.place)
        return tokens.mean(1)


BODIES: dict[str, Callable[[TrunkSpec], Any]] = {
    "trunk": Trunk,
    "rnn": lambda spec: Recurrent(nn.RNN),
    "lstm": lambda spec: Recurrent(nn.LSTM),
    "cnn": lambda spec: PlainCnn(),
    "vit": lambda spec: Vit(),
}


class Whole(nn.Module):
    """One linear layer over pooled features: (n, outputs) of the window as a whole."""

    def __init__(self, body: Any, outputs: int, dropout: float) -> None:
        super().__init__()
        self.body, self.dropout = body, nn.Dropout(dropout)
        self.head = nn.Linear(body.width, outputs)

    def forward(self, x: Tensor, at: Tensor | None = None) -> Tensor:
        out: Tensor = self.head(self.dropout(self.body.pooled(x)))
        return out


class OfBeats(nn.Module):
    """(n, beats, outputs): a perceptron over what every level of the trunk holds about each R peak, and given
    numbers."""

    around = (-1, 0, 1)

    def __init__(self, body: Trunk, given: int, outputs: int, dropout: float, hidden: int = 48) -> None:
        super().__init__()
        self.body = body
        channels = sum(level[0].num_features for level in map(_norms, (body.stem, *body.downs)))
        self.hidden = nn.Linear(channels * len(self.around) + given, hidden)
        self.dropout, self.head = nn.Dropout(dropout), nn.Linear(hidden, outputs)

    def forward(self, x: Tensor, at: Tensor | None = None) -> Tensor:
        """at: (n, beats, 1 + given), the peak's s from the window's start, 0 where there is none, and the rest."""
        assert at is not None
        step = at[:, :, 0] * GRID.sampling_rate_hz + GRID.margin
        held = [at[:, :, 1:]]
        for level in self.body(x):
            flat = level[:, :, 0].float()
            index = (step * flat.shape[-1] / GRID.length).round().long()
            for offset in self.around:
                k = (index + offset).clamp(0, flat.shape[-1] - 1)
                held.append(flat.gather(2, k[:, None].expand(-1, flat.shape[1], -1)).transpose(1, 2))
        out: Tensor = self.head(self.dropout(F.relu(self.hidden(torch.cat(held, 2)))))
        return out


def _norms(block: nn.Module) -> list[nn.BatchNorm2d]:
    return [m for m in block.modules() if isinstance(m, nn.BatchNorm2d)]


class Drawn(nn.Module):
    """A U-Net on the trunk (Ronneberger 2015): (n, outputs, 1, 1280) at 125 Hz."""

    def __init__(self, body: Trunk, outputs: int, spec: TrunkSpec) -> None:
        super().__init__()
        c = spec.channels
        self.body = body
        self.ups = nn.ModuleList(Up(c[i + 1], c[i], spec.kernel) for i in reversed(range(len(c) - 1)))
        self.last = nn.Conv2d(c[0], 2 * outputs, (1, 5), padding=(0, 2))  # two steps of 125 Hz from one of 62.5 Hz

    def forward(self, x: Tensor) -> Tensor:
        levels = self.body(x)
        deep = levels[-1]
        for up, skip in zip(self.ups, reversed(levels[:-1]), strict=True):
            deep = up(deep, skip)
        n, c, _, m = (pairs := self.last(deep)).shape
        return torch.as_tensor(pairs.view(n, c // 2, 2, m).transpose(2, 3).reshape(n, c // 2, 1, 2 * m))


def weights_of(module: nn.Module) -> Weights:
    return {
        k: v.detach().cpu().numpy() for k, v in module.state_dict().items() if not k.endswith("num_batches_tracked")
    }


def put_weights(module: nn.Module, weights: Mapping[str, NDArray[np.float32]]) -> None:
    missing, unexpected = module.load_state_dict({k: torch.from_numpy(v.copy()) for k, v in weights.items()}, False)
    left = [k for k in missing if not k.endswith("num_batches_tracked")]
    if left or unexpected:
        raise ValueError(f"weights of another net: {(left + list(unexpected))[0]}")
