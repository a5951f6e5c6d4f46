"""What the ports have given and the monitors have not taken yet: one inbox a lead, each with its own bound, emptied in
turns. A lead that floods, or that the net is too slow for, fills its own inbox and delays nobody.
"""

from __future__ import annotations

import queue
import threading
from collections import deque

from firmware_bridge.link import LinkEvent

FULL_EVENTS, FULL_BYTES = 1024, 1 << 18  # a minute or more of any board; a ward of 300 that all flood: 80 MB
_ROOM_AGAIN = 2  # times smaller, before a port is read on


class _Inbox:
    __slots__ = ("bytes", "events", "full", "has_turn", "ticks")

    def __init__(self) -> None:
        self.events: deque[LinkEvent] = deque()
        self.bytes = self.ticks = 0
        self.has_turn = self.full = False


class Inboxes:
    """Put by one thread, taken by another. Leads are numbers from 0."""

    def __init__(self, count: int) -> None:
        self._inboxes = [_Inbox() for _ in range(count)]
        self._turns: queue.SimpleQueue[int] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self.idle = threading.Event()  # everything was taken, and whoever takes has come back for more

    def put(self, number: int, event: LinkEvent) -> None:
        """Behind what is there. Of ticks one is enough: a second one is left out while the first is there."""
        box = self._inboxes[number]
        with self._lock:
            if event.kind == "tick":
                if box.ticks:
                    return
                box.ticks += 1
            box.events.append(event)
            box.bytes += len(event.data)
            box.full |= len(box.events) >= FULL_EVENTS or box.bytes >= FULL_BYTES
            if box.has_turn:
                return
            box.has_turn = True
        self._turns.put(number)
        if self.idle.is_set():
            self.idle.clear()

    def take(self, timeout_s: float) -> tuple[int, LinkEvent] | None:
        """The oldest event of the lead whose turn it is, which then comes behind all others; None for none in time."""
        if self._turns.empty():
            self.idle.set()
        try:
            number = self._turns.get(timeout=timeout_s)
        except queue.Empty:
            return None
        box = self._inboxes[number]
        with self._lock:
            event = box.events.popleft()
            box.bytes -= len(event.data)
            box.ticks -= event.kind == "tick"
            box.full &= len(box.events) >= FULL_EVENTS // _ROOM_AGAIN or box.bytes >= FULL_BYTES // _ROOM_AGAIN
            again = box.has_turn = bool(box.events)
        if again:
            self._turns.put(number)
        return number, event

    def full(self, number: int) -> bool:
        """Whether its port should not be read for now."""
        return self._inboxes[number].full
