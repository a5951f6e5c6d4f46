"""Reports of a whole recording, and its summary: the monitor's answers for the same samples, without a wire."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from edge_runtime import rhythms
from edge_runtime.analysis import analyse_window, rhythm_of
from edge_runtime.backends import Backend
from edge_runtime.bundle import Model
from edge_runtime.records import Record
from edge_runtime.report import FINDINGS, MEASURES, Finding, Report, Rhythm, Value, invalid
from edge_runtime.windows import windows_of


def analyse_record(
    record: Record, name: str, lead: str | None, hop_s: float, model: Model, backend: Backend
) -> Iterator[Report]:
    """A report a window: every `hop_s`, the last ending with the record. `name` is the record as the user gave it."""
    chosen = record.lead(lead)
    windows = windows_of(chosen.millivolts, record.sampling_rate_hz, chosen.name, hop_s, model.window_s)
    for sequence, window in enumerate(windows):
        yield replace(analyse_window(window, model, backend), source=name, record=name, sequence=sequence)


_SAME_BEAT_S = 0.1


@dataclass(frozen=True)
class Summary:
    report: Report
    windows: int
    valid_windows: int

    def to_dict(self) -> dict[str, Any]:
        return {**self.report.to_dict(), "windows": self.windows, "valid_windows": self.valid_windows}

    def findings_dict(self) -> dict[str, Any]:
        return self.report.findings_dict()


def summarise(reports: list[Report], model: Model) -> Summary:
    """Medians of what is valid, and the rhythm of the record as a whole. Needs one report at least."""
    valid = [r for r in reports if r.measures["hr_bpm"].valid]
    measures = {name: _median([r.measures[name] for r in reports]) for name in MEASURES}
    states = [r.state for r in valid or reports]
    whole = replace(
        reports[0],
        sequence=0,
        end_s=reports[-1].end_s,
        state=max(dict.fromkeys(states), key=states.count),
        measures=measures,
        rhythm=record_rhythm(reports, model),
        quality=float(np.mean([r.quality or 0.0 for r in reports])) if valid else None,
        beats=_distinct(sorted(t for r in valid for t in r.r_peaks_s)) if valid else None,
        lost_samples=_covered([run for r in reports for run in r.missing]),
        findings=_found([r.findings for r in reports]),
        bridged_samples=_covered([run for r in reports if r.bridged_samples for run in r.missing]),
    )
    return Summary(whole, len(reports), len(valid))


def _distinct(times_s: list[float]) -> int:
    """Beats, where windows overlap and the same one is seen twice."""
    return sum(i == 0 or t - times_s[i - 1] > _SAME_BEAT_S for i, t in enumerate(times_s))


def _covered(runs: list[tuple[int, int]]) -> int:
    """Samples in the union of runs."""
    total, end = 0, -1
    for a, b in sorted(runs):
        total += max(0, b - max(a, end))
        end = max(end, b)
    return total


def record_rhythm(reports: list[Report], model: Model) -> Rhythm:
    """The rhythm of a record, from every window that the net saw."""
    seen = [r for r in reports if r.rhythm.distribution]
    if not seen:
        reasons = [r.rhythm.why or "noise" for r in reports]
        return Rhythm(None, None, max(dict.fromkeys(reasons), key=reasons.count))
    values = rhythms.features([r.rhythm.distribution for r in seen], [r.r_peaks_s for r in seen])
    return rhythm_of(rhythms.probabilities(values, model.record_rhythm), model)


def _found(windows: list[Mapping[str, Finding]]) -> dict[str, Finding]:
    """The mean of what is valid."""
    out = {}
    for name in FINDINGS:
        every = [w[name] for w in windows]
        stated = [f.probability for f in every if f.probability is not None]
        out[name] = Finding(float(np.mean(stated))) if stated else Finding(None, every[0].why)
    return out


def _median(values: list[Value]) -> Value:
    stated = [
        (v.value, v.low, v.high) for v in values if v.value is not None and v.low is not None and v.high is not None
    ]
    if not stated:
        reasons = [v.why for v in values if v.why is not None]
        return invalid(max(dict.fromkeys(reasons), key=reasons.count))
    value, low, high = np.median(np.array(stated), axis=0)
    return Value(float(value), float(low), float(high))
