from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from edge_runtime.delineation import QRS, MaskGrid, P, T
from tests.conftest import need
from train import folds
from train.augment import EM_TRAINING_SHARE, electrode_motion
from train.config import load_config
from train.datasets import annotations, ludb, ludb_edges, qtdb
from train.datasets.annotations import AnnotatedBeat, AnnotatedWave, beats_of, intervals_of, p_label, window_labels
from train.datasets.truth import ludb_cases, qtdb_cases
from train.run import ALL, Run
from train.windows import cinc2017_windows, ludb_windows, qtdb_windows

GRID = MaskGrid()


def marks(monkeypatch: pytest.MonkeyPatch, text: str) -> list[AnnotatedWave]:
    """Waves of `symbol sample` pairs at 100 Hz."""
    parts = text.split()
    symbols, samples = parts[0::2], np.array([int(s) for s in parts[1::2]])
    monkeypatch.setattr(annotations, "read_annotation", lambda path, extension: (symbols, samples))
    return annotations.read_waves(Path("x"), "q1c", 100.0)


def test_the_notation_of_waves_is_understood(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "( 10 p 14 ) 18 ( 26 N 30 ) 35 t 55 ) 66 ( 80 N 85 ) 90 t 100 t 110 ) 120 ( 130 u 135 ) 140"
    waves = marks(monkeypatch, text)
    assert [(w.kind, w.onset_s, w.peak_s, w.offset_s) for w in waves] == [
        (P, 0.10, 0.14, 0.18),
        (QRS, 0.26, 0.30, 0.35),
        (T, None, 0.55, 0.66),
        (QRS, 0.80, 0.85, 0.90),
        (T, None, 1.00, None),
        (T, None, 1.10, 1.20),
    ]
    first, second = beats_of(waves)
    assert first.p is not None
    assert second.p is None
    assert second.t is not None
    assert second.t.offset_s == 1.20, "a biphasic T ends with its second half"
    found = intervals_of([first, second])
    assert found.pr_ms == pytest.approx(160)
    assert found.qrs_ms == pytest.approx(95)
    assert found.qt_ms == pytest.approx(400)


def beat(p: bool) -> AnnotatedBeat:
    wave = AnnotatedWave(P, 0.0, 0.05, 0.1)
    return AnnotatedBeat(AnnotatedWave(QRS, 0.2, 0.25, 0.3), wave if p else None, None)


def test_a_p_label_needs_beats_that_agree() -> None:
    assert p_label([beat(True)] * 4) == 1
    assert p_label([beat(False)] * 4) == 0
    assert p_label([beat(True), beat(False), beat(False), beat(False)]) == -1
    assert p_label([beat(True)] * 2) == -1


def test_labels_are_known_only_where_everything_was_marked() -> None:
    waves = [AnnotatedWave(QRS, 2.0, 2.05, 2.1), AnnotatedWave(T, None, 2.3, 2.4), AnnotatedWave(QRS, 3.0, 3.05, 3.1)]
    mask, known = window_labels(GRID, waves, [(2.0, 3.1)], 1.0)

    def at(second: float) -> int:
        return round((second - 1.0) * GRID.sampling_rate_hz) + GRID.margin

    assert mask[QRS, at(2.05)] == mask[QRS, at(3.05)] == 255
    assert mask[QRS, at(2.5)] == 0
    assert not known[:, at(1.5)].any()
    assert not known[:, at(3.5)].any()
    assert known[:, at(2.7)].all()
    assert known[QRS, at(1.97)]
    assert not known[P, at(1.97)], "an unmarked P may end just before the first mark"
    assert not known[T, at(2.2)], "where the T began was not marked"
    assert known[T, at(2.35)]
    assert mask[T, at(2.35)] == 255


def test_a_fold_trains_on_nobody_whom_it_is_tested_on(tmp_path: Path) -> None:
    for name in ("ludb", "qtdb", "cinc2017"):
        need(name)
    config = load_config(Path(__file__).parent.parent.parent / "train" / "configs" / "smoke.toml")
    run = Run.create(config, tmp_path)
    for fold in ("0", "3", ALL):
        run.place(fold).mkdir(parents=True)
        (run.place(fold) / "offsets.json").write_text('{"offsets_s": [[0, 0], [0, 0], [0, 0]]}')
        judges = run.validation(config.transfer, fold)
        for name, windows in run.sources(config.transfer, fold).items():
            assert fold == ALL or (windows.fold != int(fold)).all(), name
            assert (windows.fold < folds.FOLDS).all(), "PTB-XL's validating and testing folds train nothing"
            assert not windows.validates.any(), name
            if name in judges:
                assert not set(judges[name].group.tolist()) & set(windows.group.tolist())
                assert fold == ALL or (judges[name].fold != int(fold)).all()
    whole = run.sources(config.transfer, ALL)
    assert all(len(whole[n]) >= len(run.sources(config.transfer, "0")[n]) for n in whole)


def test_the_sets_are_labelled_by_their_own_folds() -> None:
    windows = ludb_windows(need("ludb"), 12)
    names = ludb.records(need("ludb"))[:12]
    assert set(windows.fold.tolist()) == {folds.fold_of("ludb", n) for n in names}
    assert windows.mask is not None
    assert windows.known is not None
    assert 0.6 < windows.known[:, QRS].mean() < 1.0
    q = qtdb_windows(need("qtdb"), 4)
    assert q.known is not None
    assert 0.2 < q.known[:, QRS].mean() < 1.0
    c = cinc2017_windows(need("cinc2017"), 20)
    assert set(c.p_wave[c.rhythm == 0].tolist()) <= {1}
    assert set(c.p_wave[c.rhythm == 1].tolist()) <= {0}
    assert set(c.p_wave[c.rhythm >= 2].tolist()) <= {-1}


def test_no_annotated_stretch_of_qtdb_holds_an_unmarked_beat() -> None:
    folder = need("qtdb")
    for name in qtdb.records(folder)[::6]:
        record = qtdb.read(folder, name)
        marked = np.array([w.peak_s for w in record.waves if w.kind == QRS])
        for low, high in record.spans_s:
            inside = record.beats_s[(record.beats_s > low + 0.2) & (record.beats_s < high - 0.2)]
            assert all(np.abs(marked - b).min() < 0.15 for b in inside), name


def test_the_committed_edge_beats_are_those_that_are_found_and_make_the_rhythm_whole() -> None:
    folder, kept = need("ludb"), ludb_edges.load()
    for record in ludb.records(folder)[:6]:
        assert ludb_edges.edge_beats(ludb.read(folder, record)) == kept[record]
    assert sum(len(v) for v in kept.values()) / len(kept) == pytest.approx(2.0, abs=0.15)


def test_truth_is_by_hand_and_by_window() -> None:
    for case in ludb_cases(need("ludb"), most_records=5) + qtdb_cases(need("qtdb"), most_records=5):
        assert len(case.windows_mv) == len(case.window_truth)
        assert all(len(mv) == round(10 * case.sampling_rate_hz) for mv in case.windows_mv)
        rate = case.truth["hr_bpm"]
        assert rate is not None
        assert 25 < rate < 200
        for name, low, high in (("pr_ms", 80, 360), ("qrs_ms", 50, 220), ("qt_ms", 240, 800)):
            value = case.truth[name]
            assert value is None or low < value < high


def test_training_hears_only_the_first_part_of_the_electrode_motion() -> None:
    need("nstdb")
    train, test = electrode_motion((0.0, EM_TRAINING_SHARE)), electrode_motion((EM_TRAINING_SHARE, 1.0))
    assert train is not None
    assert test is not None
    assert EM_TRAINING_SHARE == 0.6
    whole = electrode_motion((0.0, 1.0))
    assert whole is not None
    assert np.array_equal(np.concatenate([train[0], test[0]], axis=1), whole[0])


def test_the_committed_calibration_is_of_all_folds() -> None:
    path = Path(__file__).parent.parent.parent / "runs" / "default" / "calibration.json"
    said = json.loads(path.read_text())
    assert set(said["residuals_by_fold"]) == set(said["without_fold"]) == {"0", "1", "2", "3", "4"}
