<<<<<<< HEAD
"""The figures of a run: who is late, who is missing, and a small ward for real."""

from __future__ import annotations

import json
=======
from __future__ import annotations

import socket
from os import getpid
>>>>>>> w-night
from pathlib import Path

import numpy as np
import pytest

<<<<<<< HEAD
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
=======
from benchmarks.runtime import security, tables
from benchmarks.runtime.audit import Given, Stored, against_the_ledger, holes, invented
from benchmarks.runtime.listening import listening
from benchmarks.runtime.night import pass_a_night, plan
from benchmarks.runtime.unpickled import in_source, unsafe

ROOT = Path(__file__).parents[2]
RATE_HZ = 10.0


def given(seconds: int, **spans_s: list[tuple[float, float]]) -> Given:
    none: dict[str, list[tuple[float, float]]] = {"stall": [], "unplug": [], "lead_off": [], "noise": []}
    return Given(np.ones(round(seconds * RATE_HZ), np.bool_), RATE_HZ, {**none, **spans_s})


def night_of(seconds: int, *without: int, session: str = "a", valid: tuple[str, ...] = ("hr_bpm",)) -> list[Stored]:
    ends = [second for second in range(1, seconds + 1) if second not in without]
    return [Stored(session, i, max(0.0, end - 10.0), float(end), "ok", valid) for i, end in enumerate(ends)]


# ---- what is held against what ---------------------------------------------------------------------------------------


def test_a_number_that_is_missing_is_a_hole_of_its_session() -> None:
    assert holes([("a", 0), ("a", 2), ("a", 3), ("b", 0), ("b", 0)]) == {"a": 1, "b": 0}
    assert holes([("a", 3)]) == {"a": 3}, "the first is number 0"


def test_a_second_that_came_and_has_no_report_is_found() -> None:
    found = against_the_ledger(night_of(20, 7), {"a": 0.0}, given(20))
    assert (found["whole"], found["without_a_report"], found["on_their_way"]) == (20, 1, 0)


def test_what_was_on_its_way_when_it_ended_is_told_apart() -> None:
    found = against_the_ledger(night_of(17), {"a": 0.0}, given(20))
    assert (found["without_a_report"], found["on_their_way"]) == (0, 3)
    found = against_the_ledger(night_of(20, 9, 10), {"a": 0.0}, given(20, unplug=[(9.95, 9.96)]))
    assert (found["without_a_report"], found["on_their_way"]) == (0, 2), "the cable was pulled within the tenth"


def test_a_report_of_nothing_and_one_that_is_there_twice_are_found() -> None:
    came = given(20)
    came.came[50:100] = False
    reports = [*night_of(20), night_of(20)[0]]
    found = against_the_ledger(reports, {"a": 0.0}, came)
    assert (found["reports_twice"], found["reports_of_nothing"]) == (1, 4), "the last of the gap may be filled"


def test_a_second_session_has_a_timeline_of_its_own() -> None:
    reports = [*night_of(10), *night_of(8, session="b")]
    found = against_the_ledger(reports, {"a": 0.0, "b": 12.0}, given(20))
    assert (found["whole"], found["without_a_report"], found["on_their_way"]) == (20, 0, 2)


def test_a_value_is_invented_where_any_electrode_was_off_or_all_was_noise() -> None:
    spans = {"lead_off": [(25.0, 26.0)], "noise": [(40.0, 55.0)]}
    found = invented(night_of(60), {"a": 0.0}, given(60, **spans))
    assert found["windows"] == {"lead_off": 10, "noise": 6, "gone": 0}
    assert found["values"]["lead_off"]["hr_bpm"] == 10 and found["values"]["noise"]["hr_bpm"] == 6
    nothing = invented(night_of(60, valid=()), {"a": 0.0}, given(60, **spans))
    assert not any(count for kind in nothing["values"].values() for count in kind.values())


# ---- a night ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seconds", [240.0, 7200.0, 86400.0])
def test_the_disk_is_never_full_when_the_program_is_killed(seconds: float) -> None:
    full = False
    for _, event in plan(seconds, beyond=seconds > 80_000):
        full = (full or event.__name__ == "fill") and event.__name__ != "empty"
        assert not (full and event.__name__ == "kill")


def test_a_short_night_loses_nothing() -> None:
    pytest.importorskip("paho.mqtt")
    from edge_runtime.library import cache_folder

    if not (cache_folder() / "qtdb").exists():
        pytest.skip("needs QTDB at hand")
    found = pass_a_night(240.0, speed=60.0)
    reports = found["reports"]
    assert reports["stored"] > 150 and reports["stored_twice"] == 0
    assert reports["missing_in_sequence"] == found["told_lost"] == 0
    assert sum(reports["printed_and_not_stored"].values()) <= 2 * 2, "a report in flight at each kill, and its sinks"
    assert found["seconds"]["without_a_report"] == found["seconds"]["reports_of_nothing"] == 0
    assert found["invented"]["windows"]["lead_off"] > 0
    assert not found["invented"]["shown"]
    assert found["exit_code"] == found["tracebacks"] == 0
    if "broker" in found:
        assert found["broker"]["stored_and_not_heard"] == found["broker"]["heard_and_not_stored"] == 0
    page = {"full": False, "measured_at_commit": "c", "machine": "m", **found}
    assert "values stated in the" in tables.markdown({"night": page})


# ---- what should be refused ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "count"), [("record", 60), ("bundle", 30), ("config", 60)])
def test_hostile_files_are_refused_in_one_line(name: str, count: int) -> None:
    surface = security.of_files(name, count)
    assert surface.tried >= count and not surface.wrong, surface.shown


def test_a_hostile_broker_ends_no_thread_of_ours() -> None:
    pytest.importorskip("paho.mqtt")
    surface = security.of_a_broker(40)
    assert surface.tried == 40 and not surface.wrong, surface.shown


def test_what_listens_is_found() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        wanted = {"protocol": "tcp", "address": "127.0.0.1", "port": port, "loopback": True}
        assert wanted in listening(getpid())
    assert wanted not in listening(getpid())


def test_nothing_is_ever_unpickled() -> None:
    files, places = unsafe(ROOT)
    assert files > 100 and places == []


@pytest.mark.parametrize(
    "text",
    [
        "import pickle", "from pickle import loads", "import joblib as j", "eval('1')", "np.load(p, allow_pickle=True)",
        "np.load(p, allow_pickle=chosen)", "torch.load(p)", "torch.load(p, weights_only=False)", "pd.read_pickle(p)",
        "subprocess.run(c, shell=True)",
    ],
)  # fmt: skip
def test_what_would_run_what_it_reads_is_seen(text: str) -> None:
    assert len(list(in_source(text))) == 1
    assert not list(in_source("np.load(p, allow_pickle=False); torch.load(p, weights_only=True); net.eval()"))
>>>>>>> w-night
