"""Where the time of a report goes: the product's own functions, each with a clock around it.

A stage's time is its own: what is inside another stage counts there only.
"""

from __future__ import annotations

import contextlib
import importlib
import time
from collections.abc import Callable, Iterator
from typing import Any

PARSE, WINDOW, CONDITION, QUALITY, NET, POST, SINK = "parse", "window", "condition", "quality", "net", "post", "sink"
STAGES = (PARSE, WINDOW, CONDITION, QUALITY, NET, POST, SINK)  # POST: the rest, from masks to the report
# By stage: module and name of what belongs to it. NET and SINK are objects, which their owner wraps.
FUNCTIONS: dict[str, tuple[tuple[str, str], ...]] = {
    PARSE: (("firmware_bridge.receiver", "Receiver.feed"),),
    WINDOW: (("edge_runtime.windows", "Windower.push"),),
    CONDITION: tuple(("edge_runtime.analysis", name) for name in ("bridge", "condition", "compand")),
    QUALITY: tuple(("edge_runtime.quality", name) for name in ("gate", "features", "probability")),
}


class Probe:
    """spent_ns: by stage, since the last `take`."""

    def __init__(self) -> None:
        self.spent_ns = dict.fromkeys(STAGES, 0)
        self._inside: list[int] = []  # of each stage that is open, what was spent in others

    def timed(self, stage: str, function: Callable[..., Any]) -> Callable[..., Any]:
        now, inside = time.perf_counter_ns, self._inside

        def run(*arguments: Any, **named: Any) -> Any:
            inside.append(0)
            begin = now()
            try:
                return function(*arguments, **named)
            finally:
                whole = now() - begin
                self.spent_ns[stage] += whole - inside.pop()
                if inside:
                    inside[-1] += whole

        return run

    @contextlib.contextmanager
    def installed(self) -> Iterator[None]:
        """Within it each of FUNCTIONS is timed, whoever calls it."""
        with contextlib.ExitStack() as undo:
            for stage, places in FUNCTIONS.items():
                for module, path in places:
                    owner, name = _owner(module, path)
                    function = getattr(owner, name)
                    setattr(owner, name, self.timed(stage, function))
                    undo.callback(setattr, owner, name, function)
            yield

    def take(self) -> dict[str, float]:
        """ms by stage, and start over."""
        taken = {stage: ns / 1e6 for stage, ns in self.spent_ns.items()}
        self.spent_ns.update(dict.fromkeys(STAGES, 0))
        return taken


class TimedNet:
    """A back end with a clock; `asked` counts its windows."""

    def __init__(self, backend: Any, probe: Probe) -> None:
        self.name, self.asked = backend.name, 0
        self._ask = probe.timed(NET, backend)

    def __call__(self, companded: Any) -> Any:
        self.asked += 1
        return self._ask(companded)


@contextlib.contextmanager
def first_calls(module: str) -> Iterator[list[float]]:
    """Seconds of every call of any object whose class is of that module, as they happen."""
    spent: list[float] = []
    owner = importlib.import_module(module)
    classes = [c for c in vars(owner).values() if isinstance(c, type) and "__call__" in vars(c)]
    with contextlib.ExitStack() as undo:
        for kind in (c for c in classes if c.__module__ == module and not getattr(c, "_is_protocol", False)):
            whole = kind.__call__

            def run(self: Any, *arguments: Any, whole: Callable[..., Any] = whole) -> Any:
                begin = time.perf_counter()
                try:
                    return whole(self, *arguments)
                finally:
                    spent.append(time.perf_counter() - begin)

            setattr(kind, "__call__", run)  # noqa: B010  # an assignment to a type's method is none to mypy
            undo.callback(setattr, kind, "__call__", whole)
        yield spent


def _owner(module: str, path: str) -> tuple[Any, str]:
    owner: Any = importlib.import_module(module)
    *inside, name = path.split(".")
    for part in inside:
        owner = getattr(owner, part)
    return owner, name
