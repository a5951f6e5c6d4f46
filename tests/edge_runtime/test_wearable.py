from __future__ import annotations

import numpy as np
import pytest

from edge_runtime.errors import RecordError, UsageError
from edge_runtime.records import Lead, Record
from edge_runtime.wearable import wearable_of
from firmware_bridge.boards import BOARDS
from firmware_bridge.receiver import Receiver


def played(lead: Lead, rate: float = 250.0, seed: int = 0) -> np.ndarray:
    """What arrives at the other end of the wire, mV."""
    device = wearable_of(Record("r", rate, (lead,)), None, 0.0, None, "", seed)
    receiver = Receiver(BOARDS["native"])
    data = device.describe(0.0) + b"".join(d for _, d in device.frames() if d)
    return np.concatenate([s.millivolts for s in receiver.feed(data, 0.0)])


def lead(counts: np.ndarray, picovolts: float, zero: int = 0) -> Lead:
    return Lead("I", counts.astype(np.int32), picovolts, zero, 16, np.zeros(len(counts), bool))


COUNTS = np.round(2000 * np.sin(np.arange(1000) / 30))


@pytest.mark.parametrize("picovolts", [5e6, 1e6, 1e9 / 4096])
def test_a_usual_gain_arrives_to_the_bit_or_nearly(picovolts: float) -> None:
    made = lead(COUNTS, picovolts, 1024)
    if picovolts == round(picovolts):
        assert np.array_equal(played(made), made.millivolts)
    assert np.allclose(played(made), made.millivolts, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("counts", "picovolts", "zero"),
    [
        (COUNTS, -5e6, 0),
        (COUNTS, 0.3, 0),
        (COUNTS + 1_500_000_000, 1000.0, 0),
        (COUNTS, 1e10, 0),
        (COUNTS * 5e5, 1000.0, 0),
    ],
)
def test_a_gain_or_an_offset_that_the_frame_cannot_carry_is_rescaled(
    counts: np.ndarray, picovolts: float, zero: int
) -> None:
    made = lead(counts, picovolts, zero)
    assert np.abs(played(made) - made.millivolts).max() <= max(1.1e-6, 2e-7 * np.ptp(made.millivolts))


@pytest.mark.parametrize("seed", [-5, 2**32, 0])
def test_any_seed_will_do(seed: int) -> None:
    assert len(played(lead(COUNTS, 5e6), seed=seed)) == 1000


def test_what_cannot_be_played_is_said() -> None:
    with pytest.raises(RecordError, match="check its gain"):
        played(lead(COUNTS, 1e18))
    with pytest.raises(UsageError, match="--fault"):
        wearable_of(Record("r", 250.0, (lead(COUNTS, 5e6),)), None, 0.0, None, "x", 0)
