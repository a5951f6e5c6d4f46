from __future__ import annotations

import json
from pathlib import Path

import pytest

from edge_runtime.bundle import MEASURED
from edge_runtime.errors import UsageError
from tests.fakes import FakeBackend, ecg_of, regular_waves
from train.codings import CODINGS
from train.compare import CONSTANT, ROWS, compare, judged, load_plan, score
from train.config import load_config
from train.datasets.truth import Case
from train.nets import Net

CONFIGS = Path(__file__).parent.parent.parent / "train" / "configs"


@pytest.mark.parametrize("name", ["compare", "sizes"])
def test_a_plans_candidates_differ_from_the_base_in_what_it_says_and_share_its_budget(name: str) -> None:
    plan, base = load_plan(CONFIGS / f"{name}.toml"), load_config(CONFIGS / "default.toml")
    assert plan.name == name
    assert len({c.name for c in plan.candidates}) == len(plan.candidates)
    for candidate in plan.candidates:
        screened = plan.screened(candidate)
        assert screened.pretrain.mix.synthetic == round(plan.share["pretrain"] * base.pretrain.mix.synthetic)
        assert screened.regress.mix.ludb == round(plan.share["regress"] * base.regress.mix.ludb)
        assert screened.pretrain.epochs == base.pretrain.epochs
        assert plan.full(candidate).pretrain.mix == base.pretrain.mix
        Net(screened.net)


def test_the_sizes_are_of_one_kind_and_the_one_that_ships_is_among_them() -> None:
    plan, base = load_plan(CONFIGS / "sizes.toml"), load_config(CONFIGS / "default.toml")
    nets = {c.name: c.config.net for c in plan.candidates}
    assert nets["x1"] == base.net
    sizes = [net for name, net in nets.items() if name.startswith("x")]
    assert {(net.kind, net.kernel, net.blocks, net.coding) for net in sizes} == {
        (base.net.kind, base.net.kernel, base.net.blocks, base.net.coding)
    }
    assert {net.coding for net in nets.values()} == set(CODINGS)


def test_what_is_no_plan_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.toml").write_text(f'base = "{CONFIGS / "default.toml"}"')
    with pytest.raises(UsageError, match="no plan of a comparison"):
        load_plan(tmp_path / "x.toml")


def test_a_candidate_that_has_its_row_is_not_trained_again(tmp_path: Path) -> None:
    plan = load_plan(CONFIGS / "sizes.toml")
    folder = tmp_path / plan.name
    folder.mkdir()
    rows = "".join(json.dumps({"candidate": c.name, "budget": "screen"}) + "\n" for c in plan.candidates)
    (folder / ROWS).write_text(rows)
    compare(CONFIGS / "sizes.toml", tmp_path)
    assert [p.name for p in folder.iterdir()] == [ROWS]
    assert (folder / ROWS).read_text() == rows


def test_a_rhythm_that_was_never_learnt_refuses_no_pr() -> None:
    truth = {"hr_bpm": 75.0, "pr_ms": 160.0, "qrs_ms": 90.0, "qt_ms": 380.0}
    case = Case("ludb", "1", "i", 0, 250.0, (ecg_of(regular_waves(), 250),), truth, (truth,), 1)
    row = judged(FakeBackend(rhythm="af"), [case])["ludb"]["masks"]["pr_ms"]
    assert (row["n"], row["stated"]) == (1, 1)
    assert row["mae"] < 2


def test_the_constant_predictor_scores_one() -> None:
    constant = {name: {"mae_all": CONSTANT[name]} for name in MEASURED}
    worse = {name: {"mae_all": 2 * CONSTANT[name]} for name in MEASURED}
    errors = {"ludb": {"masks": constant, "direct": worse}, "qtdb": {"masks": worse, "direct": worse}}
    assert score({"ways": ["masks", "direct"], "errors": errors}) == pytest.approx(1.5)
    assert score({"ways": ["direct"], "errors": errors}) == pytest.approx(2.0)
