"""Reports of a whole recording, and its summary: the monitor's answers for the same samples, without a wire."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_runtime import rhythms
from edge_runtime.analysis import analyse_window, rhythm_of
from edge_runtime.backends import Backend
from edge_runtime.bundle import Model
from edge_runtime.errors import UsageError
from edge_runtime.fiducials import OVERLAP_S, Fiducials, not_given
from edge_runtime.records import Record
from edge_runtime.report import FINDINGS, MEASURABLE, MEASURES, Finding, Report, Rhythm, Value, invalid
from edge_runtime.windows import windows_of

HOP_S, FIDUCIALS_HOP_S, SUMMARY_HOP_S = 10.0, 8.0, 5.0  # the rhythm of a record was fitted every 5 s


def hop_of(asked_s: float | None, window_s: float, fiducials: bool, summary: bool = False) -> float:
    """Seconds between windows: what was asked for, or what suits. Raises UsageError for windows that hide waves."""
    most_s = window_s - OVERLAP_S
    if fiducials and asked_s is not None and asked_s > most_s:
        raise UsageError(f"--hop {asked_s:g}: fiducials need windows that overlap; {most_s:g} at most, or leave it out")
    return asked_s or (SUMMARY_HOP_S if summary else FIDUCIALS_HOP_S if fiducials else HOP_S)


def analyse_record(
    record: Record,
    name: str,
    lead: str | None,
    hop_s: float,
    model: Model,
    backend: Backend,
    fiducials: bool = False,
) -> Iterator[Report]:
    """A report a window: every `hop_s`, the last ending with the record. `name` is the record as the user gave it.

    fiducials: with the waves of the record, each in one report only.
    """
    chosen = record.lead(lead)
    windows = windows_of(chosen.millivolts, record.sampling_rate_hz, chosen.name, hop_s, model.window_s)
    reports = (
        replace(analyse_window(window, model, backend, fiducials), source=name, record=name, sequence=sequence)
        for sequence, window in enumerate(windows)
    )
    return each_wave_once(reports) if fiducials else reports


def each_wave_once(reports: Iterable[Report]) -> Iterator[Report]:
    """The same reports, each wave of the record in one of them only; a window that states nothing has none.

    Two windows that overlap share at the middle of their overlap, so each gives what it sees farthest from its edges;
    where a neighbour states nothing, a window gives all that it holds whole. A report is held back until the next one
    with waves is there, since that says where it ends.
    """
    last: Report | None = None
    own: list[Fiducials] = []  # what it may give
    behind: list[Report] = []  # reports without waves since
    given: list[Fiducials] = []  # what the windows before it gave, as far as the next can see it
    for report in reports:
        if report.fiducials is None:
            behind.append(replace(report, fiducials=()))
            continue
        seam_s, left = report.start_s, own
        if last is not None:
            seam_s = (last.end_s + report.start_s) / 2
            mine, left = [w for w in own if w.middle_s < seam_s], [w for w in own if w.middle_s >= seam_s]
            yield replace(last, fiducials=tuple(mine))
            given = [w for w in (*given, *mine) if w.offset_s > report.start_s]
        yield from behind
        own = not_given(report.fiducials, given, left, seam_s)
        last, behind = report, []
    if last is not None:
        yield replace(last, fiducials=tuple(own))
    yield from behind


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

    @property
    def fiducials(self) -> tuple[Fiducials, ...] | None:
        return self.report.fiducials


def summarise(reports: list[Report], model: Model) -> Summary:
    """Medians of what is valid, and the rhythm of the record as a whole. Needs one report at least."""
    valid = [r for r in reports if r.measures["hr_bpm"].valid]
    measures = {name: _median([r.measures[name] for r in reports]) for name in MEASURES}
    states = [r.state for r in valid or reports]
    state = max(dict.fromkeys(states), key=states.count)
    seen = valid or [r for r in reports if r.state == state in MEASURABLE]  # a net has seen beats, however few
    whole = replace(
        reports[0],
        sequence=0,
        end_s=reports[-1].end_s,
        state=state,
        measures=measures,
        rhythm=record_rhythm(reports, model),
        quality=float(np.mean([r.quality or 0.0 for r in reports])) if seen else None,
        beats=_distinct(sorted(t for r in seen for t in r.r_peaks_s)) if seen else None,
        fiducials=tuple(w for r in reports for w in r.fiducials or ()) if reports[0].fiducials is not None else None,
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
    # A long record is judged by the minute, as the records that the logistic was fitted on last one at most.
    parts = [seen[i : i + rhythms.MOST_WINDOWS] for i in range(0, len(seen), rhythms.MOST_WINDOWS)]
    said = [rhythms.probabilities(rhythm_features(part), model.record_rhythm) for part in parts]
    return rhythm_of(np.average(said, axis=0, weights=[len(part) for part in parts]), model)


def rhythm_features(reports: list[Report]) -> NDArray[np.float64]:
    """(len(rhythms.FEATURES),) of reports that have a distribution."""
    return rhythms.features([r.rhythm.distribution for r in reports], [r.r_peaks_s for r in reports])


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
