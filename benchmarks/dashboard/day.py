"""A day in the store: MIT-BIH's half-hours one after the other, as if one device had seen them all, and what goes wrong
in a night: unplugged, electrodes off, switched off.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import numpy as np

from edge_runtime.backends import Backend
from edge_runtime.bundle import Model
from edge_runtime.library import find_record
from edge_runtime.monitor import Monitor
from edge_runtime.report import Report
from firmware_bridge.clock import Samples

RECORDS = (
    *(f"mitdb/{n}" for n in (100, 101, 103, 105, 106, 112, 113, 115, 116, 117, 119, 121, 122, 123)),
    *(f"mitdb/{n}" for n in (200, 201, 202, 203, 205, 208, 209, 210, 212, 213, 215, 217, 219, 220, 221, 222)),
    *(f"mitdb/{n}" for n in (223, 228, 230, 231, 232, 233, 234, 100, 101, 103, 105, 106, 112, 113, 115, 116, 117, 119)),
)
_RATE_HZ = 360.0
_PIECE_S = 5.0


@dataclass(frozen=True)
class Trouble:
    """kind: unplugged, lead_off or off (no process, so no reports), in h of the day."""

    kind: str
    from_h: float
    to_h: float


TROUBLES = (Trouble("off", 0.0, 0.6), Trouble("unplugged", 6.6, 7.3), Trouble("lead_off", 12.2, 12.6))


def day_of(
    start: datetime, source: str, model: Model, backend: Backend, hop_s: float = 10.0, hours: float = 24.0
) -> Iterator[Report]:
    """Reports every hop_s from `start` on."""
    monitor = Monitor(model, backend, source, hop_s)
    session = f"{start:%Y%m%d}-simulated"

    def stamped(reports: list[Report], at_s: float) -> Iterator[Report]:
        utc = (start + timedelta(seconds=at_s)).astimezone(UTC).isoformat(timespec="milliseconds")
        yield from (replace(r, session=session, utc=utc.replace("+00:00", "Z"), latency_ms=None) for r in reports)

    yield from stamped(monitor.opened(0.0), 0.0)
    plugged, at_s = True, 0.0
    for name in RECORDS:
        lead = find_record(name).leads[0]
        millivolts = np.where(lead.missing, np.nan, lead.millivolts)
        for first in range(0, len(millivolts), round(_PIECE_S * _RATE_HZ)):
            if at_s >= hours * 3600:
                return
            piece = millivolts[first : first + round(_PIECE_S * _RATE_HZ)]
            trouble = next((t.kind for t in TROUBLES if t.from_h <= at_s / 3600 < t.to_h), None)
            index, at_s = round(at_s * _RATE_HZ), at_s + len(piece) / _RATE_HZ
            if trouble == "off":
                continue
            if (trouble == "unplugged") == plugged:
                plugged = not plugged
                yield from stamped(monitor.opened(at_s) if plugged else monitor.lost(at_s), at_s)
            if plugged:
                samples = Samples(index, piece, _RATE_HZ, lead.name, at_s, lead_off=trouble == "lead_off")
                yield from stamped(monitor.push(samples), at_s)
            else:
                yield from stamped(monitor.tick(at_s), at_s)
