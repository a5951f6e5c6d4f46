"""A record as a simulated wearable: the native board plays it at its own rate, in its own counts."""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from edge_runtime.errors import UsageError
from edge_runtime.records import Record
from firmware_bridge.faults import Faults
from firmware_bridge.frames import Info
from firmware_bridge.simulator import Wearable

_FRAME_S = 0.015  # of about this length: two neighbours that are lost can still be bridged
_WIDEST = (1 << 23) - 1


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
    info = Info(
        boot_id=1 + seed,
        rate_num=exact.numerator,
        rate_den=exact.denominator,
        picovolts_per_count=max(1, round(chosen.picovolts_per_count)),
        zero_count=chosen.zero_count,
        bits=min(chosen.bits, 24),
        samples_per_frame=max(1, min(255, round(_FRAME_S * rate))),
        high_pass_mhz=0,
        low_pass_dhz=0,
        board="simulated",
        firmware="leadwire",
        lead=chosen.name,
    )
    counts = np.clip(chosen.counts[first:last], -_WIDEST, _WIDEST)
    return Wearable(counts, info, faults, seed, missing=chosen.missing[first:last])
