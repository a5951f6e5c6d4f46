"""The bench's arithmetic on made-up samples, and the command as a user meets it, small."""

from __future__ import annotations

import copy
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest

from edge_runtime.bench import compare, result, table
from edge_runtime.bench.end_to_end import latencies_ms
from edge_runtime.bench.heart import Played, read_wire, wearable, write_wire
from edge_runtime.bench.nets import FLOAT_FORM, INT8, bundle_of
from edge_runtime.bench.probe import FUNCTIONS, STAGES, Probe, TimedNet, first_calls
from edge_runtime.bundle import DEFAULT, FLOAT, TFLITE
from edge_runtime.errors import BundleError, UsageError
from firmware_bridge.boards import BOARDS
from firmware_bridge.receiver import Receiver
from tests.fakes import FakeBackend

VALIDATOR = jsonschema.Draft202012Validator(json.loads(result.SCHEMA.read_text()))


def bench(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "edge_runtime.cli", "bench", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=150, env=dict(os.environ), check=False)


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A measurement of two processes, and what it printed."""
    out = tmp_path_factory.mktemp("bench") / "small.json"
    few = ("--runs", "2", "--warm-up", "1", "--reports", "3", "--end-to-end", "13s", "--backend", "ai-edge-litert")
    done = bench(*few, "--out", out)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    return out, done.stdout


def test_a_measurement_is_its_schemas_and_names_its_machine(small: tuple[Path, str]) -> None:
    path, said = small
    measured = result.load(path)
    VALIDATOR.validate(measured)
    assert said.splitlines()[0].startswith(measured["machine"]["name"])
    for needed in ("ai-edge-litert", measured["bundle"]["id"], "numpy", "thread a net", "times real time"):
        assert needed in said
    (row,) = measured["nets"]
    assert [len(run["stages_ms"]["net"]) for run in row["runs"]] == [3, 3]
    # Every stage did something in every report, and a net of millions of multiplications is not free.
    assert all(v > 0 for run in row["runs"] for stage in STAGES for v in run["stages_ms"][stage])
    assert all(v > 0 for run in row["runs"] for v in run["cold_ms"].values())
    assert row["summary"]["peak_memory_mb"] > 20


def test_end_to_end_is_later_than_what_the_process_itself_saw(small: tuple[Path, str]) -> None:
    measured = result.load(small[0])["end_to_end"]
    assert len(measured["latency_ms"]) == len(measured["in_process_latency_ms"]) >= 1
    pairs = list(zip(measured["latency_ms"], measured["in_process_latency_ms"], strict=True))
    assert all(whole > own > 0 for whole, own in pairs)
    assert measured["states"]["warming_up"] == 9
    assert measured["lost_samples"] == 0


def test_show_repeats_the_table_and_refuses_a_summary_that_is_not_the_samples(
    small: tuple[Path, str], tmp_path: Path
) -> None:
    path, said = small
    assert bench("--show", path).stdout == said
    forged = json.loads(path.read_text())
    forged["nets"][0]["summary"]["stages_ms"]["net"]["p50"] = 0.001
    (tmp_path / "forged.json").write_text(json.dumps(forged))
    done = bench("--show", tmp_path / "forged.json")
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1 and "not what its samples say" in done.stderr


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"format": 1}', '{"format": 2}', '{"format": 1, "nets": 3}'])
def test_what_is_no_result_is_said_in_a_line(content: str, tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    path.write_text(content)
    with pytest.raises(UsageError, match=str(path)):
        result.load(path)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--backend", "none"], "no back end 'none'; there are"),
        (["--sustained", "ten"], "no time such as"),
        (["--runs", "0"], "not between"),
        (["--board", "none"], "no board 'none'"),
        (["--bundle", "/nowhere"], "cannot be read"),
        (["--with-float", str(DEFAULT), "--runs", "1", "--reports", "1", "--end-to-end", "0"], "has no float net"),
    ],
)
def test_what_a_user_did_wrong_is_said_in_a_line(arguments: list[str], words: str, tmp_path: Path) -> None:
    done = bench(*arguments, "--out", tmp_path / "out.json")
    assert words in done.stderr + done.stdout
    assert "Traceback" not in done.stderr


# ---- the clock around the stages -------------------------------------------------------------------------------------


def spin(seconds: float) -> None:
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        pass


def test_a_stage_does_not_pay_for_what_is_inside_it() -> None:
    probe = Probe()
    inner = probe.timed("net", lambda: spin(0.02))
    outer = probe.timed("post", lambda: (inner(), spin(0.001)))
    begin = time.perf_counter()
    outer()
    whole = 1e3 * (time.perf_counter() - begin)
    spent = probe.take()
    assert spent["net"] >= 20
    assert spent["post"] + spent["net"] <= whole
    assert spent["post"] >= 1
    assert sum(probe.take().values()) == 0


def test_a_stage_that_fails_is_closed_all_the_same() -> None:
    probe = Probe()

    def fail() -> None:
        raise ValueError("no")

    with pytest.raises(ValueError):
        probe.timed("net", fail)()
    probe.timed("post", lambda: None)()
    assert probe.take()["post"] < 1e3


def test_the_functions_of_the_stages_are_there_and_are_put_back() -> None:
    before = Receiver.feed
    with Probe().installed():
        assert Receiver.feed is not before
    assert Receiver.feed is before
    assert set(FUNCTIONS) < set(STAGES)


def test_the_first_run_of_a_net_is_seen_inside_of_its_opening() -> None:
    fake = FakeBackend()
    with first_calls("tests.fakes") as spent:
        fake(np.zeros(2500, np.float32))
    fake(np.zeros(2500, np.float32))
    assert len(spent) == 1
    assert TimedNet(fake, Probe()).name == "fake"


# ---- what is played --------------------------------------------------------------------------------------------------


def test_the_built_in_heart_goes_through_a_board_and_back(tmp_path: Path) -> None:
    device = wearable(Played(), 12.0)
    sha256 = write_wire(device, tmp_path / "wire.npz", 10.0)
    longer = write_wire(wearable(Played(), 20.0), tmp_path / "longer.npz", 10.0)
    assert sha256 == longer, "how long it is does not change what it is"
    receiver = Receiver(BOARDS["native"])
    got = [s for arrival_s, data in read_wire(tmp_path / "wire.npz") for s in receiver.feed(data, arrival_s)]
    assert sum(len(s.millivolts) for s in got) == 3000
    assert 0.9 < max(s.millivolts.max() for s in got) < 1.3


def test_a_record_that_is_too_short_is_refused(tmp_path: Path) -> None:
    rows = "".join(f"{i / 250:.3f},{i % 7}\n" for i in range(2500))
    (tmp_path / "x.csv").write_text("time_s,I\n" + rows)
    with pytest.raises(UsageError, match="10 s long and 30 s are needed"):
        wearable(Played(str(tmp_path / "x.csv")), 30.0)


def test_the_float_files_beside_a_bundle_are_taken(tmp_path: Path) -> None:
    for file in DEFAULT.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    with pytest.raises(BundleError, match="--with-float adds it"):
        bundle_of(tmp_path, FLOAT_FORM)
    (tmp_path / FLOAT[TFLITE]).write_bytes(b"float")
    assert bundle_of(tmp_path, FLOAT_FORM).files == {TFLITE: b"float"}
    assert bundle_of(tmp_path, INT8).files[TFLITE] != b"float"


def test_a_latency_is_from_the_frame_that_completes_the_window() -> None:
    device_s, sent_s = np.array([9.99, 10.0, 10.01, 11.0]), np.array([100.0, 100.1, 100.2, 101.0])
    lines = [(100.15, {"state": "ok", "end_s": 10.0}), (100.3, {"state": "warming_up", "end_s": 10.0})]
    lines += [(101.5, {"state": "poor_signal", "end_s": 10.999}), (102.0, {"state": "ok", "end_s": 12.0})]
    assert latencies_ms(lines, device_s, sent_s) == pytest.approx([50.0, 500.0])


# ---- two results -----------------------------------------------------------------------------------------------------


def samples(median: float, processes: int, seed: int, spread: float = 0.05) -> list[list[float]]:
    """Each process has a speed of its own."""
    rng = np.random.default_rng(seed)
    speeds = median * np.exp(rng.normal(0, spread, processes))
    return [(speed * np.exp(rng.normal(0, 0.1, 50))).tolist() for speed in speeds]


def test_what_is_twice_as_fast_is_called_faster_and_what_is_the_same_undecided() -> None:
    base = samples(4.0, 8, 1)
    ratio, low, high = compare.ratio_of_medians(base, samples(2.0, 8, 2))
    assert 0.4 < low < ratio < high < 0.6
    assert compare.verdict(base, base, low, high) == "faster"
    assert compare.verdict(base, base, 1 / high, 1 / low) == "slower"
    same = [compare.ratio_of_medians(samples(4.0, 8, k), samples(4.0, 8, 100 + k))[1:] for k in range(20)]
    assert sum(low <= 1 <= high for low, high in same) >= 18, "of twenty that are the same"


def test_of_a_few_processes_nothing_is_sure() -> None:
    few, many = samples(4.0, 4, 1), samples(1.0, 8, 2)
    assert compare.verdict(few, many, 0.2, 0.3).startswith("undecided (fewer")
    assert compare.verdict([few[0]], [many[0]], 0.2, 0.3) == "faster", "of one process, its blocks are counted"


def made_up(small: Path, median: float, seed: int, **machine: Any) -> dict[str, Any]:
    """A result of eight processes on an idle machine."""
    said = copy.deepcopy(result.load(small))
    run = said["nets"][0]["runs"][0]
    said["nets"][0]["runs"] = [
        {**run, "stages_ms": dict.fromkeys(STAGES, own), "processor_s": sum(own) * 7e-3}
        for own in samples(median, 8, seed)
    ]
    said["vitals"]["before"]["load"] = 0.0
    said["machine"] |= machine
    return said


def test_different_machines_cannot_hide(small: tuple[Path, str]) -> None:
    a, b = made_up(small[0], 4.0, 1), made_up(small[0], 1.0, 2, name="Raspberry Pi 5")
    text = "\n".join(compare.lines(a, b))
    assert "DIFFERENT machine's name: A " in text and "B Raspberry Pi 5" in text
    assert "nothing of the software" in text
    assert "faster (as a machine)" in text
    alike = "\n".join(compare.lines(a, made_up(small[0], 1.0, 2)))
    assert "DIFFERENT" not in alike
    assert "report" in alike and "faster" in alike and "as a machine" not in alike


def test_a_busy_machine_decides_by_its_processors_time_alone(small: tuple[Path, str]) -> None:
    a, b = made_up(small[0], 4.0, 1), made_up(small[0], 1.0, 2)
    b["vitals"]["before"]["load"] = 9.0 * b["machine"]["usable_cores"]
    text = list(compare.lines(a, b))
    assert "BUSY" in text[1] and "BUSY" not in text[0]
    said = [line for line in text if "litert" in line and ": " in line]
    assert all(line.endswith("undecided (busy)") for line in said if compare.PROCESSOR not in line)
    assert next(line for line in said if compare.PROCESSOR in line).endswith("faster")
    assert "BUSY" in "\n".join(table.lines(b))
