"""Faults x boards: what each board's counters say, beside what the ledger says was done to it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.wire.books import Witness
from firmware_bridge.boards import BOARDS, Board
from firmware_bridge.faults import Faults
from firmware_bridge.frames import Info, to_millivolts
from firmware_bridge.simulator import Wearable

INFO = Info(1, 250, 1, 1_000_000, 0, 12, 4, 0, 0, "simulated", "leadwire", "I")


@dataclass(frozen=True)
class Outcome:
    """A board's run. lead_off_samples, clipped_samples: that it said so of; gap_samples: missing on the timeline."""

    witness: Witness
    lead_off_samples: int
    clipped_samples: int
    gap_samples: int
    says: str | None


@dataclass(frozen=True)
class Case:
    """One fault on its own (a stall as a USB adapter would deliver it), and the two numbers that are compared.

    done: from the ledger, and what follows from it by the protocol's rules; counted: by parser and clock.
    """

    spec: str
    what: str
    done: Callable[[Outcome], int]
    counted: Callable[[Outcome], int]


def lost(outcome: Outcome) -> int:
    return outcome.witness.receiver.clock.statistics.lost_samples


CASES: dict[str, Case] = {
    "drop": Case("drop=0.02", "samples lost", lambda o: o.witness.books.counts.lost_samples, lost),
    "stall": Case("stall@8+3,burst=0.016", "samples lost", lambda o: o.witness.device.ledger.stalled_samples, lost),
    "unplug": Case(
        "unplug@8+3",
        "samples missing on the timeline",
        lambda o: o.witness.books.gap_samples,
        lambda o: o.gap_samples,
    ),
    "flip": Case("flip=3e-4", "samples lost", lambda o: o.witness.books.counts.lost_samples, lost),
    "duplicate": Case(
        "duplicate=0.02",
        "frames that came twice",
        lambda o: o.witness.device.ledger.duplicated_frames,
        lambda o: o.witness.receiver.clock.statistics.duplicates,
    ),
    "reorder": Case("reorder=0.02", "samples lost", lambda o: o.witness.device.ledger.reordered_samples, lost),
    "garbage": Case("garbage=0.02", "samples lost", lambda o: o.witness.books.counts.lost_samples, lost),
    "banner": Case(
        "banner",
        "good frames",
        lambda o: o.witness.books.counts.good,
        lambda o: o.witness.receiver.parser.statistics.good,
    ),
    "lead_off": Case(
        "lead_off@8+3",
        "samples with the flag",
        lambda o: o.witness.device.ledger.lead_off_samples,
        lambda o: o.lead_off_samples,
    ),
    "clip": Case(
        "clip@8+3",
        "samples at an end, and said to be",
        lambda o: o.witness.device.ledger.clipped_samples,
        lambda o: o.clipped_samples,
    ),
    "burst": Case("burst=0.016", "samples lost", lambda o: 0, lost),
    "drift": Case("drift=200", "samples lost", lambda o: 0, lost),
}

_NO_COUNTER = "no counter and no time: a frame that is missing leaves nothing, one that comes twice is taken twice"
_ONLY_TIME = "time in ms and no counter: one line that is missing could be a late one, only longer gaps show"
_NO_CHECKSUM = "no checksum: a damaged sample is a sample, and only a frame whose ends or counter are hit is refused"
_CRC_4 = "4 bits of CRC: one damaged frame in 16 passes, and may do so at a wrong place"
_U4_TIME = (
    "the counter wraps every 16 ms, which is how long an adapter holds bytes back: how often it wrapped is guessed"
)
_NEIGHBOUR = (
    "no checksum: behind damage a frame is believed when the next one follows it, so two damages in a row cost one more"
)
_HOST_CLOCK = "only the host's clock tells how long it was"
_SILENCE = "only the host's clock tells how long the silence was, and bytes come in bursts"
_NO_FLAG = "no flag; it shows as clipped"
_JOINED = "no counter, and a line that is joined to garbage may still be a number"

Reasons = dict[str, str]

# By wire (see `wire_of`), then by fault: why the two numbers may differ. What is not here has to agree exactly.
CANNOT: dict[str, Reasons] = {
    "native": {},
    "heartypatch": {"flip": _NO_CHECKSUM, "lead_off": _NO_FLAG},
    "counter of 8 bits": {
        **dict.fromkeys(("reorder", "garbage"), _NEIGHBOUR),
        "flip": _NO_CHECKSUM,
        "unplug": _HOST_CLOCK,
        "lead_off": _NO_FLAG,
    },
    "counter and CRC of 4 bits": {
        **dict.fromkeys(("drop", "duplicate", "reorder"), _NEIGHBOUR),
        "flip": _CRC_4,
        "garbage": _CRC_4,
        "banner": _CRC_4,
        "stall": _U4_TIME,
        "unplug": _HOST_CLOCK,
        "lead_off": _NO_FLAG,
    },
    "OpenView": {
        **dict.fromkeys(("drop", "duplicate", "reorder"), _NO_COUNTER),
        "flip": _NO_CHECKSUM,
        "stall": _SILENCE,
        "unplug": _HOST_CLOCK,
    },
    "text": {
        **dict.fromkeys(("drop", "duplicate", "reorder"), _NO_COUNTER),
        "flip": _NO_CHECKSUM,
        "garbage": _JOINED,
        "stall": _SILENCE,
        "unplug": _HOST_CLOCK,
    },
    "text with time": {
        **dict.fromkeys(("drop", "duplicate", "reorder", "garbage"), _ONLY_TIME),
        "flip": _NO_CHECKSUM,
    },
}


def wire_of(board: Board) -> str:
    """What on a board's wire could tell of a loss."""
    if board.protocol in ("cyton", "chords"):
        return "counter of 8 bits"
    if board.protocol == "bitalino":
        return "counter and CRC of 4 bits"
    if board.protocol == "ascii":
        return "text with time" if board.tells_time else "text"
    if board.name == "heartypatch":
        return "heartypatch"
    return "native" if board.protocol == "native" else "OpenView"


def reason(board: Board, fault: str) -> str | None:
    """Why this board cannot know; None where it can."""
    if fault == "lead_off" and not board.lead_off and board.protocol == "openview":
        return _NO_FLAG
    return CANNOT[wire_of(board)].get(fault)


def device_of(board: Board, seconds: float, spec: str, seed: int) -> Wearable:
    """Anything that the board can say, in the middle fifth of its range: so that it clips only where it is made to."""
    native = board.name == "native"
    rate = INFO.sampling_rate_hz if native else board.sampling_rate_hz or 0.0
    low, high = (-2048, 2047) if native else board.count_range
    middle, tenth = INFO.zero_count if native else board.zero_count or 0, (high - low) // 10
    counts = np.random.default_rng(seed).integers(middle - tenth, middle + tenth, round(seconds * rate / 8) * 8)
    return Wearable(counts.astype(np.int32), INFO if native else board, Faults.parse(spec), seed)


def run(device: Wearable) -> Outcome:
    witness = Witness(device)
    ends = _ends_mv(device)
    off = clipped = gaps = 0
    end: int | None = None
    at_s = 0.0
    says: str | None = None
    for heard in witness.listen():
        at_s = heard.piece.due_s
        off += heard.lead_off_samples
        for samples in heard.samples:
            gaps += 0 if end is None else samples.index - end
            end = samples.index + len(samples.millivolts)
            if samples.clipped and not samples.lead_off:
                clipped += int(np.isin(samples.millivolts, ends).sum())
        says = says or witness.receiver.doubt.says(at_s)
    says = says or witness.receiver.doubt.says(at_s + 4.0)
    return Outcome(witness, off, clipped, gaps, says)


def _ends_mv(device: Wearable) -> NDArray[np.float64]:
    """Where its converter ends."""
    if device.info is not None:
        half, picovolts, zero = 1 << device.info.bits - 1, device.info.picovolts_per_count, device.info.zero_count
        return to_millivolts(np.array([zero - half, zero + half - 1]), picovolts, zero)
    board = device.board
    return to_millivolts(np.array(board.count_range), board.picovolts_per_count or 0.0, board.zero_count or 0)


def measure(full: bool, boards: list[str] | None = None) -> dict[str, Any]:
    """By board and fault: done, counted, and why they may differ; and what is said at a wrong baud rate."""
    seconds = 120.0 if full else 14.0
    return {
        "seconds": seconds,
        "specs": {name: case.spec for name, case in CASES.items()},
        "what": {name: case.what for name, case in CASES.items()},
        "boards": {name: _of(BOARDS[name], seconds) for name in boards or BOARDS},
    }


def compared(board: Board, fault: str, seconds: float) -> dict[str, Any]:
    """done, counted, whether they are the same, and why they may not be."""
    case = CASES[fault]
    outcome = run(device_of(board, seconds, case.spec, seed=1))
    done, counted = case.done(outcome), case.counted(outcome)
    return {"done": done, "counted": counted, "exact": done == counted, "cannot": reason(board, fault)}


def at_half_its_baud(board: Board, seconds: float = 10.0) -> dict[str, Any]:
    """What is heard, and what is said of it."""
    deaf = run(device_of(board, seconds, f"baud={board.baud / 2:g}", seed=1))
    good = deaf.witness.receiver.parser.statistics.good
    return {"good_frames": good, "of": deaf.witness.device.ledger.frames, "says": deaf.says}


def _of(board: Board, seconds: float) -> dict[str, Any]:
    return {
        "wire": wire_of(board),
        "faults": {fault: compared(board, fault, seconds) for fault in CASES},
        "wrong_baud": at_half_its_baud(board),
    }
