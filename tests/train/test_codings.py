from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from edge_runtime.conditioning import compand
from train.codings import COARSE_MV, CODINGS, FINE_MV, channels_last
from train.evaluate import TorchBackend
from train.loop import to_input
from train.nets import Net, NetSpec

SMALL = NetSpec(channels=(4, 6, 8), blocks=(1, 1, 1), window_channels=8)
MV = np.linspace(-4.9, 4.9, 2500, dtype=np.float32)


@pytest.mark.parametrize("coding", CODINGS)
def test_a_code_says_what_the_millivolts_were(coding: str) -> None:
    code = CODINGS[coding]
    said = code.of(torch.from_numpy(compand(MV))[None])
    assert said.shape == (1, code.channels, 2500)
    assert float(said.abs().max()) <= COARSE_MV + 1e-5
    assert np.allclose(code.millivolts(said)[0].numpy(), MV, atol=1e-5)


def test_the_fine_channel_is_spread_over_all_steps_and_clips_where_the_coarse_one_does_not() -> None:
    fine, coarse = channels_last(compand(MV), "two_channels").T
    assert np.allclose(coarse, MV, atol=1e-5)
    small = np.abs(MV) < FINE_MV
    assert np.allclose(fine[small], MV[small] * COARSE_MV / FINE_MV, atol=1e-4)
    assert np.allclose(np.abs(fine[~small]), COARSE_MV)


@pytest.mark.parametrize("coding", CODINGS)
def test_a_net_is_judged_on_what_it_was_trained_on(coding: str) -> None:
    torch.manual_seed(0)
    net = Net(dataclasses.replace(SMALL, coding=coding)).eval()
    with torch.no_grad():
        wanted = net(to_input(torch.from_numpy(MV)[None], coding))
    found = TorchBackend(net)(compand(MV))
    assert np.allclose(found["masks"], wanted["masks"][0, :, 0].numpy(), atol=1e-4)
    assert np.allclose(found["intervals"], wanted["intervals"].flatten().numpy(), atol=1e-4)
