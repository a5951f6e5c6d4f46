"""The C encoder against the golden vectors and the Python one, compiled as a device would compile it."""

from __future__ import annotations

import random
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from firmware_bridge.frames import Info
from firmware_bridge.protocols import native
from tests.firmware_bridge.test_native import GOLDEN

HERE = Path(__file__).parent
HEADER = HERE.parent.parent / "firmware_bridge" / "firmware"
STRICT = ["-std=c99", "-Wall", "-Wextra", "-Werror", "-pedantic", "-Wconversion", "-fsanitize=address,undefined"]


@pytest.fixture(scope="module")
def encode(tmp_path_factory: pytest.TempPathFactory) -> Callable[[list[str]], list[str]]:
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        pytest.skip("needs a C compiler")
    program = tmp_path_factory.mktemp("c") / "encode"
    subprocess.run([compiler, *STRICT, f"-I{HEADER}", str(HERE / "encode.c"), "-o", str(program)], check=True)

    def run(lines: list[str]) -> list[str]:
        done = subprocess.run([str(program)], input="\n".join(lines), capture_output=True, text=True, check=True)
        return done.stdout.splitlines()

    return run


def samples_line(sequence: int, time_us: int, flags: int, counts: list[int]) -> str:
    return f"S {sequence} {time_us} {flags} {len(counts)} " + " ".join(map(str, counts))


def info_line(sequence: int, time_us: int, info: Info) -> str:
    return f"I {sequence} {time_us} " + " ".join(str(v) for v in vars(info).values())


def test_the_golden_vectors(encode: Callable[[list[str]], list[str]]) -> None:
    bits = {"lead_off": 1, "clipped": 2, "overrun": 4, "low_battery": 8}
    lines, wanted = [], []
    for vector in GOLDEN:
        f = vector["frame"]
        if "counts" in f:
            lines.append(
                samples_line(f["sequence"], f["device_time_us"], sum(bits[b] for b in f["flags"]), f["counts"])
            )
        elif "info" in f:
            lines.append(info_line(f["sequence"], f["device_time_us"], Info(**f["info"])))
        else:
            continue  # commands go the other way
        wanted.append(vector["hex"])
    assert len(wanted) >= 6
    assert encode(lines) == wanted


def test_any_frame_is_the_one_that_python_makes(encode: Callable[[list[str]], list[str]]) -> None:
    r = random.Random(5)
    lines, wanted = [], []
    for _ in range(600):
        size = r.choice([1, 2, 120, 121, 122, 123, 124, 255, r.randint(1, 255)])
        most = r.choice([1, 100, 32767, (1 << 23) - 1])
        counts = [r.randint(-most - 1, most) if r.random() > 0.05 else 0 for _ in range(size)]
        sequence, time_us, flags = r.randrange(1 << 16), r.randrange(1 << 32), r.randrange(16)
        lines.append(samples_line(sequence, time_us, flags, counts))
        wanted.append(native.encode_samples(sequence, time_us, counts, flags).hex())
    for length in range(1, 256):
        info = Info(1, 250, 1, 1000, -5, 16, 4, 50, 400, "b" * length, "f" * (256 - length), "II")
        lines.append(info_line(3, 4, info))
        wanted.append(native.encode_info(3, 4, info).hex())
    assert encode(lines) == wanted


def test_what_no_frame_can_carry_is_refused(encode: Callable[[list[str]], list[str]]) -> None:
    assert (
        encode([samples_line(1, 2, 0, [1 << 23]), samples_line(1, 2, 0, [0] * 256), samples_line(1, 2, 0, [])])
        == [""] * 3
    )
