from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from edge_runtime.delineation import QRS, MaskGrid, P, T, Wave
from edge_runtime.errors import UsageError
from edge_runtime.records import read_record
from train.datasets.annotations import read_waves
from train.deepfake_report import agreement, generate_deepfake, population
from train.generators import deepfake
from train.generators.deepfake import Delineator, Generator, deepfake_window, deepfake_windows, p_label, sure_of
from train.generators.hearts import RATE_HZ, synthetic_window
from train.nets import Net, NetSpec
from train.peers import NEUROKIT, ask, installed, measures
from train.windows import UNKNOWN, Windows

GRID = MaskGrid()


@pytest.fixture(scope="module")
def generator() -> Generator:
    pytest.importorskip("deepfakeecg", reason="needs the package deepfake-ecg: pip install deepfake-ecg==1.1.2")
    return Generator()


@pytest.fixture
def small_chunks(generator: Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    """Chunks of four draws, on one process."""
    monkeypatch.setattr(deepfake, "_CHUNK", 4)
    monkeypatch.setattr(deepfake.os, "sched_getaffinity", lambda pid: {0})


def same(a: Windows, b: Windows) -> bool:
    return all(
        np.array_equal(getattr(a, name), getattr(b, name), equal_nan=name == "beats")
        for name in Windows.__dataclass_fields__
    )


def test_lead_i_looks_like_millivolts_of_a_heart(generator: Generator) -> None:
    drawn = np.stack([generator(1, i) for i in range(16)])
    assert drawn.shape == (16, 5000)
    assert 0.5 < np.median(np.ptp(drawn, axis=1)) < 2.0
    assert np.abs(drawn.mean()) < 0.05
    assert len({x.tobytes() for x in drawn}) == 16


def test_drawing_leaves_torchs_own_chance_alone(generator: Generator) -> None:
    before = torch.random.get_rng_state()
    Generator()(1, 0)
    assert torch.equal(before, torch.random.get_rng_state())


@pytest.mark.usefixtures("small_chunks")
def test_windows_are_the_same_however_they_were_shared_out(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = deepfake_windows(3, 8)
    assert whole.signal_uv.shape == (8, 2500)
    assert whole.mask is not None
    assert whole.known is not None
    assert whole.mask.shape == whole.known.shape == (8, 3, 1280)
    assert {str(a.dtype) for a in (whole.mask, whole.known)} == {"uint8"}
    assert set(np.unique(whole.known)) == {0, 1}
    assert whole.known.mean() > 0.8
    assert (whole.mask[:, QRS] == 255).any(1).all()
    assert (whole.rhythm == UNKNOWN).all()
    assert (whole.fold == UNKNOWN).all()
    assert set(whole.p_wave) <= {UNKNOWN, 0, 1}
    assert (np.diff(whole.group) > 0).all()
    assert not same(whole, deepfake_windows(4, 8))
    monkeypatch.setattr(deepfake, "_CHUNK", 3)
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        again = deepfake_windows(3, 8)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(threads)
    assert same(whole, again)


@pytest.mark.usefixtures("small_chunks")
def test_a_cache_goes_on_from_where_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = tmp_path / "deepfake-abc.npz"
    few = deepfake_windows(3, 4, cache=cache)
    (folder,) = tmp_path.iterdir()
    assert folder.name.startswith("deepfake-abc-3-")
    (first,) = folder.iterdir()
    stamp = first.stat().st_mtime_ns
    more = deepfake_windows(3, 6, cache=cache)
    assert np.array_equal(more.signal_uv[:4], few.signal_uv)
    assert first.stat().st_mtime_ns == stamp
    monkeypatch.setattr(deepfake, "deepfake_window", None)  # nothing is drawn any more
    assert same(deepfake_windows(3, 6, cache=cache), more)
    torch.manual_seed(0)
    with pytest.raises(TypeError):
        deepfake_windows(3, 4, cache=cache, net=Net(NetSpec(channels=(4, 6), blocks=(1, 1), window_channels=8)))


@pytest.mark.usefixtures("small_chunks")
def test_what_quality_refuses_is_left_out_and_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    draw = Generator.__call__

    def flat_when_odd(self: Generator, seed: int, number: int) -> np.ndarray:
        return draw(self, seed, number) * (number % 2 == 0)

    monkeypatch.setattr(Generator, "__call__", flat_when_odd)
    assert deepfake_windows(1, 4).group.tolist() == [0, 2, 4, 6]
    monkeypatch.setattr(Generator, "__call__", lambda self, seed, number: np.zeros(5000))
    with pytest.raises(UsageError, match="refused all but 0 of 16 windows"):
        deepfake_windows(1, 4)


def test_without_the_package_it_is_said_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "deepfakeecg.models", None)
    with pytest.raises(UsageError, match=r"pip install 'leadwire\[train\]'"):
        Generator()


def test_a_fold_may_draw_its_labels_with_its_own_net(generator: Generator) -> None:
    torch.manual_seed(0)
    untrained = Delineator(Net(NetSpec(channels=(4, 6, 8), blocks=(1, 1, 1), window_channels=8)))
    assert untrained.backend.name == "torch"
    window = deepfake_window(generator, untrained, 1, 0)
    assert window.known.mean() < 0.1, "an untrained net is sure of nothing"


def logits(probability: np.ndarray) -> np.ndarray:
    p = np.clip(probability, 1e-6, 1 - 1e-6)
    return np.log(p / (1 - p)).astype(np.float32)


def test_only_what_is_sure_is_known() -> None:
    p = np.full((3, GRID.length), 0.01)
    p[QRS, 100:112] = 0.99
    p[QRS, 99] = p[QRS, 112] = 0.6  # a quick turn: known up to and around the crossing
    p[T, 200:240] = 0.99
    p[T, 240:252] = np.linspace(0.9, 0.1, 12)  # a slow one: unknown between the two sures
    p[P, 60:75] = 0.7  # a half-hearted wave
    p[P, 300:302] = 0.99  # too short to be one
    waves = GRID.read(logits(p))
    assert [w.kind for w in waves] == [P, QRS, T]
    known = sure_of(logits(p), waves, GRID)
    assert known.dtype == np.uint8
    assert known[QRS].all()
    assert np.flatnonzero(known[T] == 0).tolist() == list(range(241, 251))
    assert np.flatnonzero(known[P] == 0).tolist() == [*range(59, 76), 300, 301]
    edge = np.full((3, GRID.length), 0.99)
    assert sure_of(logits(edge), GRID.read(logits(edge)), GRID).sum() == 0, "cut by both ends: no wave was read"
    assert sure_of(logits(edge * 0), [Wave(T, 9.0, 10.1119)], GRID)[T, -1] == 0


def test_a_p_label_is_of_a_sure_head_that_agrees_with_the_beats() -> None:
    assert p_label(0.95, [True, True, False]) == 1
    assert p_label(0.95, [True, False]) == UNKNOWN
    assert p_label(0.6, [True] * 5) == UNKNOWN
    assert p_label(0.05, [False] * 5) == 0
    assert p_label(0.05, [True, *[False] * 5]) == UNKNOWN


def test_agreement_is_over_the_windows_that_both_state() -> None:
    none = {"hr_bpm": None, "pr_ms": None, "qrs_ms": None, "qt_ms": None}
    ours = [{**none, "hr_bpm": v} for v in (60.0, 70.0, 80.0, None)]
    theirs = [{**none, "hr_bpm": v} for v in (61.0, 67.0, None, 90.0)]
    hr = agreement(ours, theirs)["hr_bpm"]
    assert hr == {
        "stated": 0.75,
        "neurokit2_stated": 0.75,
        "both": 2,
        "mean_difference": 1.0,
        "sd": pytest.approx(2.83),
        "mae": 2.0,
        "median_abs": 2.0,
    }
    assert agreement(ours, theirs)["qt_ms"]["mae"] is None
    assert population(ours)["hr_bpm"] == {"n": 3, "median": 70.0, "p5": 61.0, "p95": 79.0}
    assert population(ours)["qt_ms"] == {"n": 0}


needs_neurokit = pytest.mark.skipif(not installed(NEUROKIT), reason="needs neurokit2: make peers")


@needs_neurokit
def test_neurokit_gives_the_measures_of_a_heart_whose_rate_is_known() -> None:
    hearts = (synthetic_window(np.random.default_rng([1, i])) for i in range(5, 100))
    chosen = [h for h in hearts if h.rhythm == "sinus"][:8]
    signals = [(h.samples_mv, RATE_HZ) for h in chosen] + [(np.zeros(n), RATE_HZ) for n in (5000, 0)]
    found = [measures(answer, 10.0) for answer in ask(NEUROKIT, signals).answers]
    rates = []
    for heart, said in zip(chosen, found, strict=False):
        onsets = [w.onset_s for w in heart.waves if w.kind == QRS and 0 < w.onset_s < 9.9]
        rates.append((said["hr_bpm"] or 0.0) * (onsets[-1] - onsets[0]) / (60 * (len(onsets) - 1)))
    assert np.median(rates) == pytest.approx(1.0, rel=0.05), "odd hearts may mislead it, most do not"
    assert [set(said.values()) for said in found[-2:]] == [{None}, {None}]


@needs_neurokit
def test_the_report_stands_beside_the_windows_that_it_is_of(
    generator: Generator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LEADWIRE_DATA", str(tmp_path / "none"))
    result = generate_deepfake(1, 3, tmp_path)
    assert result["neurokit2_on_ludb_lead_i"] is None
    assert json.loads((tmp_path / "deepfake.json").read_text()) == result
    assert result["windows"] == 3
    assert result["draws"] == 3 + sum(result["refused"].values())
    assert set(result["agreement"]) == {"hr_bpm", "pr_ms", "qrs_ms", "qt_ms"}
    assert (tmp_path / "deepfake_contact_sheet.png").exists()
    name = sorted((tmp_path / "generated").glob("*.hea"))[0].with_suffix("")
    number = int(name.name.removeprefix("deepfake"))
    window = deepfake_window(generator, Delineator(), 1, number)
    assert np.abs(read_record(name).lead().millivolts - window.samples_mv).max() < 0.0006
    marked = [w.onset_s for w in read_waves(name, "atr", RATE_HZ) if w.kind == QRS and w.onset_s is not None]
    read = [w.onset_s for w in window.waves if w.kind == QRS and 0 <= w.onset_s < 9.9]
    assert len(marked) >= len(read)
    assert all(min(abs(t - m) for m in marked) < 0.005 for t in read)
