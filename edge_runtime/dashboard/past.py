"""The store behind the day view: one thread of its own asks it, so that no query holds up the trace."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Protocol, TypeVar

from edge_runtime.dashboard.asked import Stretch
from edge_runtime.errors import LeadwireError

_MOST_WAITING = 8
_T = TypeVar("_T")


class Past(Protocol):
    """What of `edge_runtime.history.History` the day view asks."""

    def sources(self) -> list[dict[str, Any]]: ...

    def days(self, source: str) -> list[str]: ...

    def trend(self, source: str, start_utc: str, end_utc: str, bucket_s: float) -> list[dict[str, Any]]: ...

    def episodes(self, source: str, start_utc: str, end_utc: str) -> list[dict[str, Any]]: ...

    def burden(self, source: str, start_utc: str, end_utc: str) -> dict[str, Any]: ...


def open_history(path: Path) -> Past:
    """Raises LeadwireError while there is none."""
    from edge_runtime.history import History  # sqlite3 is not loaded by a page without a day

    return History(path)


class Unavailable(Exception):
    """No answer now; the text says why."""


class Archive:
    """Opens the store when it is first asked for, and again after a failure. The methods never block the event loop."""

    def __init__(self, open_past: Callable[[], Past]) -> None:
        self._open = open_past
        self._past: Past | None = None
        self._thread = ThreadPoolExecutor(1, "dashboard-past")
        self._waiting = 0

    async def days(self, source: str) -> dict[str, Any]:
        """The UTC days that hold reports of this source, and what is known of all sources."""
        return await self._ask(lambda past: {"sources": past.sources(), "days": past.days(source)})

    async def stretch(self, asked: Stretch) -> dict[str, Any]:
        """Trend, episodes and AF burden of a stretch."""
        where = (asked.source, asked.start_utc, asked.end_utc)
        return await self._ask(
            lambda past: {
                "trend": past.trend(*where, asked.bucket_s),
                "episodes": past.episodes(*where),
                "burden": past.burden(*where),
                "bucket_s": asked.bucket_s,
            }
        )

    def close(self) -> None:
        self._thread.shutdown(wait=False, cancel_futures=True)

    async def _ask(self, question: Callable[[Past], _T]) -> _T:
        if self._waiting >= _MOST_WAITING:
            raise Unavailable("the store is busy; try again in a moment")
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, self._answer, question)
        finally:
            self._waiting -= 1

    def _answer(self, question: Callable[[Past], _T]) -> _T:
        try:
            if self._past is None:
                self._past = self._open()
            return question(self._past)
        except LeadwireError as error:
            self._past = None
            raise Unavailable(str(error)) from error
        except Exception as error:  # a locked or damaged store is no reason to stop looking at the trace
            self._past = None
            raise Unavailable(f"the store cannot be read now ({type(error).__name__})") from error
