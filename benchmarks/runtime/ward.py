"""How many leads one process carries on one core, at 250 Hz and with a report a second each, none of them late."""

from __future__ import annotations

from typing import Any

from benchmarks.runtime.observed import RATE_HZ, observe, spread_ms, surroundings

TARGET = 300
LATE_S = 1.0  # behind its window's last byte: the next one would be due
_LEADS = (1, 10, 50, 100, 200, 300, 350, 400, 450, 500)
_LEADS_SMALL = (1, 20)


def measure(full: bool) -> dict[str, Any]:
    """Ever more leads, until a report is late or missing, or samples were lost."""
    seconds = 120.0 if full else 20.0
    out: dict[str, Any] = {
        **surroundings(),
        "seconds": seconds,
        "rate_hz": RATE_HZ,
        "late_s": LATE_S,
        "target": TARGET,
        "leads": [],
    }
    for leads in _LEADS if full else _LEADS_SMALL:
        seen = observe(leads, seconds)
        late = int((seen.latency_s >= LATE_S).sum())
        row = {
            "leads": leads,
            "reports": len(seen.latency_s),
            "late": late,
            "missing": seen.missing,
            "overrun_bytes": seen.overrun_bytes,
            "latency_ms": spread_ms(seen.latency_s),
            "core_share": round(seen.cpu, 3),
            "resident_mb": round(seen.resident_bytes / 1e6, 1),
            "devices_late_ms": round(seen.device_late_s * 1e3, 1),
        }
        out["leads"].append(row)
        if late or seen.missing or seen.overrun_bytes:
            break
    out["carried"] = max((row["leads"] for row in out["leads"] if carries(row)), default=0)
    return out


def carries(row: dict[str, Any]) -> bool:
    return not (row["late"] or row["missing"] or row["overrun_bytes"])
