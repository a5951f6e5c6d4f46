from __future__ import annotations

import dataclasses
import json
import tomllib
from pathlib import Path

import numpy as np
import pytest
import torch

from edge_runtime.errors import UsageError
from train import folds, loop
from train.augment import Batch, augment
from train.config import Config, Mix, Stage, config_from, load_config
from train.datasets.qtdb import MITDB_SUBJECTS
from train.evaluate import fit_logistic, longest_bridged_ms, residual_range, signal_to_noise
from train.generate import synthetic_windows
from train.loop import batches, losses, to_input, train_stage
from train.nets import Net, NetSpec
from train.run import Run
from train.windows import Windows

CONFIGS = Path(__file__).parent.parent.parent / "train" / "configs"
SMALL = NetSpec(channels=(4, 6, 8), blocks=(1, 1, 1), rhythm_channels=8)
STAGE = Stage(epochs=3, learning_rate=5e-3, mix=Mix(synthetic=32), batch=16)


@pytest.fixture(scope="module")
def hearts() -> Windows:
    return synthetic_windows(3, 32)


def values() -> dict:
    return tomllib.loads((CONFIGS / "smoke.toml").read_text())


@pytest.mark.parametrize("name", ["default", "smoke"])
def test_the_configs_load(name: str) -> None:
    config = load_config(CONFIGS / f"{name}.toml")
    assert config.name == name
    assert config_from(json.loads(json.dumps(config.to_dict())), "again") == config


def test_an_unknown_key_is_refused_with_its_place(tmp_path: Path) -> None:
    bad = values()
    bad["pretrain"]["mix"]["syntetic"] = 3
    with pytest.raises(UsageError, match=r"unknown key 'pretrain\.mix\.syntetic'; known are synthetic"):
        config_from(bad, "x")
    with pytest.raises(UsageError, match="'pretrain' is missing"):
        config_from({k: v for k, v in values().items() if k != "pretrain"}, "x")
    with pytest.raises(UsageError, match="'seed' must be int"):
        config_from({**values(), "seed": "one"}, "x")
    (tmp_path / "x.toml").write_text("name = [")
    with pytest.raises(UsageError, match="no TOML"):
        load_config(tmp_path / "x.toml")
    with pytest.raises(UsageError, match="cannot be read"):
        load_config(tmp_path / "none.toml")


def test_an_unknown_key_is_one_line_on_the_command_line(tmp_path: Path) -> None:
    import subprocess
    import sys

    (tmp_path / "x.toml").write_text((CONFIGS / "smoke.toml").read_text().replace("seed =", "sead ="))
    command = [sys.executable, "-m", "train", "regress", "--config", str(tmp_path / "x.toml"), "--runs", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=CONFIGS.parent.parent)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "unknown key 'sead'" in done.stderr


def test_one_patient_is_in_one_fold() -> None:
    assert len(MITDB_SUBJECTS) == 15
    for excerpt, number in MITDB_SUBJECTS.items():
        assert folds.fold_of("qtdb", excerpt) == folds.fold_of("mitdb", number)
    assert folds.fold_of("mitdb", "201") == folds.fold_of("mitdb", "202")
    assert folds.subject("qtdb", "sel14046") == "qtdb/sel14046", "no excerpt of a mitdb record"
    counts = np.bincount([folds.fold_of("ludb", str(i)) for i in range(1, 201)])
    assert len(counts) == folds.FOLDS
    assert counts.min() > 25


def test_the_net_has_the_shapes_that_the_grid_expects() -> None:
    out = Net()(torch.zeros(2, 1, 1, 2500))
    assert {k: tuple(v.shape) for k, v in out.items()} == {
        "masks": (2, 3, 1, 1280),
        "rhythm": (2, 4, 1, 1),
        "p_wave": (2, 1, 1, 1),
    }
    assert sum(p.numel() for p in Net().parameters()) <= 100_000


def test_the_device_and_the_training_compand_alike() -> None:
    from edge_runtime.conditioning import compand

    mv = np.linspace(-5, 5, 2500, dtype=np.float32)
    assert np.allclose(to_input(torch.from_numpy(mv[None]))[0, 0, 0].numpy(), compand(mv), atol=1e-6)


def empty(n: int = 4) -> Batch:
    masks = torch.zeros(n, 3, 1280)
    return Batch(torch.zeros(n, 2500), masks, masks.clone(), torch.full((n,), -1), torch.full((n,), -1))


def test_what_is_not_known_costs_nothing() -> None:
    net = Net(SMALL)
    parts = losses(net(to_input(torch.randn(4, 2500))), empty(), torch.ones(4))
    assert all(float(v.detach()) == 0.0 for v in parts.values())
    some = empty()
    some.known[0, 1, 100:200] = 1.0
    some.rhythm[2] = 3
    with torch.no_grad():
        parts = losses(net(to_input(torch.randn(4, 2500))), some, torch.ones(4))
    assert float(parts["masks"]) > 0
    assert float(parts["rhythm"]) > 0
    assert float(parts["p_wave"]) == 0


def test_time_is_warped_for_the_signal_and_its_masks_alike(hearts: Windows) -> None:
    assert hearts.mask is not None
    mask = torch.from_numpy(hearts.mask).float() / 255
    beats = mask[:, 1]
    signal = torch.nn.functional.interpolate(beats[:, None], size=2560, mode="linear", align_corners=False)[
        :, 0, 30:2530
    ]
    batch = Batch(signal, mask, torch.ones_like(mask), torch.ones(len(mask)), torch.ones(len(mask)))
    out = augment(batch, torch.zeros(4, 2500), torch.Generator().manual_seed(1), 0.0, 1.0)
    again = torch.nn.functional.interpolate(out.mask[:, 1:2], size=2560, mode="linear", align_corners=False)[
        :, 0, 30:2530
    ]
    scaled = out.signal_mv / out.signal_mv.amax(1, keepdim=True).clamp(min=1e-6)
    inside = torch.nn.functional.interpolate(out.known[:, 1:2], size=2560)[:, 0, 30:2530] == 1
    assert float(((scaled - again).abs() * inside).mean()) < 0.02
    assert float(out.known.mean()) < 1.0, "what was shifted in from outside is unknown"


def test_an_epoch_takes_each_record_once_before_any_twice(hearts: Windows) -> None:
    grouped = dataclasses.replace(hearts, group=np.arange(32, dtype=np.int32) // 4)
    seen = []
    for batch in batches(
        {"synthetic": grouped}, dataclasses.replace(STAGE, mix=Mix(synthetic=8), batch=8), np.random.default_rng(0)
    ):
        for row in batch.signal_mv:
            key = (row.numpy() * 1e3).round().astype(np.int16)
            seen.append(int(np.flatnonzero((grouped.signal_uv == key).all(1))[0]) // 4)
    assert sorted(seen) == list(range(8))


def test_a_run_that_was_killed_goes_on_to_the_same_net(
    hearts: Windows, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.set_num_threads(1)
    bank = np.random.default_rng(0).normal(size=(8, 2500)).astype(np.float32)

    def fresh() -> Net:
        torch.manual_seed(0)
        return Net(dataclasses.replace(SMALL))

    whole = train_stage(fresh(), {"synthetic": hearts}, bank, STAGE, tmp_path / "a", "s", 5, "cpu")
    saves, save = 0, torch.save

    def killed_in_the_second_epoch(*arguments: object, **more: object) -> None:
        nonlocal saves
        saves += 1
        if saves == 2:
            raise KeyboardInterrupt
        save(*arguments, **more)

    monkeypatch.setattr(loop.torch, "save", killed_in_the_second_epoch)
    with pytest.raises(KeyboardInterrupt):
        train_stage(fresh(), {"synthetic": hearts}, bank, STAGE, tmp_path / "b", "s", 5, "cpu")
    resumed = train_stage(fresh(), {"synthetic": hearts}, bank, STAGE, tmp_path / "b", "s", 5, "cpu")
    for key, value in whole.state_dict().items():
        assert torch.allclose(value.float(), resumed.state_dict()[key].float(), atol=1e-5), key


def test_the_mean_net_is_a_copy(hearts: Windows, tmp_path: Path) -> None:
    net = Net(SMALL)
    mean = train_stage(
        net,
        {"synthetic": hearts},
        np.zeros((4, 2500), np.float32),
        dataclasses.replace(STAGE, epochs=1),
        tmp_path,
        "s",
        1,
        "cpu",
    )
    assert mean is not net
    assert not torch.equal(mean.stem[0].weight, net.stem[0].weight)


def test_a_run_of_another_config_is_not_overwritten(tmp_path: Path) -> None:
    config: Config = config_from(values(), "x")
    run = Run.create(config, tmp_path)
    assert Run.open(run.folder).config == config
    with pytest.raises(UsageError, match="was made by another config"):
        Run.create(dataclasses.replace(config, seed=2), tmp_path)
    with pytest.raises(UsageError, match="not there yet"):
        run.load("pretrain")
    with pytest.raises(UsageError, match="no run"):
        Run.open(tmp_path / "none")


def test_ranges_hold_what_they_say_for_new_patients(rng: np.random.Generator) -> None:
    held = []
    for _ in range(400):
        low, high = residual_range(rng.normal(1, 5, 60), [str(i) for i in range(60)])
        fresh = rng.normal(1, 5, 200)
        held.append(np.mean((fresh >= low) & (fresh <= high)))
    assert 0.895 < np.mean(held) < 0.93


def test_a_patient_with_many_windows_weighs_as_much_as_one_with_few() -> None:
    residuals = np.concatenate([np.full(1000, 50.0), np.linspace(-1, 1, 99)])
    _, high = residual_range(residuals, ["loud"] * 1000 + [str(i) for i in range(99)])
    assert high <= 1.0


def test_noise_is_as_loud_as_asked_in_the_band_that_counts(rng: np.random.Generator) -> None:
    from edge_runtime.conditioning import condition

    t = np.arange(5000) / 500
    clean, noise = np.sin(2 * np.pi * 9 * t), rng.normal(0, 7, 5000) + 30 * np.sin(2 * np.pi * 0.05 * t)
    added = condition(signal_to_noise(clean, noise, 500.0, 6.0) - clean, 500.0)
    assert 20 * np.log10(condition(clean, 500.0).std() / added.std()) == pytest.approx(6.0, abs=0.01)


def test_the_logistic_finds_the_weights_that_made_the_labels(rng: np.random.Generator) -> None:
    x = rng.normal(size=(6000, 8))
    z = 2 * x[:, 0] - x[:, 3] + 0.5
    fitted = fit_logistic(x, rng.random(6000) < 1 / (1 + np.exp(-z)))
    weights = np.array(fitted["weights"])
    assert weights[0] == pytest.approx(2, abs=0.2)
    assert weights[3] == pytest.approx(-1, abs=0.15)
    assert np.abs(np.delete(weights, [0, 3])).max() < 0.15
    assert fitted["bias"] == pytest.approx(0.5, abs=0.15)


def test_the_longest_gap_is_the_last_before_harm() -> None:
    harm = {"8": {"a": 0.1}, "16": {"a": 0.5, "b": 0.2}, "32": {"a": 1.4}, "64": {"a": 0.3}}
    assert longest_bridged_ms(harm) == 16.0
    assert longest_bridged_ms({"8": {"a": 3.0}}) == 0.0
