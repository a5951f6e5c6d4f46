"""The study's cells, its runner and its statistics; and the whole of it, at a size at which nothing is learnt."""

from __future__ import annotations

import dataclasses
import json
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import t as student

from edge_runtime.errors import UsageError
from tests.conftest import need
from train.datasets import mitdb, qtdb
from train.scores import f1_scores, roc
from train.study import statistics
from train.study.baselines import lower_end
from train.study.cells import PRETRAIN, SCRATCH, Cell, arms, pretraining_cell, table
from train.study.config import Statistics, StudyConfig, TrunkSpec, load_study, smoked, study_from
from train.study.data import Data, Part
from train.study.fitting import freeze, rows, steps_of, trial
from train.study.nets import BODIES, Drawn, OfBeats, Trunk, Whole, put_weights, weights_of
from train.study.pretraining import SOURCES, hidden, module_of, trunk_of
from train.study.runner import Cost, Job, Kept, Result, Rows, run_study
from train.study.scores import confusions, f1, macro_auc, pack, unpack, weighted_auc
from train.study.statistics import holm, paired, patient_weights, verdict
from train.study.tasks import TASKS
from train.windows import GRID

CONFIG = Path(__file__).parent.parent.parent / "train" / "configs" / "study.toml"
FULL = load_study(CONFIG)
SMALL = TrunkSpec((16, 16, 16, 16), (0, 0, 0, 1))


# ---- the table -------------------------------------------------------------------------------------------


def test_every_cell_stands_once_behind_the_one_that_it_needs() -> None:
    cells = table(FULL)
    place = {cell.key: i for i, cell in enumerate(cells)}
    assert len(place) == len(cells)
    assert all(place[c.needs.key] < place[c.key] for c in cells if c.needs is not None)


def test_what_was_decided_to_be_compared_is_run_on_all_nine_folds() -> None:
    keys = {cell.key for cell in table(FULL)}
    for comparison in FULL.comparisons:
        for labels in comparison.labels:
            folds = range(1, 10) if comparison.task in ("superclasses", "one_label") else range(1, 6)
            for fold in folds:
                assert {cell.key for cell in arms(comparison, labels, fold)} <= keys, (comparison, labels, fold)


def test_the_first_cells_give_the_hypotheses_their_five_seeds() -> None:
    cells = [c for c in table(FULL) if c.task != PRETRAIN]
    first = cells[: 4 * 2 * 5]
    assert {c.source for c in first} == {"scratch", "all", "masking", "delineation"}
    assert {c.labels for c in first} == {0, 300}
    assert {c.fold for c in first} == {1, 2, 3, 4, 5}


def test_from_scratch_is_one_cell_whatever_asks_for_it() -> None:
    of_scratch = [c for c in table(FULL) if c.source == SCRATCH]
    assert {(c.pretraining, c.freezing) for c in of_scratch} == {("none", "full")}


def test_each_fold_has_a_seed_of_its_own() -> None:
    assert all(c.seed == c.fold for c in table(FULL))


def test_the_digest_changes_with_the_budget_and_not_with_the_cells() -> None:
    more = dataclasses.replace(FULL.tuning, learning_rates=(1e-3,))
    assert dataclasses.replace(FULL, tuning=more).digest != FULL.digest
    assert dataclasses.replace(FULL, grids=FULL.grids[:1], name="other").digest == FULL.digest


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"grids": []}, "has \\[\\[grids\\]\\]"),
        ({"budget": 1}, "unknown key 'budget'"),
        ({"grids": [{"task": "superclasses", "sources": ["all"]}]}, "'grids.folds' is missing"),
        ({"grids": [{"task": "x", "sources": ["all"], "folds": [1], "seeds": 1}]}, "unknown key 'grids.seeds'"),
    ],
)
def test_a_typing_error_in_a_study_is_refused(change: dict[str, Any], message: str) -> None:
    values = tomllib.loads(CONFIG.read_text())
    with pytest.raises(UsageError, match=message):
        study_from({**values, **change}, "x")


def test_an_arm_with_an_unknown_key_is_refused() -> None:
    values = tomllib.loads(CONFIG.read_text())
    values["comparisons"][0]["arm"]["sauce"] = "all"
    with pytest.raises(UsageError, match=r"'comparisons\.sauce'"):
        study_from(values, "x")


# ---- who is trained on and who is tested -----------------------------------------------------------------


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> Data:
    for name in ("ptbxl", "cinc2017", "mitdb"):
        need(name)
    return Data(FULL, tmp_path_factory.mktemp("cache"), labels_only=True)


@pytest.mark.parametrize("task", sorted(TASKS))
def test_no_patient_is_on_two_sides(people: Data, task: str) -> None:
    for fold in (1, 2, 5):
        parts = TASKS[task].parts(people, Cell(task, SCRATCH, fold, fold))
        sides = [set(p.patients.tolist()) for p in (parts.train, parts.validation, parts.test)]
        assert all(sides)
        assert not (sides[0] & sides[1] or sides[0] & sides[2] or sides[1] & sides[2])


def test_every_record_of_ptbxl_is_tested_once(people: Data) -> None:
    tested = [TASKS["superclasses"].parts(people, Cell("superclasses", SCRATCH, f, f)).test.names for f in range(1, 10)]
    assert sorted(np.concatenate(tested)) == sorted(people.ptbxl.names)


def test_every_record_of_cinc2017_is_tested_once(people: Data) -> None:
    tested = [TASKS["rhythm"].parts(people, Cell("rhythm", SCRATCH, f, f)).test.names for f in range(1, 6)]
    assert sorted(np.concatenate(tested)) == sorted(people.cinc2017.names)


def test_fewer_labels_are_among_the_more_and_validation_is_no_larger(people: Data) -> None:
    task = TASKS["superclasses"]
    held: set[str] = set()
    for labels in (100, 300, 1000, 0):
        parts = task.parts(people, Cell("superclasses", "all", 3, 3, labels))
        names = set(parts.train.names.tolist())
        assert held <= names
        assert len(names) == labels or not labels
        assert len(parts.validation.names) <= len(names)
        held = names


def test_beats_are_tested_on_ds2_without_the_patient_that_is_in_ds1(people: Data) -> None:
    parts = TASKS["beats"].parts(people, Cell("beats", SCRATCH, 1, 1))
    assert set(parts.test.names) == set(mitdb.DS2) - {"202"}
    assert set(parts.train.names) | set(parts.validation.names) == set(mitdb.DS1)
    other = TASKS["beats"].parts(people, Cell("beats", SCRATCH, 2, 2))
    assert set(other.validation.names) != set(parts.validation.names), "each seed validates on other records"


def test_one_label_keeps_the_records_that_have_one(people: Data) -> None:
    parts = TASKS["one_label"].parts(people, Cell("one_label", SCRATCH, 4, 4))
    whole = TASKS["superclasses"].parts(people, Cell("superclasses", SCRATCH, 4, 4))
    single = whole.test.names[whole.test.truth.sum(1) == 1]
    assert parts.test.names.tolist() == single.tolist()


def test_pretraining_sees_no_subject_whose_beats_are_tested(tmp_path: Path) -> None:
    need("ludb")
    data = Data(smoked(FULL), tmp_path)
    names = qtdb.records(need("qtdb"))
    seen = {names[g // 2] for g in data.annotated["qtdb"].group}
    assert len(seen) > 0
    assert not seen & set(qtdb.MITDB_SUBJECTS)


# ---- the nets --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(BODIES))
def test_every_body_speaks_of_a_window(name: str) -> None:
    body = BODIES[name](TrunkSpec())
    out = Whole(body, 5, 0.1)(torch.randn(2, 1, 1, 2500))
    assert out.shape == (2, 5)
    out.sum().backward()
    assert all(p.grad is not None for p in body.parameters())


def test_a_trunk_is_handed_on_whole_from_every_source() -> None:
    config = dataclasses.replace(FULL, trunk=SMALL)
    for source in SOURCES:
        module = module_of(pretraining_cell(source, "simulator", 1), config)
        trunk = Trunk(SMALL)
        put_weights(trunk, trunk_of(weights_of(module)))
        wanted = module.get_submodule("body").state_dict()
        assert all(torch.equal(v, wanted[k]) for k, v in trunk.state_dict().items())


def test_weights_of_another_net_are_refused() -> None:
    with pytest.raises(ValueError, match="another net"):
        put_weights(Trunk(SMALL), weights_of(Whole(Trunk(SMALL), 3, 0.0)))


def test_what_is_drawn_stands_where_its_sample_stands() -> None:
    """A pulse moved by one step of the trunk's deepest level moves what is drawn by as many of the masks' steps."""
    torch.manual_seed(0)
    net = Drawn(Trunk(SMALL), 1, SMALL).eval()
    x = torch.zeros(2, 1, 1, 2500)
    x[0, 0, 0, 1000] = x[1, 0, 0, 1032] = 5.0
    with torch.no_grad():
        a, b = net(x)[:, 0, 0]
    assert a.shape == (GRID.length,)
    assert torch.allclose(a[300:700], b[316:716], atol=1e-4)
    at = int((a - net(torch.zeros(1, 1, 1, 2500))[0, 0, 0]).abs().argmax())
    assert abs(at - (1000 / 2 + GRID.margin)) < 40


def test_beats_are_read_where_their_peaks_are() -> None:
    torch.manual_seed(0)
    net = OfBeats(Trunk(SMALL), 4, 5, 0.0).eval()
    x = torch.zeros(2, 1, 1, 2500)
    x[0, 0, 0, 1000] = x[1, 0, 0, 1032] = 5.0
    at = torch.zeros(2, 1, 5)
    at[0, 0, 0], at[1, 0, 0] = 1000 / 250, 1032 / 250
    with torch.no_grad():
        a, b = net(x, at)
        elsewhere = net(x[:1], at[1:] + 1.0)
    assert torch.allclose(a, b, atol=1e-4)
    assert not torch.allclose(a, elsewhere[0], atol=1e-2)


def test_half_of_a_window_is_hidden_in_whole_pieces() -> None:
    hide = hidden(64, torch.Generator().manual_seed(0)).numpy()
    assert hide.shape == (64, GRID.length)
    assert abs(hide.mean() - 0.5) < 0.05
    edges = np.flatnonzero(np.diff(hide[0]))
    assert (np.diff(edges) % 40 == 0).all()


def part(n: int, seed: int = 0) -> Part:
    rng = np.random.default_rng(seed)
    names, own = np.array([str(i) for i in range(n)]), np.arange(n, dtype=np.int32)
    truth = rng.integers(0, 2, (n, 5)).astype(np.int8)
    return Part(rng.normal(0, 200, (n, 2500)).astype(np.int16), own, names, names, truth, own)


@pytest.mark.parametrize(("how", "moves"), [("frozen", 0), ("partly", 1), ("full", 2)])
def test_what_is_frozen_stays_to_the_last_statistic(how: str, moves: int, tmp_path: Path) -> None:
    torch.set_num_threads(1)
    tuning = dataclasses.replace(FULL.tuning, steps_per_root=1.0, checks=1, batch=8)
    config = dataclasses.replace(FULL, trunk=SMALL, tuning=tuning, noise_bank=4)
    data = Data(config, tmp_path)
    task, parts = TASKS["superclasses"], TASKS["superclasses"].parts
    module = task.module(Trunk(SMALL), config)
    before = {k: v.clone() for k, v in module.state_dict().items()}
    sides = type(parts(_Given(), Cell("superclasses", SCRATCH, 1, 1)))(part(12), part(12, 1), part(4, 2))
    _, _, net = trial(module, task, sides, Cell("superclasses", "all", 1, 1, freezing=how), data, 1e-2, "cpu")
    changed = {k for k, v in net.state_dict().items() if not torch.equal(v, before[k])}
    shallow = {k for k in changed if k.startswith(("body.stem", "body.downs.0"))}
    deep = {k for k in changed if k.startswith(("body.downs.1", "body.downs.2"))}
    assert {"head.weight", "head.bias"} <= changed
    assert (bool(shallow), bool(deep)) == [(False, False), (False, True), (True, True)][moves]
    assert len(freeze(task.module(Trunk(SMALL), config), how)) == [1, 4, 0][moves]


class _Given:
    """Nine records of PTB-XL, one a fold."""

    ptbxl_folds = np.arange(1, 10)
    ptbxl = part(9)


def test_of_each_record_one_window_is_drawn_before_any_twice() -> None:
    few = dataclasses.replace(part(12), unit=np.repeat(np.arange(4), 3).astype(np.int32))
    drawn = rows(few, 4, np.random.default_rng(0))
    for _ in range(5):
        assert sorted(few.unit[next(drawn)]) == [0, 1, 2, 3]


def test_every_arm_has_the_same_steps() -> None:
    assert steps_of(FULL, 100) == 120
    assert steps_of(FULL, 2070) == 546


# ---- scores and statistics -------------------------------------------------------------------------------


@given(st.integers(0, 1 << 32))
def test_weights_count_a_record_as_often_as_it_is_drawn(seed: int) -> None:
    rng = np.random.default_rng(seed)
    n = int(rng.integers(4, 30))
    truth = rng.random(n) < 0.5
    truth[:2] = True, False
    score = rng.integers(0, 6, n).astype(float)
    weights = rng.integers(0, 4, n)
    weights[:2] += 1
    again = np.repeat(np.arange(n), weights)
    expected = roc(truth[again], score[again])[0]
    assert weighted_auc(truth, score, weights[None].astype(float))[0] == pytest.approx(expected)


def test_a_class_that_nobody_has_is_left_out_of_the_mean() -> None:
    truth = np.array([[1, 0], [0, 0], [1, 0], [0, 0]], bool)
    score = np.array([[0.9, 0.1], [0.2, 0.3], [0.8, 0.2], [0.1, 0.1]])
    assert macro_auc(truth, score, np.ones((1, 4)))[0] == 1.0
    drawn = np.array([[1.0, 0.0, 1.0, 0.0]])
    assert np.isnan(macro_auc(truth, score, drawn)[0]), "a draw without a negative says nothing"


def test_f1_is_that_of_the_benchmarks() -> None:
    rng = np.random.default_rng(0)
    truth, said = rng.integers(0, 4, 50), rng.integers(0, 4, 50)
    expected = f1_scores(truth.tolist(), said.tolist(), "abcd")
    confusion = confusions(truth, said, 4, np.ones((1, 50)))
    assert confusion[0].tolist() == expected["confusion"]
    assert f1(confusion)[0] == pytest.approx(list(expected["f1"].values()))


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int8"])
def test_what_is_kept_comes_back(dtype: str) -> None:
    values = np.random.default_rng(0).integers(0, 100, (7, 5)).astype(dtype)
    back = unpack(json.loads(json.dumps(pack(values))))
    assert back.dtype == values.dtype
    assert (back == values).all()


def test_patients_are_drawn_with_all_of_their_records() -> None:
    weights = patient_weights(np.array(["a", "b", "a", "c"]), 500, 0)
    assert (weights[:, 0] == weights[:, 2]).all()
    assert (weights[:, 0] + weights[:, 1] + weights[:, 3] == 3).all()
    assert weights.mean() == pytest.approx(1.0, abs=0.05)


def test_holm_is_as_in_the_textbook() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.9, 0.8]) == [1.0, 1.0]


def test_the_interval_over_folds_is_wider_by_what_folds_share() -> None:
    each = np.array([0.01, 0.02, 0.03, 0.02, 0.015, 0.025, 0.02, 0.01, 0.03])
    drawn = each[:, None] + np.random.default_rng(0).normal(0, 0.01, (9, 500))
    d = paired(each, drawn, 1 / 7, Statistics())
    error = each.std(ddof=1) * np.sqrt(1 / 9 + 1 / 7)
    assert d.mean == pytest.approx(0.02)
    assert d.error == pytest.approx(error)
    assert (d.low, d.high) == pytest.approx(
        (0.02 - student.ppf(0.975, 8) * error, 0.02 + student.ppf(0.975, 8) * error)
    )
    assert d.p == pytest.approx(2 * student.sf(0.02 / error, 8))
    alone = paired(each, drawn, 0.0, Statistics())
    assert alone.error == pytest.approx(np.hypot(each.std(ddof=1) / 3, drawn.mean(0).std()))


def test_the_detectable_difference_is_found_as_often_as_it_says() -> None:
    """Over many studies whose true difference is the one that is detectable under their true error."""
    rng, k, ratio, spread = np.random.default_rng(0), 9, 1 / 7, 0.01
    error = spread * np.sqrt(1 / k + ratio)
    true = (student.ppf(0.975, k - 1) + student.ppf(0.8, k - 1)) * error
    found = 0
    for _ in range(2000):
        shared = rng.normal(0, spread * np.sqrt(ratio))  # what folds have in common, which Nadeau and Bengio allow for
        each = true + shared + rng.normal(0, spread, k)
        found += paired(each, each[:, None] * np.ones((1, 2)), ratio, Statistics()).p < 0.05
    assert 0.72 < found / 2000 < 0.9


def difference(mean: float, error: float, patients: float) -> statistics.Difference:
    how, df = Statistics(), 8
    half = float(student.ppf(0.975, df)) * error
    p = float(2 * student.sf(abs(mean) / error, df))
    same = float(student.sf(min(how.bound - mean, how.bound + mean) / error, df))
    return statistics.Difference(mean, error, 9, mean - half, mean + half, mean - patients, mean + patients, p, same)


@pytest.mark.parametrize(
    ("mean", "error", "patients", "said"),
    [
        (0.03, 0.004, 0.01, statistics.POSITIVE),
        (0.03, 0.004, 0.04, statistics.UNDECIDED),  # the patients do not say so
        (-0.03, 0.004, 0.01, statistics.HARMS),
        (0.001, 0.002, 0.01, statistics.NOTHING),
        (0.004, 0.001, 0.002, statistics.SMALL),
        (-0.004, 0.001, 0.002, statistics.NOTHING),
        (0.01, 0.02, 0.01, statistics.UNDECIDED),
    ],
)
def test_the_sentence_follows_from_the_numbers(mean: float, error: float, patients: float, said: str) -> None:
    d = difference(mean, error, patients)
    assert verdict(d, d.p, d.p_equivalent) == said
    assert verdict(d, 1.0, 1.0) == statistics.UNDECIDED, "what the correction takes back is not stated"


def test_one_seed_proves_nothing_of_a_baseline() -> None:
    assert lower_end([0.5]) == float("-inf")
    assert lower_end([0.1, 0.11, 0.09, 0.1]) > 0


# ---- the runner ------------------------------------------------------------------------------------------


class Fake:
    """Workers that do nothing, three at a time, the last job first; stop after `most` cells as a kill would."""

    room = 3

    def __init__(self, most: int = 1 << 30) -> None:
        self.jobs: list[Job] = []
        self.done: list[Cell] = []
        self.most = most

    def start(self, job: Job) -> None:
        before = job.cell.needs
        assert (job.weights is None) == (before is None), "a cell starts with the weights that it needs"
        if before is not None:
            assert job.weights is not None and float(job.weights["seed"][0]) == before.seed
        self.jobs.append(job)

    def finished(self) -> Iterator[tuple[Cell, Result]]:
        if len(self.done) >= self.most:
            raise KeyboardInterrupt
        job = self.jobs.pop()
        self.done.append(job.cell)
        row = {"key": job.cell.key, "cell": job.cell.to_dict(), "config": job.config.digest, "commit": "x"}
        weights = {"seed": np.array([job.cell.seed], np.float32)} if job.cell.task == PRETRAIN else None
        yield job.cell, ({**row, "seconds": 1.0, "cpu_seconds": 1.0}, weights)


def few() -> StudyConfig:
    return dataclasses.replace(FULL, grids=tuple(dataclasses.replace(g, folds=g.folds[:2]) for g in FULL.grids[:1]))


def run(folder: Path, workers: Fake) -> Fake:
    config = few()
    run_study(config, folder, workers, "cpu", Cost(config, 0.1))
    return workers


def test_each_cell_is_run_once_with_the_weights_that_it_needs(tmp_path: Path) -> None:
    done = run(tmp_path, Fake()).done
    assert sorted(c.key for c in done) == sorted(c.key for c in table(few()))
    assert not run(tmp_path, Fake()).done, "what has a row is not run again"


def test_a_study_that_was_killed_goes_on_where_it_was(tmp_path: Path) -> None:
    first = Fake(7)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, first)
    second = run(tmp_path, Fake())
    assert not {c.key for c in first.done} & {c.key for c in second.done}
    assert len(first.done) + len(second.done) == len(table(few()))


def test_a_row_that_was_cut_is_made_again(tmp_path: Path) -> None:
    run(tmp_path, Fake())
    path = tmp_path / "superclasses-1.jsonl"
    whole = path.read_text()
    path.write_text(whole[:-40])
    again = run(tmp_path, Fake())
    assert len(again.done) == 1
    assert len(Rows(tmp_path, few()).by_key) == len(table(few()))


def test_weights_that_were_lost_are_made_again_and_their_rows_are_not(tmp_path: Path) -> None:
    run(tmp_path, Fake())
    (tmp_path / "superclasses-1.jsonl").unlink()
    for path in (tmp_path / "cache").rglob("*.npz"):
        path.unlink()
    again = run(tmp_path, Fake()).done
    assert sum(c.task == PRETRAIN for c in again) == 6  # the chain of two of each of three sources, of one fold
    lines = (tmp_path / "pretrain-1.jsonl").read_text().splitlines()
    assert len(lines) == len({json.loads(line)["key"] for line in lines})


def test_rows_of_another_budget_are_not_taken_for_ours(tmp_path: Path) -> None:
    run(tmp_path, Fake())
    other = dataclasses.replace(few(), bfloat16=False)
    assert not Rows(tmp_path, other).by_key


def test_weights_are_kept_by_cell(tmp_path: Path) -> None:
    kept, cell = Kept(tmp_path), pretraining_cell("hr", "simulator", 3)
    assert not kept.has(cell)
    kept.save(cell, {"a": np.arange(3, dtype=np.float32)})
    assert kept.has(cell)
    assert kept.load(cell)["a"].tolist() == [0, 1, 2]


# ---- the whole -------------------------------------------------------------------------------------------


@pytest.mark.timeout(300)
def test_the_whole_study_at_the_size_of_a_test(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("ludb", "qtdb", "ptbxl", "cinc2017", "mitdb"):
        need(name)
    pytest.importorskip("deepfakeecg", reason="needs the package deepfake-ecg: pip install deepfake-ecg==1.1.2")
    from train.study.command import study

    study(CONFIG, tmp_path, "cpu", 1, None, smoke=True, plan=False, report=False)
    folder = tmp_path / "study-smoke"
    rows_by_key = Rows(folder, smoked(FULL)).by_key
    assert len(rows_by_key) == len(table(smoked(FULL)))
    text = (folder / "transfer.md").read_text()
    for title in ("H1, regression helps", "H2", "H3", "beside its table", "baselines", "At what cost", "left out"):
        assert title in text
    assert "nan" not in text
    for name in ("transfer-curves.png", "transfer-differences.png", "transfer-scores.csv", "transfer-comparisons.csv"):
        assert (folder / name).stat().st_size > 0
    written = {path: path.stat().st_mtime_ns for path in folder.glob("*.jsonl")}
    study(CONFIG, tmp_path, "cpu", 1, None, smoke=True, plan=False, report=False)
    assert written == {path: path.stat().st_mtime_ns for path in folder.glob("*.jsonl")}, "nothing is run again"
    assert (folder / "transfer.md").read_text() == text
    assert "56/56" in capsys.readouterr().err
