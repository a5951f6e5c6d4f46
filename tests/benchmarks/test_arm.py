from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from benchmarks import arm, on_core
from benchmarks.arm64 import CHECKOUT, CORES, FOLDER, Userland, files_of, need
from benchmarks.arm_tables import arm_markdown
from benchmarks.instructions import OWNERS, REST, Plugin, between, owner_of
from edge_runtime.bundle import Bundle
from edge_runtime.conditioning import compand, condition
from edge_runtime.errors import UsageError
from tests.fakes import ecg_of, regular_waves

_LOOP = """
#include <unistd.h>
int main(void)
{
    long turns[] = {2000, 52000};
    getsid(0);
    for (int i = 0; i < 2; i++) {
        __asm__ volatile("1: dec %0\\n nop\\n jnz 1b" : "+r"(turns[i]) : : "cc");
        getsid(0);
    }
}
"""


def test_a_loop_is_counted_to_the_instruction(tmp_path: Path) -> None:
    for program in ("gcc", "qemu-x86_64"):
        if shutil.which(program) is None:
            pytest.skip(f"needs {program}")
    source, program = tmp_path / "loop.c", tmp_path / "loop"
    source.write_text(_LOOP)
    built = subprocess.run(["gcc", "-O1", "-o", str(program), str(source)], capture_output=True, text=True)
    if built.returncode or subprocess.run([str(program)]).returncode:
        pytest.skip("needs a gcc for x86-64")
    plugin = Plugin(tmp_path)
    subprocess.run(["qemu-x86_64", *plugin.arguments, str(program)], check=True)
    few, many = plugin.between()
    assert many[REST] - few[REST] == 3 * 50_000


def test_counts_are_differences_by_owner() -> None:
    lines = [
        "0 10 /r/usr/bin/python3.11",
        "0 5 /r/lib/libc.so.6",
        "1 17 /r/usr/bin/python3.11",
        "1 5 /r/lib/libc.so.6",
        "1 3 /s/numpy.libs/libopenblas.so",
        "1 2 /s/numpy/core/x.so",
        "2 17 /r/usr/bin/python3.11",
        "2 6 /r/lib/libc.so.6",
        "2 5 /s/numpy/core/x.so",
        "2 9 /s/ai_edge_litert/lib.so",
    ]
    assert between(lines) == [Counter({"Python": 7, "numpy": 5}), Counter({REST: 1, "net's runtime": 9})]
    assert owner_of("-") == REST
    assert between([]) == []


def test_the_stages_of_a_report_add_up_and_the_loop_itself_costs_nothing() -> None:
    names = [on_core.NOTHING, on_core.REPORT, on_core.CONDITIONING, on_core.NET, on_core.QUALITY]
    counts = [Counter(Python=n) for n in (20, 2020, 220, 1020, 120)]
    between_loops = Counter(Python=99)
    counted = [c for pair in zip(counts, [between_loops] * 5, strict=True) for c in pair][:-1]
    found = arm.stages({"loops": names, "turns": 10}, counted)
    assert {stage: by["Python"] for stage, by in found.items()} == {
        on_core.REPORT: 200,
        on_core.CONDITIONING: 20,
        on_core.NET: 100,
        on_core.QUALITY: 10,
        arm.POST: 70,
    }


def _report(**changed: object) -> dict[str, object]:
    value = {"value": 160.0, "why": None, "valid": True}
    plain = {
        "state": "ok",
        "start_s": 0.0,
        "beats": 11,
        "quality": 0.97,
        "pr_ms": value,
        "fiducials": [{"onset_s": 1.0}],
    }
    return {**plain, **changed}


def test_reports_are_compared_key_by_key() -> None:
    same = arm.compare([_report()], [_report()])
    assert same == {"reports": 1, "same": 1, "words_apart": {}, "steps_apart": {}}
    null = {"value": None, "why": "ectopy", "valid": False}
    changes = [
        _report(pr_ms={"value": 160.1, "why": None, "valid": True}, quality=0.968),
        _report(pr_ms={"value": 159.7, "why": None, "valid": True}, fiducials=[{"onset_s": 1.004}]),
        _report(pr_ms=null, fiducials=[]),
        _report(),
    ]
    found = arm.compare([_report()] * 4, changes)
    assert (found["reports"], found["same"]) == (4, 1)
    assert found["steps_apart"] == pytest.approx({"pr_ms.value": 3, "quality": 2, "fiducials.onset_s": 4})
    assert found["words_apart"] == {
        "pr_ms.value": 1, "pr_ms.why": 1, "pr_ms.valid": 1, "fiducials.length": 1, "fiducials.onset_s": 1
    }  # fmt: skip
    with pytest.raises(ValueError):
        arm.compare([_report()], [])


def test_heads_that_differ_are_counted_by_window() -> None:
    ours = {"masks": np.zeros((3, 3, 8), np.float32), "rhythm": np.zeros((3, 4), np.float32)}
    other = {name: values.copy() for name, values in ours.items()}
    other["rhythm"][1, 2] = 0.25
    found = arm.apart({arm.HERE: ours, "cortex-a53": ours, "cortex-a72": other})
    assert found["cortex-a53"] == {"sha256": arm.digest(ours), "windows": 3, "windows_apart": 0, "most": 0.0}
    assert found["cortex-a72"]["windows_apart"] == 1
    assert found["cortex-a72"]["most"] == 0.25
    assert found["cortex-a72"]["sha256"] != arm.digest(ours)


@pytest.mark.parametrize("name", CORES)
def test_the_processor_is_told_as_linux_tells_it(name: str) -> None:
    told = dict(files_of(CORES[name]))
    cpus = told["proc/cpuinfo"].split("\n\n")
    assert len(cpus) == 4
    for i, block in enumerate(cpus):
        said = {line.split("\t: ")[0]: line.split("\t: ")[1] for line in block.splitlines()}
        assert said["processor"] == str(i)
        assert int(said["CPU part"], 16) == CORES[name].part
        assert ("asimddp" in said["Features"].split()) == (name == "cortex-a76")
    assert told["sys/devices/system/cpu/present"] == "0-3"


_ASK = """
import sys
import numpy as np
from edge_runtime.backends import open_backend
from edge_runtime.bundle import load_bundle
backend = open_backend(load_bundle(), "onnxruntime")
np.savez(sys.argv[2], **backend(np.load(sys.argv[1])))
"""


@pytest.mark.timeout(600)
def test_onnx_runtime_answers_alike_without_vnni(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    if shutil.which("qemu-x86_64") is None or platform.machine() != "x86_64":
        pytest.skip("needs qemu-x86_64 on x86-64")
    np.save(tmp_path / "window.npy", compand(condition(ecg_of(regular_waves(), 250), 250)))
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    python = str(Path(sys.executable).resolve())
    here, there = tmp_path / "here.npz", tmp_path / "there.npz"
    for before, out in (([], here), (["qemu-x86_64", "-cpu", "Haswell"], there)):
        command = [*before, python, "-c", _ASK, str(tmp_path / "window.npy"), str(out)]
        subprocess.run(command, check=True, env=environment, capture_output=True)
    with np.load(here) as ours, np.load(there) as theirs:
        assert set(ours.files) == set(theirs.files)
        assert [name for name in ours.files if not np.array_equal(ours[name], theirs[name])] == []


def test_an_install_is_weighed_with_and_without_its_byte_code(tmp_path: Path) -> None:
    userland = Userland(tmp_path / "land")
    site = tmp_path / "site"
    ran = userland.folder.joinpath("bytecode-aarch64", *site.parts[1:], "own")
    for path, size in ((site / "own/a.py", 100), (site / "own/__pycache__/a.pyc", 40), (ran / "a.pyc", 30)):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(bytes(size))
    answers = {"cortex-a72": {"windows": 80, "windows_apart": 2, "most": 0.5}}
    counted = {on_core.NET: Counter(numpy=2, Python=3), on_core.REPORT: Counter(numpy=7)}
    row = arm.weighed(arm.Install("tflite", "ai-edge-litert", ("x<2",)), userland, site, answers, counted)
    assert row["bytes"] == {"whole": 140, "without_byte_code": 100, "with_byte_code_that_runs": 130}
    assert (row["typed"], row["net"], row["report"]) == ("leadwire[tflite] x<2", 5, 7)
    assert (row["windows"], row["windows_apart"], row["most"]) == (80, 2, 0.5)


def test_what_is_missing_is_named_with_its_package() -> None:
    with pytest.raises(UsageError, match=r"needs no-such-program: apt-get install some-package"):
        need("no-such-program", "some-package")


def test_the_macs_are_those_of_the_graph(bundle: Bundle) -> None:
    if "cost" in bundle.manifest:
        assert arm.macs_of(bundle) == bundle.manifest["cost"]["macs"]
    else:
        assert 1e6 < arm.macs_of(bundle) < 1e8


def test_a_core_runs_python_of_the_userland() -> None:
    userland = Userland(FOLDER)
    if not userland.root.exists():
        pytest.skip("needs the aarch64 userland: python -m benchmarks arm --records 2")
    if shutil.which("qemu-aarch64") is None:
        pytest.skip("needs qemu-aarch64: apt-get install qemu-user")
    code = "import os; print(os.uname().machine, 'asimddp' in open('/proc/cpuinfo').read())"
    environment = userland.environment(FOLDER, "aarch64")
    for core, dot_products in (("cortex-a53", "False"), ("cortex-a76", "True")):
        done = subprocess.run(
            [*userland.command(core), "-S", "-c", code], capture_output=True, text=True, check=True, env=environment
        )
        assert done.stdout.split() == ["aarch64", dot_products]


def test_the_result_that_is_there_can_be_shown() -> None:
    result = json.loads((CHECKOUT / "benchmarks/results/arm.json").read_text())
    assert arm_markdown(result).startswith(f"Bundle {result['bundle']}")


def test_the_tables_show_what_holds_and_what_does_not() -> None:
    stages = {stage: dict.fromkeys(OWNERS, 1_000_000) for stage in (on_core.REPORT, on_core.NET)}
    place = {"sha256": "b" * 64, "windows": 300, "windows_apart": 7, "most": 0.5}
    result = {
        "bundle": "default@1234567",
        "versions": {"numpy": "1.0"},
        "macs": 10_000_000,
        "limits": [
            {"what": "fine", "found": 0.1234, "limit": 0.35, "held": True},
            {"what": "late", "found": 0.7, "limit": 0.5, "held": False},
        ],
        "cold_start": {
            "starts": 5, "median_s": 0.7, "fastest_s": 0.6, "processor_s": 0.4, "load": 1.0, "cores": 2
        },
        "outputs": {"onnxruntime": {"sha256": "a" * 64, "places": {"haswell": place}}},
        "reports": {
            "onnxruntime": {
                "cortex-a53": {
                    "reports": 9,
                    "same": 8,
                    "words_apart": {"state": 1},
                    "steps_apart": {"quality": 1.0, "pr_ms.low": 2.0},
                }
            }
        },
        "installs": [
            {
                "typed": "leadwire[tflite] x==1.2.*",
                "versions": {"x": "1.2.3", "numpy": "1.0"},
                "bytes": {"whole": 121_230_000, "without_byte_code": 9e7, "with_byte_code_that_runs": 95_460_000},
                "windows": 80, "windows_apart": 3, "most": 0.0625, "net": 8_770_000, "report": 16_100_000,
            }
        ],
        "instructions": {"onnxruntime": {"cortex-a76": stages}},
    }  # fmt: skip
    text = arm_markdown(result)
    assert "| fine | 0.1234 | 0.35 | yes |" in text
    assert "| late | 0.7 | 0.5 | **no** |" in text
    assert "| onnxruntime | x86-64 without VNNI (Haswell) | 7 of 300 | 0.5 | `bbbbbbbbbbbbbbbb` |" in text
    brought = "numpy 1.0, x 1.2.3"
    assert f"| `leadwire[tflite] x==1.2.*` | **121.2** | 95.5 | 3 of 80 (0.062) | 8.77 | 16.10 | {brought} |" in text
    assert "| onnxruntime | Cortex-A53 | 8 of 9 | state (1) | 2 steps (pr_ms.low) |" in text
    assert "| onnxruntime | Cortex-A76 | net | **4.00** | 1.00 | 1.00 | 1.00 | 1.00 | 0.40 |" in text
