"""Where reports go. A sink is `write(report)` and `close()`; the session calls it from one thread."""

from __future__ import annotations

from typing import Protocol

from edge_runtime.report import Report


class Sink(Protocol):
    def write(self, report: Report) -> None: ...

    def close(self) -> None: ...
