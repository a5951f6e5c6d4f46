"""Who may import whom, and what must never be needed on the device."""

from __future__ import annotations

import ast
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ROOMS = ["benchmarks", "export", "train", "edge_runtime", "firmware_bridge"]  # each may enter those to its right
HEAVY = {
    "torch",
    "tensorflow",
    "scipy",
    "pandas",
    "neurokit2",
    "matplotlib",
    "wfdb",
    "onnx",
    "train",
    "export",
    "benchmarks",
}


def imports_of(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module.split(".")[0])
    return found


@pytest.mark.parametrize("room", ROOMS)
def test_imports_run_one_way(room: str) -> None:
    above = set(ROOMS[: ROOMS.index(room)])
    files = list((ROOT / room).rglob("*.py"))
    assert files
    for path in files:
        assert not imports_of(path) & above, path


def test_only_the_link_knows_serial_and_only_the_session_and_the_dashboard_have_threads() -> None:
    device = [p for room in ("firmware_bridge", "edge_runtime") for p in (ROOT / room).rglob("*.py")]
    assert [p.name for p in device if "serial" in imports_of(p)] == ["link.py"]
    assert {p.parent.name for p in device if "threading" in imports_of(p)} == {"session", "dashboard"}


def test_a_report_needs_numpy_and_a_back_end_and_nothing_heavy() -> None:
    code = (
        "import sys, numpy as np\n"
        "from edge_runtime import annotations, cli, offline, session, demo, monitor, stream\n"
        "from edge_runtime.sinks import jsonl, live, recorder, waveform\n"
        "from edge_runtime.bundle import load_bundle\nfrom edge_runtime.backends import open_backend\n"
        "from edge_runtime.analysis import analyse_window\nfrom edge_runtime.windows import Window\n"
        "b = load_bundle(); n = open_backend(b)\n"
        "analyse_window(Window(np.sin(np.arange(2500.) / 9), 250.0, 0.0, 10.0, 'I'), b.model, n)\n"
        f"print(sorted({HEAVY!r} & {{m.split('.')[0] for m in sys.modules}}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd="/")
    assert done.stdout.strip() == "[]"


def test_the_base_dependencies_are_two_with_lower_bounds_only() -> None:
    base = [r for r in metadata.requires("leadwire") or [] if "extra ==" not in r]
    assert sorted(r.split(">")[0] for r in base) == ["numpy", "pyserial"]
    assert all(">=" in r and "<" not in r and "==" not in r for r in base)
    extras = set(metadata.metadata("leadwire").get_all("Provides-Extra") or [])
    house = {
        "onnx",
        "tflite",
        "tflite-legacy",
        "wfdb",
        "dashboard",
        "mqtt",
        "demo",
        "cluster",
        "train",
        "export",
        "dev",
    }
    assert house <= extras


def test_the_wheel_holds_the_bundle_and_the_schema(tmp_path: Path) -> None:
    build = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "-q",
        "--no-deps",
        "--no-build-isolation",
        "-w",
        str(tmp_path),
        str(ROOT),
    ]
    subprocess.run(build, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    import zipfile

    names = zipfile.ZipFile(wheel).namelist()
    for needed in (
        "edge_runtime/report.schema.json",
        *(f"edge_runtime/dashboard/static/{name}" for name in ("index.html", "style.css", "app.js", "icon.svg")),
        *(f"edge_runtime/bundles/default/model.{e}" for e in ("json", "onnx", "tflite")),
    ):
        assert needed in names
    assert not any(n.split("/")[0] in ("train", "export", "benchmarks", "tests") for n in names)
