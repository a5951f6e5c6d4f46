"""Simulated wearables that stream into a dashboard, without ports: a device's bytes, its stream, and its reports."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from edge_runtime.backends import Backend, open_backend
from edge_runtime.bundle import Model, load_bundle
from edge_runtime.dashboard import Dashboard
from edge_runtime.library import find_record
from edge_runtime.monitor import Monitor
from edge_runtime.report import Report
from edge_runtime.stream import Stream
from edge_runtime.wearable import wearable_of
from firmware_bridge.boards import BOARDS
from firmware_bridge.clock import Samples
from firmware_bridge.receiver import Receiver

_STEP_S = 0.04


@dataclass(frozen=True)
class Bed:
    """What a wearable plays: second 0 of the faults is `start_s` of the record."""

    source: str
    record: str
    lead: str | None = None
    start_s: float = 0.0
    faults: str = ""


class _Player:
    """Its clock begins with its wearable. zero_s: that moment on the monotonic clock, None while nobody looks yet."""

    def __init__(self, bed: Bed, model: Model, backend: Backend, dashboard: Dashboard, seconds: float) -> None:
        wearable = wearable_of(find_record(bed.record), bed.lead, bed.start_s, seconds, bed.faults, 1)
        self.zero_s: float | None = None
        self._stream = Stream(Receiver(BOARDS["native"]), Monitor(model, backend, bed.source))
        self._stream.watchers.append(self._seen)
        self._watch, self._write = dashboard.watch(bed.source), dashboard.write
        self._before: list[Samples | tuple[Report, float]] = []
        self._pieces = iter([wearable.introduce(0.0), *wearable.pieces()])
        self._next = next(self._pieces)
        self._plugged = False
        self._ticked_s = 0.0

    def play(self, until_s: float) -> None:
        """All that the device sends up to then."""
        while (tick_s := self._ticked_s + 1.0) <= until_s:
            self._send(tick_s)
            self._handle("tick", tick_s)
            self._ticked_s = tick_s
        self._send(until_s)

    def show(self, zero_s: float) -> None:
        """From now on somebody looks, and is shown what has been so far."""
        self.zero_s = zero_s
        for seen in self._before:
            if isinstance(seen, Samples):
                self._seen(seen)
            else:
                self._said(*seen)
        self._before.clear()

    def _send(self, until_s: float) -> None:
        with suppress(StopIteration):
            while self._next.due_s <= until_s:
                piece, self._next = self._next, next(self._pieces)
                if piece.plugged != self._plugged:
                    self._plugged = piece.plugged
                    self._handle("opened" if piece.plugged else "lost", piece.due_s)
                if piece.plugged and piece.data:
                    self._handle("data", piece.due_s, piece.data)

    def _handle(self, kind: str, arrival_s: float, data: bytes = b"") -> None:
        for report in self._stream.handle(kind, arrival_s, data):
            self._said(report, arrival_s)

    def _seen(self, samples: Samples) -> None:
        if self.zero_s is None:
            self._before.append(samples)
        else:
            self._watch(replace(samples, arrival_s=samples.arrival_s + self.zero_s))

    def _said(self, report: Report, arrival_s: float) -> None:
        if self.zero_s is None:
            self._before.append((report, arrival_s))
            return
        spent_s = time.monotonic() - arrival_s - self.zero_s
        utc = datetime.fromtimestamp(time.time() - spent_s, UTC).isoformat(timespec="milliseconds")
        stamped = replace(report, session="simulated", utc=utc.replace("+00:00", "Z"), latency_ms=spent_s * 1e3)
        self._write(stamped)


class Ward:
    """Beds that play in real time on a thread, as if they had done so for `already_s`."""

    def __init__(self, dashboard: Dashboard, beds: Sequence[Bed], already_s: float, seconds: float) -> None:
        bundle = load_bundle()
        backend = open_backend(bundle)
        self._players = [_Player(bed, bundle.model, backend, dashboard, seconds) for bed in beds]
        for player in self._players:
            player.play(already_s)
        self._zero_s = time.monotonic() - already_s
        for player in self._players:
            player.show(self._zero_s)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._stopping.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stopping.wait(_STEP_S):
            for player in self._players:
                player.play(time.monotonic() - self._zero_s)
