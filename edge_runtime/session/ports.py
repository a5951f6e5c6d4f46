"""The thread of all ports: it waits for any of them, reads what there is, and never for one of them alone.

What a driver may block in, opening and closing, is done in a thread of its own for as long as it takes; meanwhile the
lead is said to be away, and no other lead notices.
"""

from __future__ import annotations

import contextlib
import os
import queue
import selectors
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from edge_runtime.session.inboxes import Inboxes
from firmware_bridge.link import Link, LinkEvent, PortError

_LOOK_EVERY_S = 0.1  # at every port: its tick, its silence, its next try
# For so long a port, ports are let be while the monitors are busy: what comes meanwhile comes in one piece, for less.
_PACE_S, _LONGEST_PACE_S = 3e-4, 0.1
_READS, _MUCH = 4, 2048  # of one port at a time, at most; bytes behind which there may be more
_LAST_READS = 16  # of what is still in the system's buffer when the session ends
_CLOSE_S = 2.0  # in all, for all ports, at the end
_LONG_S = 5.0  # to open or close a port, before it is said


@dataclass(eq=False)
class _Port:
    number: int
    link: Link
    next_tick_s: float
    watched: bool = False  # the system tells us when there is something to read
    apart_since_s: float | None = None  # it is being opened or closed: not ours to touch
    said: bool = False


class Ports:
    """links: one a lead, open or not. Every lead gets a tick a hop, behind what came before it."""

    def __init__(
        self,
        links: Sequence[Link],
        inboxes: Inboxes,
        hop_s: float,
        tell: Callable[[str], None],
        beat: Callable[[], None],
    ) -> None:
        self._inboxes, self._hop_s, self._tell, self._beat = inboxes, hop_s, tell, beat
        began = time.monotonic()
        self._ports = [_Port(i, link, began + hop_s * (1 + i / len(links))) for i, link in enumerate(links)]
        self._selector = selectors.DefaultSelector()
        self._bell = os.eventfd(0, os.EFD_NONBLOCK)
        self._done_apart: queue.SimpleQueue[tuple[_Port, LinkEvent | None]] = queue.SimpleQueue()
        self._pace_s = min(_LONGEST_PACE_S, _PACE_S * len(links))
        self._stopping = False
        self.overruns = 0

    def stop(self) -> None:
        """From any thread: what has arrived is read, then `run` returns."""
        self._stopping = True
        self._ring()

    def run(self) -> None:
        """Until `stop`."""
        self._selector.register(self._bell, selectors.EVENT_READ)
        next_look_s = time.monotonic()
        while not self._stopping:
            for key, _ in self._selector.select(max(0.0, next_look_s - time.monotonic())):
                if key.data is None:
                    self._welcome()
                else:
                    self._read_some(key.data)
            now = time.monotonic()
            if now >= next_look_s:
                next_look_s = now + _LOOK_EVERY_S
                self._beat()
                for port in self._ports:
                    self._look_after(port, now)
            self._inboxes.idle.wait(self._pace_s)
        self._read_what_is_left()
        self._close_all()
        self._selector.close()

    def __del__(self) -> None:
        os.close(self._bell)  # nobody is left who could ring it

    # ---- a port ------------------------------------------------------------------------------------------------------

    def _read_some(self, port: _Port) -> None:
        """What is there; not to its end where that is far."""
        for _ in range(_READS):
            if self._read(port, ready=True) < _MUCH or not port.watched or not port.link.is_readable():
                return

    def _read(self, port: _Port, ready: bool) -> int:
        """Bytes that it gave."""
        event = port.link.read(ready)
        if event is None:
            return 0
        self._inboxes.put(port.number, event)
        if event.kind == "lost":
            self._unwatch(port)
            self._apart(port, port.link.close)
        elif self._inboxes.full(port.number):
            self.overruns += 1  # what comes meanwhile is in the system's hands, and shows as a gap if it is lost
            self._unwatch(port)
        return len(event.data)

    def _look_after(self, port: _Port, now: float) -> None:
        if now >= port.next_tick_s:
            port.next_tick_s = max(port.next_tick_s + self._hop_s, now)
            self._inboxes.put(port.number, LinkEvent("tick", now))
        if port.apart_since_s is not None:
            if now - port.apart_since_s > _LONG_S and not port.said:
                port.said = True
                self._tell(f"{port.link.port}: its driver takes long to open or close it; the others go on")
            return
        if self._inboxes.full(port.number):
            return
        if port.link.is_open:
            self._watch(port)
            self._read(port, ready=False)  # its handshake goes on when nothing comes, too
        elif port.link.due():
            self._apart(port, port.link.open)

    def _watch(self, port: _Port) -> None:
        fileno = port.link.fileno()
        if not port.watched and fileno is not None:
            self._selector.register(fileno, selectors.EVENT_READ, port)
            port.watched = True

    def _unwatch(self, port: _Port) -> None:
        fileno = port.link.fileno()
        if port.watched and fileno is not None:
            self._selector.unregister(fileno)
            port.watched = False

    # ---- apart -------------------------------------------------------------------------------------------------------

    def _apart(self, port: _Port, do: Callable[[], LinkEvent | None]) -> None:
        port.apart_since_s, port.said = time.monotonic(), False

        def work() -> None:
            event = None
            try:
                event = do()
            except PortError:
                pass  # the link knows why, and when to try again
            finally:
                self._done_apart.put((port, event))
                self._ring()

        threading.Thread(target=work, name=f"apart {port.number}", daemon=True).start()

    def _welcome(self) -> None:
        """Those that are back from being opened or closed."""
        with contextlib.suppress(BlockingIOError):
            os.eventfd_read(self._bell)
        with contextlib.suppress(queue.Empty):
            while True:
                port, event = self._done_apart.get_nowait()
                port.apart_since_s = None
                if event is not None:
                    self._inboxes.put(port.number, event)
                    self._watch(port)

    def _ring(self) -> None:
        os.eventfd_write(self._bell, 1)

    # ---- the end -----------------------------------------------------------------------------------------------------

    def _read_what_is_left(self) -> None:
        """What had arrived by the time that it was told to stop."""
        for _ in range(_LAST_READS):
            ready = [key.data for key, _ in self._selector.select(0) if key.data is not None]
            if not [port for port in ready if self._read(port, ready=True)]:
                return

    def _close_all(self) -> None:
        threads = [
            threading.Thread(target=port.link.close, name=f"close {port.number}", daemon=True)
            for port in self._ports
            if port.apart_since_s is None and port.link.fileno() is not None
        ]
        for thread in threads:
            thread.start()
        end_s = time.monotonic() + _CLOSE_S
        for thread in threads:
            thread.join(max(0.0, end_s - time.monotonic()))
