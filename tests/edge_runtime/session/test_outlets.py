"""One sink's trouble is no other's: stuck, failing, too slow, or read by nobody."""

from __future__ import annotations

import threading

import numpy as np

from edge_runtime.analysis import unmeasured
from edge_runtime.report import Report
from edge_runtime.session.outlets import Outlet
from edge_runtime.sinks import Sink
from edge_runtime.windows import Window
from tests.fakes import model_that_states_all

REPORT = unmeasured(Window(np.zeros(10), 250.0, 0.0, 10.0, "I"), model_that_states_all(), "gap")


class Slow:
    """Writes once it is let."""

    def __init__(self) -> None:
        self.let, self.reached = threading.Event(), threading.Event()
        self.written: list[Report] = []
        self.closed = False

    def write(self, report: Report) -> None:
        self.reached.set()
        self.let.wait()
        self.written.append(report)

    def close(self) -> None:
        self.closed = True


def outlet_to(sink: Sink, room: int = 10) -> tuple[Outlet, list[str], threading.Event]:
    told: list[str] = []
    enough = threading.Event()
    return Outlet(sink, room, told.append, lambda: None, enough.set), told, enough


def test_what_has_no_room_is_counted_and_said_once_and_the_rest_is_written() -> None:
    slow = Slow()
    outlet, told, _ = outlet_to(slow, room=3)
    outlet.start()
    outlet.put(REPORT)
    slow.reached.wait()
    for _ in range(8):
        outlet.put(REPORT)
    assert outlet.lost == 5
    slow.let.set()
    outlet.finish(10.0)
    assert (len(slow.written), outlet.written, slow.closed) == (4, 4, True)
    assert told == ["Slow does not keep up: reports are lost, and counted"]


def test_what_a_sink_took_and_gave_up_is_counted_too() -> None:
    class Forgetful:
        lost = 0

        def write(self, report: Report) -> None:
            self.lost += 1

        def close(self) -> None:
            pass

    outlet, told, _ = outlet_to(Forgetful())
    outlet.start()
    outlet.put(REPORT)
    outlet.finish(10.0)
    assert (outlet.written, outlet.lost, told) == (1, 1, [])


def test_a_sink_that_never_ends_is_left_and_what_it_did_not_take_is_counted() -> None:
    slow = Slow()
    outlet, told, _ = outlet_to(slow)
    outlet.start()
    for _ in range(4):
        outlet.put(REPORT)
    slow.reached.wait()
    outlet.finish(0.05)
    slow.let.set()
    assert outlet.lost == 4
    assert "did not come to an end: 4 reports are not in it" in told[0]


def test_a_reader_that_has_gone_ends_the_run_without_a_word() -> None:
    class Closed:
        def write(self, report: Report) -> None:
            raise BrokenPipeError

        def close(self) -> None:
            raise BrokenPipeError

    outlet, told, enough = outlet_to(Closed())
    outlet.start()
    outlet.put(REPORT)
    assert enough.wait(10)
    outlet.finish(10.0)
    assert told == []
