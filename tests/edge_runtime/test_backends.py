"""The three runtimes, for real: the same answers, and the next one where one cannot be had or fails on the way."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge_runtime import backends
from edge_runtime.backends import BACKENDS, open_backend
from edge_runtime.bundle import DEFAULT, MANIFEST, Bundle, load_bundle
from edge_runtime.conditioning import compand, condition
from edge_runtime.errors import UsageError
from edge_runtime.monitor import Monitor
from edge_runtime.report import Report
from edge_runtime.stream import Stream
from firmware_bridge.boards import BOARDS
from firmware_bridge.receiver import Receiver
from tests.edge_runtime.test_monitor import events, record
from tests.fakes import ecg_of, regular_waves

WINDOW = compand(condition(ecg_of(regular_waves(), 250), 250))


def with_files(folder: Path, **contents: bytes) -> Bundle:
    """The default bundle with other files, which its manifest vouches for."""
    import hashlib

    shutil.copytree(DEFAULT, folder)
    manifest = json.loads((folder / MANIFEST).read_text())
    for name, content in ((f"model.{kind}", content) for kind, content in contents.items()):
        (folder / name).write_bytes(content)
        manifest["files"][name]["sha256"] = hashlib.sha256(content).hexdigest()
    (folder / MANIFEST).write_text(json.dumps(manifest))
    return load_bundle(folder)


def test_a_file_that_is_no_net_is_no_traceback(tmp_path: Path) -> None:
    bundle = with_files(tmp_path / "b", tflite=b"garbage" * 100, onnx=b"garbage" * 100)
    with pytest.raises(UsageError, match="onnxruntime does not work here") as caught:
        open_backend(bundle)
    assert "\n" not in str(caught.value)


def test_where_one_file_is_no_net_the_other_one_is_used(tmp_path: Path) -> None:
    told: list[str] = []
    backend = open_backend(with_files(tmp_path / "b", tflite=b"garbage" * 100), tell=told.append)
    assert backend.name == "onnxruntime"
    assert [line.split(" ")[0] for line in told] == ["ai-edge-litert", "tflite-runtime"]
    assert all("does not work here" in line for line in told)
    assert np.array_equal(backend(WINDOW)["masks"], open_backend(load_bundle(), "onnxruntime")(WINDOW)["masks"])
    told.clear()
    assert open_backend(with_files(tmp_path / "c", onnx=b"garbage"), tell=told.append).name == "ai-edge-litert"
    assert told == []


def test_every_back_end_gives_the_same_beats(bundle: Bundle) -> None:
    x = compand(condition(ecg_of(regular_waves(), 250), 250))
    heads = {name: open_backend(bundle, name)(x) for name in BACKENDS}
    for name, out in heads.items():
        assert {k: v.shape for k, v in out.items()} == {
            "masks": (3, 1280),
            "rhythm": (4,),
            "p_wave": (1,),
            "findings": (5,),
            "intervals": (4,),
            "spread": (4,),
        }, name
        assert all(v.dtype == np.float32 for v in out.values())
        waves = bundle.model.grid.read(out["masks"])
        assert sum(w.kind == 1 for w in waves) == 13, name
        assert np.abs(out["masks"] - heads["ai-edge-litert"]["masks"]).mean() < 0.5, name


class Dying:
    """A runtime's own object, which does its work so many times and then no more."""

    def __init__(self, real: Any, method: str, times: int) -> None:
        self._real, self._method, self._left = real, method, times

    def __getattr__(self, name: str) -> Any:
        if name != self._method:
            return getattr(self._real, name)
        self._left -= 1
        if self._left < 0:
            raise RuntimeError("out of order\nand more")
        return getattr(self._real, name)


def dying(monkeypatch: pytest.MonkeyPatch, times: dict[str, int]) -> None:
    """Each of these back ends fails after so many windows, the one that it is warmed up with included."""
    method = {"ai-edge-litert": "invoke", "tflite-runtime": "invoke", "onnxruntime": "run"}

    def opener(row: Any) -> Callable[[bytes], Any]:
        return lambda content: Dying(row.open(content), method[row.name], times[row.name])

    table = tuple(row._replace(open=opener(row)) if row.name in times else row for row in backends._TABLE)
    monkeypatch.setattr(backends, "_TABLE", table)


def test_a_back_end_that_fails_on_the_way_is_followed_by_the_next_and_no_report_is_missing(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    def reports(told: list[str]) -> list[Report]:
        monitor = Monitor(bundle.model, open_backend(bundle, tell=told.append), "port")
        stream = Stream(Receiver(BOARDS["native"]), monitor)
        return [report for event in events(record(30.0)) for report in stream.handle(*event)]

    told: list[str] = []
    whole = reports(told)
    assert told == []
    dying(monkeypatch, {"ai-edge-litert": 6, "tflite-runtime": 9})
    fallen = reports(told)
    assert [line.split(";")[0] for line in told] == [
        "ai-edge-litert failed (out of order)",
        "tflite-runtime failed (out of order)",
    ]
    assert [line.split("; ")[1] for line in told] == [
        "tflite-runtime goes on from here",
        "onnxruntime goes on from here",
    ]
    assert [(r.sequence, r.end_s, r.state) for r in fallen] == [(r.sequence, r.end_s, r.state) for r in whole]
    for a, b in zip(fallen, whole, strict=True):
        if b.measures["hr_bpm"].value is not None:
            assert a.measures["hr_bpm"].value == pytest.approx(b.measures["hr_bpm"].value, abs=1.0)


def test_one_that_failed_once_is_opened_anew_where_there_is_no_other(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    dying(monkeypatch, {"onnxruntime": 3})
    backend = open_backend(bundle, "onnxruntime", told.append)
    first = backend(WINDOW)["masks"]
    for _ in range(6):
        assert np.array_equal(backend(WINDOW)["masks"], first)
    assert set(told) == {"onnxruntime failed (out of order); onnxruntime goes on from here"}


def test_where_all_of_them_fail_it_is_one_line_with_every_reason(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    dying(monkeypatch, dict.fromkeys(BACKENDS, 1))
    backend = open_backend(bundle)
    with pytest.raises(UsageError, match="no back end runs the net any more") as caught:
        backend(WINDOW)
    assert all(str(caught.value).count(f"{name} failed (out of order)") for name in BACKENDS)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("hidden", "used"),
    [
        (("ai_edge_litert",), "tflite-runtime"),
        (("ai_edge_litert", "tflite_runtime"), "onnxruntime"),
    ],
)
def test_one_that_is_not_installed_is_named_with_what_installs_it(hidden: tuple[str, ...], used: str) -> None:
    """In a process of its own, in which its package is not to be found."""
    code = (
        f"import sys; sys.modules.update(dict.fromkeys({hidden!r}))\n"
        "from edge_runtime.bundle import load_bundle; from edge_runtime.backends import open_backend\n"
        "print(open_backend(load_bundle(), tell=print).name)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=dict(os.environ)
    )
    *told, name = done.stdout.splitlines()
    assert name == used
    assert told[0] == "ai-edge-litert is not installed (pip install 'leadwire[tflite]')"
    assert len(told) == len(hidden)


def test_a_named_one_is_not_replaced_by_another(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(content: bytes) -> object:
        raise ImportError("none")

    table = tuple(row._replace(open=missing) if row.name == "ai-edge-litert" else row for row in backends._TABLE)
    monkeypatch.setattr(backends, "_TABLE", table)
    with pytest.raises(UsageError, match="ai-edge-litert is not installed"):
        open_backend(bundle, "ai-edge-litert")
    with pytest.raises(UsageError, match="no back end 'gpu'"):
        open_backend(bundle, "gpu")


@pytest.mark.parametrize("name", BACKENDS)
def test_each_works_in_one_thread(name: str) -> None:
    """More of them spin on cores that a small computer has other uses for: what the others spent, in s."""
    code = (
        "import sys, time, numpy as np\n"
        "from edge_runtime.bundle import load_bundle; from edge_runtime.backends import open_backend\n"
        "b = load_bundle(); n = open_backend(b, sys.argv[1]); x = np.zeros(b.model.samples, np.float32)\n"
        "process, thread = time.process_time(), time.thread_time()\n"
        "for _ in range(200): n(x)\n"
        "thread = time.thread_time() - thread\n"
        "print((time.process_time() - process - thread) / thread)"
    )
    done = subprocess.run([sys.executable, "-c", code, name], capture_output=True, text=True, check=True)
    assert float(done.stdout) < 0.1
