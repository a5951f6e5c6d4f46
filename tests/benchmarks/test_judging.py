from __future__ import annotations

import numpy as np
import pytest
import torch

from benchmarks import beats, boards, classes, coverage, worst
from benchmarks.coverage import RangeRow
from edge_runtime.report import FINDINGS
from firmware_bridge.boards import BOARDS
from tests.fakes import FakeBackend, ecg_of, model_that_states_all, regular_waves
from train.datasets import mitdb
from train.datasets.truth import Case
from train.nets import Net, NetSpec
from train.rr import rr_features


def test_the_interval_score_by_hand() -> None:
    low, high, truth = np.array([0.0, 0.0, 0.0]), np.array([10.0, 10.0, 10.0]), np.array([5.0, 12.0, -1.0])
    assert coverage.interval_score(low, high, truth) == pytest.approx([10, 10 + 20 * 2, 10 + 20 * 1])


def test_a_patient_with_many_windows_covers_no_more_than_one_with_few() -> None:
    wide, narrow = ((0.0, 10.0),) * 3, ((6.0, 10.0),) * 3
    rows = [RangeRow("ludb", "a", "qt_ms", 70.0, 5.0, wide)] * 9 + [RangeRow("qtdb", "b", "qt_ms", 110.0, 5.0, narrow)]
    found = coverage.coverage_tables(rows)["qt_ms"]
    assert found["all"]["ours"]["coverage"] == 0.5
    assert found["all"]["ours"]["mean_width"] == pytest.approx(7.0)
    assert found["ludb"]["ours"]["coverage"] == 1.0
    assert found["over 100 bpm"]["ours"]["n"] == 1
    assert "under" not in "".join(found)


def finding(patient: str, truth: tuple[bool, ...], probability: tuple[float, ...], fold: int = 0) -> classes.FindingRow:
    return classes.FindingRow(fold, "int8", "I", patient, 50.0, 0, truth, probability)


def test_the_macro_area_is_the_mean_of_the_classes() -> None:
    first, second = (True, False, True, False, True), (False, True, False, True, False)
    rows = [finding("a", first, (0.9, 0.1, 0.2, 0.1, 0.6)), finding("b", second, (0.1, 0.9, 0.8, 0.9, 0.4))]
    assert classes.macro_auc(rows) == pytest.approx(4 / 5)
    assert classes.macro_auc(rows[:1]) is None, "a class that nobody has has no area"
    found = classes.finding_tables(rows * 3)["I"]["int8"]
    assert found["macro_auc"] == pytest.approx(0.8)
    assert found["auc"] == dict(zip(FINDINGS, (1.0, 1.0, 0.0, 1.0, 1.0), strict=True))


def test_presence_is_judged_by_data_set() -> None:
    rows = [classes.PresenceRow("ludb", str(i), i % 2 == 0, 1.0 if i % 2 == 0 else -1.0) for i in range(8)]
    found = classes.presence_tables([*rows, classes.PresenceRow("qtdb", "x", True, 0.0)])
    assert found["ludb"]["auc"] == 1.0
    assert (found["ludb"]["with_p"], found["ludb"]["without_p"]) == (4, 4)
    assert "qtdb" not in found, "nobody there is without"


def test_the_worst_is_measured_in_each_measures_own_spread_and_taken_once_a_lead() -> None:
    def case(record: str) -> Case:
        return Case("ludb", record, "i", 0, 250.0, (np.zeros(2500),), {}, ({},), 1)

    found = [
        worst.Worst(case("1"), "qt_ms", 400.0, 45.0),
        worst.Worst(case("1"), "qrs_ms", 100.0, -40.0),
        worst.Worst(case("2"), "pr_ms", 160.0, 45.0),
        worst.Worst(case("3"), "hr_bpm", 60.0, 500.0),
    ]
    assert [(w.case.record, w.measure) for w in worst.worst_of(found)] == [("1", "qrs_ms"), ("2", "pr_ms")]


def test_every_board_of_the_table_that_has_numbers_is_played() -> None:
    assert set(boards.playable()) == set(BOARDS) - {n for n, b in BOARDS.items() if b.sampling_rate_hz is None}
    judged = boards._judged([10.0, None, -4.0], [8.0, 3.0, -5.0], ["a", "b", "c"])
    assert (judged["n"], judged["stated"], judged["mae"]) == (3, 2, 7.0)
    assert judged["worse"] == pytest.approx(0.5)


def test_beats_are_features_of_their_own_place() -> None:
    """The same heart, its beats looked at once: rows differ between beats only where the signal or the RR does."""
    torch.manual_seed(0)
    net = Net(NetSpec(channels=(4, 6, 8), blocks=(1, 1, 1), window_channels=8)).eval()
    mv = np.tile(ecg_of(regular_waves(rr_s=1.0, start_s=0.5), 250), 4)
    peaks = (np.arange(0.5, 39.6, 1.0) * 250).astype(np.int64)
    record = mitdb.MitdbRecord("x", "MLII", 250.0, mv, peaks, np.zeros(len(peaks), np.int64))
    x = beats.features(net, record)
    assert len(x) == len(peaks)
    inner = x[8:-8]
    assert np.abs(inner - inner.mean(0)).max() < 0.25 * np.abs(inner).max()
    early = np.sort(np.append(peaks, peaks[20] + 100))
    rr = rr_features(early / 250)
    assert rr[21, 0] < -0.5 < rr[20, 0]


def test_a_perceptron_learns_classes_that_can_be_told_apart(rng: np.random.Generator) -> None:
    y = rng.integers(0, 5, 6000)
    x = rng.normal(size=(6000, 12)).astype(np.float32)
    x[np.arange(6000), y] += 4
    head = beats.fit(x, y, 1)
    with torch.no_grad():
        said = head(torch.from_numpy(x)).argmax(1).numpy()
    assert np.mean(said == y) > 0.9
    confusion = np.zeros((5, 5), np.int64)
    confusion[2] = [5, 0, 15, 0, 0]
    assert beats.table(confusion)["sensitivity"]["V"] == 0.75
    assert beats.table(confusion)["sensitivity"]["S"] is None


def test_the_halves_of_mitdb_share_one_patient_that_is_named() -> None:
    assert len(mitdb.DS1) == len(mitdb.DS2) == 22
    assert not set(mitdb.DS1) & set(mitdb.DS2)
    assert set(mitdb.SHARED_WITH_DS1) < set(mitdb.DS2)


def test_presence_asks_the_head_of_the_conditioned_window() -> None:
    row = classes.presence_row("ludb", "1", True, ecg_of(regular_waves(), 500, 10.0), 500.0, FakeBackend(p_wave=2.5))
    assert row.logit == 2.5
    assert model_that_states_all().samples == 2500
