"""`python -m train study`: the plan, the cells, the report."""

from __future__ import annotations

import sys
import time
from collections import Counter
from pathlib import Path

import torch
from torch import nn

from train.loop import to_input
from train.study.cells import PRETRAIN, table
from train.study.config import StudyConfig, load_study, smoked
from train.study.fitting import autocast
from train.study.nets import Trunk, Whole
from train.study.report import write_report
from train.study.runner import Cluster, Cost, Here, Processes, Rows, Workers, run_study


def seconds_per_step(config: StudyConfig) -> float:
    """Of a core, for one training step of the trunk here, without its windows."""
    torch.set_num_threads(1)
    module: nn.Module = Whole(Trunk(config.trunk), 5, 0.0).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    x = to_input(torch.randn(config.tuning.batch, 2500))
    times = []
    for _ in range(6):
        started = time.process_time()
        with autocast(config, torch.device("cpu")):
            out = module(x)
        out.float().square().mean().backward()
        times.append(time.process_time() - started)
    return sorted(times)[2]


def print_plan(config: StudyConfig, rows: Rows, cost: Cost, room: int) -> None:
    """How many cells of each kind there are, how many are done, and what is left of the time."""
    cells = table(config)
    done = [c for c in cells if c.key in rows.by_key]
    kinds: Counter[str] = Counter()
    finished: Counter[str] = Counter()
    hours: dict[str, float] = {}
    for cell, seconds in zip(cells, cost.of(cells, rows), strict=True):
        kind = f"{cell.task}, {cell.net}, {cell.pretraining if cell.task == PRETRAIN else cell.freezing}"
        kinds[kind] += 1
        finished[kind] += cell.key in rows.by_key
        hours[kind] = hours.get(kind, 0.0) + seconds / 3600
    width = max(map(len, kinds))
    print(f"{'':{width}}  cells  done  core-hours in all")
    for kind, count in kinds.items():
        print(f"{kind:{width}}  {count:5d}  {finished[kind]:4d}  {hours[kind]:5.2f}")
    left = sum(cost.of([c for c in cells if c.key not in rows.by_key], rows)) / 3600
    print(f"{'in all':{width}}  {len(cells):5d}  {len(done):4d}  {sum(hours.values()):5.2f}")
    print(f"left: {left:.1f} core-hours, {left / room:.1f} h with {room} at a time; config {config.digest}")


def study(
    path: Path, runs: Path, device: str, workers: int, ray: str | None, smoke: bool, plan: bool, report: bool
) -> None:
    """plan: only say what there is to do. report: only write the report of the rows that are there."""
    config = load_study(path)
    if smoke:
        config = smoked(config)
    folder = (runs / config.name).resolve()
    if not report:
        cost = Cost(config, seconds_per_step(config))
        print_plan(config, Rows(folder, config), cost, workers)
        if plan:
            return
        where: Workers = Cluster(ray) if ray else Here() if workers == 1 else Processes(workers)
        try:
            run_study(config, folder, where, device, cost)
        except KeyboardInterrupt:
            print(f"stopped; what is done is in {folder}, and the same command goes on with the rest", file=sys.stderr)
            raise SystemExit(130) from None
    write_report(config, folder, Path("docs") if not smoke else folder)
