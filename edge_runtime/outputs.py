"""Where a run's reports go: a row a sink, which is its section in a config and its flag on the command line.

A new one is its options, what opens it, and a row.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge_runtime.configuration import build
from edge_runtime.errors import UsageError

if TYPE_CHECKING:
    from edge_runtime.sinks import Sink
    from firmware_bridge.clock import Samples

    Watch = Callable[[str], Callable[[Samples], None]]  # of a source: who is to see its samples


@dataclass(frozen=True)
class Around:
    """What a sink may want to know of its run. watch: to be called by one that wants to see samples."""

    tell: Callable[[str], None]
    sources: tuple[str, ...]
    options: Mapping[str, Any]  # of all sinks of this run, by their names
    watch: Callable[[Watch], None]


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
    """name: of its section; options: what can stand there; extra: what has to be installed for it."""

    name: str
    options: type
    open: Callable[[Any, Around], Sink]
    flags: tuple[Flag, ...]
    extra: str | None = None


@dataclass(frozen=True)
class OutOptions:
    path: str


def _out(options: OutOptions, around: Around) -> Sink:
    from edge_runtime.sinks.jsonl import JsonLines

    return JsonLines.open(options.path)


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


ROWS = (
    Row(
        "out",
        OutOptions,
        _out,
        (Flag("--out", "path", "FILE", "JSON lines: a file to append to, or - for standard output"),),
    ),
    Row("picture", PictureOptions, _picture, (Flag("--picture", "path", "PNG", "draw the run when it ends"),), "demo"),
)
NAMES = tuple(row.name for row in ROWS)


def add_flags(parser: argparse.ArgumentParser) -> None:
    for flag in (flag for row in ROWS for flag in row.flags):
        alone: dict[str, Any] = {} if flag.alone is None else {"nargs": "?", "const": flag.alone}
        parser.add_argument(flag.name, metavar=flag.value, help=flag.help, type=flag.kind, **alone)


def sections_of(chosen: argparse.Namespace) -> dict[str, dict[str, Any]]:
    """What the flags mean as sections of a config."""
    given = {row.name: {f.field: getattr(chosen, _attribute(f)) for f in row.flags} for row in ROWS}
    said = {name: {key: v for key, v in section.items() if v is not None} for name, section in given.items()}
    return {name: section for name, section in said.items() if section}


def _attribute(flag: Flag) -> str:
    return flag.name.lstrip("-").replace("-", "_")


def options_of(sections: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Of a config's sections. Raises UsageError, naming the key."""
    rows = {row.name: row for row in ROWS}
    for key, section in sections.items():
        if not isinstance(section, Mapping):
            raise UsageError(f"{name}: '{key}' must be a table")
    return {key: build(rows[key].options, section, name, f"{key}.") for key, section in sections.items()}


def open_sinks(options: Mapping[str, Any], around: Around) -> list[Sink]:
    """Those that were asked for, in the table's order. Raises UsageError, and then leaves none open."""
    sinks: list[Sink] = []
    try:
        for row in ROWS:
            if row.name in options:
                sinks.append(_open(row, options[row.name], around))
    except BaseException:
        for sink in sinks:
            sink.close()
        raise
    return sinks


def _open(row: Row, options: Any, around: Around) -> Sink:
    try:
        return row.open(options, around)
    except ImportError as error:
        raise UsageError(f"--{row.name} needs {error.name}: pip install 'leadwire[{row.extra}]'") from error
