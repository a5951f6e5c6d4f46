"""Several processes as one (`torchrun`): each takes its share of every batch, and sums are taken over all of them.

What is summed are the losses' sums and counts, batch norm's moments and the gradients, so that two processes do what
one would with the whole batch. Without `torchrun` every function here gives back what it was given.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch
from torch import Tensor, distributed, nn

if TYPE_CHECKING:
    from train.augment import Batch


def begin(device: str = "auto") -> None:
    """Join the processes that `torchrun` started, if it did; with GPUs, each takes its own."""
    if int(os.environ.get("WORLD_SIZE", "1")) > 1 and not distributed.is_initialized():
        gpu = device != "cpu" and torch.cuda.is_available()
        if gpu:
            torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
        distributed.init_process_group("nccl" if gpu else "gloo")


def end() -> None:
    if distributed.is_initialized():
        distributed.destroy_process_group()


def size() -> int:
    return distributed.get_world_size() if distributed.is_initialized() else 1


def rank() -> int:
    return distributed.get_rank() if distributed.is_initialized() else 0


def wait() -> None:
    """Until every process has come here."""
    if size() > 1:
        distributed.barrier()


@contextmanager
def first_alone() -> Iterator[None]:
    """The first process goes through the block before the others, which find on disk what it left there."""
    if rank() > 0:
        wait()
    try:
        yield
    finally:
        if rank() == 0:
            wait()


def share(batch: Batch) -> Batch:
    """This process's windows of a batch."""
    return batch if size() == 1 else batch.map(lambda x: x[rank() :: size()])


def whole(parts: Mapping[str, tuple[Tensor, Tensor]]) -> dict[str, tuple[Tensor, Tensor]]:
    """Sums and counts over all processes. The gradient of each is that of this process's share."""
    if size() == 1:
        return dict(parts)
    out = {}
    for name, (loss, count) in parts.items():
        both = torch.stack([loss.detach(), count.detach().float()])
        distributed.all_reduce(both)
        out[name] = (loss + (both[0] - loss.detach()), both[1])
    return out


def add_gradients(net: nn.Module) -> None:
    if size() == 1:
        return
    held = [p.grad for p in net.parameters() if p.grad is not None]
    flat = torch.cat([g.flatten() for g in held])
    distributed.all_reduce(flat)
    for gradient, part in zip(held, flat.split([g.numel() for g in held]), strict=True):
        gradient.copy_(part.view_as(gradient))


class _Summed(torch.autograd.Function):
    """A sum over the processes whose gradient is summed over them too."""

    @staticmethod
    def forward(ctx: object, x: Tensor) -> Tensor:
        y = x.clone()
        distributed.all_reduce(y)
        return y

    @staticmethod
    def backward(ctx: object, *gradients: Tensor) -> Tensor:
        y = gradients[0].clone()
        distributed.all_reduce(y)
        return y


class BatchNorm(nn.BatchNorm2d):
    """Batch norm whose moments are those of the whole batch, whichever processes hold it."""

    def forward(self, x: Tensor) -> Tensor:
        if size() == 1 or not self.training:
            return super().forward(x)
        count = torch.tensor([float(x.numel() / x.shape[1])])
        moments = _Summed.apply(torch.cat([x.sum((0, 2, 3)), (x * x).sum((0, 2, 3)), count.to(x)]))
        n = moments[-1].detach()
        mean, square = moments[: x.shape[1]] / n, moments[x.shape[1] : -1] / n
        variance = (square - mean * mean).clamp(min=0.0)
        with torch.no_grad():
            momentum = self.momentum or 0.1
            for held, now in ((self.running_mean, mean), (self.running_var, variance * n / (n - 1))):
                if held is not None:
                    held.lerp_(now, momentum)
        scale = self.weight * torch.rsqrt(variance + self.eps)
        return x * scale[:, None, None] + (self.bias - mean * scale)[:, None, None]
