from __future__ import annotations

import socket
from os import getpid
from pathlib import Path

import numpy as np
import pytest

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


@pytest.mark.parametrize(("name", "count"), [("record", 60), ("bundle", 60), ("config", 60)])
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
