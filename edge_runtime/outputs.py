"""Where a run's reports go: a row a sink, which is its section in a config and its flags on the command line.

A new one is its options, what opens it, and a row.
"""

from __future__ import annotations

import argparse
import contextlib
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge_runtime.configuration import build
from edge_runtime.errors import UsageError

if TYPE_CHECKING:
    from edge_runtime.sinks import Sink
    from edge_runtime.sinks.broker import MqttOptions
    from firmware_bridge.clock import Samples

    Watch = Callable[[str], Callable[[Samples], None]]  # of a source: who is to see its samples

_NOWHERE = "none"


@dataclass(frozen=True)
class Around:
    """What a sink may want to know of its run. room: reports that may wait for one that is away; watch: to be called by
    one that wants to see samples."""

    tell: Callable[[str], None]
    sources: tuple[str, ...]
    room: int
    options: Mapping[str, Any]  # of all sinks of this run, by their names
    watch: Callable[[Watch], None]

    @property
    def store(self) -> Path | None:
        """The store's file, where there is one."""
        options: StoreOptions = self.options.get("store", StoreOptions(_NOWHERE))
        return options.file


@dataclass(frozen=True)
class Flag:
    """field: of the options, that it gives; value: how help calls it; alone: what it is where nothing stands behind it,
    None where something has to; kind: of argparse."""

    name: str
    field: str
    value: str
    help: str
    alone: str | None = None
    kind: Callable[[str], Any] = str


@dataclass(frozen=True)
class Row:
    """name: of its section; options: gives what can stand there; extra: what has to be installed for it; always: it is
    there without being asked for."""

    name: str
    options: Callable[[], type]
    open: Callable[[Any, Around], Sink | None]
    flags: tuple[Flag, ...]
    extra: str | None = None
    always: bool = False


# ---- the store -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class StoreOptions:
    """path: `none` for no store."""

    path: str | None = None
    keep_days: float | None = None

    @property
    def file(self) -> Path | None:
        if self.path == _NOWHERE:
            return None
        return _usual_store() if self.path is None else Path(self.path)


def _usual_store() -> Path:
    """As a service, where systemd says; else among its user's data."""
    service, data = os.environ.get("STATE_DIRECTORY"), os.environ.get("XDG_DATA_HOME")
    if service:
        return Path(service.partition(":")[0]) / "leadwire.db"
    try:
        return (Path(data) if data else Path.home() / ".local" / "share") / "leadwire" / "leadwire.db"
    except RuntimeError:
        raise UsageError("this user has no home for a store; give --store FILE, or none") from None


def _store(options: StoreOptions, around: Around) -> Sink | None:
    path = options.file
    if path is None:
        return None
    from edge_runtime.sinks.store import Store

    if options.path is None:
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise UsageError(f"{path.parent}: cannot be made ({error.strerror}); give --store FILE") from error
    return Store.open(path, around.tell, "mqtt" in around.options, options.keep_days, around.room)


# ---- the others ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class OutOptions:
    path: str


def _out(options: OutOptions, around: Around) -> Sink:
    from edge_runtime.sinks.jsonl import JsonLines

    return JsonLines.open(options.path, around.tell)


@dataclass(frozen=True)
class CsvOptions:
    path: Path


def _csv(options: CsvOptions, around: Around) -> Sink:
    from edge_runtime.sinks.csv import Csv

    return Csv.open(options.path, around.tell)


def _mqtt_options() -> type:
    from edge_runtime.sinks.broker import MqttOptions

    return MqttOptions


def _mqtt(options: MqttOptions, around: Around) -> Sink:
    from edge_runtime.sinks.mqtt import Mqtt

    if around.store is None:
        raise UsageError("--mqtt sends what is in the store, and --store is none; give it a file")
    return Mqtt(options, around.store, around.tell)


@dataclass(frozen=True)
class DashboardSection:
    """where: `[HOST:]PORT`; token_file: its first line has to be known elsewhere than on this machine; names: by which
    it is called beside its address, as behind a proxy."""

    where: str = "8080"
    token_file: Path | None = None
    names: tuple[str, ...] = ()


def _dashboard(options: DashboardSection, around: Around) -> Sink:
    from edge_runtime.dashboard import Dashboard, DashboardOptions

    made = DashboardOptions.of(options.where, options.token_file, names=options.names)
    dashboard = Dashboard(made, around.store, around.tell)
    around.watch(dashboard.watch)
    around.tell(f"the dashboard is at {dashboard.url}")
    return dashboard


@dataclass(frozen=True)
class PictureOptions:
    path: Path


def _picture(options: PictureOptions, around: Around) -> Sink:
    from edge_runtime.picture import Picture

    if len(around.sources) > 1:
        raise UsageError("a picture is of one lead; run that one alone")
    picture = Picture(options.path)
    around.watch(lambda source: picture.watch)
    return picture


# ---- the table -------------------------------------------------------------------------------------------------------

# In this order they are opened, given each report, and closed: a line is nobody's hostage, and what is sent out of the
# store is sent when it has all of it.
ROWS = (
    Row(
        "out",
        lambda: OutOptions,
        _out,
        (Flag("--out", "path", "FILE", "JSON lines: a file to append to, or - for standard output"),),
    ),
    Row("csv", lambda: CsvOptions, _csv, (Flag("--csv", "path", "FILE", "a table: a file to append to"),)),
    Row(
        "store",
        lambda: StoreOptions,
        _store,
        (Flag("--store", "path", "FILE", "SQLite, for every report (default ~/.local/share/leadwire); or none"),),
        always=True,
    ),
    Row(
        "mqtt",
        _mqtt_options,
        _mqtt,
        (Flag("--mqtt", "url", "URL", "send it to mqtts://[USER@]HOST[:PORT][/PREFIX], out of the store"),),
        "mqtt",
    ),
    Row(
        "dashboard",
        lambda: DashboardSection,
        _dashboard,
        (
            Flag("--dashboard", "where", "[HOST:]PORT", "show it in a browser (default 127.0.0.1:8080)", alone="8080"),
            Flag(
                "--dashboard-token", "token_file", "FILE", "a word that one has to know elsewhere than on this machine"
            ),
        ),
        "dashboard",
    ),
    Row(
        "picture",
        lambda: PictureOptions,
        _picture,
        (Flag("--picture", "path", "PNG", "draw the run when it ends"),),
        "demo",
    ),
)
NAMES = tuple(row.name for row in ROWS)


def add_flags(parser: argparse.ArgumentParser) -> None:
    for flag in (flag for row in ROWS for flag in row.flags):
        alone: dict[str, Any] = {} if flag.alone is None else {"nargs": "?", "const": flag.alone}
        help_ = flag.help.replace("%", "%%")
        parser.add_argument(flag.name, metavar=flag.value, help=help_, type=flag.kind, **alone)


def sections_of(chosen: argparse.Namespace) -> dict[str, dict[str, Any]]:
    """What the flags mean as sections of a config."""
    given = {row.name: {f.field: getattr(chosen, _attribute(f)) for f in row.flags} for row in ROWS}
    said = {name: {key: v for key, v in section.items() if v is not None} for name, section in given.items()}
    return {name: section for name, section in said.items() if section}


def _attribute(flag: Flag) -> str:
    return flag.name.lstrip("-").replace("-", "_")


def options_of(sections: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Of a config's sections, and of those sinks that are always there. Raises UsageError, naming the key."""
    for key, section in sections.items():
        if not isinstance(section, Mapping):
            raise UsageError(f"{name}: '{key}' must be a table")
    chosen = [row for row in ROWS if row.always or row.name in sections]
    return {row.name: build(row.options(), sections.get(row.name, {}), name, f"{row.name}.") for row in chosen}


def open_sinks(options: Mapping[str, Any], around: Around) -> list[Sink]:
    """Those that were asked for, in the table's order. Raises UsageError, and then leaves none open."""
    sinks: list[Sink] = []
    with contextlib.ExitStack() as undo:
        for row in ROWS:
            if row.name in options and (sink := _open(row, options[row.name], around)) is not None:
                sinks.append(sink)
                undo.callback(sink.close)
        undo.pop_all()
    return sinks


def _open(row: Row, options: Any, around: Around) -> Sink | None:
    try:
        return row.open(options, around)
    except ImportError as error:
        if row.extra is None:
            raise
        raise UsageError(f"--{row.name} needs {error.name}: pip install 'leadwire[{row.extra}]'") from error
