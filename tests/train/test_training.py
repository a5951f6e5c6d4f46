from __future__ import annotations

import dataclasses
import json
import tomllib
from pathlib import Path

import numpy as np
import pytest
import torch

from edge_runtime.delineation import QRS, P, T
from edge_runtime.errors import UsageError
from edge_runtime.ranges import INTERVALS
from train import folds, loop
from train.augment import Batch, augment
from train.config import Config, Mix, Stage, config_from, load_config
from train.datasets.qtdb import MITDB_SUBJECTS
from train.generate import synthetic_windows
from train.loop import Task, batches, losses, to_input, train_stage
from train.nets import BLOCKS, Net, NetSpec
from train.offsets import fit_offsets, shifted
from train.run import Run
from train.targets import interval_targets
from train.windows import GRID, MOST_BEATS, QRS_ON, Windows

CONFIGS = Path(__file__).parent.parent.parent / "train" / "configs"
SMALL = NetSpec(channels=(4, 6, 8), blocks=(1, 1, 1), window_channels=8)
STAGE = Stage(epochs=3, learning_rate=5e-3, mix=Mix(synthetic=32), batch=16)


def job(windows: Windows, bank: np.ndarray | None = None, stage: Stage = STAGE) -> Task:
    bank = np.zeros((4, 2500), np.float32) if bank is None else bank
    return Task({"synthetic": windows}, {}, bank, stage, tuple(INTERVALS), 5, "cpu")


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
        "findings": (2, 5, 1, 1),
        "intervals": (2, 4, 1, 1),
        "spread": (2, 4, 1, 1),
    }
    assert sum(p.numel() for p in Net().parameters()) <= 100_000


@pytest.mark.parametrize("kind", BLOCKS)
def test_every_kind_of_block_keeps_its_levels_length(kind: str) -> None:
    out = Net(dataclasses.replace(SMALL, kind=kind, channels=(8, 12, 16)))(torch.zeros(1, 1, 1, 2500))
    assert out["masks"].shape == (1, 3, 1, 1280)


def test_the_device_and_the_training_compand_alike() -> None:
    from edge_runtime.conditioning import compand

    mv = np.linspace(-5, 5, 2500, dtype=np.float32)
    assert np.allclose(to_input(torch.from_numpy(mv[None]))[0, 0, 0].numpy(), compand(mv), atol=1e-6)


def empty(n: int = 4) -> Batch:
    masks, unknown = torch.zeros(n, 3, 1280), torch.full((n,), -1)
    beats = torch.full((n, MOST_BEATS, 4), torch.nan)
    return Batch(torch.zeros(n, 2500), masks, masks.clone(), beats, unknown, unknown.clone(), torch.full((n, 5), -1))


def lost(net: Net, batch: Batch) -> dict[str, float]:
    with torch.no_grad():
        parts = losses(net(to_input(torch.randn(4, 2500))), batch, torch.ones(4), torch.ones(4))
    return {name: float(loss) for name, (loss, _) in parts.items()}


def test_what_is_not_known_costs_nothing() -> None:
    net = Net(SMALL)
    assert set(lost(net, empty()).values()) == {0.0}
    some = empty()
    some.known[0, 1, 100:200] = 1.0
    some.rhythm[2] = 3
    some.findings[1] = 0
    some.beats[3, :4, 1] = torch.tensor([1.0, 2.0, 3.0, 4.0])
    found = lost(net, some)
    assert found["p_wave"] == 0
    assert all(found[name] != 0 for name in ("masks", "rhythm", "findings", "intervals"))


def test_the_direct_head_is_asked_for_what_the_beats_say() -> None:
    beats = torch.full((2, MOST_BEATS, 4), torch.nan)
    for i, t in enumerate(np.arange(0.3, 9.9, 0.8)):
        beats[0, i] = torch.tensor([t - 0.16, t, t + 0.1, t + 0.4 + 0.02 * (i % 2)])
    beats[1, :2, 1] = torch.tensor([1.0, 2.0])
    found = interval_targets(beats)
    expected = [(v - c) / s for v, (c, s) in zip((75, 160, 100, 410), INTERVALS.values(), strict=True)]
    assert found[0].tolist() == pytest.approx(expected, abs=0.25), "an even number of beats: the middle of the two"
    assert found[0, :3].tolist() == pytest.approx(expected[:3], abs=1e-3)
    assert found[1].isnan().all(), "two beats are too few"


def test_time_is_bent_for_the_signal_its_masks_and_its_beats_alike(hearts: Windows) -> None:
    batch = loop._take(hearts, np.arange(len(hearts)))
    covered = torch.nn.functional.interpolate(batch.mask[:, 1:2], size=2560, mode="linear", align_corners=False)
    batch = dataclasses.replace(batch, signal_mv=covered[:, 0, 30:2530])
    out = augment(batch, torch.zeros(4, 2500), torch.Generator().manual_seed(1), 0.0, 1.0)
    again = torch.nn.functional.interpolate(out.mask[:, 1:2], size=2560, mode="linear", align_corners=False)
    inside = torch.nn.functional.interpolate(out.known[:, 1:2], size=2560)[:, 0, 30:2530] == 1
    drawn = (again[:, 0, 30:2530] > 0.5) & inside
    assert float(out.signal_mv[drawn].median()) > 5 * float(out.signal_mv[~drawn].abs().median())
    assert float(out.known.mean()) < 1.0, "what was shifted in from outside is unknown"
    apart = []
    for i in range(len(hearts)):
        p = out.mask[i].numpy().clip(1e-4, 1 - 1e-4)
        edges = [w.onset_s for w in GRID.read(np.log(p / (1 - p))) if w.kind == QRS]
        for t in out.beats[i, :, QRS_ON].numpy():
            if 0.3 < t < 9.7 and edges:
                apart.append(min(abs(t - e) for e in edges))
    assert np.percentile(apart, 95) < 0.002
    bent = (out.beats[:, :, 2] - out.beats[:, :, 1]) / (batch.beats[:, :, 2] - batch.beats[:, :, 1])
    assert np.nanstd(bent.numpy()) > 0.05, "widths change from beat to beat"


def test_offsets_move_both_edges_of_a_mask_and_its_beats(hearts: Windows) -> None:
    offsets = np.array([[-0.008, 0.0], [-0.006, 0.010], [0.0, -0.012]])
    moved = shifted(hearts, offsets)
    assert hearts.mask is not None and moved.mask is not None and hearts.beats is not None and moved.beats is not None
    assert np.nanmax(np.abs(moved.beats[:, :, QRS_ON] - hearts.beats[:, :, QRS_ON] + 0.006)) < 1e-6
    found: dict[int, list[tuple[float, float]]] = {}
    for before, after in zip(hearts.mask, moved.mask, strict=True):
        a, b = (GRID.waves(m.astype(np.float32) / 255) for m in (before, after))
        for kind in (P, QRS, T):
            x, y = ([w for w in waves if w.kind == kind and 0.3 < w.onset_s < 9.5] for waves in (a, b))
            if len(x) == len(y):
                found.setdefault(kind, []).extend(
                    (w.onset_s - v.onset_s, w.offset_s - v.offset_s) for v, w in zip(x, y, strict=True)
                )
    for kind, pairs in found.items():
        assert np.median(pairs, axis=0) == pytest.approx(offsets[kind], abs=0.0015), kind


def test_offsets_are_found_again(hearts: Windows) -> None:
    """A net that draws exactly what the simulator drew, against annotators who put every mark elsewhere."""
    offsets = np.array([[-0.010, 0.006], [-0.008, 0.008], [0.010, -0.014]])

    class Exact(torch.nn.Module):
        spec = NetSpec()

        def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
            signal = torch.sinh(x[:, 0, 0]) * 0.1
            known = torch.from_numpy(hearts.signal_uv.astype(np.float32) * 1e-3)
            i = int((known - signal).abs().sum(1).argmin())
            assert hearts.mask is not None
            p = torch.from_numpy(hearts.mask[i : i + 1].astype(np.float32) / 255).clamp(1e-4, 1 - 1e-4)
            return {"masks": torch.log(p / (1 - p))[:, :, None]}

    fitted = fit_offsets(Exact(), [shifted(hearts, offsets)])  # type: ignore[arg-type]
    assert fitted == pytest.approx(offsets, abs=0.002)


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

    task = job(hearts, bank)
    whole = train_stage(fresh(), task, tmp_path / "a", "s")
    saves, save = 0, torch.save

    def killed_in_the_second_epoch(*arguments: object, **more: object) -> None:
        nonlocal saves
        saves += 1
        if saves == 2:
            raise KeyboardInterrupt
        save(*arguments, **more)

    monkeypatch.setattr(loop.torch, "save", killed_in_the_second_epoch)
    with pytest.raises(KeyboardInterrupt):
        train_stage(fresh(), task, tmp_path / "b", "s")
    resumed = train_stage(fresh(), task, tmp_path / "b", "s")
    for key, value in whole.state_dict().items():
        assert torch.allclose(value.float(), resumed.state_dict()[key].float(), atol=1e-5), key


def test_the_mean_net_is_a_copy(hearts: Windows, tmp_path: Path) -> None:
    net = Net(SMALL)
    mean = train_stage(net, job(hearts, stage=dataclasses.replace(STAGE, epochs=1)), tmp_path, "s")
    assert mean is not net
    assert not torch.equal(mean.stem[0].weight, net.stem[0].weight)


def test_the_epoch_that_was_best_on_validation_is_the_one_that_is_kept(
    hearts: Windows, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second of three epochs is made the best; what is handed on is what the net was then, not what it became."""
    seen: list[dict[str, torch.Tensor]] = []

    def judged(net: Net, *rest: object) -> tuple[dict[str, float], float]:
        seen.append({k: v.clone() for k, v in net.state_dict().items()})
        return {}, [3.0, 1.0, 2.0][len(seen) - 1]

    monkeypatch.setattr(loop, "validate", judged)
    task = dataclasses.replace(job(hearts), validation={"synthetic": hearts})
    kept = train_stage(Net(SMALL), task, tmp_path, "s").state_dict()
    assert all(torch.equal(v, seen[1][k]) for k, v in kept.items())
    assert any(not torch.equal(v, seen[2][k]) for k, v in kept.items())
    rows = [json.loads(line) for line in (tmp_path / "s.log.jsonl").read_text().splitlines()]
    assert [row["validation"]["total"] for row in rows] == [3.0, 1.0, 2.0]


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
