"""A record as a simulated wearable: the native board plays it at its own rate, in its own counts; every other board
plays what its front end makes of it, at the board's rate and in the board's counts.
"""

from __future__ import annotations

from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from edge_runtime.errors import RecordError, UsageError
from edge_runtime.records import Lead, Record
from firmware_bridge.boards import BOARDS, Board
from firmware_bridge.faults import Faults
from firmware_bridge.frames import Info
from firmware_bridge.front_end import analogue, to_counts
from firmware_bridge.simulator import Wearable

_FRAME_S = 0.015  # of about this length: two neighbours that are lost can still be bridged
_WIDEST = (1 << 23) - 1
_FINEST_PICOVOLTS = 1000


def wearable_of(
    record: Record,
    lead: str | None,
    start_s: float,
    duration_s: float | None,
    fault: str,
    seed: int,
    board: Board = BOARDS["native"],
) -> Wearable:
    """Raises RecordError for a lead that is not there, UsageError for a fault or a stretch that makes no sense."""
    try:
        faults = Faults.parse(fault)
    except ValueError as error:
        raise UsageError(f"--fault: {error}") from error
    chosen = record.lead(lead)
    rate = record.sampling_rate_hz
    first = round(start_s * rate)
    last = len(chosen.counts) if duration_s is None else min(len(chosen.counts), first + round(duration_s * rate))
    if not 0 <= first < last:
        raise UsageError(f"--start {start_s:g}: the record is {len(chosen.counts) / rate:g} s long")
    if board.sampling_rate_hz is not None:
        return _through(board, chosen, slice(first, last), rate, faults, seed)
    exact = Fraction(rate).limit_denominator(10_000)
    counts, picovolts, zero = _representable(chosen)
    info = Info(
        boot_id=(1 + seed) & 0xFFFFFFFF,
        rate_num=exact.numerator,
        rate_den=exact.denominator,
        picovolts_per_count=picovolts,
        zero_count=zero,
        bits=min(chosen.bits, 24),
        samples_per_frame=max(1, min(255, round(_FRAME_S * rate))),
        high_pass_mhz=0,
        low_pass_dhz=0,
        board="simulated",
        firmware="leadwire",
        lead=chosen.name,
    )
    return Wearable(counts[first:last], info, faults, seed, missing=chosen.missing[first:last])


def _through(board: Board, lead: Lead, part: slice, rate: float, faults: Faults, seed: int) -> Wearable:
    """The lead as this board would have seen it; what the record misses, its frames miss."""
    mv, absent = lead.millivolts[part], lead.missing[part]
    if absent.all():
        raise RecordError(f"lead {lead.name}: no sample in this stretch; choose another with --start")
    index = np.arange(len(mv))
    seen, own_rate = analogue(board, np.interp(index, index[~absent], mv[~absent]), rate)
    if not len(seen):
        raise UsageError(f"--duration: shorter than a sample of board {board.name}")
    nearest = np.minimum(np.round(np.arange(len(seen)) * (rate / own_rate)).astype(np.int64), len(mv) - 1)
    return Wearable(to_counts(board, seen), board, faults, seed, missing=absent[nearest])


def _representable(lead: Lead) -> tuple[NDArray[np.int32], int, int]:
    """Counts, picovolts a count and zero that the frame can carry: the lead's own wherever they can be."""
    picovolts = round(lead.picovolts_per_count)
    present = lead.counts[~lead.missing]
    low, high = (int(present.min()), int(present.max())) if len(present) else (0, 0)
    exact = 0 < picovolts < 2**32 and abs(picovolts / lead.picovolts_per_count - 1) < 1e-6
    if exact and low >= -_WIDEST and high <= _WIDEST and abs(lead.zero_count) < 2**31:
        return np.where(lead.missing, 0, lead.counts).astype(np.int32), picovolts, lead.zero_count
    mv = np.nan_to_num(lead.millivolts)
    middle = (float(mv.min()) + float(mv.max())) / 2
    picovolts = max(_FINEST_PICOVOLTS, int(np.ceil(np.ptp(mv) * 1e9 / (2 * _WIDEST - 2))))
    if picovolts >= 2**32 or abs(middle) * 1e9 / picovolts >= 2**31:
        raise RecordError(
            f"lead {lead.name}: voltages of up to {np.abs(mv).max():g} mV cannot be played; check its gain"
        )
    return np.round((mv - middle) * 1e9 / picovolts).astype(np.int32), picovolts, -round(middle * 1e9 / picovolts)
