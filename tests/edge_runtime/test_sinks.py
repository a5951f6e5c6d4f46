from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest

from edge_runtime.analysis import unmeasured
from edge_runtime.errors import RecordError
from edge_runtime.monitor import Monitor
from edge_runtime.session import Lead, Session
from edge_runtime.sinks.live import Live
from edge_runtime.sinks.recorder import Recorder, replay
from edge_runtime.stream import Stream
from edge_runtime.wearable import wearable_of
from edge_runtime.windows import Window
from firmware_bridge.boards import BOARDS
from firmware_bridge.link import Link
from firmware_bridge.receiver import Receiver
from tests.edge_runtime.test_monitor import events, record
from tests.fakes import FakeBackend, model_that_states_all

MODEL = model_that_states_all()


def recorded(folder: Path) -> None:
    keeper = Recorder(folder, "port", "native", lambda message: None)
    for event in events(record(12.0)):
        keeper.event(*event)
    keeper.close()


@pytest.mark.parametrize("file", ["events.jsonl", "bytes.bin"])
def test_a_recording_that_was_cut_short_is_replayed_as_far_as_it_goes(tmp_path: Path, file: str) -> None:
    recorded(tmp_path / "r")
    whole = list(replay(tmp_path / "r", MODEL, FakeBackend()))
    path = tmp_path / "r" / file
    path.write_bytes(path.read_bytes()[:-5])
    cut = list(replay(tmp_path / "r", MODEL, FakeBackend()))
    assert len(whole) == 12
    assert cut == whole[: len(cut)]
    assert len(cut) >= 11


def test_an_event_larger_than_its_file_is_not_believed(tmp_path: Path) -> None:
    recorded(tmp_path / "r")
    with (tmp_path / "r" / "events.jsonl").open("a") as file:
        file.write('["data",1.0,1000000000000000]\n')
    assert len(list(replay(tmp_path / "r", MODEL, FakeBackend()))) == 12
    (tmp_path / "r" / "session.json").write_text('{"version": 9, "source": "x", "board": "native"}')
    with pytest.raises(RecordError, match="version 9"):
        list(replay(tmp_path / "r", MODEL, FakeBackend()))


def test_a_full_disk_ends_the_recording_and_not_the_monitoring(tmp_path: Path) -> None:
    told: list[str] = []
    keeper = Recorder(tmp_path / "r", "port", "native", told.append)

    class Full:
        def write(self, data: bytes) -> None:
            raise OSError(28, "No space left on device")

        def close(self) -> None:
            raise OSError(28, "No space left on device")

    keeper._bytes.close()
    keeper._bytes = Full()  # type: ignore[assignment]
    keeper.event("data", 0.0, b"x")
    keeper.event("data", 0.0, b"x")
    keeper.close()
    assert len(told) == 1
    assert "No space left" in told[0]


class Failing:
    def write(self, report: object) -> None:
        raise RuntimeError("no ink")

    def close(self) -> None:
        raise RuntimeError("no lid")


class Keeping:
    def __init__(self) -> None:
        self.reports: list[object] = []
        self.closed = False

    def write(self, report: object) -> None:
        self.reports.append(report)

    def close(self) -> None:
        self.closed = True


def test_a_sink_that_fails_is_said_once_and_harms_no_other(tmp_path: Path) -> None:
    import threading

    from firmware_bridge.simulator import play

    device = wearable_of(record(12.0), None, 0.0, None, "", 0)
    ready = threading.Event()
    player = threading.Thread(target=play, args=(device, tmp_path / "port", 20.0, ready.set), daemon=True)
    player.start()
    ready.wait()
    told: list[str] = []
    keeping = Keeping()
    stream = Stream(Receiver(BOARDS["native"]), Monitor(MODEL, FakeBackend(), "port"))
    lead = Lead(Link(str(tmp_path / "port"), BOARDS["native"]), stream)
    session = Session([lead], [Failing(), keeping], told.append)
    session.open()
    said = session.run(lambda: not player.is_alive())
    assert len(keeping.reports) == said.reports >= 12
    assert keeping.closed
    assert said.lost_reports == said.reports
    assert sum("no ink" in line for line in told) == 1


def test_the_live_line_is_one_a_second_and_one_a_change() -> None:
    out, clock = io.StringIO(), iter(np.arange(0, 100, 0.25))
    live = Live(out, now=lambda: float(next(clock)))
    window = Window(np.zeros(10), 250.0, 0.0, 10.0, "I")
    for state in ["warming_up"] * 12 + ["gap"] * 2:
        live.write(unmeasured(window, MODEL, state))
    lines = out.getvalue().splitlines()
    assert sum("filling" in line for line in lines) <= 4
    assert sum("missing" in line for line in lines) == 1
