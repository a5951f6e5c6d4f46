"""`leadwire run`, put together: links, streams, session and sinks. The command line and the demo both call it."""

from __future__ import annotations

import os
import platform
import resource
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from edge_runtime import outputs
from edge_runtime.backends import Backend, open_backend
from edge_runtime.bundle import DEFAULT, Model, load_bundle
from edge_runtime.configuration import build, read_toml
from edge_runtime.errors import UsageError
from edge_runtime.monitor import Monitor
from edge_runtime.session import Lead, Session, SessionStatistics, room_for
from edge_runtime.sinks import Sink
from edge_runtime.sinks.live import Live
from edge_runtime.sinks.recorder import Recorder
from edge_runtime.stream import Stream
from edge_runtime.systemd import Manager
from firmware_bridge.boards import BOARDS, Board
from firmware_bridge.link import Link
from firmware_bridge.receiver import Receiver

_DESCRIPTORS_A_PORT, _DESCRIPTORS = 8, 128
_NAME_MARKS = " ._-"
NOTICE = "Research use only; not a medical device."


@dataclass(frozen=True)
class Device:
    """One port. name: the reports' `source`, where it is not the port; lead: where its electrodes are, where that is
    not what the board says."""

    port: str
    board: str = "native"
    name: str | None = None
    lead: str | None = None

    @property
    def source(self) -> str:
        return self.name or self.port


@dataclass(frozen=True)
class RunOptions:
    """sinks: options by the names of `outputs.ROWS`; record: a new folder; seconds: None for as long as it is let.

    until_s: stop when a device's timeline has come so far. waits: a port that is not there is no error, and every
    device's record is a folder in `record` that is named after it and its start.
    """

    devices: tuple[Device, ...]
    sinks: Mapping[str, Any] = field(default_factory=dict)
    bundle: Path | None = None
    backend: str | None = None
    record: Path | None = None
    seconds: float | None = None
    until_s: float | None = None
    waits: bool = False


@dataclass(frozen=True)
class _File:
    """What a config may hold beside a section for each sink."""

    device: tuple[Device, ...] = ()
    bundle: Path | None = None
    backend: str | None = None
    record: Path | None = None


def options_from(values: Mapping[str, Any], name: str, **rest: Any) -> RunOptions:
    """Of a config's content. rest: what no config says. Raises UsageError, naming the key."""
    sections = {key: value for key, value in values.items() if key in outputs.NAMES}
    others = {key: value for key, value in values.items() if key not in outputs.NAMES}
    for key in others.keys() - _File.__dataclass_fields__.keys():
        known = ", ".join((*_File.__dataclass_fields__, *outputs.NAMES))
        raise UsageError(f"{name}: unknown key '{key}'; known are {known}")
    file, sinks = build(_File, others, name), outputs.options_of(sections, name)
    if not file.device:
        raise UsageError(f"{name}: no device; give each one a [[device]] with a port and a board")
    for device in file.device:
        board_named(device.board)
        _check_name(device.name, name)
    for what in ("port", "source"):
        seen = [getattr(device, what) for device in file.device]
        for twice in {s for s in seen if seen.count(s) > 1}:
            raise UsageError(f"{name}: two devices have the {'name' if what == 'source' else what} {twice!r}")
    return RunOptions(file.device, sinks, file.bundle, file.backend, file.record, **rest)


def options_in(path: Path, flags: Mapping[str, Any], **rest: Any) -> RunOptions:
    """Of a config's file, in which each of `flags` takes the place of what the file says. Raises UsageError."""
    values = read_toml(path)
    for key, value in flags.items():
        before = values.get(key)
        values[key] = {**before, **value} if isinstance(before, dict) and isinstance(value, Mapping) else value
    return options_from(values, str(path), waits=True, **rest)


def _check_name(name: str | None, where: str) -> None:
    """A name is a folder's name, too, and a topic's."""
    if name is None:
        return
    if not (name and name[0].isalnum() and len(name) <= 64 and all(c.isalnum() or c in _NAME_MARKS for c in name)):
        raise UsageError(f"{where}: the name {name!r} should be letters, digits, spaces and any of . _ - (64 at most)")


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


def _about(options: RunOptions, device: Device, session: str, backend: str, bundle: str) -> dict[str, Any]:
    """For whoever reads a recorded session: what it was made by, and how."""
    from edge_runtime.doctor import machine, versions  # not at the start of every run

    said = {**asdict(device), **{key: getattr(options, key) for key in ("bundle", "backend", "record", "seconds")}}
    return {
        "session": session,
        "started_utc": datetime.now(UTC).isoformat(timespec="seconds"),
        "lead": device.lead,
        "bundle": bundle,
        "backend": backend,
        "python": platform.python_version(),
        "machine": machine(),
        "system": platform.platform(),
        "packages": versions(),
        "options": {key: str(value) for key, value in said.items() if value is not None},
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


def _room_for(devices: int) -> None:
    """As many open files as the system lets us have, where the usual 1024 are too few."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = _DESCRIPTORS + _DESCRIPTORS_A_PORT * devices
    if soft != resource.RLIM_INFINITY and soft < needed:
        if hard != resource.RLIM_INFINITY and hard < needed:
            raise UsageError(f"{devices} ports need {needed} open files, and {hard} are allowed; see LimitNOFILE=")
        resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))


def run(options: RunOptions, tell: Callable[[str], None], done: Callable[[], bool]) -> None:
    """Monitor ports until `done`. Raises PortError, UsageError or BundleError before anything was started."""
    _room_for(len(options.devices))
    boards = [board_named(device.board) for device in options.devices]
    model, backend = load_net(options.bundle, options.backend, tell)
    leads = [
        _lead(device, board, model, backend, options) for device, board in zip(options.devices, boards, strict=True)
    ]
    watches: list[outputs.Watch] = []
    room = room_for(len(leads))
    around = outputs.Around(tell, tuple(lead.name for lead in leads), room, options.sinks, watches.append)
    sinks: list[Sink] = [*outputs.open_sinks(options.sinks, around), Live(sys.stderr, only_changes=options.waits)]
    for lead in leads:
        lead.stream.watchers += [watch(lead.name) for watch in watches]
    session = Session(leads, sinks, tell, room)
    if not options.waits:
        session.open()
    recorders = _record(options, session, tell, backend.name, model.id) if options.record else []
    for lead in leads:
        tell(f"{lead.name}, board {lead.link.board.name}, {backend.name}, {model.id}. {NOTICE}")
    manager = Manager.of(os.environ, tell)
    end = time.monotonic() + (options.seconds or float("inf"))

    def over() -> bool:
        manager.look(session.stuck, lambda: _status(session))
        return done() or time.monotonic() > end

    try:
        said = session.run(over, manager.stopping)
    finally:
        for recorder in recorders:
            recorder.close()
    _conclude(leads, said, tell)


def _lead(device: Device, board: Board, model: Model, backend: Backend, options: RunOptions) -> Lead:
    def stream() -> Stream:
        return Stream(Receiver(board), Monitor(model, backend, device.source), device.lead)

    return Lead(Link(device.port, board), stream(), stream, until_s=options.until_s or float("inf"))


def _status(session: Session) -> str:
    streaming = sum(lead.link.state == "streaming" for lead in session.leads)
    return f"{streaming} of {len(session.leads)} leads stream; {session.statistics.reports} reports"


def _record(
    options: RunOptions, session: Session, tell: Callable[[str], None], backend: str, bundle: str
) -> list[Recorder]:
    """A recorder for each lead, from its first event on."""
    recorders = []
    started = f"{datetime.now(UTC):%Y-%m-%dT%H-%M-%SZ}-{session.id}"
    for device, lead in zip(options.devices, session.leads, strict=True):
        folder = options.record or Path()
        if options.waits:
            folder = folder / device.source.strip("/").replace("/", "-") / started
        about = _about(options, device, session.id, backend, bundle)
        recorder = Recorder(folder, device.source, device.board, tell, about)
        lead.on_event.append(recorder.event)
        lead.stream.watchers.append(recorder.samples)
        recorders.append(recorder)
    return recorders


def _conclude(leads: list[Lead], said: SessionStatistics, tell: Callable[[str], None]) -> None:
    for lead in leads:
        clock, frames = lead.stream.receiver.clock.statistics, lead.stream.receiver.parser.statistics
        name = f"{lead.name}: " if len(leads) > 1 else ""
        tell(
            f"{name}{lead.reports} reports; {frames.good} frames, {frames.bad_checksum} bad, "
            f"{clock.lost_frames} lost ({clock.lost_samples} samples), {clock.restarts} restarts"
            + _drift(lead.stream.receiver.clock.drift_ppm)
        )
    if said.lost_reports or said.overruns:
        tell(
            f"{said.lost_reports} reports could not be written and {said.overruns} times more came than could be taken"
        )
