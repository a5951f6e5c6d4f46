"""The live line: once a second on standard error, what the last report says."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TextIO

from edge_runtime.report import MEASURABLE, Report, Value

_PHRASES = {
    "disconnected": "unplugged - waiting for the device to come back",
    "silent": "the device is connected and silent",
    "clock": "the device's sampling rate is not known, or too low",
    "warming_up": "filling the first window",
    "gap": "samples are missing from the last 10 s",
    "lead_off": "no electrodes in the last 10 s",
    "poor_signal": "signal too poor",
}


def _measure(name: str, value: Value, unit: str = "", digits: int = 0) -> str:
    if value.value is None or value.low is None or value.high is None:
        return f"{name} --- ({value.why})"
    return f"{name} {value.value:.{digits}f}{unit} [{value.low:.{digits}f}-{value.high:.{digits}f}]"


def live_line(report: Report) -> str:
    """One line of at most some 150 characters; a value that is not known is not shown."""
    at = f"{int(report.end_s // 60):3d}:{report.end_s % 60:04.1f}"
    if report.state not in MEASURABLE:
        why = report.measures["hr_bpm"].why
        detail = f" ({why})" if why != report.state else ""
        return f"{at}  {_PHRASES.get(report.state, report.state)}{detail}"
    m, r = report.measures, report.rhythm
    rhythm = f"{r.label} {100 * (r.probability or 0):.0f}%" if r.valid else f"--- ({r.why})"
    parts = [
        _measure("HR", m["hr_bpm"], digits=1),
        _measure("PR", m["pr_ms"]),
        _measure("QRS", m["qrs_ms"]),
        _measure("QT", m["qt_ms"], " ms"),
        rhythm,
        f"quality {100 * (report.quality or 0):.0f}%",
    ]
    if report.bridged_samples:
        parts.append(f"{report.bridged_samples} bridged")
    if report.latency_ms is not None:
        parts.append(f"{report.latency_ms:.1f} ms")
    return f"{at}  " + "  ".join(parts)


class Live:
    """Rewrites one line on a terminal; elsewhere prints one a second. A change of state is always its own line.

    only_changes: nothing else, and each with its source: for many leads, and for a journal that is kept.
    """

    def __init__(self, file: TextIO, only_changes: bool = False, now: Callable[[], float] = time.monotonic) -> None:
        self._file, self._now, self._only_changes = file, now, only_changes
        self._terminal = file.isatty() and not only_changes
        self._shown_s, self._state = float("-inf"), dict[str, str]()

    def write(self, report: Report) -> None:
        before = self._state.get(report.source)
        changed = report.state != before
        if not changed and (self._only_changes or self._now() - self._shown_s < 1.0):
            return
        self._shown_s, line = self._now(), live_line(report)
        if self._only_changes:
            line = f"{report.source}  {line}"
        if self._terminal:
            self._file.write(("\n" if changed and before else "\r") + line + "\x1b[K")
        else:
            self._file.write(line + "\n")
        self._state[report.source] = report.state
        self._file.flush()

    def close(self) -> None:
        if self._terminal and self._state:
            self._file.write("\n")
            self._file.flush()
