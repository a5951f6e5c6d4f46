"""The morning after: what is in the store, held against what the device gave, what was printed and what the broker
passed on. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

VALUES = ("hr_bpm", "pr_ms", "qrs_ms", "qt_ms", "qtc_ms")
ABSENT = ("disconnected", "silent", "clock")  # said of no samples
Key = tuple[str, int]  # session and sequence


@dataclass(frozen=True)
class Stored:
    """A row of the store. valid: the values that it states."""

    session: str
    sequence: int
    start_s: float
    end_s: float
    state: str
    valid: tuple[str, ...]

    @property
    def key(self) -> Key:
        return self.session, self.sequence


@dataclass(frozen=True)
class Given:
    """What the device gave. came (n,): the samples that came whole to somebody who knew what they are. rate_hz."""

    came: NDArray[np.bool_]
    rate_hz: float
    spans_s: Mapping[str, Sequence[tuple[float, float]]]


def holes(keys: Iterable[Key]) -> dict[str, int]:
    """By session, the numbers that are missing between the first, which is 0, and the last that is there."""
    last: dict[str, int] = {}
    count: Counter[str] = Counter()
    for session, sequence in set(keys):
        last[session] = max(last.get(session, -1), sequence)
        count[session] += 1
    return {session: last[session] + 1 - count[session] for session in last}


def overlapping(start_s: float, end_s: float, spans_s: Sequence[tuple[float, float]]) -> bool:
    return any(start_s < end and begin < end_s for begin, end in spans_s)


def inside(start_s: float, end_s: float, spans_s: Sequence[tuple[float, float]]) -> bool:
    return any(begin <= start_s and end_s <= end for begin, end in spans_s)


def invented(reports: Iterable[Stored], offset_s: Mapping[str, float], given: Given) -> dict[str, Any]:
    """Values that are stated of a window in which there was nothing to measure: with any of it without electrodes or
    without samples for a second, or all of it under noise; and how many such windows there were."""
    gone = [*given.spans_s["stall"], *given.spans_s["unplug"]]
    gone = [(begin, end) for begin, end in gone if end - begin >= 1.0]
    kinds = {"lead_off": overlapping, "noise": inside, "gone": overlapping}
    spans = {"lead_off": given.spans_s["lead_off"], "noise": given.spans_s["noise"], "gone": gone}
    windows: Counter[str] = Counter()
    values: dict[str, Counter[str]] = {kind: Counter() for kind in kinds}
    shown: list[dict[str, Any]] = []
    for report in reports:
        if report.state in ABSENT or report.session not in offset_s:
            continue
        start, end = (at + offset_s[report.session] for at in (report.start_s, report.end_s))
        for kind, touches in kinds.items():
            if touches(start, end, spans[kind]):
                windows[kind] += 1
                values[kind].update(report.valid)
                if report.valid and len(shown) < 20:
                    shown.append({"kind": kind, "start_s": round(start, 3), "valid": list(report.valid)})
    return {
        "windows": {kind: windows[kind] for kind in kinds},
        "values": {kind: {name: values[kind][name] for name in VALUES} for kind in kinds},
        "shown": shown,
    }


def against_the_ledger(reports: Iterable[Stored], offset_s: Mapping[str, float], given: Given) -> dict[str, int]:
    """Seconds of each session's timeline of which every sample came, and how many of them have no report, more than
    one, or one though nothing came; a second is its report's last.

    on_their_way: without a report since whatever follows has none either, up to the moment at which the cable was
    pulled out or the host was killed: the bytes went with it.
    """
    ends: dict[str, Counter[int]] = {session: Counter() for session in offset_s}
    for report in reports:
        if report.state not in ABSENT and report.session in ends:
            ends[report.session][round(report.end_s)] += 1
    sessions = sorted(offset_s, key=lambda session: offset_s[session])
    starts = [round(offset_s[session] * given.rate_hz) for session in sessions]
    pulled = {int(begin * given.rate_hz) for begin, _ in given.spans_s["unplug"]}
    total = np.concatenate([[0], np.cumsum(given.came)])
    found = dict.fromkeys(("whole", "without_a_report", "on_their_way", "reports_twice", "reports_of_nothing"), 0)
    size = round(given.rate_hz)
    for session, start, stop in zip(sessions, starts, [*starts[1:], len(given.came)], strict=True):
        lost_behind = True
        for second in range((stop - start) // size, 0, -1):
            first, count = start + (second - 1) * size, ends[session][second]
            lost_behind |= any(first <= at < first + size for at in pulled)
            lost_behind &= not count
            whole = total[first + size] - total[first] == size
            found["whole"] += int(whole)
            if whole and not count:
                found["on_their_way" if lost_behind else "without_a_report"] += 1
            found["reports_twice"] += count > 1
            # A gap of less than a hop is filled by what comes behind it, so that its report is of samples all the same.
            found["reports_of_nothing"] += int(count > 0 and total[min(first + 2 * size, stop)] == total[first])
    return found
