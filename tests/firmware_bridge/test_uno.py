"""The Arduino sketch as an Uno's own binary: Arduino's headers, core and compiler, and an emulated ATmega328P.

An int has 16 bits there and memory is 2 kB, which no test on the host sees.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from firmware_bridge.protocols import native
from tests.firmware_bridge.emulator import FIRMWARE
from tests.firmware_bridge.test_sketch import FRONT_ENDS, PERIOD_US, SKETCH

HERE = Path(__file__).parent
ARDUINO_AVR = Path("/usr/share/arduino/hardware/arduino/avr")  # Debian's arduino-core-avr
SIMAVR = (Path("/usr/include/simavr/sim_avr.h"), Path("/usr/include/libelf.h"))
CORE_C = ("hooks", "wiring", "wiring_analog", "wiring_digital")
CORE_CPP = ("abi", "main", "new", "HardwareSerial", "HardwareSerial0", "Print")
FLASH, MEMORY = 32 * 1024, 2 * 1024
REFERENCE_MV, COUNTS = 5000, 1024


def ran(*arguments: str | Path, folder: Path) -> str:
    done = subprocess.run([*map(str, arguments)], capture_output=True, text=True, check=False, cwd=folder)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def binaries(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a binary for each front end."""
    if shutil.which("avr-g++") is None or not ARDUINO_AVR.exists():
        pytest.skip("needs avr-g++ and Arduino's core for AVR: apt install gcc-avr avr-libc arduino-core-avr")
    folder = tmp_path_factory.mktemp("uno")
    options = ["-mmcu=atmega328p", "-DF_CPU=16000000L", "-DARDUINO=10819", "-DARDUINO_ARCH_AVR", "-Os"]
    options += ["-ffunction-sections", "-fdata-sections"]
    for part in ("cores/arduino", "variants/standard", "libraries/SPI/src"):
        options.append(f"-I{ARDUINO_AVR / part}")
    cpp = ["avr-g++", *options, "-std=gnu++11", "-fno-exceptions", "-fno-threadsafe-statics", "-c"]
    core = ARDUINO_AVR / "cores" / "arduino"
    ran("avr-gcc", *options, "-w", "-c", *(core / f"{name}.c" for name in CORE_C), folder=folder)
    spi = ARDUINO_AVR / "libraries" / "SPI" / "src" / "SPI.cpp"
    ran(*cpp, "-w", *(core / f"{name}.cpp" for name in CORE_CPP), spi, folder=folder)
    objects = sorted(folder.glob("*.o"))
    strict = ["-Wall", "-Wextra", "-Werror", f"-I{FIRMWARE}", "-include", "Arduino.h", "-x", "c++"]
    for name in FRONT_ENDS:
        ran(*cpp, *strict, f"-DFRONT_END={name}", SKETCH, "-o", f"{name}.obj", folder=folder)
        link = ["avr-g++", "-mmcu=atmega328p", "-Os", "-Wl,--gc-sections", f"{name}.obj", *objects]
        ran(*link, "-o", f"{name}.elf", folder=folder)
    return folder


@pytest.mark.parametrize("front_end", FRONT_ENDS)
def test_it_fits_an_uno(binaries: Path, front_end: str) -> None:
    said = ran("avr-size", f"{front_end}.elf", folder=binaries)
    text, data, bss = map(int, said.splitlines()[1].split()[:3])
    print(f"{front_end}: {text + data} bytes of flash, {data + bss} of memory")
    assert text + data < FLASH / 2
    assert data + bss < MEMORY / 2


def test_an_uno_sends_what_stands_at_its_pin(binaries: Path, tmp_path: Path) -> None:
    """Seven seconds of an ATmega328P's life: every conversion arrives, at the pace, with nothing lost."""
    uno = tmp_path / "uno"
    if not all(header.exists() for header in SIMAVR):
        pytest.skip("needs simavr: apt install libsimavr-dev libelf-dev")
    ran("cc", HERE / "uno.c", "-o", uno, "-lsimavr", "-lelf", folder=tmp_path)
    say = native.encode_command("hello") + native.encode_command("start")
    done = subprocess.run(
        [str(uno), str(binaries / "AD8232.elf"), say.hex(), "7"], capture_output=True, text=True, check=True
    )
    parser = native.NativeParser()
    frames = parser.feed(bytes.fromhex(done.stdout.splitlines()[-1]), 0.0)
    assert [f.sequence for f in frames] == list(range(len(frames)))
    assert len([f for f in frames if f.info]) == 3, "on HELLO, on START, and after five seconds"
    samples = [f for f in frames if len(f.counts)]
    counts = np.concatenate([f.counts for f in samples])
    at_pin = np.array([int(line) for line in done.stderr.splitlines() if line.isdigit()])[: len(counts)]
    assert len(counts) == pytest.approx(6.8 * 250, abs=12)
    assert np.abs(counts - at_pin * COUNTS / REFERENCE_MV).max() <= 2, "as right as this converter is"
    assert set(np.diff([f.device_time_us or 0 for f in samples]).tolist()) == {4 * PERIOD_US}
    assert not any(f.lead_off or f.clipped or f.overrun for f in samples)
