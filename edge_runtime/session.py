"""The shell around the monitor: a thread for the port, one for the monitor, one for the sinks. Queues are bounded."""

from __future__ import annotations

import contextlib
import queue
import select
import threading
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from edge_runtime.report import Report
from edge_runtime.sinks import Sink
from edge_runtime.stream import Stream
from firmware_bridge.link import Link, LinkEvent

_READ_EVERY_S = 0.02  # how long the port's thread waits for a byte before it looks up
_PUT_S, _LAST_REPORTS_S = 5.0, 60.0  # how long the end waits for slow sinks
_INPUT_EVENTS = 4096
_OUTPUT_REPORTS = 3600


@dataclass
class SessionStatistics:
    reports: int = 0
    overrun_events: int = 0
    lost_reports: int = 0
    sink_error: str | None = None


class Session:
    """Runs until it is told that it is done, or until nobody reads its output.

    `on_event` sees every event before the stream does (the recorder); tell: hears of the port's and sinks' troubles.
    """

    def __init__(
        self,
        link: Link,
        stream: Stream,
        sinks: Sequence[Sink],
        tell: Callable[[str], None] = lambda message: None,
    ) -> None:
        self.link, self.stream, self.sinks = link, stream, sinks
        self.id = uuid.uuid4().hex[:12]
        self.statistics = SessionStatistics()
        self.on_event: Callable[[str, float, bytes], None] = lambda kind, arrival_s, data: None
        self._tell = tell
        self._events: queue.Queue[LinkEvent] = queue.Queue(_INPUT_EVENTS)
        self._reports: queue.Queue[Report | None] = queue.Queue(_OUTPUT_REPORTS)
        self._stopping = threading.Event()

    def open(self) -> None:
        """Open the port for the first time. Raises PortError; later losses are reported and waited out."""
        self._put(self.link.open())

    def run(self, done: Callable[[], bool] = lambda: False) -> SessionStatistics:
        """Blocks. Call `open` first."""
        reader = threading.Thread(target=self._read, name="port", daemon=True)
        writer = threading.Thread(target=self._write, name="sinks", daemon=True)
        reader.start()
        writer.start()
        try:
            self._monitor(done)
        finally:
            self._stopping.set()
            reader.join(5)
            with contextlib.suppress(queue.Full):
                self._reports.put(None, timeout=_PUT_S)
            writer.join(_LAST_REPORTS_S)
            self.link.close()
        return self.statistics

    # ---- the port's thread -------------------------------------------------------------------------------------------

    def _read(self) -> None:
        while not self._stopping.is_set():
            fileno = self.link.fileno()
            try:
                if fileno is None:
                    self._stopping.wait(_READ_EVERY_S)
                else:
                    select.select([fileno], [], [], _READ_EVERY_S)
            except (OSError, ValueError):
                pass  # the port went while we waited; poll finds out and says so
            event = self.link.poll()
            if event is not None:
                self._put(event)

    def _put(self, event: LinkEvent) -> None:
        try:
            # Samples without room are a gap, which their sequence numbers show; that a link came or went has to wait.
            self._events.put(event, block=event.kind != "data", timeout=_PUT_S)
        except queue.Full:
            self.statistics.overrun_events += 1

    # ---- the monitor's thread ----------------------------------------------------------------------------------------

    def _monitor(self, done: Callable[[], bool]) -> None:
        hop_s = self.stream.monitor.hop_s
        next_tick = time.monotonic() + hop_s
        away, said = False, None
        while not self._stopping.is_set() and not done():
            event: LinkEvent | None = None
            with contextlib.suppress(queue.Empty):
                event = self._events.get(timeout=max(0.001, min(0.1, next_tick - time.monotonic())))
            if event is not None:
                if event.kind == "lost":
                    self._tell(f"{self.link.port}: lost ({event.reason}); waiting for it to come back")
                elif event.kind == "opened" and away:
                    self._tell(f"{self.link.port}: it is back")
                away = event.kind == "lost" or (away and event.kind != "opened")
                self._handle(event.kind, event.arrival_s, event.data)
            now = time.monotonic()
            if now >= next_tick:
                next_tick = now + hop_s
                if self._events.empty():  # what has arrived is heard before silence is judged
                    self._handle("tick", now, b"")
                    if self.link.trouble and self.link.trouble != said:
                        self._tell(self.link.trouble)
                    said = self.link.trouble
                    remark = self.stream.receiver.says(now) if self.link.state != "backing off" else None
                    if remark:
                        self._tell(f"{self.link.port}: {remark}")

    def _handle(self, kind: str, arrival_s: float, data: bytes) -> None:
        self.on_event(kind, arrival_s, data)
        for report in self.stream.handle(kind, arrival_s, data):
            age_s = time.monotonic() - arrival_s
            # By the clock as it is set now: a Pi learns the time some while after it has started.
            utc = (datetime.now(UTC) - timedelta(seconds=age_s)).isoformat(timespec="milliseconds")
            stamped = replace(report, session=self.id, utc=utc.replace("+00:00", "Z"), latency_ms=age_s * 1e3)
            self.statistics.reports += 1
            try:
                self._reports.put_nowait(stamped)
            except queue.Full:
                self.statistics.lost_reports += 1

    # ---- the sinks' thread -------------------------------------------------------------------------------------------

    def _write(self) -> None:
        """No sink's trouble is another's, nor the monitor's."""
        while (report := self._reports.get()) is not None:
            for sink in self.sinks:
                try:
                    sink.write(report)
                except BrokenPipeError:  # whoever read our output has had enough
                    self._stopping.set()
                except Exception as error:
                    self.statistics.lost_reports += 1
                    self._sink_failed(f"a report could not be written ({error}); going on, losses are counted")
        for sink in self.sinks:
            try:
                sink.close()
            except BrokenPipeError:
                pass
            except Exception as error:
                self._sink_failed(f"{type(sink).__name__} could not be finished ({error})")

    def _sink_failed(self, message: str) -> None:
        if self.statistics.sink_error != message:  # once, not once a second
            self.statistics.sink_error = message
            self._tell(message)
