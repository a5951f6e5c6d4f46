from __future__ import annotations

import numpy as np
import pytest

from edge_runtime.errors import RecordError, UsageError
from edge_runtime.records import Lead, Record
from edge_runtime.wearable import wearable_of
from firmware_bridge.boards import BOARDS, Board
from firmware_bridge.frames import to_millivolts
from firmware_bridge.front_end import through
from firmware_bridge.receiver import Receiver
from firmware_bridge.simulator import Wearable


def played(lead: Lead, rate: float = 250.0, seed: int = 0) -> np.ndarray:
    """What arrives at the other end of the wire, mV."""
    native = wearable_of(Record("r", rate, (lead,)), None, 0.0, None, "", seed)
    receiver = Receiver(BOARDS["native"])
    data = native.describe(0.0) + b"".join(d for _, d in native.frames() if d)
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


# ---- a record through a board ----------------------------------------------------------------------------------------

TABLE = [board for board in BOARDS.values() if board.protocol != "native"]


def device(board: Board, record: Record, fault: str = "", duration_s: float | None = None) -> Wearable:
    return wearable_of(record, None, 0.0, duration_s, fault, 0, board)


@pytest.mark.parametrize("board", TABLE, ids=lambda b: b.name)
def test_every_board_plays_a_record_as_its_front_end_sees_it(board: Board) -> None:
    made = Record("r", 360.0, (lead(np.round(200 * np.sin(np.arange(3600) / 30)), 5e6),))
    played_counts = device(board, made).counts
    seen, rate = through(board, made.lead().millivolts, 360.0)
    assert rate == board.sampling_rate_hz
    assert board.picovolts_per_count is not None
    assert board.zero_count is not None
    mv = to_millivolts(played_counts, board.picovolts_per_count, board.zero_count)
    assert np.array_equal(mv, seen[: len(mv)])
    assert len(seen) - len(mv) < board.samples_per_frame


def test_what_a_record_misses_its_frames_miss() -> None:
    counts = np.round(200 * np.sin(np.arange(3600) / 30)).astype(np.int32)
    missing = np.zeros(3600, bool)
    missing[1800:1836] = True
    played_by = device(BOARDS["cyton"], Record("r", 360.0, (Lead("I", counts, 5e6, 0, 16, missing),)))
    sent = [data is not None for _, data in played_by.frames()]
    assert sent.index(False) == 1250
    assert sent.count(False) == pytest.approx(25, abs=1)


def test_a_stretch_that_has_nothing_to_play_is_said() -> None:
    nothing = Lead("I", np.zeros(720, np.int32), 5e6, 0, 16, np.ones(720, bool))
    with pytest.raises(RecordError, match="no sample in this stretch"):
        device(BOARDS["cyton"], Record("r", 360.0, (nothing,)))
    with pytest.raises(UsageError, match="shorter than a sample"):
        device(BOARDS["ad8232"], Record("r", 1000.0, (lead(COUNTS, 5e6),)), duration_s=0.002)
