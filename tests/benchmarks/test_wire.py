from __future__ import annotations

import itertools
import json
from pathlib import Path
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks import wire
from benchmarks.wire import availability, fuzz, matrix, native, soak, tables
from benchmarks.wire.books import Witness
from firmware_bridge.boards import BOARDS
from firmware_bridge.faults import KINDS, Faults
from firmware_bridge.simulator import Wearable
from tests.fakes import FakeBackend, ecg_of, model_that_states_all, regular_waves

SECONDS = 12.0
ONE_OF_EACH_WIRE = ("native", "heartypatch", "chords-uno-r3", "ads1292r", "healthypi-v4", "ad8232", "ad8232-csv")


# ---- the ledger and the counters -------------------------------------------------------------------------------------

SHARES = {"drop": 0.2, "flip": 2e-3, "reorder": 0.2, "duplicate": 0.2, "garbage": 0.2}
EVENTS = ("stall", "unplug", "lead_off", "clip")


def audited(spec: str, seed: int) -> tuple[Witness, soak.Auditor]:
    counts = (np.arange(1500, dtype=np.uint32) * np.uint32(2654435761) >> np.uint32(21)).astype(np.int32) - 1024
    witness = Witness(Wearable(counts, matrix.INFO, Faults.parse(spec), seed))
    auditor = soak.Auditor(witness.device)
    for heard in witness.listen():
        auditor.check(heard)
    return witness, auditor


@settings(max_examples=25, deadline=None)
@given(
    shares=st.fixed_dictionaries({}, optional={k: st.floats(0, most) for k, most in SHARES.items()}),
    events=st.lists(st.tuples(st.sampled_from(EVENTS), st.floats(0, 6), st.floats(0, 3)), max_size=5),
    more=st.lists(st.sampled_from(["banner", "drift=300", "burst=0.016"]), unique=True),
    seed=st.integers(0, 10_000),
)
def test_no_sample_of_a_native_device_is_unaccounted_for(
    shares: dict[str, float], events: list[tuple[str, float, float]], more: list[str], seed: int
) -> None:
    """Whatever is done to it, except that one damaged frame in 65,536 passes a CRC of 16 bits."""
    items = [f"{k}={v!r}" for k, v in shares.items()] + [f"{k}@{a!r}+{b!r}" for k, a, b in events] + more
    witness, auditor = audited(",".join(items), seed)
    ledger, books = witness.device.ledger, witness.books
    not_whole = ("dropped", "stalled", "unplugged", "corrupted")
    assert sum(getattr(ledger, f"{how}_samples") for how in not_whole) + sum(books.fates.values()) == ledger.samples
    if auditor.forged:
        assert auditor.forged <= 2
        return
    parsed, clock, due = witness.receiver.parser.statistics, witness.receiver.clock.statistics, books.counts
    assert auditor.wrong == 0
    assert auditor.right_samples == books.fates["received"]
    assert parsed.good == due.good
    assert (clock.duplicates, clock.late, clock.before_info) == (due.duplicates, due.late, due.before_info)
    assert clock.lost_samples == due.lost_samples


@settings(max_examples=6, deadline=None)
@given(drop=st.floats(0, 0.2), twice=st.floats(0, 0.2), seed=st.integers(0, 10_000))
@pytest.mark.parametrize("name", ["heartypatch", "cyton", "chords-uno-r3"])
def test_what_a_counter_says_is_lost_is_what_the_ledger_says(name: str, drop: float, twice: float, seed: int) -> None:
    """From the first frame that was believed to the last one: every sample was received, or is in a gap of its size."""
    board = BOARDS[name]
    counts = np.random.default_rng(seed).integers(1, 1000, 1600).astype(np.int32)
    witness = Witness(Wearable(counts, board, Faults.parse(f"drop={drop!r},duplicate={twice!r}"), seed))
    size = board.samples_per_frame
    sent = [h.piece.number for h in witness.listen() if h.piece.data and not h.piece.copy]
    parser, clock = witness.receiver.parser, witness.receiver.clock.statistics
    got = parser.statistics.good - clock.duplicates
    unconfirmed = len(sent) - got  # at either end, where no neighbour follows
    assert 0 <= unconfirmed <= 12
    lost = sent[-1] - sent[0] + 1 - len(sent)
    at_the_ends = sum(b - a - 1 for a, b in itertools.pairwise(sent) if a - sent[0] < 40 or sent[-1] - b < 40)
    assert lost - at_the_ends <= clock.lost_samples // size <= lost + unconfirmed


@pytest.mark.parametrize("name", ONE_OF_EACH_WIRE)
def test_counters_equal_the_ledger_where_the_protocol_can_know(name: str) -> None:
    board = BOARDS[name]
    for fault in matrix.CASES:
        cell = matrix.compared(board, fault, SECONDS)
        assert cell["exact"] or cell["cannot"], f"{fault}: {cell}"
        if fault not in ("burst", "drift"):
            assert cell["done"] > 0 or fault == "garbage", f"{fault}: nothing was done"


def test_every_board_has_a_wire_whose_reasons_are_for_faults_that_there_are() -> None:
    assert {matrix.wire_of(board) for board in BOARDS.values()} == set(matrix.CANNOT)
    assert not any(set(reasons) - set(matrix.CASES) for reasons in matrix.CANNOT.values())
    assert not matrix.CANNOT["native"], "it can know everything"


def test_a_wrong_baud_rate_is_told() -> None:
    said = matrix.at_half_its_baud(BOARDS["healthypi-v4"], 5.0)
    assert said["good_frames"] == 0
    assert "wrong baud" in said["says"]


# ---- what the native frame lets through ------------------------------------------------------------------------------


def test_residuals_say_what_the_parser_says() -> None:
    assert native.agreement(22, 100) == {"trials": 100, "passing_by_residual": 0, "accepted_against_it": 0}
    body = native.body_of(22, Random(1))
    _, passing = native.passing_bursts(native.residuals(22))
    for bits in passing:  # where the CRC cannot see it, neither can the parser
        hit = bytearray(body)
        for bit in bits:
            hit[bit >> 3] ^= 1 << (bit & 7)
        assert native.native.residual(bytes(hit)) == 0


def test_bursts_are_every_pattern_of_their_length() -> None:
    total, passing = native.passing_bursts(np.array([1, 2, 3, 4], np.uint16), longest=3)
    assert total == 4 + 4 + 2 + 1
    assert passing == [[0, 1, 2]], "1 ^ 2 ^ 3 is nothing"


def test_the_longest_frame_refuses_every_error_of_one_and_two_bits() -> None:
    of_bits = native.residuals(777)
    assert of_bits.all()
    assert len(np.unique(of_bits)) == len(of_bits) == 6216


@pytest.mark.parametrize("kind", native.CORRUPTIONS)
def test_damage_on_the_wire_is_refused(kind: str) -> None:
    assert native._on_the_wire(kind, 300, 1) == {"corruptions": 300, "accepted": 0}


# ---- the other parts, small ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["native", "bitalino", "ad8232-csv"])
def test_hostile_bytes_are_as_many_as_they_say(name: str) -> None:
    found = fuzz.measure(False, [name], 20_000)["boards"][name]
    assert found["bytes"] == 20_000
    assert found["times_baud"] > 0
    assert sum(len(piece) for piece in fuzz.hostile(BOARDS[name], 150_000, 1)) == 150_000


def test_a_loss_is_seen_in_availability_and_no_loss_changes_nothing() -> None:
    mv = ecg_of(regular_waves(), 250.0)
    truth = {"hr_bpm": 75.0, "pr_ms": 160.0, "qrs_ms": 90.0, "qt_ms": 380.0}
    found = availability.tallied([(mv, 250.0, "I", truth)], model_that_states_all(), FakeBackend(), seeds=2)
    assert found["0"]["lost_frames"] == found["0"]["bridged_windows"] == 0
    assert found["0.05"]["lost_frames"] > 0
    assert found["0.05"]["windows"] == 2
    for by in found["0"]["measures"].values():
        assert by["stated"] == by["n"] == 1
        assert by["grown"] == by["moved"] == 0


def test_the_wire_delivers_a_recording_to_the_microvolt_with_holes_where_frames_were_lost() -> None:
    mv = np.sin(np.arange(2500) / 9)
    window, lost, frames = availability.over_the_wire(availability.record_of(mv, 250.0, "I"), 0.05, 3)
    holes = np.isnan(window.samples_mv)
    assert holes.sum() == 4 * lost > 0
    assert frames == 625
    assert np.abs(window.samples_mv - mv)[~holes].max() <= 5.1e-4


def test_a_short_soak_and_its_page() -> None:
    found = soak.measure(False, hours=0.02)
    assert found["unaccounted_samples"] == found["wrong_pieces"] == 0
    assert found["due"] == found["counted"]
    assert all(found["fates_samples"][how] > 0 for how in ("received", "dropped", "late", "spoiled"))
    spec = Faults.parse(soak.spec_of(3600.0, 1))
    assert set(spec.amounts) | {kind for kind, _, _ in spec.events} == set(KINDS) - {"baud"}
    page = tables.markdown({"soak": {"full": False, "measured_at_commit": "c", "machine": "m", **found}})
    assert "| **unaccounted** | **0** |" in page
    assert "**are not**" not in page


def test_a_part_is_kept_while_another_is_measured(tmp_path: Path) -> None:
    (tmp_path / "wire.json").write_text(json.dumps({"soak": {"kept": 1}}))
    found = wire.measure(tmp_path, ["native"])
    assert list(found) == ["native", "soak"]
    assert json.loads((tmp_path / "wire.json").read_text()) == found
    assert found["native"]["full"] is False
    assert "python" in found["native"]["machine"]
    assert "| on the wire, all |" in tables.markdown({"native": found["native"]})
