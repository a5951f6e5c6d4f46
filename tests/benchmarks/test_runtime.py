"""The figures of a run: who is late, who is missing, and a small ward for real."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks import runtime
from benchmarks.runtime import tables, ward
from benchmarks.runtime.devices import Job, tape_of
from benchmarks.runtime.observed import RATE_HZ, RECORDS, judged, observe, spread_ms
from firmware_bridge.boards import BOARDS
from firmware_bridge.receiver import Receiver
from tests.conftest import need

SECONDS = 14


def line(at: float, second: int, source: str = "lead-0", state: str = "ok") -> tuple[float, bytes]:
    return at, json.dumps({"source": source, "end_s": float(second), "state": state}).encode()


def sent(leads: int = 1) -> dict[str, np.ndarray]:
    """Every second's last byte was sent on the second."""
    times = np.tile(np.arange(1.0, SECONDS + 1), (leads, 1))
    return {"sent_s": times, "overrun_bytes": np.zeros(leads), "late_s": np.array(0.0), "cpu_s": np.array(0.1)}


def test_latency_is_from_a_windows_last_byte_to_its_line_and_of_full_windows_only() -> None:
    lines = [line(second + 0.001 * second, second) for second in range(1, SECONDS + 1)]
    seen = judged(lines, sent(), 0.1, 1, Job("", 1, SECONDS, ()), "")
    assert seen.latency_s == pytest.approx([0.010, 0.011, 0.012, 0.013, 0.014])
    assert seen.missing == 0


def test_a_report_that_never_came_is_missing_and_one_of_an_absence_is_none_of_a_window() -> None:
    lines = [line(second, second) for second in range(1, SECONDS + 1) if second != 12]
    lines += [line(12.0, 12, state="silent"), line(12.5, 12, state="disconnected")]
    seen = judged(lines, sent(2), 0.1, 1, Job("", 2, SECONDS, ()), "")
    assert seen.missing == 1 + 5, "and all of the other lead's"
    assert len(seen.latency_s) == 4


def test_what_is_late_missing_or_overrun_is_not_carried() -> None:
    row = {"late": 0, "missing": 0, "overrun_bytes": 0}
    assert ward.carries(row)
    assert not any(ward.carries({**row, key: 1}) for key in row)


def test_a_tape_is_a_record_at_its_pace_and_knows_which_frame_ends_a_second() -> None:
    need("qtdb")
    tape, receiver = tape_of(RECORDS[0], 7.0, 0), Receiver(BOARDS["native"])
    receiver.opened()
    receiver.feed(tape.info, 0.0)
    ends, size = [], 0
    for frame in tape.frames:
        size += sum(len(samples.millivolts) for samples in receiver.feed(frame, 0.0))
        ends.append(size)
    assert size == 7 * RATE_HZ
    for second, frame in enumerate(tape.ends, 1):
        before = ends[frame - 1] if frame else 0
        assert before < second * RATE_HZ <= ends[frame]
    assert len(tape.frames) * tape.period_s == pytest.approx(7.0, abs=tape.period_s)


def test_a_small_ward_is_served_whole() -> None:
    need("qtdb")
    seen = observe(3, 13.0)
    assert (seen.missing, seen.overrun_bytes) == (0, 0), seen.said
    assert len(seen.latency_s) == 3 * 4
    assert set(seen.states) <= {"silent", "disconnected", "warming_up", "ok", "poor_signal", "gap"}
    assert seen.resident_bytes > 1e7
    assert set(spread_ms(seen.latency_s)) == {"p50", "p95", "p99", "max"}


def test_a_page_says_which_limit_is_not_held(tmp_path: Path) -> None:
    made = {"full": True, "measured_at_commit": "abc", "machine": "a machine", "cores": 2, "load_before": 0.1}
    late = {"p50": 3.0, "p95": 5.0, "p99": 12.5, "max": 20.0}
    found = {
        "reports": 31, "missing": 0, "latency_ms": late, "age_s": [0.0, 5.0, 10.0], "core_share": 0.03,
        "resident_mb": 57.0, "cold_start_s": {"median": 0.2, "max": 0.3},
    }  # fmt: skip
    limits = {"p99_ms": 10.0, "cold_start_s": 0.5, "resident_mb": {"onnxruntime": 80.0}}
    live = {**made, "seconds": 40.0, "limits": limits, "backends": {"onnxruntime": found}}
    text = tables.markdown({"live": live})
    assert "**12.5** (at most 10)" in text
    assert "57 (at most 80)" in text
    assert "load 0.1 before" in text
    assert set(runtime.PARTS) == set(tables._SECTIONS)
