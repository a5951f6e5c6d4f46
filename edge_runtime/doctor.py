"""`leadwire doctor`: what this machine has, what it lacks, and what to do about it. It changes nothing.

Everything is read from files under a root, so that a test can show it a Pi.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Iterator
from importlib import metadata
from pathlib import Path

from edge_runtime.vitals import text, throttling, vitals
from firmware_bridge.boards import BOARDS
from firmware_bridge.diagnosis import suggest
from firmware_bridge.link import overhear
from firmware_bridge.ports import INSTALL_RULES, Access, access_to, by_id, way_in

_PACKAGES = ("leadwire", "numpy", "pyserial")
_BACKENDS = ("ai-edge-litert", "tflite-runtime", "onnxruntime")
_PORTS = ("ttyUSB*", "ttyACM*", "ttyAMA*", "ttyS0", "serial[0-9]", "rfcomm*")
_HOT_C = 80.0  # a Pi slows down from here on
_LATENCY_MS = 1
_LISTEN_S = 3.0


def examine(
    root: Path = Path("/"),
    may_use: Callable[[Path], bool] = lambda path: os.access(path, os.R_OK | os.W_OK),
    access: Callable[[Path], Access] = access_to,
) -> Iterator[str]:
    """Line by line. may_use: whether a port can be read and written by whoever asks; access: who else may."""
    yield from _versions()
    yield from _machine(root)
    yield from _ports(root, may_use, access)


def listen(port: str, heard: Callable[[str, int, float], bytes] = overhear) -> Iterator[str]:
    """Which board could be speaking on a port: tried at each baud rate of the table. Raises PortError."""
    rates = sorted({board.baud for board in BOARDS.values()}, key=lambda baud: (baud != 115200, baud))
    silent = True
    for baud in rates:
        data = heard(port, baud, _LISTEN_S)
        silent &= not data
        names = [name for name in suggest(data) if BOARDS[name].baud == baud] or list(suggest(data))
        yield f"{port} at {baud}: {len(data)} bytes, {', '.join(names) if names else 'no board of the table'}"
        if names:
            yield f"perhaps: leadwire run --port {port} --board {names[0]} (some boards send the same: you know yours)"
            return
    if silent:
        waiting = ", ".join(board.name for board in BOARDS.values() if board.handshake)
        yield f"{port}: silent. Boards that wait to be asked are not heard in this way: {waiting}"


def _versions() -> Iterator[str]:
    yield f"python {platform.python_version()} on {platform.machine()}"
    found = versions()
    for name in (*_PACKAGES, *(n for n in found if n not in _PACKAGES)):
        yield f"{name} {found.get(name, 'is not installed')}"
    if not found.keys() & set(_BACKENDS):
        yield "no back end: pip install 'leadwire[tflite]' (or [onnx]); without one nothing is measured"


def versions() -> dict[str, str]:
    """Of what is installed of that which a report depends on."""
    return {name: version for name in (*_PACKAGES, *_BACKENDS) if (version := _version(name))}


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def machine(root: Path = Path("/")) -> str:
    return text(root / "proc/device-tree/model") or _cpu(root) or "unknown"


def _machine(root: Path) -> Iterator[str]:
    yield f"machine: {machine(root)}"
    now = vitals(root)
    if now.temperature_c is not None:
        hot = ": too hot, it slows down; give it air" if now.temperature_c >= _HOT_C else ""
        yield f"temperature: {now.temperature_c:.0f} C{hot}"
    throttled = throttling(now.throttled)
    if throttled is not None:
        suffers, before = throttled
        yield (
            "throttling: "
            + (f"now {', '.join(suffers)}" if suffers else "none now")
            + (f"; since it started {', '.join(before)}: a better power supply helps" if before else "")
        )


def _cpu(root: Path) -> str | None:
    for line in (text(root / "proc/cpuinfo") or "").splitlines():
        key, _, value = line.partition(":")
        if key.strip().lower() == "model name":
            return value.strip()
    return None


def _ports(root: Path, may_use: Callable[[Path], bool], access: Callable[[Path], Access]) -> Iterator[str]:
    names = [root / "dev/serial" / kind for kind in ("by-id", "by-path")]
    linked = {link.resolve() for folder in names for link in folder.glob("*")}
    ports = sorted({path.resolve() for pattern in _PORTS for path in (root / "dev").glob(pattern)} | linked)
    if not ports:
        yield "ports: none; is the device plugged in, and is its cable one that carries data?"
    for port in ports:
        name = by_id(str(port), names)
        yield f"port {name}" + (f" (now {port})" if name != str(port) else "")
        if name == str(port) and port.name.startswith(("ttyUSB", "ttyACM")):
            yield f"  no name that stays, so another device may come back as this one: {INSTALL_RULES}"
        if not may_use(port):
            yield f"  no permission: {way_in(access(port))}"
        latency = text(root / "sys/bus/usb-serial/devices" / port.name / "latency_timer")
        if latency and latency.isdigit() and int(latency) > _LATENCY_MS:
            path = f"/sys/bus/usb-serial/devices/{port.name}/latency_timer"
            yield (
                f"  FTDI latency timer {latency} ms: samples come in bursts; echo {_LATENCY_MS} | sudo tee {path}, "
                f"or for good: {INSTALL_RULES}"
            )
