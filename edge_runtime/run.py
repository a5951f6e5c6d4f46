"""`leadwire run`, put together: link, stream, session and sinks. The command line and the demo both call it."""

from __future__ import annotations

import platform
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from edge_runtime.backends import Backend, open_backend
from edge_runtime.bundle import DEFAULT, Model, load_bundle
from edge_runtime.errors import UsageError
from edge_runtime.monitor import Monitor
from edge_runtime.picture import Picture
from edge_runtime.session import Session
from edge_runtime.sinks import Sink
from edge_runtime.sinks.jsonl import JsonLines
from edge_runtime.sinks.live import Live
from edge_runtime.sinks.recorder import Recorder
from edge_runtime.stream import Stream
from firmware_bridge.boards import BOARDS, Board
from firmware_bridge.link import Link
from firmware_bridge.receiver import Receiver


@dataclass(frozen=True)
class RunOptions:
    """As on the command line. out: a file or `-`; record: a new folder; seconds: None for as long as it is let.

    until_s: stop when the device's timeline has come so far.
    """

    port: str
    board: str = "native"
    out: str = "-"
    record: Path | None = None
    picture: Path | None = None
    seconds: float | None = None
    bundle: Path | None = None
    backend: str | None = None
    until_s: float | None = None


def board_named(name: str) -> Board:
    """Raises UsageError naming the boards that there are."""
    if name not in BOARDS:
        raise UsageError(f"no board {name!r}; there are {', '.join(BOARDS)}")
    return BOARDS[name]


def load_net(folder: Path | None, backend: str | None, tell: Callable[[str], None]) -> tuple[Model, Backend]:
    """The bundle's model (the default one for None) and a back end that runs it; says what was let through its gate."""
    bundle = load_bundle(folder or DEFAULT)
    for line in bundle.manifest.get("allowed", []):
        tell(f"this bundle was let through over a gate: {line}")
    return bundle.model, open_backend(bundle, backend, tell)


def _about(options: RunOptions, session: str, backend: str, bundle: str) -> dict[str, Any]:
    """For whoever reads a recorded session: what it was made by, and how."""
    from edge_runtime.doctor import machine, versions  # not at the start of every run

    return {
        "session": session,
        "started_utc": datetime.now(UTC).isoformat(timespec="seconds"),
        "bundle": bundle,
        "backend": backend,
        "python": platform.python_version(),
        "machine": machine(),
        "system": platform.platform(),
        "packages": versions(),
        "options": {key: str(value) for key, value in asdict(options).items() if value is not None},
    }


def _drift(ppm: float | None) -> str:
    """Of the device's clock against ours."""
    if ppm is None:
        return ""
    return (
        f"; its clock runs {ppm:+.0f} ppm from ours"
        if abs(ppm) < 1e5
        else f"; its clock runs {1 + ppm / 1e6:.3g} times ours"
    )


def run(options: RunOptions, tell: Callable[[str], None], done: Callable[[], bool]) -> None:
    """Monitor a port until `done`. Raises PortError, UsageError or BundleError before anything was started."""
    board = board_named(options.board)
    model, backend = load_net(options.bundle, options.backend, tell)
    picture = Picture(options.picture) if options.picture else None
    sinks: list[Sink] = [JsonLines.open(options.out), Live(sys.stderr), *([picture] if picture else [])]
    monitor = Monitor(model, backend, options.port)
    stream = Stream(Receiver(board), monitor)
    if picture:
        stream.watchers.append(picture.watch)
    session = Session(Link(options.port, board), stream, sinks, tell)
    session.open()
    recorder: Recorder | None = None
    if options.record:
        about = _about(options, session.id, backend.name, model.id)
        recorder = Recorder(options.record, options.port, board.name, tell, about)
        session.on_event = recorder.event
        stream.watchers.append(recorder.samples)
    tell(f"{options.port}, board {board.name}, {backend.name}, {model.id}. Research use only; not a medical device.")
    end = time.monotonic() + (options.seconds or float("inf"))
    until_s = options.until_s or float("inf")
    try:
        said = session.run(lambda: done() or time.monotonic() > end or monitor.end_s >= until_s)
    finally:
        if recorder:
            recorder.close()
    clock, frames = stream.receiver.clock.statistics, stream.receiver.parser.statistics
    tell(
        f"{said.reports} reports; {frames.good} frames, {frames.bad_checksum} bad, {clock.lost_frames} lost "
        f"({clock.lost_samples} samples), {clock.restarts} restarts" + _drift(stream.receiver.clock.drift_ppm)
    )
    if said.lost_reports or said.overrun_events:
        tell(f"{said.lost_reports} reports could not be written and {said.overrun_events} reads came too fast")
