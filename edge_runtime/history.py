"""What the store holds, read while it is written: trends, days, episodes, the burden of fibrillation.

Times are UTC, as ISO 8601; a range holds its start and not its end. Every question opens the file by itself and holds
it no longer than the answer takes, so that a reader neither delays the writer nor minds in which thread it is asked.
"""

from __future__ import annotations

import math
import sqlite3
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_runtime.columns import COLUMNS, report_of
from edge_runtime.database import open_to_read, utc_ms_of, utc_of
from edge_runtime.episodes import Episode, burden
from edge_runtime.errors import UsageError

MEASURES = ("hr_bpm", "pr_ms", "qrs_ms", "qt_ms", "qtc_ms")
_DAY_MS = 86_400_000
_OF_SOURCE = "stream IN (SELECT id FROM stream WHERE source = ?)"
_IN_RANGE = f"{_OF_SOURCE} AND utc_ms >= ? AND utc_ms < ?"


class History:
    """Raises UsageError for a file that is no store of this version, and for a time or a number that is none."""

    def __init__(self, path: Path) -> None:
        self.path = path
        open_to_read(path).close()

    def sources(self) -> list[dict[str, Any]]:
        """Of each source by name: `source`, `first_utc`, `last_utc` (of reports with a time of day), `reports`."""
        rows = self._rows(
            """SELECT source, min(first), max(last), sum(reports) FROM (
                SELECT source, (SELECT min(utc_ms) FROM report WHERE stream = stream.id) AS first,
                    (SELECT max(utc_ms) FROM report WHERE stream = stream.id) AS last,
                    (SELECT count(*) FROM report WHERE stream = stream.id) AS reports FROM stream)
            GROUP BY source HAVING sum(reports) > 0 ORDER BY source"""
        )
        return [
            {"source": source, "first_utc": _utc(first), "last_utc": _utc(last), "reports": reports}
            for source, first, last, reports in rows
        ]

    def days(self, source: str) -> list[str]:
        """The UTC days that hold reports, such as "2026-11-21", in order."""
        days: set[int] = set()
        with closing(open_to_read(self.path)) as connection:
            for (stream,) in _fetch(connection, "SELECT id FROM stream WHERE source = ?", (source,)):
                day: int | None = None
                while True:  # from day to day by the index, and not through every report
                    after = -_DAY_MS * 10**7 if day is None else (day + 1) * _DAY_MS
                    asked = "SELECT min(utc_ms) FROM report WHERE stream = ? AND utc_ms >= ?"
                    ((first,),) = _fetch(connection, asked, (stream, after))
                    if first is None:
                        break
                    day = first // _DAY_MS
                    days.add(day)
        return [utc_of(day * _DAY_MS)[:10] for day in sorted(days)]

    def trend(self, source: str, start_utc: str, end_utc: str, bucket_s: float) -> list[dict[str, Any]]:
        """A row for each bucket of bucket_s (0.001 to 86,400 s, counted from start_utc) that holds reports, in order.

        `utc` of its start, `reports`; of each measure the `median` of the stated values, their 5th and 95th percentile
        by nearest rank as `low` and `high`, and how many were stated as `valid`; the median `quality`; `states` and
        `rhythms` with the number of reports each; `lost_samples`, each counted once though windows overlap.
        """
        start_ms, end_ms = _ms(start_utc), _ms(end_utc)
        if not (math.isfinite(bucket_s) and 0.001 <= bucket_s <= 86_400):
            raise UsageError(f"a bucket of {bucket_s} s: give 0.001 to 86400")
        bucket_ms = round(bucket_s * 1000)
        piece_ms = bucket_ms * max(1, _DAY_MS // bucket_ms)  # of a year, no more than a day at once is in memory
        seen_s: dict[int, float] = {}
        return [
            row
            for at_ms in self._pieces(source, start_ms, end_ms, piece_ms)
            for row in self._buckets(source, at_ms, min(at_ms + piece_ms, end_ms), bucket_ms, seen_s)
        ]

    def _pieces(self, source: str, start_ms: int, end_ms: int, piece_ms: int) -> Iterator[int]:
        """The starts of those pieces of the range that hold reports."""
        while start_ms < end_ms:
            ((first,),) = self._rows(f"SELECT min(utc_ms) FROM report WHERE {_IN_RANGE}", (source, start_ms, end_ms))
            if first is None:
                return
            start_ms += (first - start_ms) // piece_ms * piece_ms
            yield start_ms
            start_ms += piece_ms

    def _buckets(
        self, source: str, start_ms: int, end_ms: int, bucket_ms: int, seen_s: dict[int, float]
    ) -> Iterator[dict[str, Any]]:
        """Numbers come as numbers and are not made into rows first: a day of them is a quarter of a second."""
        asked = (source, start_ms, end_ms)
        with closing(open_to_read(self.path)) as connection:
            connection.execute("BEGIN")  # all three of the same moment
            columns = ", ".join(f"ifnull({name}, 9e999)" for name in ("quality", *MEASURES))  # infinity
            table: NDArray[np.float64] = np.fromiter(
                _asked(connection, f"SELECT utc_ms, {columns} FROM report WHERE {_IN_RANGE}", asked),
                np.dtype((np.float64, 2 + len(MEASURES))),
            )
            counted = _fetch(
                connection,
                f"SELECT (utc_ms - ?) / ?, state, rhythm, count(*) FROM report WHERE {_IN_RANGE} GROUP BY 1, 2, 3",
                (start_ms, bucket_ms, *asked),
            )
            losing = _fetch(
                connection,
                "SELECT (utc_ms - ?) / ?, stream, start_s, end_s, lost_samples FROM report "
                f"WHERE {_IN_RANGE} AND lost_samples > 0 ORDER BY stream, utc_ms, sequence",
                (start_ms, bucket_ms, *asked),
            )
        states, rhythms = defaultdict[int, Counter[str]](Counter), defaultdict[int, Counter[str]](Counter)
        lost = Counter[int]()
        for number, state, rhythm, reports in counted:
            states[number][state] += reports
            if rhythm is not None:
                rhythms[number][rhythm] += reports
        for number, stream, start_s, end_s, samples in losing:
            if start_s >= seen_s.get(stream, -math.inf) - 1e-6:  # overlaps with no window that was counted
                lost[number] += samples
                seen_s[stream] = end_s
        numbers, of = np.unique((table[:, 0] - start_ms) // bucket_ms, return_inverse=True)
        quality, *measures = (_spreads(of, values, len(numbers)) for values in table[:, 1:].T)
        for i, number in enumerate(numbers.astype(int).tolist()):
            yield {
                "utc": utc_of(start_ms + number * bucket_ms),
                "reports": states[number].total(),
                **{name: spreads[i] for name, spreads in zip(MEASURES, measures, strict=True)},
                "quality": quality[i]["median"],
                "states": dict(states[number]),
                "rhythms": dict(rhythms[number]),
                "lost_samples": lost[number],
            }

    def episodes(self, source: str, start_utc: str, end_utc: str) -> list[dict[str, Any]]:
        """Those that reach into the range, by their start: `session`, `number`, `kind`, `start_utc`, `end_utc`,
        `confidence`, `reports`, `open` (as it was when it was last heard of)."""
        rows = self._rows(
            f"""SELECT session, number, kind, start_utc_ms, end_utc_ms, confidence, reports, open
            FROM episode JOIN stream ON stream.id = stream
            WHERE {_OF_SOURCE} AND start_utc_ms < ? AND end_utc_ms >= ? ORDER BY start_utc_ms, stream, number""",
            (source, _ms(end_utc), _ms(start_utc)),
        )
        keys = ("session", "number", "kind", "start_utc", "end_utc", "confidence", "reports", "open")
        return [
            dict(zip(keys, (*row[:3], _utc(row[3]), _utc(row[4]), *row[5:7], bool(row[7])), strict=True))
            for row in rows
        ]

    def burden(self, source: str, start_utc: str, end_utc: str) -> dict[str, Any]:
        """Of fibrillation: `af_s`, the time in its episodes; `measured_s`, the time in episodes of any rhythm; and
        `share`, the one in the other, None where nothing was measured. Episodes count as far as they are in the range.
        """
        start_ms, end_ms = _ms(start_utc), _ms(end_utc)
        inside = []
        for said in self.episodes(source, start_utc, end_utc):
            first_ms, last_ms = max(_ms(said["start_utc"]), start_ms), min(_ms(said["end_utc"]), end_ms)
            rest = (said["confidence"], said["reports"], said["open"])
            inside.append(Episode(said["number"], said["kind"], 0.0, max(0, last_ms - first_ms) / 1000, *rest))
        return burden(inside)

    def reports(self, source: str, start_utc: str, end_utc: str, limit: int) -> list[dict[str, Any]]:
        """The JSON as written, of the first `limit` in the range, by time."""
        if limit < 0:
            raise UsageError(f"{limit} reports: give a number from 0 on")
        kept = [name for name in COLUMNS if name not in ("source", "session", "utc")]
        rows = self._rows(
            f"SELECT session, utc_ms, {', '.join(kept)} FROM report JOIN stream ON stream.id = stream "
            f"WHERE {_IN_RANGE} ORDER BY utc_ms, stream, sequence LIMIT ?",
            (source, _ms(start_utc), _ms(end_utc), min(limit, 2**31)),
        )
        return [
            report_of({"source": source, "session": session, "utc": _utc(utc_ms), **dict(zip(kept, rest, strict=True))})
            for session, utc_ms, *rest in rows
        ]

    def _rows(self, asked: str, values: Sequence[Any] = ()) -> list[Any]:
        with closing(open_to_read(self.path)) as connection:
            return _fetch(connection, asked, values)


def _asked(connection: sqlite3.Connection, asked: str, values: Sequence[Any]) -> Iterator[Any]:
    try:
        yield from connection.execute(asked, values)
    except sqlite3.Error as error:
        raise UsageError(f"the store cannot be read ({error})") from error


def _fetch(connection: sqlite3.Connection, asked: str, values: Sequence[Any]) -> list[Any]:
    return list(_asked(connection, asked, values))


def _utc(utc_ms: int | None) -> str | None:
    return None if utc_ms is None else utc_of(utc_ms)


def _ms(utc: str) -> int:
    try:
        return utc_ms_of(utc)
    except ValueError:
        raise UsageError(f"{utc!r} is no time; give one such as 2026-11-21T19:47:24Z") from None


def _spreads(of: NDArray[np.intp], values: NDArray[np.float64], buckets: int) -> list[dict[str, Any]]:
    """What a trend says of a measure, one a bucket. of: the bucket of each value; infinity where there is none."""
    inside = values[np.lexsort((values, of))]  # by bucket, and in it by size
    valid = np.bincount(of[np.isfinite(values)], minlength=buckets)
    first = np.cumsum(np.bincount(of, minlength=buckets)) - np.bincount(of, minlength=buckets)
    last = np.maximum(valid - 1, 0)

    def ranked(percent: int) -> NDArray[np.float64]:
        return inside[first + np.maximum(-(-valid * percent // 100) - 1, 0)]

    median = (inside[first + last // 2] + inside[first + (last + 1) // 2]) / 2
    rows = zip(*(a.tolist() for a in (median, ranked(5), ranked(95), valid)), strict=True)
    return [
        {"median": m, "low": low, "high": high, "valid": n}
        if n
        else {"median": None, "low": None, "high": None, "valid": 0}
        for m, low, high, n in rows
    ]
