"""Everything that the reports depend on, kept: bytes, their arrival times, link events and ticks. `replay` gives the
same reports from it.

A folder with `session.json` (of what and by what), `events.jsonl` and `bytes.bin`, which is all that a replay reads;
and the samples as a WFDB record, `ecg`, for everybody else.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from edge_runtime.backends import Backend
from edge_runtime.bundle import Model
from edge_runtime.errors import RecordError, UsageError
from edge_runtime.monitor import Monitor
from edge_runtime.report import Report
from edge_runtime.sinks.waveform import Waveform
from edge_runtime.stream import Stream
from firmware_bridge.boards import BOARDS
from firmware_bridge.clock import Samples
from firmware_bridge.receiver import Receiver

_VERSION = 1


def _utc_of(arrival_s: float) -> datetime:
    return datetime.now(UTC) - timedelta(seconds=time.monotonic() - arrival_s)


class Recorder:
    """Called by the session's monitor thread, in the order in which the monitor sees things.

    Everything is on its way to the disk within a second, so that a kill costs no more. A disk that is full ends the
    recording, says so once, and never the monitoring. about: whatever else whoever reads the folder should know.
    """

    def __init__(
        self,
        folder: Path,
        source: str,
        board: str,
        tell: Callable[[str], None],
        about: Mapping[str, Any] | None = None,
        utc_of: Callable[[float], datetime] = _utc_of,
    ) -> None:
        self._folder, self._tell, self._open = folder, tell, True
        try:
            folder.mkdir(parents=True)
            self._bytes = (folder / "bytes.bin").open("wb")
            self._events = (folder / "events.jsonl").open("w", encoding="utf-8")
            said = {"version": _VERSION, "source": source, "board": board, **(about or {})}
            (folder / "session.json").write_text(json.dumps(said, indent=1) + "\n")
        except FileExistsError:
            raise UsageError(f"--record {folder}: is there already; choose a new folder") from None
        except OSError as error:
            raise UsageError(f"--record {folder}: cannot be written ({error.strerror}); choose another") from error
        self._waveform = Waveform(folder, utc_of)

    def event(self, kind: str, arrival_s: float, data: bytes = b"") -> None:
        if not self._open:
            return
        try:
            self._bytes.write(data)
            # repr of a float is exact, so that a replay decides every comparison of times alike
            self._events.write(f'["{kind}",{arrival_s!r},{len(data)}]\n')
            if kind != "data":  # a tick, mostly: once a second
                self._bytes.flush()  # first: an event without its bytes would end a replay
                self._events.flush()
                self._waveform.flush()
        except OSError as error:
            self._stop(error)

    def samples(self, samples: Samples) -> None:
        if not self._open:
            return
        try:
            self._waveform.write(samples)
        except OSError as error:
            self._stop(error)

    def close(self) -> None:
        if self._open:
            self._open = False
            try:
                self._bytes.close()
                self._events.close()
                self._waveform.close()
            except OSError as error:
                self._stop(error)

    def _stop(self, error: OSError) -> None:
        self._open = False
        for end in (self._bytes.close, self._events.close, self._waveform.close):
            with contextlib.suppress(OSError):  # what is still in a buffer does not fit either
                end()
        self._tell(f"--record {self._folder}: stopped ({error.strerror}); what was complete can be replayed")


def _events_of(folder: Path) -> Iterator[tuple[str, float, bytes]]:
    """The complete events; what a kill or a full disk cut short ends them."""
    with (folder / "events.jsonl").open(encoding="utf-8") as events, (folder / "bytes.bin").open("rb") as data:
        left = os.fstat(data.fileno()).st_size
        for line in events:
            if not line.endswith("\n"):
                return
            kind, arrival_s, size = json.loads(line)
            if not 0 <= size <= left:
                return
            left -= size
            yield str(kind), float(arrival_s), data.read(size)


def recorded_by(folder: Path) -> dict[str, Any]:
    """What the folder says of itself. Raises RecordError for one that is none."""
    try:
        said = json.loads((folder / "session.json").read_text())
        if not isinstance(said, dict):
            raise ValueError("session.json holds no object")
        return said
    except (OSError, ValueError, RecursionError) as error:
        raise _no_session(folder, error) from error


def _no_session(folder: Path, error: Exception) -> RecordError:
    return RecordError(f"{folder}: no recorded session ({error}); `leadwire run --record DIR` makes one")


def replay(folder: Path, model: Model, backend: Backend) -> Iterator[Report]:
    """The reports of a recorded session. Raises RecordError for a folder that is none."""
    try:
        said = recorded_by(folder)
        board, source = BOARDS[said["board"]], str(said["source"])
        if said["version"] != _VERSION:
            raise RecordError(f"{folder}: recorded by version {said['version']}; this one reads {_VERSION}")
        lead = said.get("lead")
        stream = Stream(Receiver(board), Monitor(model, backend, source), None if lead is None else str(lead))
        for event in _events_of(folder):
            yield from stream.handle(*event)
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise _no_session(folder, error) from error
