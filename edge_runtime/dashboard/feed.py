"""What the dashboard knows of every source, and what of it a client has not seen yet. Bounded; pure, but for its lock.

Nothing is queued for a client: it is told what is newest when its turn comes. A slow one misses what it had no time
for, the oldest first, and costs no memory.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from edge_runtime.dashboard.trace import Trace
from edge_runtime.picture import ribbon_label
from edge_runtime.report import Report
from firmware_bridge.clock import Samples

MOST_SOURCES = 1024
MOST_WATCHED = 48  # traces that one client sees at once
_MOST_SPANS, _MOST_EPISODES = 240, 100  # of a source
_APART_S = 2.5  # reports further apart than this leave a hole in the ribbon


@dataclass
class Span:
    """A stretch of the ribbon. Times are UTC, in s since 1970."""

    number: int
    start: float
    end: float
    label: str
    version: int


@dataclass
class _Source:
    name: str
    trace: Trace = field(default_factory=Trace)
    report: Report | None = None
    version: int = 0  # reports so far
    spans: OrderedDict[int, Span] = field(default_factory=OrderedDict)
    episodes: OrderedDict[tuple[str | None, int], tuple[int, dict[str, Any]]] = field(default_factory=OrderedDict)


@dataclass
class Cursor:
    """What a client has been told. watched: sources whose trace it sees; of one watched alone it is told all."""

    watched: tuple[int, ...] = ()
    sources: int = 0
    versions: dict[int, int] = field(default_factory=dict)
    positions: dict[int, tuple[int, int]] = field(default_factory=dict)  # of a trace: epoch, next position
    details: int = 0  # version up to which the one source's ribbon and episodes were told

    def watch(self, sources: tuple[int, ...]) -> None:
        """From now on it sees these, from the oldest point that is kept."""
        self.watched = sources
        self.positions = {i: at for i, at in self.positions.items() if i in sources}
        self.details = 0
        for i in sources:
            self.versions.pop(i, None)  # told again, with all details


class Feed:
    """Fed by the threads of the monitor and of the sinks, read by the dashboard's own."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._sources: list[_Source] = []
        self._index: dict[str, int] = {}

    def watch(self, source: str) -> Callable[[Samples], None]:
        """A watcher of this source's stream."""
        with self._lock:
            at = self._at(source)
        if at is None:
            return lambda samples: None
        trace = self._sources[at].trace

        def push(samples: Samples) -> None:
            with self._lock:
                trace.push(samples)

        return push

    def write(self, report: Report) -> None:
        with self._lock:
            at = self._at(report.source)
            if at is not None:
                _take(self._sources[at], report)

    def news(self, cursor: Cursor, now_s: float) -> dict[str, Any]:
        """What this client has not been told, and moves its cursor on; {} if there is nothing. now_s: as arrivals are.

        `sources`: names of those that are new. `live`: by source, any of `report` (all of it for whoever watches this
        one alone, else a few keys), `trace`, `spans`, `episodes`.
        """
        with self._lock:
            said: dict[str, Any] = {}
            if cursor.sources < len(self._sources):
                said["sources"] = [source.name for source in self._sources[cursor.sources :]]
                cursor.sources = len(self._sources)
            live: dict[int, dict[str, Any]] = {}
            for i, source in enumerate(self._sources):
                alone = cursor.watched == (i,)
                news = _trace_news(i, source.trace, cursor, now_s) if i in cursor.watched else {}
                if source.report and cursor.versions.get(i, 0) < source.version:
                    cursor.versions[i] = source.version
                    news["report"] = source.report.to_dict() if alone else _brief(source.report)
                if alone and cursor.details < source.version:
                    news["spans"] = [_row(s) for s in source.spans.values() if s.version > cursor.details]
                    news["episodes"] = [row for version, row in source.episodes.values() if version > cursor.details]
                    cursor.details = source.version
                if news:
                    live[i] = news
            return {**said, "live": live} if live else said

    def _at(self, source: str) -> int | None:
        at = self._index.get(source)
        if at is None and len(self._sources) < MOST_SOURCES:
            at = self._index[source] = len(self._sources)
            self._sources.append(_Source(source))
        return at


def _take(source: _Source, report: Report) -> None:
    source.report = report
    source.version += 1
    if report.utc is None:
        return
    end = datetime.fromisoformat(report.utc).timestamp()
    _extend(source, end, ribbon_label(report))
    for episode in report.episodes:
        key = (report.session, episode.number)
        row = {
            **episode.to_dict(),
            "session": report.session,
            "start": end - (report.end_s - episode.start_s),
            "end": end - (report.end_s - episode.end_s),
        }
        source.episodes[key] = (source.version, row)
        source.episodes.move_to_end(key)
        while len(source.episodes) > _MOST_EPISODES:
            source.episodes.popitem(last=False)


def _extend(source: _Source, end: float, label: str) -> None:
    """The ribbon up to this report, which speaks for the time since the last one, or for a second."""
    last = next(reversed(source.spans.values()), None)
    follows = last is not None and 0 <= end - last.end <= _APART_S
    if last is not None and follows and last.label == label:
        last.end, last.version = end, source.version
        return
    start = last.end if last is not None and follows else end - 1.0
    number = last.number + 1 if last is not None else 0
    source.spans[number] = Span(number, start, end, label, source.version)
    while len(source.spans) > _MOST_SPANS:
        source.spans.popitem(last=False)


def _trace_news(i: int, trace: Trace, cursor: Cursor, now_s: float) -> dict[str, Any]:
    trace.fold()
    epoch, position = cursor.positions.get(i, (-1, 0))
    first, points, off = trace.since(position if epoch == trace.epoch else 0)
    cursor.positions[i] = (trace.epoch, trace.end)
    if not points:
        return {}
    return {
        "trace": {
            "epoch": trace.epoch,
            "hz": trace.rate_hz,
            "lead": trace.lead,
            "at": first,
            "uv": points,
            "off": off,
            "age_s": round(max(0.0, now_s - trace.arrival_s), 3),
        }
    }


def _brief(report: Report) -> dict[str, Any]:
    whole = report.to_dict()
    return {key: whole[key] for key in ("lead", "state", "quality", "hr_bpm", "rhythm", "utc")}


def _row(span: Span) -> list[Any]:
    return [span.number, round(span.start, 1), round(span.end, 1), span.label]
