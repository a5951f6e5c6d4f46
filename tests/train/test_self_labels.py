"""What a net says of windows that no hand has marked."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from edge_runtime.delineation import QRS, P, T
from edge_runtime.report import RHYTHMS
from tests.fakes import ecg_of, logits_of, regular_waves
from train.self_labels import self_labelled
from train.windows import GRID, P_ON, QRS_OFF, QRS_ON, SAMPLES, T_OFF, UNKNOWN, Collector, Labels, Windows

WAVES = regular_waves()


class Drawn(torch.nn.Module):
    """A net that sees the same waves in every window."""

    def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        masks = torch.from_numpy(logits_of(WAVES))[None, :, None]
        return {"masks": masks.expand(len(x), -1, -1, -1).contiguous()}


@pytest.fixture
def unmarked() -> Windows:
    """In sinus rhythm, in AF, and noise."""
    out = Collector()
    for p_wave, rhythm in ((1, "normal"), (0, "af"), (UNKNOWN, "noisy")):
        labels = Labels(p_wave=p_wave, rhythm=RHYTHMS.index(rhythm))
        out.add(ecg_of(WAVES, 250)[:SAMPLES], 250.0, 0, len(out.signals), labels)
    return out.windows()


def test_the_nets_waves_are_the_labels(unmarked: Windows) -> None:
    found = self_labelled(Drawn(), unmarked)  # type: ignore[arg-type]
    assert found.mask is not None
    assert found.known is not None
    assert found.beats is not None
    drawn = GRID.waves(found.mask[0].astype(np.float32) / 255)
    for kind in (P, QRS, T):
        own, wanted = ([w for w in waves if w.kind == kind] for waves in (drawn, WAVES))
        inside = [w for w in wanted if any(abs(w.onset_s - o.onset_s) < 0.004 for o in own)]
        assert len(inside) >= len(wanted) - 1, "but for one that an edge cuts"
    first = next(w for w in WAVES if w.kind == QRS)
    row = found.beats[0, 0]
    assert row[QRS_ON] == pytest.approx(first.onset_s, abs=0.004)
    assert row[QRS_OFF] == pytest.approx(first.offset_s, abs=0.004)
    assert row[P_ON] < row[QRS_ON]
    assert row[T_OFF] > row[QRS_OFF]
    assert found.known[0].all()


def test_what_a_class_denies_is_not_labelled(unmarked: Windows) -> None:
    found = self_labelled(Drawn(), unmarked)  # type: ignore[arg-type]
    assert found.mask is not None
    assert found.known is not None
    assert found.beats is not None
    assert found.mask[0, P].any()
    assert not found.mask[1, P].any(), "no P wave in AF"
    assert np.isnan(found.beats[1, :, P_ON]).all()
    assert np.isfinite(found.beats[1, 0, QRS_ON])
    assert not found.known[2].any(), "of noise nothing is known"
    assert np.isnan(found.beats[2]).all()


def test_a_hands_marks_are_kept(unmarked: Windows) -> None:
    marked = self_labelled(Drawn(), unmarked)  # type: ignore[arg-type]
    other = dataclasses.replace(marked)
    assert self_labelled(Drawn(), other) is other  # type: ignore[arg-type]
    assert unmarked.mask is None, "and what was given is left as it was"
