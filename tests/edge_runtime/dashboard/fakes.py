"""A heart that beats into a dashboard, and a past that is known: fakes written by hand."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from edge_runtime.dashboard import Dashboard, DashboardOptions
from edge_runtime.episodes import Episode
from edge_runtime.errors import UsageError
from edge_runtime.report import MEASURABLE, Report, Rhythm, Value, nothing_measured
from firmware_bridge.clock import Samples
from tests.fakes import ecg_of, regular_waves

RATE_HZ = 250.0
_BEAT_MV = ecg_of(regular_waves(rr_s=0.8, seconds=0.8, start_s=0.3), RATE_HZ, 0.8)
VALUES = {
    "hr_bpm": Value(75.0, 74.6, 75.4),
    "pr_ms": Value(160.0, 148.0, 172.0),
    "qrs_ms": Value(90.0, 78.0, 102.0),
    "qt_ms": Value(380.0, 350.0, 410.0),
    "qtc_ms": Value(409.3, 377.0, 441.6),
    "qtc_bazett_ms": Value(424.9, 391.0, 458.0),
}


def samples(begin: int, count: int, rate: float = RATE_HZ, lead_off: bool = False, arrival_s: float = 0.0) -> Samples:
    """Of a heart at 75 bpm that has always beaten."""
    mv = _BEAT_MV[np.arange(begin, begin + count) % len(_BEAT_MV)]
    return Samples(begin, mv, rate, "II", arrival_s, lead_off)


def report(
    end_s: float,
    state: str = "ok",
    source: str = "bed",
    utc: datetime | None = None,
    why: str | None = None,
    episodes: tuple[Episode, ...] = (),
    session: str = "here",
) -> Report:
    measures, rhythm = nothing_measured(why or state)
    if state in MEASURABLE:
        measures, rhythm = dict(VALUES), Rhythm("normal", 0.93)
    at = (utc or datetime.now(UTC)).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return Report(
        state, "II", max(0.0, end_s - 10), end_s, RATE_HZ, measures, rhythm, "test@0000000",
        quality=0.97 if state in MEASURABLE else None, beats=12 if state in MEASURABLE else None, lost_samples=5,
        bridged_samples=5, source=source, session=session, utc=at, latency_ms=2.1, episodes=episodes,
    )  # fmt: skip


class Heart:
    """One wearable after the other, as if each had streamed for 12 s already; in real time from then on.

    state: what the reports say from now on.
    """

    def __init__(self, dashboard: Dashboard, sources: tuple[str, ...] = ("/dev/serial/by-id/bed-1",)) -> None:
        self.state = "ok"
        self.dashboard = dashboard
        self._watchers = {source: dashboard.watch(source) for source in sources}
        self._end = 0
        self._beat(round(12 * RATE_HZ))
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._stopping.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stopping.wait(0.1):
            self._beat(round(0.1 * RATE_HZ))

    def _beat(self, count: int) -> None:
        for source, watch in self._watchers.items():
            watch(samples(self._end, count, lead_off=self.state == "lead_off", arrival_s=time.monotonic()))
            self.dashboard.write(report((self._end + count) / RATE_HZ, self.state, source))
        self._end += count


DAY = datetime(2026, 11, 20, tzinfo=UTC)
AF = (DAY + timedelta(hours=9), DAY + timedelta(hours=9, minutes=30))


class FakePast:
    """A day with a heart rate of 60 in its first half and of 90 in its second; nothing from 3 to 4 h, and half an hour
    of fibrillation. asked: every question, in order."""

    def __init__(self, source: str = "/dev/serial/by-id/bed-1") -> None:
        self.source = source
        self.asked: list[tuple[Any, ...]] = []

    def sources(self) -> list[dict[str, Any]]:
        return [{"source": self.source, "first_utc": _utc(DAY), "last_utc": _utc(DAY), "reports": 82800}]

    def days(self, source: str) -> list[str]:
        self.asked.append(("days", source))
        return ["2026-11-19", "2026-11-20"] if source == self.source else []

    def trend(self, source: str, start_utc: str, end_utc: str, bucket_s: float) -> list[dict[str, Any]]:
        self.asked.append(("trend", source, start_utc, end_utc, bucket_s))
        rows, at = [], datetime.fromisoformat(start_utc)
        while at < datetime.fromisoformat(end_utc):
            hour = (at - DAY) / timedelta(hours=1)
            if 0 <= hour < 24 and not 3 <= hour < 4:
                rows.append(_row(at, 60.0 if hour < 12 else 90.0, int(bucket_s), AF[0] <= at < AF[1]))
            at += timedelta(seconds=bucket_s)
        return rows

    def episodes(self, source: str, start_utc: str, end_utc: str) -> list[dict[str, Any]]:
        keys = {"session": "here", "confidence": 0.9, "reports": 1800, "open": False}
        return [{**keys, "number": 3, "kind": "af", "start_utc": _utc(AF[0]), "end_utc": _utc(AF[1])}]

    def burden(self, source: str, start_utc: str, end_utc: str) -> dict[str, Any]:
        return {"af_s": 1800.0, "measured_s": 82800.0, "share": 1800 / 82800}


def _row(at: datetime, bpm: float, reports: int, af: bool) -> dict[str, Any]:
    def spread(value: float) -> dict[str, Any]:
        return {"median": value, "low": value - 4, "high": value + 4, "valid": reports}

    return {
        "utc": _utc(at),
        "reports": reports,
        **{name: spread(bpm if name == "hr_bpm" else VALUES[name].value or 0.0) for name in VALUES},
        "quality": 0.97,
        "states": {"ok": reports},
        "rhythms": {"af" if af else "normal": reports},
        "lost_samples": 2,
    }


def _utc(at: datetime) -> str:
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


class Absent:
    """A store that nobody can open."""

    def __call__(self, path: Path) -> FakePast:
        raise UsageError(f"{path}: there is no store; `leadwire run` makes one")


def dashboard(past: FakePast | Absent | None = None, port: int = 0, token: str | None = None) -> Dashboard:
    """Of tests, on loopback. past: None for a process that keeps nothing."""
    open_past: Callable[[Path], Any] = past if isinstance(past, Absent) else lambda path: past
    return Dashboard(DashboardOptions(port=port, token=token), Path("past.db") if past else None, open_past=open_past)
