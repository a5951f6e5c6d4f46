"""What a sink could not write yet: kept, tried again, counted where it had to be given up, and told."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

ROOM = 3600  # reports: an hour of one source
_AGAIN_S = 1.0  # between tries
_DRAIN_S = 0.25  # how long one call may take to make up for lost time
_LAST_S = 10.0  # and the last one

T = TypeVar("T")


class Unavailable(Exception):
    """It cannot be written now, and nothing of it was; it may be later."""


class Backlog(Generic[T]):
    """Items on their way to a disk that may be full, locked or gone for a while. Beyond `room` the oldest goes.

    write: takes one item whole, or raises Unavailable. Any other error of it is that item's own: it is lost, and
    counted. Every item given to `put` is `written`, `lost` or still `waiting`.
    """

    def __init__(
        self,
        name: str,
        write: Callable[[T], None],
        tell: Callable[[str], None],
        room: int = ROOM,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self.written = self.lost = 0
        self._name, self._write, self._tell, self._now, self._room = name, write, tell, now, room
        self._items: deque[T] = deque()
        self._trouble: str | None = None  # as it was told
        self._odd: str | None = None  # the last error that was a report's own
        self._again_s = float("-inf")
        self._since = (0, 0)  # written and lost when the trouble began

    @property
    def waiting(self) -> int:
        return len(self._items)

    def put(self, item: T) -> None:
        """Never blocks for long. Raises BrokenPipeError where whoever reads our output has had enough."""
        self._items.append(item)
        if self._now() >= self._again_s:
            self._drain(_DRAIN_S)
        if len(self._items) > self._room:
            self._items.popleft()
            self.lost += 1
            if self.lost - self._since[1] == 1:
                self._tell(f"{self._name}: {self._room} reports wait; from now on each new one costs the oldest")

    def close(self) -> None:
        """A last try; what cannot be written now is lost."""
        self._drain(_LAST_S)
        left = len(self._items)
        if left:
            self.lost += left
            self._items.clear()
            self._tell(f"{self._name}: {left} reports could not be written ({self._trouble or 'too slow'})")

    def _drain(self, patience_s: float) -> None:
        end_s = self._now() + patience_s
        while self._items:
            try:
                self._write(self._items[0])
            except Unavailable as error:
                self._again_s = self._now() + _AGAIN_S
                self._complain(str(error))
                return
            except BrokenPipeError:
                raise
            except Exception as error:
                self._items.popleft()
                self.lost += 1
                if str(error) != self._odd:
                    self._odd = str(error)
                    self._tell(f"{self._name}: a report could not be written ({error}); going on, losses are counted")
                continue
            self._items.popleft()
            self.written += 1
            if self._now() >= end_s:
                break
        if self._trouble and not self._items:
            written, lost = self.written - self._since[0], self.lost - self._since[1]
            self._trouble = None
            self._tell(f"{self._name}: it can be written again; {written} reports that waited are in it, {lost} lost")

    def _complain(self, trouble: str) -> None:
        if self._trouble is None:
            self._since = (self.written, self.lost)
        if trouble != self._trouble:  # once, not once a second
            self._trouble = trouble
            self._tell(f"{self._name}: {trouble}; going on, up to {self._room} reports wait and are tried again")
