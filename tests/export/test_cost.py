from __future__ import annotations

import torch

from export.cost import cost
from train.nets import Net, NetSpec


def test_the_counts_are_those_of_the_graph() -> None:
    net = Net(NetSpec(channels=(4, 6), blocks=(1, 1), window_channels=8, kernel=5)).eval()
    found = cost(net, 2500)
    seen: list[int] = []

    def count(module: torch.nn.Module, _: object, out: torch.Tensor) -> None:
        assert isinstance(module, torch.nn.Conv2d)
        seen.append(out.numel() * module.weight[0].numel())

    for module in net.modules():
        if isinstance(module, torch.nn.Conv2d):
            module.register_forward_hook(count)
    with torch.no_grad():
        net(torch.zeros(1, 1, 1, 2500))
    assert found["macs"] == sum(seen)
    assert found["operations"]["conv2d"] == len(seen)
    assert not {"identity", "dropout", "batchnorm"} & set(found["operations"])
    parameters = sum(p.numel() for p in net.parameters())
    assert 0 < parameters - found["parameters"] < parameters / 5, "norms became biases"


def test_the_peak_is_what_the_widest_place_holds() -> None:
    """The first level of four channels at 1280 steps: the stem's result and its ReLU's, or a block's and its skip."""
    net = Net(NetSpec(channels=(4, 6), blocks=(1, 1), window_channels=8, kernel=5)).eval()
    peak = cost(net, 2500)["peak_activation_bytes"]
    assert 2 * 4 * 1280 <= peak <= 5 * 4 * 1280
