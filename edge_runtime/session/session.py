"""Leads, their ports and monitors, and the sinks, put together and taken apart again."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from edge_runtime.errors import LeadwireError
from edge_runtime.session.inboxes import Inboxes
from edge_runtime.session.lead import Lead
from edge_runtime.session.outlets import Outlet
from edge_runtime.session.ports import Ports
from edge_runtime.sinks import Sink
from edge_runtime.stream import Stream
from firmware_bridge.link import LinkEvent

_LOOK_EVERY_S = 0.05  # whether it is done
_WAIT_S = 0.25  # of the monitors, for an event
_PORTS_END_S, _MONITORS_END_S, _SINKS_END_S = 5.0, 10.0, 60.0  # how long the end waits for each
_ROOM_REPORTS, _ROOM_S = 3600, 60
PORTS, MONITORS = "ports", "monitors"


@dataclass
class SessionStatistics:
    """overruns: how often a lead was not heard for a while, since more came than could be taken. lost_reports: by any
    sink. sink_error: the last trouble of one."""

    reports: int = 0
    overruns: int = 0
    lost_reports: int = 0
    sink_error: str | None = None


def room_for(leads: int) -> int:
    """Reports that may wait for a sink: an hour of one lead's, a minute of a ward's."""
    return max(_ROOM_REPORTS, _ROOM_S * leads)


class Session:
    """Runs until it is told that it is done, or until nobody reads its output.

    tell: hears of the ports' and sinks' troubles, from any thread. room: reports that may wait for a sink.
    """

    def __init__(
        self,
        leads: Sequence[Lead],
        sinks: Sequence[Sink],
        tell: Callable[[str], None] = lambda message: None,
        room: int | None = None,
    ) -> None:
        self.leads = tuple(leads)
        self.id = uuid.uuid4().hex[:12]
        self.statistics = SessionStatistics()
        self._tell = tell
        self._inboxes = Inboxes(len(self.leads))
        self._beats: dict[str, float] = {}
        hop_s = min(lead.stream.monitor.hop_s for lead in self.leads)
        self._ports = Ports([lead.link for lead in self.leads], self._inboxes, hop_s, tell, self._beater(PORTS))
        self._stopping = threading.Event()
        self._outlets = [
            Outlet(sink, room or room_for(len(self.leads)), tell, self._beater(f"sink {number}"), self._stopping.set)
            for number, sink in enumerate(sinks)
        ]
        self._away: set[int] = set()  # leads of which it was said
        self._met: set[int] = set()  # leads whose port was open once
        self._said: dict[int, str | None] = {}
        self._ports_done = threading.Event()
        self._give_up_s = float("inf")
        self._error: BaseException | None = None

    def open(self) -> None:
        """Open the ports now. Raises PortError; without this, or later, a port that is not there is waited for."""
        for number, lead in enumerate(self.leads):
            self._inboxes.put(number, lead.link.open())

    def run(
        self, done: Callable[[], bool] = lambda: False, ending: Callable[[], None] = lambda: None
    ) -> SessionStatistics:
        """Blocks. What has arrived when it is done is still reported; `ending` is called before that."""
        ports = threading.Thread(target=self._run_ports, name=PORTS, daemon=True)
        monitors = threading.Thread(target=self._run_monitors, name=MONITORS, daemon=True)
        for outlet in self._outlets:
            outlet.start()
        monitors.start()
        ports.start()
        try:
            while not self._stopping.wait(_LOOK_EVERY_S) and not done():
                pass
        finally:
            self._stopping.set()
            ending()
            self._ports.stop()
            ports.join(_PORTS_END_S)
            self._give_up_s = time.monotonic() + _MONITORS_END_S
            self._ports_done.set()
            monitors.join(_MONITORS_END_S + 1)
            end_s = time.monotonic() + _SINKS_END_S
            for outlet in self._outlets:
                outlet.finish(end_s - time.monotonic())
        if self._error is not None:
            raise self._error
        self.statistics.overruns = self._ports.overruns
        self.statistics.lost_reports = sum(outlet.lost for outlet in self._outlets)
        self.statistics.sink_error = next((o.trouble for o in self._outlets if o.trouble), None)
        return self.statistics

    def stuck(self, seconds: float) -> list[str]:
        """The threads that have not come round for so long; empty while everything goes on."""
        now = time.monotonic()
        return [name for name, at in self._beats.items() if now - at > seconds]

    def _beater(self, name: str) -> Callable[[], None]:
        def beat() -> None:
            self._beats[name] = time.monotonic()

        beat()
        return beat

    # ---- the ports' and the monitors' threads ------------------------------------------------------------------------

    def _run_ports(self) -> None:
        self._until_it_fails(self._ports.run)

    def _run_monitors(self) -> None:
        self._until_it_fails(self._monitor)

    def _until_it_fails(self, work: Callable[[], None]) -> None:
        try:
            work()
        except BaseException as error:
            self._error = error
        finally:
            self._stopping.set()

    def _monitor(self) -> None:
        beat = self._beater(MONITORS)
        while True:
            over = self._ports_done.is_set()
            taken = self._inboxes.take(0.0 if over else _WAIT_S)
            beat()
            if taken is not None:
                self._handle(*taken)
            if over and (taken is None or time.monotonic() > self._give_up_s):
                return

    def _handle(self, number: int, event: LinkEvent) -> None:
        lead = self.leads[number]
        if lead.is_done:
            return
        if event.kind == "tick":
            self._remark(number, lead, event.arrival_s)
        elif event.kind != "data":
            self._mention(number, lead, event)
        for look in lead.on_event:
            look(event.kind, event.arrival_s, event.data)
        try:
            self._report(lead, event)
        except LeadwireError:
            raise
        except Exception as error:  # a fault of ours that one device's bytes have found is no other lead's
            if lead.anew is None:
                raise
            self._tell(f"{lead.name}: a fault of ours ({type(error).__name__}: {error}); this lead begins anew")
            self._begin_anew(lead, lead.anew(), event.arrival_s)
        if lead.is_done:
            self._stopping.set()

    def _begin_anew(self, lead: Lead, stream: Stream, now: float) -> None:
        stream.watchers, lead.stream = lead.stream.watchers, stream
        if lead.link.is_open:
            for _ in stream.handle("opened", now):
                pass

    def _report(self, lead: Lead, event: LinkEvent) -> None:
        for report in lead.stream.handle(event.kind, event.arrival_s, event.data):
            age_s = time.monotonic() - event.arrival_s
            # By the clock as it is set now: a Pi learns the time some while after it has started.
            utc = (datetime.now(UTC) - timedelta(seconds=age_s)).isoformat(timespec="milliseconds")
            stamped = replace(report, session=self.id, utc=utc.replace("+00:00", "Z"), latency_ms=age_s * 1e3)
            self.statistics.reports += 1
            lead.reports += 1
            for outlet in self._outlets:
                outlet.put(stamped)
            if any(episode.kind == "inverted" and episode.reports == 1 for episode in report.episodes):
                self._tell(f"{lead.name}: lead {report.lead} looks inverted; are its electrodes swapped?")

    # ---- what is said of a lead --------------------------------------------------------------------------------------

    def _mention(self, number: int, lead: Lead, event: LinkEvent) -> None:
        """That a port went, and that it came back."""
        if event.kind == "lost":
            self._away.add(number)
            self._tell(f"{lead.name}: lost ({event.reason}); waiting for it to come back")
        elif number in self._away:
            self._away.remove(number)
            self._tell(f"{lead.name}: it is {'back' if number in self._met else 'there'}")
        self._met.add(number)

    def _remark(self, number: int, lead: Lead, now: float) -> None:
        """What is wrong with a port or with what comes from it."""
        trouble = lead.link.trouble
        if trouble and trouble != self._said.get(number):
            self._tell(trouble)
        self._said[number] = trouble
        if lead.link.is_open:
            remark = lead.stream.receiver.says(now)
            if remark:
                self._tell(f"{lead.name}: {remark}")
        elif number not in self._met | self._away and not trouble:
            self._away.add(number)
            self._tell(f"{lead.name}: {lead.link.port} is not there; waiting for it")
