"""Reports of a whole recording, and its summary: the monitor's answers for the same samples, without a wire."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from edge_runtime.analysis import analyse_window, rhythm_of
from edge_runtime.backends import Backend
from edge_runtime.bundle import Model
from edge_runtime.records import Record
from edge_runtime.report import MEASURES, Report, Rhythm, Value, invalid
from edge_runtime.windows import windows_of


def analyse_record(
    record: Record, name: str, lead: str | None, hop_s: float, model: Model, backend: Backend
) -> Iterator[Report]:
    """A report a window: every `hop_s`, the last ending with the record. `name` is the record as the user gave it."""
    chosen = record.lead(lead)
    windows = windows_of(chosen.millivolts, record.sampling_rate_hz, chosen.name, hop_s, model.window_s)
    for sequence, window in enumerate(windows):
        yield replace(analyse_window(window, model, backend), source=name, record=name, sequence=sequence)


@dataclass(frozen=True)
class Summary:
    report: Report
    windows: int
    valid_windows: int

    def to_dict(self) -> dict[str, Any]:
        return {**self.report.to_dict(), "windows": self.windows, "valid_windows": self.valid_windows}


def summarise(reports: list[Report], model: Model) -> Summary:
    """Medians of what is valid, and the rhythm by the mean of the windows' probabilities. Needs one report at least."""
    valid = [r for r in reports if r.measures["hr_bpm"].valid]
    measures = {name: _median([r.measures[name] for r in reports]) for name in MEASURES}
    if not valid:
        measures = {name: invalid(reports[0].measures[name].why or "uncertain") for name in MEASURES}
    beats, counted_to = 0, 0.0
    for r in valid:
        if r.start_s >= counted_to - 1e-6:
            beats, counted_to = beats + (r.beats or 0), r.end_s
    state = reports[0].state if not valid else "short" if all(r.state == "short" for r in valid) else "ok"
    report = replace(
        reports[0],
        sequence=0,
        start_s=reports[0].start_s,
        end_s=reports[-1].end_s,
        state=state,
        measures=measures,
        rhythm=record_rhythm(reports, model) if valid else reports[0].rhythm,
        quality=float(np.mean([r.quality or 0.0 for r in reports])) if valid else reports[0].quality,
        beats=beats if valid else reports[0].beats,
        lost_samples=sum(r.lost_samples for r in reports),
        bridged_samples=sum(r.bridged_samples for r in reports),
    )
    return Summary(report, len(reports), len(valid))


def record_rhythm(reports: list[Report], model: Model) -> Rhythm:
    """The rhythm of a record, from every window that the net saw."""
    seen = [r.rhythm.distribution for r in reports if r.rhythm.distribution]
    if not seen:
        return Rhythm(None, None, reports[0].rhythm.why or "noise")
    return rhythm_of(np.mean(np.array(seen), axis=0), model)


def _median(values: list[Value]) -> Value:
    stated = [
        (v.value, v.low, v.high) for v in values if v.value is not None and v.low is not None and v.high is not None
    ]
    if not stated:
        reasons = [v.why for v in values if v.why is not None]
        return invalid(max(set(reasons), key=reasons.count))
    value, low, high = np.median(np.array(stated), axis=0)
    return Value(float(value), float(low), float(high))
