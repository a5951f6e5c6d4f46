"""Each fault by itself, on pieces made by hand: what it does, and what the ledger says of it."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firmware_bridge.boards import BOARDS
from firmware_bridge.cable import Ledger, Piece, Spans, misread
from firmware_bridge.faults import KINDS, Faults, described
from firmware_bridge.frames import Info
from firmware_bridge.simulator import Wearable

INFO = Info(1, 250, 1, 1_000_000, 0, 12, 4, 0, 0, "simulated", "t", "I")
BAUD = 115200


def made(n: int = 500, every_s: float = 0.016) -> Iterator[Piece]:
    """Frames of four samples; every bit of them is random, and their last byte is zero."""
    random = Random(7)
    return (Piece((i + 1) * every_s, random.randbytes(20) + b"\0", i, 4 * i, 4) for i in range(n))


def happened(spec: str, pieces: Iterator[Piece] | None = None, seed: int = 3) -> tuple[list[Piece], Ledger]:
    ledger = Ledger()
    return list(Faults.parse(spec).happen(made() if pieces is None else pieces, seed, BAUD, ledger)), ledger


def test_nothing_happens_without_a_fault() -> None:
    pieces, ledger = happened("")
    assert pieces == list(made())
    assert (ledger.sent_frames, ledger.sent_samples) == (500, 2000)


@pytest.mark.parametrize("spec", ["drop=0.3", "flip=1e-3", "reorder=0.2", "duplicate=0.2", "garbage=0.2", "baud=9600"])
def test_the_same_seed_does_the_same_and_one_more_fault_leaves_the_others_as_they_were(spec: str) -> None:
    assert happened(spec) == happened(spec)
    if "baud" not in spec:
        assert happened(spec, seed=4) != happened(spec)
    both, _ = happened(f"{spec},drift=100,stall@100+1")
    assert [p.data for p in both] == [p.data for p in happened(spec)[0]]


def test_dropped_frames_leave_their_time() -> None:
    pieces, ledger = happened("drop=0.2")
    gone = [p for p in pieces if not p.data]
    assert [p.due_s for p in pieces] == [p.due_s for p in made()]
    assert 0 < len(gone) == ledger.dropped_frames == 500 - ledger.sent_frames
    assert ledger.dropped_samples == 4 * len(gone)


@pytest.mark.parametrize("kind", ["stall", "unplug"])
def test_nothing_comes_meanwhile(kind: str) -> None:
    pieces, ledger = happened(f"{kind}@1+2,{kind}@2+2,garbage=1,duplicate=1")
    gone = [p for p in pieces if not p.data]
    assert {p.number for p in gone} == {p.number for p in made() if 1 <= p.due_s < 4}
    assert {p.plugged for p in gone} == {kind == "stall"}
    booked = {"stall": ledger.stalled_frames, "unplug": ledger.unplugged_frames}
    assert booked[kind] == len(gone)
    assert ledger.sent_frames == 500 - len(gone) == ledger.duplicated_frames


def test_every_bit_that_was_flipped_is_booked() -> None:
    pieces, ledger = happened("flip=2e-3")
    pairs = list(zip(pieces, made(), strict=True))
    turned = sum((a ^ b).bit_count() for p, q in pairs for a, b in zip(p.data, q.data, strict=True))
    assert turned == ledger.flipped_bits
    assert turned == pytest.approx(2e-3 * 8 * 21 * 500, rel=0.25)
    assert ledger.corrupted_frames == sum(p.damaged for p, _ in pairs) == sum(p.data != q.data for p, q in pairs)
    assert happened("flip=1")[0][0].data == bytes(255 - b for b in next(made()).data)


def test_a_bit_that_is_hardly_ever_flipped_is_none() -> None:
    assert happened("flip=5e-324")[0] == list(made())


def test_a_frame_changes_places_with_the_one_behind_it() -> None:
    pieces, ledger = happened("reorder=0.2")
    numbers = [p.number for p in pieces]
    late = [b for a, b in itertools.pairwise(numbers) if b < a]
    assert sorted(numbers) == list(range(500))
    assert len(late) == ledger.reordered_frames > 50
    assert all(numbers[numbers.index(n) - 1] == n + 1 for n in late)
    assert [p.due_s for p in pieces] == sorted(p.due_s for p in pieces)


def test_a_frame_does_not_wait_for_the_cable_to_come_back() -> None:
    pieces, ledger = happened("reorder=1,unplug@0.02+1")
    assert [p.number for p in pieces[:2]] == [0, 1]
    assert pieces[0].data and not pieces[1].data
    assert ledger.reordered_frames == sum(b.number < a.number for a, b in itertools.pairwise(pieces))


def test_a_copy_comes_behind_its_frame_and_is_not_booked_as_sent() -> None:
    pieces, ledger = happened("duplicate=0.2")
    copies = [i for i, p in enumerate(pieces) if p.copy]
    assert len(copies) == ledger.duplicated_frames > 50
    assert all(pieces[i].data == pieces[i - 1].data for i in copies)
    assert ledger.sent_frames == 500


def test_garbage_and_a_banner_are_no_frames() -> None:
    pieces, ledger = happened("garbage=0.2,banner")
    others = [p for p in pieces if p.number < 0]
    assert sum(len(p.data) for p in others) == ledger.garbage_bytes + ledger.banner_bytes
    assert pieces[0].data.startswith(b"\r\nboot") and ledger.banner_bytes == len(pieces[0].data)
    assert [p for p in pieces if p.number >= 0] == list(made())


def test_a_burst_holds_back_and_loses_nothing() -> None:
    pieces, _ = happened("burst=0.1")
    assert [p.data for p in pieces] == [p.data for p in made()]
    assert all(0 <= p.due_s - q.due_s < 0.1 + 1e-9 for p, q in zip(pieces, made(), strict=True))
    assert len({p.due_s for p in pieces}) == 80


def test_a_fast_crystal_is_sooner() -> None:
    pieces, _ = happened("drift=1000")
    assert pieces[-1].due_s == pytest.approx(8.0 / 1.001)


@settings(max_examples=50)
@given(st.binary(max_size=60))
def test_at_the_same_rate_nothing_is_misread(data: bytes) -> None:
    assert misread(data, 9600, 9600) == data
    assert misread(data, 9700, 9600) == data, "one per cent is within what a UART bears"
    assert misread(data, 9500, 9600) == data


def test_a_wrong_rate_by_hand() -> None:
    # Sent at half the rate that is read: each bit is seen twice. 0x0F is 0 1111 0000 1: the reader's byte is the start
    # (0, its second half) and then 1111 111 of the first four; its stop falls on the eighth half.
    assert misread(b"\x0f", 1, 2)[:1] == bytes([0b11111110])
    # Sent at twice the rate: the reader sees every second bit.
    assert len(misread(b"\x55" * 10, 2, 1)) <= 5


def test_a_wrong_rate_is_booked() -> None:
    pieces, ledger = happened("baud=57600")
    assert ledger.corrupted_frames == sum(p.damaged for p in pieces) == 500
    assert ledger.misread_bytes == 500 * 21


@settings(max_examples=100)
@given(st.lists(st.tuples(st.floats(0, 100), st.floats(0, 100)), max_size=8), st.floats(0, 110))
def test_spans_hold_what_any_of_them_holds(spans: list[tuple[float, float]], at_s: float) -> None:
    assert Spans(spans).hold(at_s) == any(a <= at_s < b for a, b in spans)


def test_what_an_overdriven_amplifier_does_is_in_the_ledger_and_in_the_frames_flag() -> None:
    counts = np.tile(np.array([0, 100, 127, 1000], np.int32), 250)
    device = Wearable(counts, INFO, Faults.parse("clip@1+1"))
    list(device.pieces())
    assert device.ledger.clipped_samples == 62, "one sample in four of the frames that begin then is beyond 2047 / 16"


def test_every_fault_is_described_once() -> None:
    lines = described().splitlines()
    assert [line.split()[0] for line in lines] == [kind.example for kind in KINDS.values()]
    assert BOARDS


@settings(max_examples=30, deadline=None)
@given(
    shares=st.dictionaries(
        st.sampled_from([k.name for k in KINDS.values() if k.written == "=SHARE"]), st.floats(0, 0.3), max_size=6
    ),
    spans=st.lists(st.tuples(st.sampled_from(["stall", "unplug"]), st.floats(0, 4), st.floats(0, 3)), max_size=4),
    seed=st.integers(0, 1000),
)
def test_every_frame_has_one_fate(shares: dict[str, float], spans: list[tuple[str, float, float]], seed: int) -> None:
    items = [f"{k}={v!r}" for k, v in shares.items()] + [f"{k}@{a!r}+{b!r}" for k, a, b in spans]
    device = Wearable(np.arange(1000, dtype=np.int32) % 500, INFO, Faults.parse(",".join(items)), seed)
    pieces = list(device.pieces())
    said = device.ledger
    fates = ("sent", "dropped", "stalled", "unplugged", "corrupted")
    assert sum(getattr(said, f"{fate}_samples") for fate in fates) == said.samples == 1000
    assert sum(getattr(said, f"{fate}_frames") for fate in fates) == said.frames == 250
    assert said.sent_frames == sum(bool(p.data and p.samples) and not (p.damaged or p.copy) for p in pieces)
    assert [p.due_s for p in pieces] == sorted(p.due_s for p in pieces)
