"""The report: what is said of one window, and its JSON. The schema is `report.schema.json`, beside this file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edge_runtime.episodes import Episode
from edge_runtime.fiducials import Fiducials

SCHEMA = 1
STATES = ("disconnected", "silent", "clock", "warming_up", "gap", "lead_off", "poor_signal", "short", "ok")
MEASURABLE = ("short", "ok")
RHYTHMS = ("normal", "af", "other", "noisy")
FINDINGS = ("NORM", "MI", "STTC", "CD", "HYP")  # PTB-XL's superclasses: a research output
MEASURES = ("hr_bpm", "pr_ms", "qrs_ms", "qt_ms", "qtc_ms", "qtc_bazett_ms")


@dataclass(frozen=True)
class Evident:
    """What a value was made from: ranges.FEATURES, the masks' value, and the direct head's in scales from its
    centre."""

    features: tuple[float, ...]
    drawn: float
    direct: float


@dataclass(frozen=True)
class Value:
    """A measure with the range that holds the truth in 90 % of windows; all null, and `why`, where it is not valid."""

    value: float | None
    low: float | None
    high: float | None
    why: str | None = None
    evidence: Evident | None = None  # for calibration; not in the JSON

    @property
    def valid(self) -> bool:
        return self.why is None

    def to_dict(self) -> dict[str, Any]:
        return {
            "value": _round(self.value, 1),
            "low": _round(self.low, 1),
            "high": _round(self.high, 1),
            "valid": self.valid,
            "why": self.why,
        }


def invalid(why: str) -> Value:
    return Value(None, None, None, why)


@dataclass(frozen=True)
class Rhythm:
    """label is None where it is not valid, except `noisy`, which is kept with why `noise`."""

    label: str | None
    probability: float | None
    why: str | None = None
    distribution: tuple[float, ...] = ()  # over the bundle's classes, for summaries; not in the JSON

    @property
    def valid(self) -> bool:
        return self.why is None

    def to_dict(self) -> dict[str, Any]:
        probability = _round(self.probability, 3)
        return {"label": self.label, "probability": probability, "valid": self.valid, "why": self.why}


@dataclass(frozen=True)
class Finding:
    """The probability of one of PTB-XL's superclasses; None, and `why`, where it is not valid."""

    probability: float | None
    why: str | None = None

    def to_dict(self) -> dict[str, Any]:
        return {"probability": _round(self.probability, 3), "valid": self.why is None, "why": self.why}


@dataclass(frozen=True)
class Report:
    """One window's report. Times in s on the stream's timeline; `sampling_rate_hz` is the stream's."""

    state: str
    lead: str
    start_s: float
    end_s: float
    sampling_rate_hz: float | None
    measures: dict[str, Value]
    rhythm: Rhythm
    bundle: str
    quality: float | None = None
    beats: int | None = None
    lost_samples: int = 0
    bridged_samples: int = 0
    source: str = ""
    session: str | None = None
    sequence: int = 0
    utc: str | None = None
    record: str | None = None
    latency_ms: float | None = None
    findings: Mapping[str, Finding] = field(default_factory=dict)  # in the JSON only where they were asked for
    # For summaries, where windows overlap; not in the JSON. Timeline indices of missing samples, R peaks in s.
    missing: tuple[tuple[int, int], ...] = ()
    r_peaks_s: tuple[float, ...] = ()
    fiducials: tuple[Fiducials, ...] | None = None  # None where nobody asked: then the JSON has no such key
    upright: float | None = None  # log odds that the lead is worn the right way round; not in the JSON
    episodes: tuple[Episode, ...] = ()  # that this report began, changed or ended; not in the JSON

    def to_dict(self) -> dict[str, Any]:
        return {
            "schema": SCHEMA,
            "source": self.source,
            "session": self.session,
            "sequence": self.sequence,
            "utc": self.utc,
            "record": self.record,
            "lead": self.lead,
            "start_s": _round(self.start_s, 3),
            "end_s": _round(self.end_s, 3),
            "state": self.state,
            "quality": _round(self.quality, 3),
            "beats": self.beats,
            "sampling_rate_hz": _round(self.sampling_rate_hz, 3),
            "lost_samples": self.lost_samples,
            "bridged_samples": self.bridged_samples,
            **{name: self.measures[name].to_dict() for name in MEASURES},
            "rhythm": self.rhythm.to_dict(),
            "latency_ms": _round(self.latency_ms, 3),
            "bundle": self.bundle,
            **({} if self.fiducials is None else {"fiducials": [wave.to_dict() for wave in self.fiducials]}),
        }

    def findings_dict(self) -> dict[str, Any]:
        """What `analyse --findings` adds under `findings`."""
        return {name: found.to_dict() for name, found in self.findings.items()}

    def to_json(self) -> str:
        return to_json(self.to_dict())


def to_json(values: dict[str, Any]) -> str:
    """One line; NaN is never written."""
    return json.dumps(values, separators=(",", ":"), allow_nan=False)


def nothing_found(why: str) -> dict[str, Finding]:
    return {name: Finding(None, why) for name in FINDINGS}


def nothing_measured(why: str) -> tuple[dict[str, Value], Rhythm]:
    """What stands in a report in which nothing could be measured."""
    return {name: invalid(why) for name in MEASURES}, Rhythm(None, None, why)


def schema() -> dict[str, Any]:
    """The JSON schema of a report (and of a summary, which has two keys more)."""
    text = Path(__file__).with_name("report.schema.json").read_text("utf-8")
    loaded: dict[str, Any] = json.loads(text)
    return loaded


def _round(value: float | None, digits: int) -> float | None:
    return None if value is None else round(float(value), digits)
