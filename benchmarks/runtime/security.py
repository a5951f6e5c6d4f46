"""What listens where, and what becomes of what should be refused, on every surface that there is.

An attempt is counted as what came of it: refused in one line (with the exit code, status or close code that is
documented for it), taken since it was still a good one, or wrong: another exception, an answer of 5xx, no end, a file
elsewhere.
"""

from __future__ import annotations

import gc
import secrets
import socket
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from random import Random
from typing import Any

import numpy as np

from benchmarks.dashboard.attacks import attack, cookie_of
from benchmarks.dashboard.raw import RawSocket, status_of
from benchmarks.runtime import hostile
from benchmarks.runtime.listening import listening
from benchmarks.runtime.observed import surroundings
from benchmarks.runtime.unpickled import ROOMS, unsafe
from benchmarks.wire.soak import resident_bytes
from edge_runtime.analysis import analyse_window
from edge_runtime.backends import open_backend
from edge_runtime.bundle import load_bundle
from edge_runtime.errors import LeadwireError
from edge_runtime.offline import analyse_record
from edge_runtime.records import read_record
from edge_runtime.run import options_in
from edge_runtime.sinks.broker import Away, Connected, Heard, MqttOptions, broker_of, client_of
from edge_runtime.windows import windows_of

_SLOW_S = 20.0  # of processor time: it is taken for one that does not end
_GROWS_BYTES = 64 << 20  # of which a surface's attempts may leave behind
_ANSWERS_S = 0.5  # of a request that is none it may wait for the rest
_STARTS_S = 120.0
_BEATS_BPM = 60.0


@dataclass
class Surface:
    """outcomes: by what came of it; wrong: what should not have, the first of them; slowest_s: processor time;
    grown_bytes: resident memory, from after the first tenth to the end."""

    tried: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    wrong: int = 0
    shown: list[str] = field(default_factory=list)
    slowest_s: float = 0.0
    grown_bytes: int = 0

    def book(self, what: str, outcome: str, right: bool) -> None:
        self.tried += 1
        self.outcomes[outcome] += 1
        if not right:
            self.wrong += 1
            if len(self.shown) < 20:
                self.shown.append(f"{what}: {outcome}"[:200])

    def to_dict(self) -> dict[str, Any]:
        return {
            "tried": self.tried,
            "wrong": self.wrong,
            "outcomes": dict(sorted(self.outcomes.items())),
            "shown": self.shown,
            "slowest_s": round(self.slowest_s, 3),
            "grown_mb": round(self.grown_bytes / 1e6, 1),
        }


def measure(full: bool) -> dict[str, Any]:
    more = 10 if full else 1
    found, said = in_a_run(1000 * more, 500 * more)
    surfaces = {
        **{name: of_files(name, count * more) for name, count in (("record", 1000), ("bundle", 400), ("config", 1000))},
        "broker": of_a_broker(500 * more),
        **found,
    }
    files, places = unsafe(Path(__file__).parents[2])
    return {
        **surroundings(),
        "listens": said,
        "surfaces": {name: surface.to_dict() for name, surface in surfaces.items()},
        "unpickled": {"rooms": ROOMS, "files": files, "places": places},
    }


# ---- files -----------------------------------------------------------------------------------------------------------


def of_files(name: str, count: int, seed: int = 1) -> Surface:
    """What the program does with such a file: it reads it, and goes on with what it has read."""
    surface, use = Surface(), _USES[name]()
    with tempfile.TemporaryDirectory(prefix="leadwire-hostile-") as scratch:
        folder = Path(scratch) / "own"
        folder.mkdir()
        before, outside = 0, None
        for number, (what, path) in enumerate(islice(hostile.FILES[name](folder, Random(seed)), count)):
            began = time.process_time()
            outcome, right = _outcome(lambda path=path: use(path))  # type: ignore[misc]
            spent = time.process_time() - began
            surface.slowest_s = max(surface.slowest_s, spent)
            surface.book(what, outcome, right and spent < _SLOW_S)
            if outside is None:
                outside = set(Path(scratch).iterdir())
            if number == count // 10:
                gc.collect()
                before = resident_bytes()
        gc.collect()
        surface.grown_bytes = max(0, resident_bytes() - before)
        if surface.grown_bytes > _GROWS_BYTES:
            surface.book("memory", f"grown by {surface.grown_bytes >> 20} MiB", False)
        for path in set(Path(scratch).iterdir()) - (outside or set()):
            surface.book(str(path), "a file outside", False)
    return surface


def _outcome(attempt: Callable[[], object]) -> tuple[str, bool]:
    try:
        attempt()
    except LeadwireError as error:
        one_line = "\n" not in str(error)
        return f"exit code {error.exit_code}" + ("" if one_line else ", in several lines"), one_line
    except Exception as error:
        return f"{type(error).__name__}: {error}", False
    return "taken", True


def _reads_record() -> Callable[[Path], object]:
    bundle = load_bundle()
    backend = open_backend(bundle)

    def use(path: Path) -> object:
        record = read_record(path)
        return [
            report.to_json() for report in islice(analyse_record(record, "x", None, 10.0, bundle.model, backend), 3)
        ]

    return use


def _reads_bundle() -> Callable[[Path], object]:
    backend = open_backend(load_bundle())
    rate = 250.0
    beat = np.exp(-0.5 * ((np.arange(2500) / rate % (60 / _BEATS_BPM) - 0.5) / 0.02) ** 2)
    (window,) = windows_of(beat, rate, "I", 10.0)

    def use(path: Path) -> object:
        bundle = load_bundle(path)
        return analyse_window(window, bundle.model, backend).to_json()

    return use


_USES: dict[str, Callable[[], Callable[[Path], object]]] = {
    "record": _reads_record,
    "bundle": _reads_bundle,
    "config": lambda: lambda path: options_in(path, {}),
}


# ---- a broker --------------------------------------------------------------------------------------------------------


def of_a_broker(count: int, seed: int = 1) -> Surface:
    """What the client does with what a broker says: as its own thread would, which an exception would end."""
    surface, before = Surface(), 0
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"mqtt://127.0.0.1:{server.getsockname()[1]}"
        for number, said in enumerate(islice(hostile.packets(Random(seed)), count)):
            heard: list[Heard] = []
            client = client_of(broker_of(MqttOptions(url, node="n")), "n", heard.append)
            began = time.process_time()
            outcome, right = _outcome(lambda client=client, said=said: _converse(client, server, said))  # type: ignore[misc]
            surface.slowest_s = max(surface.slowest_s, time.process_time() - began)
            if right:
                outcome = _verdict(heard)
            surface.book(repr(said[:60]), outcome, right)
            if number == count // 10:
                before = resident_bytes()
    surface.grown_bytes = max(0, resident_bytes() - before)
    return surface


def _converse(client: Any, server: socket.socket, said: bytes) -> None:
    client.reconnect()
    connection, _ = server.accept()
    with connection:
        with suppress(ConnectionError):
            connection.sendall(said)
            connection.shutdown(socket.SHUT_WR)
        for _ in range(100):
            if client.loop(timeout=0.05):  # whatever is not 0 is the end of the connection
                return
    raise TimeoutError("the connection has no end")


def _verdict(heard: list[Heard]) -> str:
    connected = any(isinstance(one, Connected) for one in heard)
    away = any(isinstance(one, Away) for one in heard)
    return f"{'taken, then ' if connected else ''}{'closed' if away else 'given up'}"


# ---- a run with its dashboard ----------------------------------------------------------------------------------------


def in_a_run(requests: int, frames: int, seed: int = 1) -> tuple[dict[str, Surface], list[dict[str, Any]]]:
    """The dashboard's surfaces, of a `leadwire run` that has no device, and what that process listens on."""
    from benchmarks.runtime.bystander import dashboard_of_a_run

    token = secrets.token_urlsafe(24)
    with dashboard_of_a_run(token) as (process, port, errors):
        said = listening(process.pid)
        before = resident_bytes(process.pid)
        found: dict[str, Surface] = {}
        for name, tried in attack(port, token).items():
            surface = found[f"dashboard: {name}"] = Surface(tried.tried, tried.outcomes, tried.tried - tried.refused)
            surface.shown = tried.let_through
        found["dashboard: mutated requests"] = _mutated_requests(port, requests, seed)
        found["dashboard: mutated messages"] = _mutated_frames(port, token, frames, seed)
        found["dashboard: mutated messages"].grown_bytes = max(0, resident_bytes(process.pid) - before)
        with RawSocket(port, {"Cookie": cookie_of(port, token)}) as last:
            alive = last.status == 101 and process.poll() is None
        found["dashboard: mutated requests"].book("the end", "it still answers" if alive else "it is gone", alive)
        tracebacks = errors.read_text().count("Traceback")
        found["dashboard: mutated messages"].book("what it said", f"{tracebacks} tracebacks", not tracebacks)
    return found, said


def _mutated_requests(port: int, count: int, seed: int) -> Surface:
    surface = Surface()
    for data in islice(hostile.requests(port, Random(seed)), count):
        answer = _ask(port, data)
        status = status_of(answer)
        outcome = "no answer" if status is None else str(status)
        surface.book(repr(data[:80]), outcome, status is None or status < 500)
    return surface


def _ask(port: int, data: bytes) -> bytes:
    """What comes back to it and to the end of what we say."""
    said = b""
    with (
        socket.create_connection(("127.0.0.1", port), _ANSWERS_S) as connection,
        suppress(ConnectionError, TimeoutError),
    ):
        connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)
        while part := connection.recv(65536):
            said += part
    return said


def _mutated_frames(port: int, token: str, count: int, seed: int) -> Surface:
    surface = Surface()
    for data in islice(hostile.frames(Random(seed)), count):
        with RawSocket(port, {"Cookie": cookie_of(port, token)}) as connection:
            if connection.status != 101:
                surface.book(repr(data), f"handshake {connection.status}", connection.status in (403, 429))
                continue
            connection.send_bytes(data)
            connection.send(b"", 8)  # a close, for what was good after all
            connection.say_no_more(_ANSWERS_S)
            code = connection.closed_with()
            surface.book(
                repr(data), "no answer" if code is None else str(code or "closed"), code is None or code != 1011
            )
    return surface
