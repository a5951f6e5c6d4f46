"""What is measured on: a record of the user's, or the heart that comes with leadwire, the same on every machine."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edge_runtime.errors import UsageError
from edge_runtime.library import find_record
from edge_runtime.records import Lead, Record
from edge_runtime.run import board_named
from edge_runtime.wearable import wearable_of
from firmware_bridge.firmware.emulated import heart
from firmware_bridge.simulator import Wearable

BUILT_IN = "built-in"


@dataclass(frozen=True)
class Played:
    """A record's name (BUILT_IN for the heart that comes with leadwire), its lead, and the board that plays it."""

    record: str = BUILT_IN
    lead: str | None = None
    board: str = "native"


def wearable(played: Played, seconds: float) -> Wearable:
    """So much of it on a wearable. Raises RecordError, and UsageError for a record that is too short."""
    record = _built_in(seconds) if played.record == BUILT_IN else find_record(played.record)
    length_s = len(record.lead(played.lead).counts) / record.sampling_rate_hz
    if length_s < seconds:
        raise UsageError(
            f"--record {played.record}: is {length_s:.0f} s long and {seconds:.0f} s are needed; take a longer one, or "
            "fewer --reports"
        )
    return wearable_of(record, played.lead, 0.0, seconds, "", 0, board_named(played.board))


def _built_in(seconds: float) -> Record:
    counts = np.array(heart.counts(), np.int32)
    whole = np.tile(counts, -(-round(seconds * heart.RATE_HZ) // len(counts)))
    lead = Lead("I", whole, heart.PICOVOLTS_PER_COUNT, 0, heart.BITS, np.zeros(len(whole), np.bool_))
    return Record(BUILT_IN, float(heart.RATE_HZ), (lead,))


def write_wire(device: Wearable, path: Path, hashed_s: float) -> str:
    """What the host reads, piece by piece, into an `.npz`. Returns the hash of what comes in the first seconds."""
    pieces = [device.introduce(0.0), *device.pieces()]
    data = b"".join(piece.data for piece in pieces)
    np.savez(
        path,
        due_s=np.array([piece.due_s for piece in pieces]),
        sizes=np.array([len(piece.data) for piece in pieces]),
        data=np.frombuffer(data, np.uint8),
    )
    return hashlib.sha256(b"".join(piece.data for piece in pieces if piece.due_s <= hashed_s)).hexdigest()


def read_wire(path: Path) -> list[tuple[float, bytes]]:
    """(arrival in s, bytes) as `write_wire` left them."""
    with np.load(path, allow_pickle=False) as file:
        due_s, sizes, data = file["due_s"], file["sizes"], file["data"].tobytes()
    ends = np.cumsum(sizes)
    return [
        (float(t), data[end - size : end]) for t, size, end in zip(due_s, sizes, ends.tolist(), strict=True) if size
    ]
