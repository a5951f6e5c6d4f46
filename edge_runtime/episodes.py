"""Episodes: a stretch of one rhythm, or of none that could be measured, made of many reports."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Episode:
    """Times in s on the stream's timeline; (session, source, number) is its key, by which a later one replaces it."""

    number: int  # counts from 0 within a session and source
    kind: str
    start_s: float
    end_s: float  # grows while it is open
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
