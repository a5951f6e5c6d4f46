"""What lasts: from when to when a rhythm was held, or nothing could be measured. What makes them of reports is
`longterm`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

RHYTHM_KINDS = ("normal", "af", "other")
UNMEASURED_KINDS = ("lead_off", "noise", "absent")
# One of these at a time; `inverted` lies over them: a lead that is worn the other way round is measured all the same.
KINDS = (*RHYTHM_KINDS, *UNMEASURED_KINDS, "inverted")


@dataclass(frozen=True)
class Episode:
    """number: counts from 0 within a session and source. start_s, end_s: on the stream's timeline; end_s grows while it
    is open. confidence: the mean of what was believed over its reports, None where nothing was measured. reports: how
    many spoke for it."""

    number: int
    kind: str
    start_s: float
    end_s: float
    confidence: float | None
    reports: int
    open: bool

    def to_dict(self) -> dict[str, Any]:
        return {
            "number": self.number,
            "kind": self.kind,
            "start_s": round(self.start_s, 3),
            "end_s": round(self.end_s, 3),
            "confidence": None if self.confidence is None else round(self.confidence, 3),
            "reports": self.reports,
            "open": self.open,
        }


def burden(episodes: Iterable[Episode]) -> dict[str, float | None]:
    """Atrial fibrillation's share of the time of which a rhythm is known: af_s, measured_s, share (None of nothing)."""
    lasted = [(e.kind, e.end_s - e.start_s) for e in episodes if e.kind in RHYTHM_KINDS]
    measured_s, af_s = sum(s for _, s in lasted), sum(s for kind, s in lasted if kind == "af")
    return {"af_s": af_s, "measured_s": measured_s, "share": af_s / measured_s if measured_s else None}


def latest(changes: Iterable[Episode]) -> list[Episode]:
    """Each episode as it was said last, by number."""
    by_number = {episode.number: episode for episode in changes}
    return [by_number[number] for number in sorted(by_number)]
