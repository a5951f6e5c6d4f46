"""Reports to episodes: from when to when a rhythm lasted, or nothing could be measured. Nothing begins with one window.

Rhythm: a filter over three states (normal, af, other) that change now and then. What the net says of a window counts by
how much of it is new, since windows overlap. An episode begins where a state has been believed for some while, and
from the report on that first believed it; it lasts until another one begins: that is the hysteresis. Time without a
measurement is an episode, too, once it has lasted; shorter, it interrupts nothing. A lead that looks turned, on the
mean of a minute's separate windows, is one that lies over the others.

A report stands for the middle of its window. Pure: the same reports give the same episodes.
"""

from __future__ import annotations

import math
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from edge_runtime.episodes import RHYTHM_KINDS, UNMEASURED_KINDS, Episode
from edge_runtime.report import MEASURABLE, RHYTHMS, Report

# What a state that measures nothing is called, where it lasts.
UNMEASURED = {
    **dict.fromkeys(("disconnected", "silent", "clock", "warming_up", "gap"), "absent"),
    "lead_off": "lead_off",
    "poor_signal": "noise",
}


@dataclass(frozen=True)
class Sense:
    """Chosen on CinC 2017's records strung together, never on the long records that judge it: `python -m benchmarks
    longterm`.

    weight: of a window's evidence that is wholly new, against what is believed; dwell_s: how long a rhythm lasts, as
    the filter expects it; believed: from this probability on; held_s: for so long before an episode begins; away_s: as
    long without a measurement; least: reports of either, however long a hop is. swapped: how many of those who wear a
    known lead wear it the other way round; looks: windows that have to say so together."""

    weight: float = 4.0
    dwell_s: float = 120.0
    believed: float = 0.8
    held_s: float = 10.0
    away_s: float = 10.0
    least: int = 3
    swapped: float = 0.02
    looks: int = 6

    @property
    def turned(self) -> float:
        """The log odds of being upright under which a lead is likelier turned than not, since few are."""
        return -math.log((1 - self.swapped) / self.swapped)


SENSE = Sense()
_USUAL = (0.5, 0.2, 0.3)  # before anything is seen
_FAINTEST = 1e-3  # of a probability: no window alone is proof


@dataclass
class _Run:
    """Consecutive reports that speak for something; kind None: measured, and no rhythm is believed."""

    kind: str | None
    start_s: float
    end_s: float
    seconds: float = 0.0
    reports: int = 0
    believed: float = 0.0  # summed over the reports
    kinds: Counter[str] = field(default_factory=Counter)  # of what was not measured
    number: int = -1

    def add(self, kind: str | None, at_s: float, seconds: float, believed: float) -> None:
        self.end_s, self.seconds = at_s, self.seconds + seconds
        self.reports, self.believed = self.reports + 1, self.believed + believed
        if kind in UNMEASURED_KINDS:
            self.kinds[kind] += 1
            self.kind = self.kinds.most_common(1)[0][0]

    def episode(self, is_open: bool) -> Episode:
        assert self.kind is not None
        confidence = None if self.kind in UNMEASURED_KINDS else self.believed / self.reports
        return Episode(self.number, self.kind, self.start_s, self.end_s, confidence, self.reports, is_open)


class LongTerm:
    """Of one stream. hop_s: how far apart its reports are."""

    def __init__(self, hop_s: float = 1.0, sense: Sense = SENSE) -> None:
        self.hop_s, self.sense = hop_s, sense
        self._belief = list(_USUAL)
        self._at_s: float | None = None
        self._open: _Run | None = None
        self._coming: _Run | None = None  # what may begin
        self._begun = 0
        self._looks: deque[tuple[float, float]] = deque(maxlen=sense.looks)  # when, and the log odds of being upright
        self._lead = ""
        self._turned: _Run | None = None

    def add(self, report: Report) -> tuple[Episode, ...]:
        """The episodes that this report began, changed or ended, the oldest first."""
        at_s = (report.start_s + report.end_s) / 2
        before_s = at_s if self._at_s is None else self._at_s
        at_s = self._at_s = max(at_s, before_s)
        changed: list[Episode] = []
        if at_s - before_s > max(self.sense.away_s, 2 * self.hop_s):  # and no report said so meanwhile
            changed += self._jump(before_s, at_s)
        self._forget(max(self.hop_s, at_s - before_s))
        if report.state in MEASURABLE:
            self._weigh(report.rhythm.distribution, report.rhythm.label, report.end_s - report.start_s)
            kind = self._believed()
        else:
            kind = UNMEASURED[report.state]
        changed += self._take(kind, at_s)
        if report.lead != self._lead:
            self._lead = report.lead
            changed += self._end_turned()
        if report.upright is not None:
            changed += self._look(report.upright, at_s)
        return tuple(changed)

    def _jump(self, before_s: float, at_s: float) -> list[Episode]:
        """The timeline went on without us."""
        if self._open is not None and self._open.kind == "absent":
            self._open.end_s = at_s
            return [self._open.episode(True)]
        missed = _Run("absent", before_s, before_s)
        missed.add("absent", at_s, at_s - before_s, 0.0)
        return self._begin(missed)

    def _forget(self, seconds: float) -> None:
        change = -math.expm1(-seconds / self.sense.dwell_s)
        self._belief = [b + change * (usual - b) for b, usual in zip(self._belief, _USUAL, strict=True)]

    def _weigh(self, distribution: Sequence[float], label: str | None, window_s: float) -> None:
        if not distribution or label == "noisy":
            return
        new = self.sense.weight * min(1.0, self.hop_s / window_s)
        said = [max(distribution[RHYTHMS.index(kind)], _FAINTEST) for kind in RHYTHM_KINDS]
        belief = [b * p**new for b, p in zip(self._belief, said, strict=True)]
        whole = sum(belief)
        self._belief = [b / whole for b in belief]

    def _believed(self) -> str | None:
        most = max(range(len(RHYTHM_KINDS)), key=self._belief.__getitem__)
        return RHYTHM_KINDS[most] if self._belief[most] >= self.sense.believed else None

    def _take(self, kind: str | None, at_s: float) -> list[Episode]:
        """One report that speaks for a kind."""
        running, believed = self._open, self._belief[RHYTHM_KINDS.index(kind)] if kind in RHYTHM_KINDS else 0.0
        if running is not None and (kind == running.kind or (kind is None and running.kind in RHYTHM_KINDS)):
            own = self._belief[RHYTHM_KINDS.index(running.kind)] if running.kind in RHYTHM_KINDS else 0.0
            running.add(kind, at_s, self.hop_s, own)
            self._coming = None
            return [running.episode(True)]
        coming = self._coming
        if coming is None or not _alike(coming.kind, kind, running):
            coming = self._coming = _Run(kind, at_s, at_s)
        coming.add(kind, at_s, self.hop_s, believed)
        enough_s = self.sense.held_s if coming.kind in RHYTHM_KINDS else self.sense.away_s
        if coming.reports < self.sense.least or coming.seconds < enough_s:
            return []
        return self._begin(coming)

    def _begin(self, run: _Run) -> list[Episode]:
        """A run has lasted: what is open ends where it began."""
        changed = []
        if self._open is not None:
            self._open.end_s = max(self._open.start_s, run.start_s)
            changed.append(self._open.episode(False))
        self._open, self._coming = None, None
        if run.kind is not None:
            self._open = self._numbered(run)
            changed.append(run.episode(True))
        if run.kind in UNMEASURED_KINDS:  # whoever puts electrodes on again may put them elsewhere
            changed += self._end_turned()
        return changed

    def _numbered(self, run: _Run) -> _Run:
        run.number, self._begun = self._begun, self._begun + 1
        return run

    def _look(self, upright: float, at_s: float) -> list[Episode]:
        """Begins where the mean of the last looks says turned, and ends where it says upright."""
        self._looks.append((at_s, upright))
        if len(self._looks) < self.sense.looks:
            return []
        mean = sum(u for _, u in self._looks) / len(self._looks)
        if self._turned is None:
            if mean >= self.sense.turned:
                return []
            self._turned = self._numbered(_Run("inverted", self._looks[0][0], at_s))
        elif mean > 0:
            return self._end_turned()
        self._turned.add(None, at_s, 0.0, 1 / (1 + math.exp(min(30.0, mean - self.sense.turned))))
        return [self._turned.episode(True)]

    def _end_turned(self) -> list[Episode]:
        ended, self._turned = self._turned, None
        self._looks.clear()
        return [] if ended is None else [ended.episode(False)]


def _alike(coming: str | None, kind: str | None, running: _Run | None) -> bool:
    """Whether a report goes on with what may begin. Reasons that change do not hide that nothing is measured."""
    if running is not None and running.kind in UNMEASURED_KINDS:
        return coming == kind
    return coming == kind or (coming in UNMEASURED_KINDS and kind in UNMEASURED_KINDS)
