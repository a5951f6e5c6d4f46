"""A sink and the thread that feeds it: what is slow, stuck or broken in one sink is no other's business."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable

from edge_runtime.report import Report
from edge_runtime.sinks import Sink

_WAIT_S = 0.5
_REST_S = 0.02  # when everything is written: to be woken for each report of a ward costs more than to write it


class Outlet:
    """lost: reports that the sink refused, that had no room, or that it took and then gave up. trouble: what was last
    said of it. enough: called where whoever reads the sink's output has gone; beat: every now and then while it lives.
    """

    def __init__(
        self,
        sink: Sink,
        room: int,
        tell: Callable[[str], None],
        beat: Callable[[], None],
        enough: Callable[[], None],
    ) -> None:
        self.name = type(sink).__name__
        self.written = self._lost = 0
        self._given = 0
        self.trouble: str | None = None
        self._sink, self._tell, self._beat, self._enough = sink, tell, beat, enough
        self._reports: queue.SimpleQueue[Report | None] = queue.SimpleQueue()
        self._room = room
        self._thread = threading.Thread(target=self._run, name=f"sink {self.name}", daemon=True)

    @property
    def lost(self) -> int:
        return self._lost + getattr(self._sink, "lost", 0)  # a sink that lets reports wait counts them itself

    def start(self) -> None:
        self._thread.start()

    def put(self, report: Report) -> None:
        """Never waits."""
        self._given += 1
        if self._reports.qsize() < self._room:
            self._reports.put(report)
        else:
            self._lost += 1
            self._said(f"{self.name} does not keep up: reports are lost, and counted")

    def finish(self, seconds: float) -> None:
        """Give it what it has not had, and so long to take it and to close."""
        self._reports.put(None)
        self._thread.join(max(0.01, seconds))
        if self._thread.is_alive():
            left = self._given - self.written - self._lost
            self._lost += left
            self._tell(f"{self.name} did not come to an end: {left} reports are not in it")

    def _run(self) -> None:
        while True:
            self._beat()
            if self._reports.empty():
                time.sleep(_REST_S)
            try:
                report = self._reports.get(timeout=_WAIT_S)
            except queue.Empty:
                continue
            if report is None:
                break
            try:
                self._sink.write(report)
                self.written += 1
            except BrokenPipeError:  # whoever read our output has had enough
                self._lost += 1
                self._enough()
            except Exception as error:
                self._lost += 1
                self._said(f"a report could not be written by {self.name} ({error}); going on, losses are counted")
        try:
            self._sink.close()
        except BrokenPipeError:
            pass
        except Exception as error:
            self._said(f"{self.name} could not be finished ({error})")

    def _said(self, message: str) -> None:
        if self.trouble != message:  # once, not once a second
            self.trouble = message
            self._tell(message)
