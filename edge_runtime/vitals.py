"""How hot, how fast and how free a machine is just now, from the files that a kernel or a Pi's firmware has for it.

Everything is read from files under a root, so that a test can show it a Pi.
"""

from __future__ import annotations

import contextlib
import os
import platform
import re
import subprocess
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

# The firmware's bits: what is, and shifted by 16 what has been since it started.
THROTTLED = {0: "under-voltage", 1: "clock capped", 2: "throttled", 3: "soft temperature limit"}
_GET_THROTTLED = "sys/devices/platform/soc/soc:firmware/get_throttled"
_VCGENCMD = "usr/bin/vcgencmd"
_FIRMWARE_S = 2.0


@dataclass(frozen=True)
class Vitals:
    """None where the machine does not say. throttled: the firmware's bits; clock_mhz: of the first core."""

    temperature_c: float | None
    clock_mhz: float | None
    governor: str | None
    throttled: int | None
    load: float | None  # processes that wanted a core, mean of the last minute

    def to_dict(self) -> dict[str, Any]:
        said = throttling(self.throttled)
        return asdict(self) | ({} if said is None else {"throttled_now": said[0], "throttled_before": said[1]})


def vitals(root: Path = Path("/")) -> Vitals:
    milli = _number(text(root / "sys/class/thermal/thermal_zone0/temp"))
    kilo = _number(text(root / "sys/devices/system/cpu/cpu0/cpufreq/scaling_cur_freq"))
    load = (text(root / "proc/loadavg") or "").split()
    return Vitals(
        None if milli is None else milli / 1e3,
        None if kilo is None else kilo / 1e3,
        text(root / "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
        _throttled(root),
        float(load[0]) if load else None,
    )


def throttling(bits: int | None) -> tuple[list[str], list[str]] | None:
    """What it suffers from now, and what else it has since it started."""
    if bits is None:
        return None
    now = [name for bit, name in THROTTLED.items() if bits >> bit & 1]
    return now, [name for bit, name in THROTTLED.items() if bits >> 16 + bit & 1 and name not in now]


def hardware(root: Path = Path("/")) -> dict[str, Any]:
    """What does not change while it runs. memory_mb: of the machine; usable_cores: by this process."""
    memory = re.search(r"MemTotal:\s*(\d+) kB", text(root / "proc/meminfo") or "")
    return {
        "architecture": platform.machine(),
        "cores": os.cpu_count(),
        "usable_cores": len(os.sched_getaffinity(0)),
        "memory_mb": round(int(memory[1]) / 1024) if memory else None,
        "system": platform.platform(),
        "libc": " ".join(platform.libc_ver()),
        "python": f"{platform.python_implementation()} {platform.python_version()}",
    }


def resident_mb(pid: int | str = "self") -> tuple[float, float] | None:
    """(now, at most so far) MB of a process, its own and not what it was forked from; None where it cannot be told."""
    status = text(Path(f"/proc/{pid}/status")) or ""
    found = [re.search(rf"{key}:\s*(\d+) kB", status) for key in ("VmRSS", "VmHWM")]
    now, most = (None if m is None else int(m[1]) * 1024 / 1e6 for m in found)
    return None if now is None or most is None else (round(now, 2), round(most, 2))


def processor_s(pid: int) -> float | None:
    """Seconds of a core that a process has used so far."""
    stat = text(Path(f"/proc/{pid}/stat")) or ""
    fields = stat.rpartition(")")[2].split()  # a name may hold spaces and brackets
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK") if len(fields) > 12 else None


def text(path: Path) -> str | None:
    try:
        return path.read_text(errors="replace").strip("\0 \n") or None
    except OSError:
        return None


def _number(said: str | None) -> float | None:
    return float(said) if said and said.lstrip("-").isdigit() else None


def _throttled(root: Path) -> int | None:
    """From the kernel's file, else from the firmware's program."""
    said = text(root / _GET_THROTTLED)
    program = root / _VCGENCMD
    if said is None and program.exists():
        with contextlib.suppress(OSError, subprocess.SubprocessError):
            done = subprocess.run(
                [str(program), "get_throttled"], capture_output=True, text=True, timeout=_FIRMWARE_S, check=True
            )
            said = done.stdout.strip().rpartition("=")[2]
    with contextlib.suppress(ValueError):
        return None if said is None else int(said, 16)
    return None
