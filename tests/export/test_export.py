"""The whole chain on a smoke config, and the gate at its end."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch

from edge_runtime.backends import BACKENDS, open_backend
from edge_runtime.bundle import MANIFEST, ONNX, Bundle, load_bundle
from edge_runtime.conditioning import compand, condition
from edge_runtime.errors import BundleError, LeadwireError
from export.agreement import GATES, agreement, lost, over_the_gates, refuse
from export.fold import folded
from export.to_onnx import float_onnx, int8_onnx, slim
from export.to_tflite import tflite
from tests.conftest import need
from tests.fakes import FakeBackend, ecg_of, model_that_states_all, regular_waves
from train.nets import BLOCKS, Net, NetSpec
from train.run import Run

ROOT = Path(__file__).parent.parent.parent
MOST_BYTES = 150_000  # of an int8 file
SMALL = NetSpec(channels=(4, 6, 8), blocks=(1, 1, 1), window_channels=8)


@pytest.fixture
def net() -> Net:
    torch.manual_seed(1)
    net = Net(SMALL)
    for module in net.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.2)
            module.running_var.uniform_(0.5, 2)
    return net.eval()


@pytest.fixture(scope="session")
def smoke(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`make bundle SMOKE=1`, into a folder of its own: runs/smoke and the bundle."""
    for name in ("ludb", "qtdb", "cinc2017"):
        need(name)
    folder = tmp_path_factory.mktemp("smoke")
    make = [
        "make",
        "-s",
        "bundle",
        "SMOKE=1",
        f"PYTHON={sys.executable}",
        f"RUNS={folder}",
        f"BUNDLE={folder / 'bundle'}",
        "READY=",
    ]
    done = subprocess.run(make, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def test_folding_the_norms_changes_nothing(net: Net) -> None:
    x = torch.randn(2, 1, 1, 2500)
    plain = folded(net)
    assert not any(isinstance(m, torch.nn.BatchNorm2d) for m in plain.modules())
    with torch.no_grad():
        for head, value in net(x).items():
            assert torch.allclose(value, plain(x)[head], atol=1e-5)


def test_float_onnx_is_torch_within_1e_4(net: Net, tmp_path: Path) -> None:
    import onnxruntime

    float_onnx(net, tmp_path / "f.onnx", 2500)
    session = onnxruntime.InferenceSession(str(tmp_path / "f.onnx"))
    x = np.random.default_rng(0).normal(size=(1, 1, 1, 2500)).astype(np.float32)
    out = dict(zip((o.name for o in session.get_outputs()), session.run(None, {"window": x}), strict=True))
    with torch.no_grad():
        for head, value in net(torch.from_numpy(x)).items():
            assert np.abs(out[head] - value.numpy()).max() < 1e-4


def test_the_slim_graph_gives_the_same_bits_in_fewer(net: Net, tmp_path: Path) -> None:
    import onnx
    import onnxruntime

    windows = np.random.default_rng(0).normal(size=(8, 2500)).astype(np.float32)
    float_onnx(net, tmp_path / "f.onnx", 2500)
    model = onnx.load(tmp_path / "f.onnx")
    names = [o.name for o in onnxruntime.InferenceSession(model.SerializeToString()).get_outputs()]
    x = {"window": windows[:1, None, None]}
    before, after = (onnxruntime.InferenceSession(c).run(names, x) for c in (model.SerializeToString(), slim(model)))
    assert all(np.array_equal(a, b) for a, b in zip(before, after, strict=True))
    int8_onnx(tmp_path / "f.onnx", tmp_path / "q.onnx", windows)
    small = onnx.load(tmp_path / "q.onnx")
    assert len(slim(small)) == (tmp_path / "q.onnx").stat().st_size, "it was written slim"
    assert [o.name for o in onnxruntime.InferenceSession(small.SerializeToString()).get_outputs()] == names


def test_weights_share_no_zero_point_so_that_each_may_become_u8(bundle: Bundle) -> None:
    import onnx

    graph = onnx.load_from_string(bundle.files[ONNX]).graph
    signed = {tensor.name for tensor in graph.initializer if tensor.data_type == onnx.TensorProto.INT8}
    used = Counter(word for node in graph.node for word in node.input if word in signed)
    assert used and set(used.values()) == {1}


def test_the_default_bundles_files_are_within_their_limit(bundle: Bundle) -> None:
    assert {name: len(content) for name, content in bundle.files.items() if len(content) > MOST_BYTES} == {}
    assert bundle.manifest["provenance"]["parameters"] <= 100_000


@pytest.mark.parametrize("kind", BLOCKS)
def test_every_kind_of_block_is_the_same_function_in_float_tflite(kind: str, tmp_path: Path) -> None:
    from ai_edge_litert.interpreter import Interpreter

    torch.manual_seed(2)
    net = Net(dataclasses.replace(SMALL, kind=kind, channels=(8, 12, 16), blocks=(1, 2, 2))).eval()
    for module in net.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.2)
            module.running_var.uniform_(0.5, 2)
    tflite(net, tmp_path / "f.tflite", 2500, None)
    interpreter = Interpreter(str(tmp_path / "f.tflite"))
    interpreter.allocate_tensors()
    x = np.random.default_rng(0).normal(size=(1, 1, 2500, 1)).astype(np.float32)
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], x)
    interpreter.invoke()
    with torch.no_grad():
        wanted = net(torch.from_numpy(x.reshape(1, 1, 1, 2500)))
    found = {o["name"]: interpreter.get_tensor(o["index"]) for o in interpreter.get_output_details()}
    assert set(found) == set(wanted)
    for head, value in wanted.items():
        assert np.abs(found[head].transpose(0, 3, 1, 2) - value.numpy()).max() < 1e-3, head


@pytest.mark.timeout(600)
def test_the_chain_makes_a_bundle_that_runs(smoke: Path) -> None:
    bundle = load_bundle(smoke / "bundle")
    assert bundle.manifest["provenance"]["config"]["name"] == "smoke"
    assert bundle.manifest["allowed"], "a smoke net is over its gates, and the manifest says so"
    x = compand(condition(ecg_of(regular_waves(), 250), 250))
    for name in ("ai-edge-litert", "tflite-runtime", "onnxruntime"):
        assert np.isfinite(open_backend(bundle, name)(x)["masks"]).all()
    said = json.loads((smoke / "smoke" / "calibration.json").read_text())
    assert set(said["targets"]) == {"hr_bpm", "pr_ms", "qrs_ms", "qt_ms"}
    assert set(said["without_fold"]) == {"0"}
    assert (smoke / "smoke" / "learning_curves.png").stat().st_size > 5000


@pytest.mark.timeout(600)
def test_what_is_over_its_gate_is_not_written(smoke: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "export", str(smoke / "smoke"), "--out", str(tmp_path / "b")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 5
    assert "Nothing was written; --allow" in done.stderr
    assert list(tmp_path.iterdir()) == [], "no half of a bundle is left behind"


def test_a_stage_whose_forerunner_is_missing_says_so(tmp_path: Path) -> None:
    with pytest.raises(LeadwireError, match="no run"):
        Run.open(tmp_path)


def test_agreement_counts_what_only_one_of_the_two_states() -> None:
    from edge_runtime.windows import Window

    x = ecg_of(regular_waves(), 250) + np.random.default_rng(0).normal(0, 0.005, 2500)
    windows = [Window(x, 250.0, 0.0, 10.0, "I")] * 3
    other = FakeBackend(regular_waves(qrs_s=0.1), p_wave=-5.0, rhythm="af")
    found = agreement(FakeBackend(), other, model_that_states_all(), windows)
    assert found["qrs_ms"]["mean_abs"] == pytest.approx(10, abs=1)
    assert found["pr_ms"] == {"mean_abs": None, "max_abs": None, "n": 0, "one_sided": 3}
    assert found["rhythm"]["mean_abs"] == 1.0
    over = over_the_gates("x", found)
    assert any("qrs_ms differs by" in line for line in over)
    assert any("pr_ms could not be compared" in line for line in over)
    rare = {**found, "pr_ms": {"mean_abs": 0.0, "max_abs": 0.0, "n": 1, "one_sided": 99}}
    assert any("by only one of the two in 99" in line for line in over_the_gates("x", rare))
    same = agreement(FakeBackend(), FakeBackend(), model_that_states_all(), windows)
    assert over_the_gates("x", same) == []
    assert all(same[name]["mean_abs"] == 0 for name in GATES)


def test_what_is_over_a_gate_is_refused_unless_it_is_allowed() -> None:
    refuse([], allow=False)
    refuse(["x: loses"], allow=True)
    with pytest.raises(BundleError, match=r"x: loses\. Nothing was written; --allow"):
        refuse(["x: loses"], allow=False)


def proof_of(**losses: float) -> dict:
    """Of three back ends that lose nothing but what is said: a measure's MAE, `coverage`, `f1`, `auc`, `onnx`."""
    row = {"mae_reference": 5.0, "coverage": 0.9, "coverage_reference": 0.9 + losses.get("coverage", 0.0)}
    by_measure = {name: {**row, "mae": 5.0 + losses.get(name, 0.0)} for name in ("hr_bpm", "pr_ms", "qrs_ms", "qt_ms")}
    names = [f"{name} int8" for name in BACKENDS]
    return {
        "forms": dict.fromkeys(names, by_measure),
        "rhythm_f1": {**dict.fromkeys(names, 0.8), "torch float": 0.8 + losses.get("f1", 0.0)},
        "findings_auc": {**dict.fromkeys(names, 0.8), "torch float": 0.8 + losses.get("auc", 0.0)},
        "heads_apart_most": {"onnxruntime float": losses.get("onnx", 1e-5)},
    }


@pytest.mark.parametrize(
    ("name", "let_through", "over"),
    [
        ("hr_bpm", 0.09, 0.11),
        ("pr_ms", 0.9, 1.1),
        ("qrs_ms", 0.9, 1.1),
        ("qt_ms", 1.4, 1.6),
        ("coverage", 0.009, 0.011),
        ("f1", 0.004, 0.006),
        ("auc", 0.004, 0.006),
        ("onnx", 9e-5, 2e-4),
    ],
)
def test_what_int8_loses_out_of_fold_is_held_to_its_gate(name: str, let_through: float, over: float) -> None:
    assert lost(proof_of(**{name: let_through}), "torch float") == []
    assert lost(proof_of(**{name: -over}), "torch float") == [], "to be nearer is no loss"
    assert lost(proof_of(**{name: over}), "torch float")


def test_what_was_not_judged_is_over() -> None:
    proof = proof_of() | {"forms": {}, "rhythm_f1": {}}
    over = lost(proof, "torch float")
    assert any("ai-edge-litert int8: qt_ms could not be judged" in line for line in over)
    assert any("rhythm's F1 could not be judged" in line for line in over)
    assert any("loses nan" in line for line in lost(proof_of(qt_ms=float("nan")), "torch float"))


def test_a_manifest_has_no_nan(bundle) -> None:
    json.loads((bundle.folder / MANIFEST).read_text(), parse_constant=lambda c: pytest.fail(c))
