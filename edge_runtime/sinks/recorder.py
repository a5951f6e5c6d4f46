"""Everything that the reports depend on, kept: bytes, their arrival times, link events and ticks. `replay` gives the
same reports from it.

A folder with `session.json`, `events.jsonl` and `bytes.bin`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from edge_runtime.backends import Backend
from edge_runtime.bundle import Model
from edge_runtime.errors import RecordError, UsageError
from edge_runtime.monitor import Monitor
from edge_runtime.report import Report
from edge_runtime.stream import Stream
from firmware_bridge.boards import BOARDS
from firmware_bridge.receiver import Receiver

_VERSION = 1


class Recorder:
    """Called by the session's monitor thread, in the order in which the monitor sees things."""

    def __init__(self, folder: Path, source: str, board: str) -> None:
        try:
            folder.mkdir(parents=True)
            self._bytes = (folder / "bytes.bin").open("wb")
            self._events = (folder / "events.jsonl").open("w", encoding="utf-8")
            (folder / "session.json").write_text(
                json.dumps({"version": _VERSION, "source": source, "board": board}) + "\n"
            )
        except FileExistsError:
            raise UsageError(f"--record {folder}: is there already; choose a new folder") from None
        except OSError as error:
            raise UsageError(f"--record {folder}: cannot be written ({error.strerror}); choose another") from error

    def event(self, kind: str, arrival_s: float, data: bytes = b"") -> None:
        self._bytes.write(data)
        # repr of a float is exact, so that a replay decides every comparison of times alike
        self._events.write(f'["{kind}",{arrival_s!r},{len(data)}]\n')

    def close(self) -> None:
        self._bytes.close()
        self._events.close()


def replay(folder: Path, model: Model, backend: Backend) -> Iterator[Report]:
    """The reports of a recorded session. Raises RecordError for a folder that is none."""
    try:
        said = json.loads((folder / "session.json").read_text())
        board, source = BOARDS[said["board"]], str(said["source"])
        if said["version"] != _VERSION:
            raise RecordError(f"{folder}: recorded by version {said['version']}; this one reads {_VERSION}")
        with (folder / "events.jsonl").open(encoding="utf-8") as events, (folder / "bytes.bin").open("rb") as data:
            stream = Stream(Receiver(board), Monitor(model, backend, source))
            for line in events:
                kind, arrival_s, size = json.loads(line)
                content = data.read(size)
                if len(content) < size:
                    return  # it was cut short by a kill: what was complete has been replayed
                yield from stream.handle(kind, arrival_s, content)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RecordError(f"{folder}: no recorded session ({error}); `leadwire run --record DIR` makes one") from error
