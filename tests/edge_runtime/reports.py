"""Reports made up for the tests of what keeps and sends them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hypothesis import strategies as st

from edge_runtime.database import utc_ms_of, utc_of
from edge_runtime.episodes import Episode
from edge_runtime.report import MEASURABLE, MEASURES, STATES, Report, Rhythm, Value, invalid, nothing_measured

START = "2026-11-21T20:00:00.000Z"
START_MS = utc_ms_of(START)


def report(sequence: int, heart_rate: float = 70.0, **more: Any) -> Report:
    """The report of a good second; its `utc` goes with its sequence."""
    measures = {name: Value(heart_rate, heart_rate - 1, heart_rate + 1) for name in MEASURES}
    given = Report(
        state="ok",
        lead="II",
        start_s=float(sequence),
        end_s=sequence + 10.0,
        sampling_rate_hz=250.0,
        measures=measures,
        rhythm=Rhythm("normal", 0.9),
        bundle="test@0000000",
        quality=0.97,
        beats=11,
        source="/dev/ttyUSB0",
        session="a1b2c3",
        sequence=sequence,
        utc=utc_of(START_MS + 1000 * sequence),
        latency_ms=4.2,
    )
    return replace(given, **more)


def absence(sequence: int, state: str = "silent", **more: Any) -> Report:
    measures, rhythm = nothing_measured(state)
    return report(sequence, state=state, measures=measures, rhythm=rhythm, quality=None, beats=None, **more)


def episode(number: int, kind: str, start_s: float, end_s: float, open: bool = True) -> Episode:
    return Episode(number, kind, start_s, end_s, 0.9, max(1, round(end_s - start_s)), open)


_amounts = st.floats(0, 1e4, allow_nan=False)
_texts = st.text(max_size=12)
_values = st.one_of(
    st.builds(Value, _amounts, _amounts, _amounts), st.sampled_from(["noise", "few_beats", "ectopy"]).map(invalid)
)
_rhythms = st.one_of(
    st.builds(Rhythm, st.sampled_from(["normal", "af", "other"]), st.floats(0, 1)),
    st.just(Rhythm("noisy", 0.5, "noise")),
    st.just(Rhythm(None, None, "uncertain")),
)


@st.composite
def any_report(draw: st.DrawFn) -> Report:
    """Whatever a session may put out, and texts that it hopefully never does."""
    state = draw(st.sampled_from(STATES))
    measured = state in MEASURABLE
    measures = {name: draw(_values) if measured else invalid(state) for name in MEASURES}
    return Report(
        state=state,
        lead=draw(_texts),
        start_s=draw(_amounts),
        end_s=draw(_amounts),
        sampling_rate_hz=draw(st.none() | _amounts),
        measures=measures,
        rhythm=draw(_rhythms) if measured else Rhythm(None, None, state),
        bundle=draw(_texts),
        quality=draw(st.none() | st.floats(0, 1)),
        beats=draw(st.none() | st.integers(0, 50)),
        lost_samples=draw(st.integers(0, 10_000)),
        bridged_samples=draw(st.integers(0, 10_000)),
        source=draw(_texts),
        session=draw(st.none() | _texts),
        sequence=draw(st.integers(0, 10**9)),
        utc=utc_of(draw(st.integers(0, 4 * 10**12))),
        record=draw(st.none() | _texts),
        latency_ms=draw(st.none() | _amounts),
        fiducials=draw(st.none() | st.just(())),
    )
