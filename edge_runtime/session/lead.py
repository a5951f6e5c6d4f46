"""One lead of a session: a port, what becomes of its events, and who listens in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from edge_runtime.stream import Stream
from firmware_bridge.link import Link


@dataclass(eq=False)
class Lead:
    """All of it belongs to the monitors' thread, but for the link.

    anew: what takes the stream's place should it ever fail; without it the session ends. on_event: sees every event
    before the stream does (the recorder). until_s: where its timeline has come so far, the session is over.
    """

    link: Link
    stream: Stream
    anew: Callable[[], Stream] | None = None
    on_event: list[Callable[[str, float, bytes], None]] = field(default_factory=list)
    until_s: float = float("inf")
    reports: int = 0

    @property
    def name(self) -> str:
        """The reports' `source`."""
        return self.stream.monitor.source

    @property
    def is_done(self) -> bool:
        return self.stream.monitor.end_s >= self.until_s
