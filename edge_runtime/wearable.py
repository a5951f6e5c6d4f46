"""A record as a simulated wearable: the native board plays it at its own rate, in its own counts."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from edge_runtime.errors import RecordError, UsageError
from edge_runtime.records import Lead, Record
from firmware_bridge.faults import Faults
from firmware_bridge.frames import Info
from firmware_bridge.simulator import Wearable

_FRAME_S = 0.015  # of about this length: two neighbours that are lost can still be bridged
_WIDEST = (1 << 23) - 1
_FINEST_PICOVOLTS = 1000


def wearable_of(
    record: Record, lead: str | None, start_s: float, duration_s: float | None, fault: str, seed: int
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
