"""The C header against the golden vectors and the Python protocol, compiled as a device would compile it."""

from __future__ import annotations

import random
import shutil
import subprocess
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

from firmware_bridge.frames import Info
from firmware_bridge.protocols import native
from tests.firmware_bridge.emulator import FIRMWARE, make, need_tools
from tests.firmware_bridge.test_native import GOLDEN

HERE = Path(__file__).parent
FREESTANDING = ["-std=c99", "-ffreestanding", "-nostdlib", "-Wall", "-Wextra", "-Wconversion", "-Werror", "-pedantic"]
STRICT = ["-std=c99", "-Wall", "-Wextra", "-Werror", "-pedantic", "-Wconversion", "-fsanitize=address,undefined"]
SMALL = 128  # a device with little memory
CODE_BYTES = 1024  # on a Cortex-M0, all of it
Header = Callable[[list[str]], list[str]]


def compiler() -> str:
    found = shutil.which("cc") or shutil.which("gcc")
    if found is None:
        pytest.skip("needs a C compiler")
    return found


def built(folder: Path, *options: str) -> Header:
    program = folder / "encode"
    subprocess.run(
        [compiler(), *STRICT, *options, f"-I{FIRMWARE}", str(HERE / "encode.c"), "-o", str(program)], check=True
    )

    def run(lines: list[str]) -> list[str]:
        done = subprocess.run([str(program)], input="\n".join(lines), capture_output=True, text=True, check=True)
        return done.stdout.splitlines()

    return run


@pytest.fixture(scope="module")
def header(tmp_path_factory: pytest.TempPathFactory) -> Header:
    return built(tmp_path_factory.mktemp("c"))


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Header:
    return built(tmp_path_factory.mktemp("c"), f"-DLEADWIRE_FRAME_MAX={SMALL}")


def samples_line(sequence: int, time_us: int, flags: int, counts: list[int]) -> str:
    return f"S {sequence} {time_us} {flags} {len(counts)} " + " ".join(map(str, counts))


def info_line(sequence: int, time_us: int, info: Info) -> str:
    return f"I {sequence} {time_us} " + " ".join(str(v) for v in vars(info).values())


def heard_line(data: bytes) -> str:
    return f"H {len(data)} 0 {data.hex()}"


def heard_in_python(data: bytes) -> str:
    kinds = {name: str(kind) for kind, name in native.COMMANDS.items()}
    return "".join(kinds[f.command] for f in native.NativeParser().feed(data, 0.0) if f.command)


# ---- what a device sends ---------------------------------------------------------------------------------------------


def test_the_golden_vectors(header: Header) -> None:
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
    assert header(lines) == wanted


def any_frames() -> tuple[list[str], list[str]]:
    """Lines for the header, and what Python makes of them."""
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
    info = Info(1, 250, 1, 1000, -5, 16, 4, 50, 400, "b" * 255, "f" * 255, "l" * 255)
    return [*lines, info_line(3, 4, info)], [*wanted, native.encode_info(3, 4, info).hex()]


def test_any_frame_is_the_one_that_python_makes(header: Header) -> None:
    lines, wanted = any_frames()
    assert header(lines) == wanted


def test_a_small_device_makes_the_frames_that_it_has_room_for(small: Header) -> None:
    lines, wanted = any_frames()
    lines += [samples_line(1, 2, 0, list(range(n))) for n in range(1, 80)]
    wanted += [native.encode_samples(1, 2, range(n)).hex() for n in range(1, 80)]
    made = small(lines)
    refused = [len(w) // 2 for m, w in zip(made, wanted, strict=True) if m == ""]
    assert all(m in (w, "") for m, w in zip(made, wanted, strict=True))
    assert min(refused) >= SMALL - 2, "refused at once where there is no room, and hardly before"
    assert len(refused) < len(made)


def test_what_no_frame_can_carry_is_refused(header: Header) -> None:
    assert (
        header([samples_line(1, 2, 0, [1 << 23]), samples_line(1, 2, 0, [0] * 256), samples_line(1, 2, 0, [])])
        == [""] * 3
    )


# ---- what a device hears ---------------------------------------------------------------------------------------------


def test_the_golden_commands_are_heard_and_nothing_else_is(header: Header) -> None:
    kinds = {name: str(kind) for kind, name in native.COMMANDS.items()}
    wanted = [kinds.get(v["frame"].get("command"), "") for v in GOLDEN]
    assert sorted(filter(None, wanted)) == ["3", "4", "5"]
    assert header([heard_line(bytes.fromhex(v["hex"])) for v in GOLDEN]) == wanted


def test_the_device_hears_in_any_bytes_what_the_host_would(header: Header) -> None:
    r = random.Random(8)
    streams = [b"\0" + native.encode_command(c) * 3 for c in ("hello", "start", "stop")]
    for _ in range(3000):
        parts = []
        for _ in range(r.randint(1, 6)):
            word = bytearray(native.encode_command(r.choice(["hello", "start", "stop"])))
            what = r.randrange(6)
            if what == 0:
                word[r.randrange(len(word))] ^= 1 << r.randrange(8)
            elif what == 1:
                word = word[: r.randrange(len(word))]
            elif what == 2:
                word = bytearray(r.randbytes(r.randrange(40)))
            elif what == 3:  # of a kind, or with a payload, that this device has never heard of
                word = bytearray(native._frame(r.randrange(256), r.randrange(9), 0, r.randbytes(r.randrange(300))))
            parts.append(bytes(word))
        streams.append(b"".join(parts))
    start = native.encode_command("start")
    for length in (1099, 1100, 1101, 70_000):  # longer than any frame, up to where a 16-bit count comes round
        streams += [b"\x01" * length + b"\0" + start, b"\x01" * length + start + start]
    streams += [native._frame(native.START, 0, 0, bytes(n)) for n in (253, 254, 255, 1083, 1084, 1085)]
    wanted = [heard_in_python(s) for s in streams]
    assert header([heard_line(s) for s in streams]) == wanted
    assert sum(map(len, wanted)) > 2000


# ---- what it costs ---------------------------------------------------------------------------------------------------


def undefined_in(object_file: Path, nm: str) -> str:
    return subprocess.run([nm, "-u", str(object_file)], capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize("level", ["-O0", "-Os", "-O3"])
def test_the_encoder_asks_for_nothing(level: str, tmp_path: Path) -> None:
    """No libc, no allocation, no routine of the compiler's: an object with nothing undefined."""
    source, made = FIRMWARE / "emulated" / "encoder.c", tmp_path / "encoder.o"
    plain = ["-fno-pic", "-fno-stack-protector", level]  # what a distribution's compiler adds for a hosted program
    subprocess.run([compiler(), *FREESTANDING, *plain, f"-I{FIRMWARE}", "-c", source, "-o", made], check=True)
    assert undefined_in(made, "nm") == ""


def test_the_encoder_fits_the_smallest_core(tmp_path: Path) -> None:
    need_tools("make", "arm-none-eabi-gcc", "arm-none-eabi-size", "arm-none-eabi-nm")
    text, data, bss = map(int, make("size", tmp_path).splitlines()[1].split()[:3])  # text is code and constants
    print(f"Cortex-M0, -Os: {text} bytes of code and constants, {data + bss} of memory of its own")
    assert text < CODE_BYTES
    assert data == bss == 0
    assert undefined_in(tmp_path / "encoder.o", "arm-none-eabi-nm") == ""


def test_a_cpp_compiler_takes_the_headers(tmp_path: Path) -> None:
    if shutil.which("g++") is None:
        pytest.skip("needs g++")
    (tmp_path / "a.cpp").write_text('#include "leadwire_device.h"\n')
    strict = ["-std=c++11", "-Wall", "-Wextra", "-Wconversion", "-Werror", "-pedantic"]
    subprocess.run(["g++", *strict, f"-I{FIRMWARE}", "-c", tmp_path / "a.cpp", "-o", tmp_path / "a.o"], check=True)


def test_the_arduino_library_is_of_this_version() -> None:
    project = tomllib.loads((FIRMWARE.parent.parent / "pyproject.toml").read_text())["project"]
    assert f"version={project['version']}" in (FIRMWARE / "library.properties").read_text().splitlines()
