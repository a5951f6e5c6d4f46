"""Nets against each other, as a plan names them: kinds, heads, sizes, codings of the input.

Every candidate is pretrained and fine-tuned at a fraction of the budget; where a plan finishes some, the best of those
that may win do so again at the whole of it (successive halving, Karnin 2013). They are judged on the patients of the
plan's fold, which none of them has seen, by the product's own code; the other folds choose nothing, so that what is
later measured on them is measured honestly. Each result is a row of `rows.jsonl`, written when it is known: a run that
was stopped goes on behind the last one.
"""

from __future__ import annotations

import copy
import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from edge_runtime.analysis import analyse_window
from edge_runtime.backends import Backend
from edge_runtime.bundle import MEASURED, Model
from edge_runtime.conditioning import compand, condition
from edge_runtime.errors import UsageError
from edge_runtime.library import cache_folder
from edge_runtime.ranges import INTERVALS
from train.config import Config, Mix, Stage, config_from, load_config
from train.datasets import ludb
from train.datasets.truth import Case, ludb_cases, qtdb_cases
from train.evaluate import TorchBackend, uncalibrated, window_of
from train.run import Run, commit

WAYS = ("masks", "direct", "together")
SCREEN, FULL = "screen", "full"
ROWS = "rows.jsonl"


@dataclass(frozen=True)
class Candidate:
    """name; what differs from the base config (tables `net`, `weights`, `measures`); whether it may be finished."""

    name: str
    config: Config
    finalist: bool


@dataclass(frozen=True)
class Plan:
    """name: the file's, and the folder's under the runs; share: of each stage's windows; finish: how many at all."""

    name: str
    fold: int
    share: Mapping[str, float]
    finish: int
    candidates: tuple[Candidate, ...]

    def screened(self, candidate: Candidate) -> Config:
        """The candidate at its share of the budget."""
        return self._at(candidate, SCREEN, self.share)

    def full(self, candidate: Candidate) -> Config:
        return self._at(candidate, FULL, {})

    def _at(self, candidate: Candidate, budget: str, share: Mapping[str, float]) -> Config:
        def less(stage: Stage, part: float) -> Stage:
            return replace(stage, mix=Mix(**{k: round(v * part) for k, v in vars(stage.mix).items()}))

        config = candidate.config
        stages: dict[str, Any] = {stage: less(getattr(config, stage), part) for stage, part in share.items()}
        return replace(config, name=f"{candidate.name}-{budget}", folds=(self.fold,), **stages)


def load_plan(path: Path) -> Plan:
    """Raises UsageError for a file that is no plan."""
    try:
        text = tomllib.loads(path.read_text("utf-8"))
        base = load_config(path.parent / text["base"]).to_dict()
        candidates = tuple(
            Candidate(c["name"], _changed(base, c, str(path)), bool(c.get("finalist", False)))
            for c in text["candidates"]
        )
        return Plan(path.stem, int(text["fold"]), dict(text["share"]), int(text.get("finish", 0)), candidates)
    except (OSError, tomllib.TOMLDecodeError, KeyError, TypeError) as error:
        raise UsageError(f"{path}: no plan of a comparison ({error!r}); see train/configs/compare.toml") from error


def _changed(base: dict[str, Any], candidate: dict[str, Any], path: str) -> Config:
    values = copy.deepcopy(base)
    values["net"] |= candidate.get("net", {})
    for stage in ("pretrain", "regress"):
        values[stage]["weights"] |= candidate.get("weights", {})
    values["measures"] = candidate.get("measures", values["measures"])
    return config_from(values, path)


def without_rhythm() -> Model:
    """A model that states every value. Before `transfer` no net has learnt a rhythm: what its head says by chance must
    not refuse a PR as fibrillation's."""
    model = uncalibrated()
    return replace(model, thresholds={**model.thresholds, "rhythm": 2.0})


def judged(backend: Backend, cases: list[Case]) -> dict[str, dict[str, dict[str, Any]]]:
    """Data set -> way of reading -> measure -> MAE, bias, SD and median of what is stated, n of it and of all;
    `mae_all` counts what is refused as the constant predictor's."""
    model = without_rhythm()
    found: dict[tuple[str, str, str], list[tuple[float | None, float]]] = {}
    for case in cases:
        values: dict[tuple[str, str], list[float]] = {(way, name): [] for way in WAYS for name in MEASURED}
        for mv in case.windows_mv:
            report = analyse_window(window_of(mv, case.sampling_rate_hz, case.lead), model, backend)
            heads = backend(compand(condition(mv, case.sampling_rate_hz)))
            for k, (name, (centre, scale)) in enumerate(INTERVALS.items()):
                drawn, direct = report.measures[name].value, float(heads["intervals"][k]) * scale + centre
                values["direct", name].append(direct)
                if drawn is not None:
                    values["masks", name].append(drawn)
                    values["together", name].append((drawn + direct) / 2)
        for (way, name), stated in values.items():
            truth = case.truth[name]
            if truth is not None:
                value = float(np.median(stated)) if stated else None
                found.setdefault((case.dataset, way, name), []).append((value, truth))
    out: dict[str, dict[str, dict[str, Any]]] = {}
    for (dataset, way, name), pairs in found.items():
        e = np.array([v - t for v, t in pairs if v is not None])
        refused = [abs(INTERVALS[name][0] - t) for v, t in pairs if v is None]
        row: dict[str, Any] = {"n": len(pairs), "stated": len(e)}
        row["mae_all"] = round(float((np.abs(e).sum() + sum(refused)) / len(pairs)), 3)
        if len(e):
            figures = {"mae": np.abs(e).mean(), "median": np.median(np.abs(e)), "bias": e.mean(), "sd": e.std()}
            row |= {k: round(float(v), 3) for k, v in figures.items()}
        out.setdefault(dataset, {}).setdefault(way, {})[name] = row
    return out


# The constant predictor's MAE over all leads of LUDB, for putting four measures on one scale.
CONSTANT = {"hr_bpm": 9.1, "pr_ms": 21.8, "qrs_ms": 14.3, "qt_ms": 33.4}


def score(row: Mapping[str, Any]) -> float:
    """What chooses: each measure's MAE over the constant predictor's, on average over measures and data sets, in the
    candidate's best way of reading."""

    def relative(by_measure: Mapping[str, Any]) -> float:
        return float(np.mean([by_measure[m]["mae_all"] / CONSTANT[m] for m in MEASURED]))

    return float(np.mean([min(relative(ways[w]) for w in row["ways"]) for ways in row["errors"].values()]))


def cases_of(fold: int) -> list[Case]:
    """All twelve leads of LUDB, both channels of QTDB."""
    data = cache_folder()
    cases = ludb_cases(data / "ludb", ludb.LEADS)
    for channel in (0, 1):
        cases += qtdb_cases(data / "qtdb", channel)
    return [c for c in cases if c.fold == fold]


def rows_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def compare(plan_path: Path, runs: Path, device: str = "auto", only: list[str] | None = None) -> None:
    """Screen, then finish the best; append to `RUNS/PLAN/rows.jsonl`."""
    plan = load_plan(plan_path)
    folder = runs / plan.name
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / ROWS
    fold, cases = str(plan.fold), cache(lambda: cases_of(plan.fold))

    def run(candidate: Candidate, budget: str, config: Config) -> None:
        if any((r["candidate"], r["budget"]) == (candidate.name, budget) for r in rows_of(path)):
            return
        made = Run.create(config, folder, folder / "cache")
        made.stage("pretrain", device=device)
        made.stage("regress", fold, device)
        net = made.load("regress", fold)
        weights = candidate.config.regress.weights
        trained = (weights.masks, weights.intervals, weights.masks * weights.intervals)
        row = {
            "candidate": candidate.name,
            "budget": budget,
            "ways": [way for way, on in zip(WAYS, trained, strict=True) if on],
            "measures": list(candidate.config.measures),
            "parameters": sum(p.numel() for p in net.parameters()),
            "commit": commit(),
            "errors": judged(TorchBackend(net), cases()),
            "unseen": judged(TorchBackend(made.load("pretrain")), cases()),
        }
        with path.open("a") as file:
            file.write(json.dumps(row) + "\n")

    chosen = [c for c in plan.candidates if not only or c.name in only]
    for candidate in chosen:
        run(candidate, SCREEN, plan.screened(candidate))
    if only or not plan.finish:
        return
    screened = {r["candidate"]: score(r) for r in rows_of(path) if r["budget"] == SCREEN}
    finalists = sorted((c for c in chosen if c.finalist), key=lambda c: screened[c.name])
    for candidate in finalists[: plan.finish]:
        run(candidate, FULL, plan.full(candidate))
