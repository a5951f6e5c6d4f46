"""The net as C, compiled for this host with every sanitizer: LiteRT's reference kernels, bit for bit."""

from __future__ import annotations

import dataclasses
import itertools
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from benchmarks.microcontroller import SANITIZED, Litert, differences, run_on_host
from edge_runtime.bundle import TFLITE, Bundle
from edge_runtime.conditioning import compand
from edge_runtime.errors import LeadwireError
from export.arena import plan
from export.int8_graph import Add, Rescale, Tensor, read_graph
from export.to_c import HEADER, SOURCE, write_c
from export.to_tflite import tflite
from tests.fakes import ecg_of, regular_waves
from train.nets import Net, NetSpec

ROOT = Path(__file__).parent.parent.parent


def any_windows(n: int = 3) -> NDArray[np.float32]:
    """(n, 2500) mV: a heart, then noise of every size up to what clips."""
    rng = np.random.default_rng(4)
    noise = rng.normal(size=(n - 1, 2500)) * np.geomspace(0.02, 20.0, 2500)
    return np.stack([ecg_of(regular_waves(), 250), *noise]).astype(np.float32)


# The converter has been told the ranges another way, by windows.
TOLD = pytest.mark.filterwarnings("ignore:Statistics for quantized inputs")


def small(kind: str, path: Path, full_int8: bool = True) -> bytes:
    """A net that nobody trained, with three levels of widths that four does not divide."""
    torch.manual_seed(3)
    net = Net(NetSpec(channels=(6, 9, 14), blocks=(1, 2, 1), kind=kind, window_channels=10)).eval()
    for module in net.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.2)
            module.running_var.uniform_(0.5, 2)
    tflite(net, path, 2500, compand(any_windows()) if full_int8 else None)
    return path.read_bytes()


def with_net(bundle: Bundle, content: bytes) -> Bundle:
    return dataclasses.replace(bundle, files={TFLITE: content})


def hold(bundle: Bundle, folder: Path, windows_mv: NDArray[np.float32]) -> None:
    write_c(bundle, folder)
    found = run_on_host(folder, bundle, windows_mv, SANITIZED)
    heads = list(bundle.manifest["heads"])
    against = differences(found, Litert(bundle, reference=True), heads)
    assert all(said["most_steps"] == 0 for said in against.values()), against
    varied = {head: len(np.unique(found[head])) for head in heads}
    assert all(count > 1 for count in varied.values()), f"an output that is always the same proves nothing: {varied}"


@pytest.mark.skipif(shutil.which("cc") is None, reason="needs a C compiler")
class TestCompiled:
    def test_the_shipped_net_is_the_reference_to_the_bit(self, bundle: Bundle, tmp_path: Path) -> None:
        hold(bundle, tmp_path, any_windows())

    @TOLD
    @pytest.mark.parametrize("kind", ["plain", "separable", "inception"])
    def test_a_net_of_every_kind_of_block_is_too(self, kind: str, bundle: Bundle, tmp_path: Path) -> None:
        hold(with_net(bundle, small(kind, tmp_path / "small.tflite")), tmp_path, any_windows())

    def test_a_sample_is_quantized_as_the_back_ends_do_it(self, bundle: Bundle, tmp_path: Path) -> None:
        """But for what lies on the edge between two steps, where a float's last bit decides."""
        write_c(bundle, tmp_path)
        judge = Litert(bundle, reference=True)
        scale, zero = judge._input["quantization"]
        every = 0.1 * np.sinh((np.arange(-140, 140) - zero) * scale)
        windows = np.concatenate([any_windows(), np.resize(every, (1, 2500)).astype(np.float32)])
        found = run_on_host(tmp_path, bundle, windows, SANITIZED)["window"]
        companded = compand(windows)
        exact = companded / np.float32(scale)
        on_edge = np.abs(exact - np.floor(exact) - 0.5) < 1e-4
        assert on_edge.mean() < 0.001
        assert (found == judge.quantized(companded))[~on_edge].all()
        assert set(found[-1]) == set(range(-128, 128))

    def test_one_firmware_can_hold_the_net_and_the_frame(self, bundle: Bundle, tmp_path: Path) -> None:
        write_c(bundle, tmp_path)
        both = '#include "leadwire.h"\n#include "leadwire_net.h"\nint main(void) { return LEADWIRE_NET_ID[0] == 0; }\n'
        (tmp_path / "both.c").write_text(both)
        include = [f"-I{tmp_path}", f"-I{ROOT / 'firmware_bridge' / 'firmware'}"]
        command = ["cc", "-std=c99", "-Wall", "-Wextra", "-Werror", "-fsyntax-only", *include, str(tmp_path / "both.c")]
        subprocess.run(command, check=True)

    def test_the_example_of_the_docs_compiles(self, bundle: Bundle, tmp_path: Path) -> None:
        write_c(bundle, tmp_path)
        text = (ROOT / "docs" / "microcontroller.md").read_text("utf-8")
        include, body = text.split("```c\n")[1].split("```")[0].split("\n", 1)
        function = (
            f"int example(const float *conditioned_mv, int j) {{\n{body}return p_waves + in_qrs + (int)qt_ms;\n}}\n"
        )
        (tmp_path / "example.c").write_text(f"int example(const float *, int);\n{include}\n{function}")
        command = ["cc", "-std=c99", "-Wall", "-Wextra", "-Werror", "-fsyntax-only", f"-I{tmp_path}"]
        subprocess.run([*command, str(tmp_path / "example.c")], check=True)

    def test_the_manifest_is_what_the_firmware_reads(self, bundle: Bundle, tmp_path: Path) -> None:
        write_c(bundle, tmp_path)
        program = r"""
#include <stdio.h>
#include "leadwire_net.h"
int main(void) {
    printf("%s %d %d %g\n", LEADWIRE_NET_ID, LEADWIRE_NET_SAMPLES, LEADWIRE_NET_MASK_MARGIN,
           (double)LEADWIRE_NET_QUALITY_THRESHOLD);
    for (int i = 0; i < 4; i++) printf("%s ", leadwire_net_rhythms[i]);
    const leadwire_net_target *qt = &leadwire_net_targets[LEADWIRE_NET_TARGET_QT_MS];
    printf("\n%s %g %g %g %.7g %.7g\n", qt->name, (double)qt->centre, (double)qt->scale, (double)qt->high,
           (double)qt->weights[4], (double)leadwire_net_record_rhythm[LEADWIRE_NET_RHYTHM_NOISY].weights[0]);
    return 0;
}
"""
        (tmp_path / "said.c").write_text(program)
        sources = [str(tmp_path / "said.c"), str(tmp_path / SOURCE)]
        subprocess.run(["cc", "-std=c99", f"-I{tmp_path}", *sources, "-o", str(tmp_path / "said")], check=True)
        said = subprocess.run([tmp_path / "said"], capture_output=True, text=True, check=True).stdout.splitlines()
        model = bundle.model
        assert said[0].split()[:3] == [model.id, "2500", str(model.grid.margin)]
        assert float(said[0].split()[3]) == pytest.approx(model.thresholds["quality"], rel=1e-5)
        assert tuple(said[1].split()) == model.classes
        qt = model.targets["qt_ms"]
        wanted = [qt.centre, qt.scale, qt.high, qt.weights[4], model.record_rhythm["weights"][3][0]]
        assert said[2].split()[0] == "qt_ms"
        assert [float(n) for n in said[2].split()[1:]] == pytest.approx(wanted, rel=1e-5)


def test_no_two_tensors_that_live_at_once_share_memory(bundle: Bundle) -> None:
    graph = read_graph(bundle.files[TFLITE])
    arena = plan(graph)
    last = {tensor.index: i for i, step in enumerate(graph.steps) for tensor in step.reads}
    live: dict[int, Tensor] = {}
    for i, step in enumerate(graph.steps):
        if step.y.index in arena.offsets:
            over = {t.index for t in live.values() if isinstance(step, Add) and t == step.a and last[t.index] == i}
            for tensor in (t for t in live.values() if t.index not in over):
                a, b = ((arena.offsets[t.index], arena.offsets[t.index] + t.size) for t in (tensor, step.y))
                assert a[1] <= b[0] or b[1] <= a[0], (tensor, step.y)
            live[step.y.index] = step.y
        live = {index: tensor for index, tensor in live.items() if last.get(index, i) > i}
    assert max(arena.offsets[s.y.index] + s.y.size for s in graph.steps if s.y.index in arena.offsets) <= arena.size
    assert arena.least <= arena.size <= 1.1 * arena.least
    assert set(arena.offsets) == {s.y.index for s in graph.steps} - {h.index for h in graph.heads.values()}


@given(st.floats(1e-9, 0.999))
def test_a_rescaling_is_its_scale_to_31_bits(real: float) -> None:
    found = Rescale.by(real)
    assert 2**30 <= found.multiplier < 2**31 and found.shift >= 0
    assert found.multiplier / 2**31 / 2**found.shift == pytest.approx(real, rel=2**-31)


@TOLD
def test_what_has_no_c_form_is_refused_by_name(bundle: Bundle, tmp_path: Path) -> None:
    with pytest.raises(LeadwireError, match="not below one"):
        Rescale.by(1.5)
    assert Rescale.by(1e-12) == Rescale(0, 0)
    for kind, full_int8, why in (("dilated", True, "has no C form"), ("plain", False, "only a full int8 net")):
        other = with_net(bundle, small(kind, tmp_path / "refused.tflite", full_int8))
        with pytest.raises(LeadwireError, match=why):
            write_c(other, tmp_path / "out")
    with pytest.raises(LeadwireError, match=r"no model\.tflite"):
        write_c(dataclasses.replace(bundle, files={}), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_the_command(bundle: Bundle, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "export", "c"]
    good = [*command, str(bundle.folder), "--out", str(tmp_path / "c")]
    done = subprocess.run(good, cwd=ROOT, capture_output=True, text=True, check=True)
    assert bundle.model.id in done.stdout and "kB of RAM" in done.stdout
    assert {p.name for p in (tmp_path / "c").iterdir()} == {SOURCE, HEADER}
    lines = list(itertools.chain.from_iterable(p.read_text().splitlines() for p in (tmp_path / "c").iterdir()))
    assert not [line for line in lines if str(ROOT) in line or str(tmp_path) in line], "no path of this machine"
    bad = [*command, str(tmp_path), "--out", str(tmp_path / "d")]
    done = subprocess.run(bad, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 5 and done.stderr.count("\n") == 1
    assert not (tmp_path / "d").exists()
