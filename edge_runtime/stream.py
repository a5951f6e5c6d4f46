"""One device's way from events to reports: receiver and monitor, as a live session and a replay both run them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from edge_runtime.monitor import Monitor
from edge_runtime.report import Report
from firmware_bridge.clock import Samples
from firmware_bridge.receiver import Receiver

EVENTS = ("opened", "lost", "data", "tick")


class Stream:
    """Reports depend on these events, their order and their arrival times, and on nothing else."""

    def __init__(self, receiver: Receiver, monitor: Monitor, lead: str | None = None) -> None:
        """lead: where the electrodes are, for who knows better than the device; None takes what the device says."""
        self.receiver, self.monitor, self.lead = receiver, monitor, lead
        self.watchers: list[Callable[[Samples], None]] = []  # each sees all samples, before the monitor does

    def handle(self, kind: str, arrival_s: float, data: bytes = b"") -> Iterator[Report]:
        """One of EVENTS. Each report comes as soon as it is made."""
        if kind == "opened":
            self.receiver.opened()
            yield from self.monitor.opened(arrival_s)
        elif kind == "lost":
            yield from self.monitor.lost(arrival_s)
        elif kind == "tick":
            yield from self.monitor.tick(arrival_s)
        elif kind == "data":
            for samples in self.receiver.feed(data, arrival_s):
                if self.lead is not None:
                    samples = replace(samples, lead=self.lead)
                for watch in self.watchers:
                    watch(samples)
                yield from self.monitor.push(samples)
            if self.receiver.clock.measuring:
                yield from self.monitor.measuring(arrival_s)
        else:
            raise ValueError(f"no event {kind!r}; there are {', '.join(EVENTS)}")
