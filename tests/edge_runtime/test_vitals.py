from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from edge_runtime.vitals import hardware, processor_s, resident_mb, throttling, vitals


def put(root: Path, files: dict[str, str]) -> Path:
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(content)
    return root


@pytest.fixture
def pi(tmp_path: Path) -> Path:
    return put(
        tmp_path,
        {
            "sys/class/thermal/thermal_zone0/temp": "61312\n",
            "sys/devices/system/cpu/cpu0/cpufreq/scaling_cur_freq": "1500000\n",
            "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor": "ondemand\n",
            "sys/devices/platform/soc/soc:firmware/get_throttled": "50005\n",
            "proc/loadavg": "0.42 0.30 0.20 1/200 4242\n",
            "proc/meminfo": "MemTotal:        3884360 kB\nMemFree: 1 kB\n",
        },
    )


def test_a_pi_says_how_it_is(pi: Path) -> None:
    said = vitals(pi).to_dict()
    assert [said[k] for k in ("temperature_c", "clock_mhz", "governor", "load")] == [61.312, 1500.0, "ondemand", 0.42]
    assert said["throttled_now"] == ["under-voltage", "throttled"]
    assert said["throttled_before"] == []
    assert hardware(pi)["memory_mb"] == 3793


def test_what_was_before_is_not_what_is_now() -> None:
    assert throttling(0x80002) == (["clock capped"], ["soft temperature limit"])
    assert throttling(0) == ([], [])
    assert throttling(None) is None


def test_the_firmwares_program_is_asked_where_the_kernel_has_no_file(tmp_path: Path) -> None:
    program = tmp_path / "usr/bin/vcgencmd"
    put(tmp_path, {"usr/bin/vcgencmd": f"#!{sys.executable}\nprint('throttled=0x20000')\n"})
    program.chmod(0o755)
    assert vitals(tmp_path).to_dict()["throttled_before"] == ["clock capped"]
    program.write_text(f"#!{sys.executable}\nraise SystemExit(1)\n")
    assert vitals(tmp_path).throttled is None


def test_a_machine_that_says_nothing_has_no_vitals(tmp_path: Path) -> None:
    assert set(vitals(tmp_path).to_dict().values()) == {None}
    put(tmp_path, {"sys/devices/platform/soc/soc:firmware/get_throttled": "what?"})
    assert vitals(tmp_path).throttled is None


def test_a_process_is_seen_from_outside() -> None:
    now, most = resident_mb(os.getpid()) or (0.0, 0.0)
    assert 5 < now <= most
    assert (processor_s(os.getpid()) or 0) > 0
    assert resident_mb(2**22 + 1) is None
    assert processor_s(2**22 + 1) is None
