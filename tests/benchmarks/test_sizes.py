from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks import on_core, sizes
from benchmarks.p_waves import BANDS_UV, Marked, code_error_uv, judge, size_uv, step_uv
from benchmarks.sizes_picture import DEFAULT, codings_picture, family, picture
from benchmarks.sizes_tables import codings_markdown, sizes_markdown
from edge_runtime.bundle import TFLITE, Bundle
from edge_runtime.conditioning import condition
from edge_runtime.delineation import P, Wave
from export.to_tflite import tflite
from tests.fakes import FakeBackend, ecg_of, model_that_states_all, regular_waves
from train.codings import CODINGS, channels_last
from train.datasets.annotations import AnnotatedWave
from train.datasets.truth import Case
from train.nets import Net, NetSpec

RESULT = Path(__file__).parent.parent.parent / "benchmarks" / "results" / "sizes.json"


def heart(p_mv: float) -> Marked:
    """A window whose P waves are all of that size."""
    mv = ecg_of(regular_waves(), 250, p_mv=p_mv)
    case = Case("ludb", "1", "i", 0, 250.0, (mv,), {}, ({},), 1)
    by_hand = [
        AnnotatedWave(P, w.onset_s, (w.onset_s + w.offset_s) / 2, w.offset_s)
        for w in regular_waves()
        if w.kind == P and w.onset_s > 0.5 and w.offset_s < 9.5
    ]
    return Marked(case, mv, condition(mv, 250.0), by_hand, [1e3 * p_mv] * len(by_hand), [(0.5, 9.5)], 160.0)


def test_a_waves_size_is_its_distance_from_the_line_between_its_ends() -> None:
    t = np.arange(2500, dtype=np.float32) / 250
    slope = 0.3 * t
    slope[np.abs(t - 2.0) < 0.05] += 0.08
    wave = AnnotatedWave(P, 1.9, 2.0, 2.1)
    assert size_uv(slope, wave) == pytest.approx(80, abs=1)
    assert size_uv(slope, dataclasses.replace(wave, onset_s=None)) is None
    assert size_uv(slope, dataclasses.replace(wave, offset_s=1.9)) is None


def test_p_waves_are_judged_in_the_band_of_their_own_size() -> None:
    small, large = heart(0.03), heart(0.2)
    seen = [Wave(w.kind, w.onset_s + 0.01 * (w.kind == P), w.offset_s) for w in regular_waves()]
    found = judge([small, large], model_that_states_all(), FakeBackend(seen))
    row = found["under 50 µV"]
    assert row["annotated"] == row["found"] == len(small.waves)
    assert row["onset_mae_ms"] == pytest.approx(10, abs=1.5)
    assert row["pr_mae_ms"] == pytest.approx(10, abs=1.5)
    assert (row["pr_windows"], row["pr_stated"], row["extra"]) == (1, 1, 0)
    assert found["150 µV and over"]["found"] == len(large.waves)
    assert found["50 to 100 µV"]["annotated"] == 0
    assert found["50 to 100 µV"]["onset_mae_ms"] is None


def test_a_p_wave_that_nobody_annotated_is_extra_and_one_that_is_not_drawn_is_missed() -> None:
    whole = heart(0.2)
    few = dataclasses.replace(whole, waves=whole.waves[:3], sizes_uv=whole.sizes_uv[:3])
    row = judge([few], model_that_states_all(), FakeBackend())["150 µV and over"]
    assert (row["annotated"], row["found"], row["extra"]) == (3, 3, len(whole.waves) - 3)
    without = [w for w in regular_waves() if w.kind != P]
    row = judge([whole], model_that_states_all(), FakeBackend(without))["150 µV and over"]
    assert (row["found"], row["pr_windows"], row["pr_stated"]) == (0, 1, 0)


def test_a_linear_codes_error_is_that_of_its_steps_and_the_others_are_smaller() -> None:
    windows, scale = [heart(0.08)], 10 / 255
    assert step_uv("linear", scale) == pytest.approx(39.2, abs=0.1)
    assert step_uv("two_channels", scale) == pytest.approx(39.2 / 5, abs=0.1)
    errors = {coding: code_error_uv(windows, coding, scale, 0)["50 to 100 µV"] for coding in CODINGS}
    assert errors["linear"] == pytest.approx(39.2 / 12**0.5, rel=0.25)
    assert errors["companded"] < errors["two_channels"] < errors["linear"]  # type: ignore[operator]
    assert code_error_uv(windows, "linear", scale, 0)["under 50 µV"] is None


@pytest.mark.filterwarnings("ignore:Statistics for quantized inputs")
def test_a_net_of_two_channels_is_exported_and_asked_like_the_one_that_ships(tmp_path: Path) -> None:
    torch.manual_seed(4)
    net = Net(NetSpec(channels=(4, 6, 8), blocks=(1, 1, 1), window_channels=8, coding="two_channels")).eval()
    rng = np.random.default_rng(1)
    windows = rng.normal(size=(4, 2500)).astype(np.float32)
    path = tmp_path / "net.tflite"
    tflite(net, path, 2500, None)
    said = sizes.Coded(path.read_bytes(), "two_channels")(windows[0])
    with torch.no_grad():
        wanted = net(torch.from_numpy(channels_last(windows[0], "two_channels").T.copy())[None, :, None])
    assert np.abs(said["masks"] - wanted["masks"][0, :, 0].numpy()).max() < 1e-3
    tflite(net, path, 2500, windows, per_channel=False)
    assert scales(path) == {1}
    tflite(net, path, 2500, windows)
    assert max(scales(path)) > 1, "a scale a channel"


def scales(path: Path) -> set[int]:
    """How many scales the tensors have."""
    from ai_edge_litert.interpreter import Interpreter

    tensors = Interpreter(str(path)).get_tensor_details()
    return {len(t["quantization_parameters"]["scales"]) for t in tensors} - {0}


def test_each_net_of_a_folder_has_a_loop_that_can_be_counted(bundle: Bundle, tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / f"{name}.tflite").write_bytes(bundle.files[TFLITE])
        np.save(tmp_path / f"{name}.npy", np.zeros((3, 2500, 1), np.float32))
    on_core.count(*on_core.nets(tmp_path), tmp_path)
    assert json.loads((tmp_path / "loops.json").read_text()) == {"loops": [on_core.NOTHING, "a", "b"], "turns": 3}


def committed() -> dict:
    return json.loads(RESULT.read_text())


def test_the_committed_nets_are_of_the_plan_and_the_one_that_ships_is_among_them() -> None:
    found, plan = committed(), sizes.load_plan(sizes.PLAN)
    by_name = {c.name: c.config.net for c in plan.candidates}
    assert {*found["nets"], *found["missing"]} == set(by_name)
    for name, net in found["nets"].items():
        assert (tuple(net["channels"]), net["coding"]) == (by_name[name].channels, by_name[name].coding)
        assert set(net["p_waves"]["int8"]) == set(BANDS_UV)
    macs = [found["nets"][name]["macs"] for name in family(found["nets"])]
    assert DEFAULT in found["nets"]
    assert macs == sorted(macs)


def test_tables_and_picture_of_the_committed_rows(tmp_path: Path) -> None:
    found = committed()
    for text in (sizes_markdown(found), codings_markdown(found)):
        widths = {line.count(" | ") for line in text.splitlines() if line.startswith("| ")}
        assert widths
        assert "nan" not in text
    for draw in (picture, codings_picture):
        draw(found, tmp_path / "x.png")
        assert (tmp_path / "x.png").read_bytes().startswith(b"\x89PNG")
