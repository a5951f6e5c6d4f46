"""The heart of the runtime: samples and link events in, reports out. Pure and synchronous; it knows neither port nor
thread nor wall clock, so that the same monitor is fed by a port, a pty, a recording or a property test.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from edge_runtime.analysis import analyse_window, unmeasured
from edge_runtime.backends import Backend
from edge_runtime.bundle import Model
from edge_runtime.longterm import LongTerm
from edge_runtime.report import Report
from edge_runtime.windows import Window, Windower
from firmware_bridge.clock import Samples

HOP_S = 1.0


class Monitor:
    """One lead's reports. Times given to it are arrival times, on the host's monotonic clock."""

    def __init__(self, model: Model, backend: Backend, source: str, hop_s: float = HOP_S) -> None:
        self.model, self.backend, self.source, self.hop_s = model, backend, source, hop_s
        self._windower = Windower(model.window_s, hop_s)
        self._long_term = LongTerm(hop_s)
        self._looked_s = float("-inf")  # end of the last window of which it was asked how the lead is worn
        self._sequence = 0
        self._connected = False
        self._lead, self._rate = "ECG", 0.0
        self._heard_s: float | None = None  # arrival of the last samples, or of the link's opening
        self._said_s: float | None = None  # arrival time of the last report

    @property
    def end_s(self) -> float:
        """How far the timeline has come."""
        return self._windower.end_s

    def opened(self, arrival_s: float) -> list[Report]:
        self._connected, self._heard_s = True, arrival_s
        return []

    def lost(self, arrival_s: float) -> list[Report]:
        """The link is gone: said at once, then once a hop by `tick`."""
        self._connected = False
        return [self._absence("disconnected", arrival_s)]

    def push(self, samples: Samples) -> list[Report]:
        self._heard_s, self._lead, self._rate = samples.arrival_s, samples.lead, samples.sampling_rate_hz
        reports = [self._number(self._analyse(window)) for window in self._windower.push(samples)]
        if reports:
            self._said_s = samples.arrival_s
        return reports

    def measuring(self, arrival_s: float) -> list[Report]:
        """Samples come and it is not known yet how fast: said once a hop, and no silence."""
        self._heard_s = arrival_s
        if self._said_s is not None and arrival_s - self._said_s < self.hop_s:
            return []
        return [self._absence("clock", arrival_s)]

    def tick(self, arrival_s: float) -> list[Report]:
        """Called once a hop by the shell, so that silence means a dead program and never a dead wire."""
        if self._said_s is not None and arrival_s - self._said_s < self.hop_s:
            return []
        if not self._connected:
            return [self._absence("disconnected", arrival_s)]
        if self._heard_s is not None and arrival_s - self._heard_s >= self.hop_s:
            return [self._absence("silent", arrival_s)]
        return []

    def _analyse(self, window: Window) -> Report:
        too_slow = window.sampling_rate_hz < self.model.conditioning.slowest_hz  # outranks that it is not full
        if not window.full and not too_slow:
            return unmeasured(window, self.model, "warming_up")
        look = not window.start_s < self._looked_s < window.end_s  # windows that share nothing
        if look:
            self._looked_s = window.end_s
        return analyse_window(window, self.model, self.backend, upright=look)

    def _absence(self, state: str, arrival_s: float) -> Report:
        self._said_s = arrival_s
        end_s = self._windower.end_s
        nothing = Window(np.empty(0), self._rate, max(0.0, end_s - self.model.window_s), end_s, self._lead)
        return self._number(unmeasured(nothing, self.model, state))

    def _number(self, report: Report) -> Report:
        episodes = self._long_term.add(report)
        numbered = replace(report, source=self.source, sequence=self._sequence, episodes=episodes)
        self._sequence += 1
        return numbered
