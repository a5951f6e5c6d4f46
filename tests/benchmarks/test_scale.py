from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks.scale import Spent, _turn, analyse, markdown, write_holter
from edge_runtime.records import read_record
from tests.conftest import need


def test_a_holter_is_the_recordings_end_to_end(tmp_path: Path) -> None:
    folder = need("mitdb")
    about = write_holter(tmp_path / "holter", 0.6)
    first, second = (read_record(folder / name).lead().counts for name in ("100", "101"))
    made = read_record(tmp_path / "holter").lead("mlii").counts
    assert len(made) == about["samples"] == 777_600
    assert np.array_equal(made, np.concatenate([first, second])[: len(made)])


def test_what_a_recording_cost_is_seen_from_outside(tmp_path: Path) -> None:
    need("mitdb")
    write_holter(tmp_path / "holter", 0.02)
    (spent,) = analyse([tmp_path / "holter"], tmp_path)
    assert spent.lines == 8
    assert spent.processor_s > 0
    assert spent.peak_mb > 20


def test_turns_are_of_all_recordings_together() -> None:
    turn = _turn([Spent(10.0, 8.0, 100.0, 50), Spent(12.0, 8.0, 120.0, 50)], 1.0)
    assert (turn["times_real_time"], turn["times_real_time_a_core"]) == (600.0, 450.0)
    assert (turn["windows"], turn["processor_ms_a_window"], turn["peak_memory_mb"]) == (100, 160.0, 120.0)
    assert turn["hours_a_second"] == pytest.approx(1 / 6)
    worse = turn | {"times_real_time": 500.0, "processor_s": 20.0}
    result = {
        "machine": {"name": "m", "usable_cores": 2, "python": "p"},
        "vitals": {"before": {"load": 0.0}},
        "bundle": "b",
        "record": {"hours": 1.0, "sampling_rate_hz": 360.0},
        "at_once": {"2": [worse, turn]},
    }
    assert "| 2 | 12.0 | 0.17 | 600 | 450 | 160.00 | 120 | 100 |" in markdown(result)
