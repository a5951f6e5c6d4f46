"""One cell of a task: the trials that its budget allows, the one that validation chooses, and its test."""

from __future__ import annotations

import copy
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from train.augment import Batch, augment
from train.loop import device_of, move_mean, schedule, to_input
from train.study.cells import Cell
from train.study.config import StudyConfig
from train.study.data import Data, Part
from train.study.nets import BODIES, Trunk, Weights, put_weights
from train.study.scores import pack
from train.study.tasks import TASKS, Parts, Task

_MEAN_DECAY = 0.99
_BATCH = 256  # of windows that are only looked at


def autocast(config: StudyConfig, where: torch.device) -> torch.autocast:
    return torch.autocast(where.type, torch.bfloat16, enabled=config.bfloat16)


def steps_of(config: StudyConfig, windows: int) -> int:
    return max(2, round(config.tuning.steps_per_root * np.sqrt(windows)))


def unlabelled(signal_mv: Tensor) -> Batch:
    """(n, 2500) as a batch to be augmented."""
    n = len(signal_mv)
    nothing = torch.zeros(n, 3, 1)
    unknown = torch.full((n,), -1)
    return Batch(signal_mv, nothing, nothing, torch.full((n, 1, 4), torch.nan), unknown, unknown, unknown[:, None])


def rows(part: Part, batch: int, rng: np.random.Generator) -> Iterator[NDArray[np.intp]]:
    """Without end: of each unit one window, until all units were seen."""
    order = np.argsort(part.unit, kind="stable")
    _, first, count = np.unique(part.unit[order], return_index=True, return_counts=True)
    held: list[NDArray[np.intp]] = []
    there = 0
    while True:
        while there < batch:
            picked = order[first + (rng.random(len(first)) * count).astype(np.intp)]
            held.append(rng.permutation(picked))
            there += len(picked)
        line = np.concatenate(held)
        yield line[:batch]
        held, there = [line[batch:]], len(line) - batch


def freeze(module: nn.Module, how: str) -> list[nn.Module]:
    """What stays as it is: in eval mode, without gradients."""
    if how == "full":
        return []
    body = module.body
    assert isinstance(body, Trunk)
    halves: dict[str, list[nn.Module]] = {"frozen": [body], "partly": body.shallow()}
    still = halves[how]
    for part in still:
        part.requires_grad_(False)
    return still


@torch.no_grad()
def outputs(module: nn.Module, part: Part, config: StudyConfig, where: torch.device) -> NDArray[np.float32]:
    """Of every window of a part."""
    found = []
    for start in range(0, len(part.signal_uv), _BATCH):
        chosen = slice(start, start + _BATCH)
        x = torch.from_numpy(part.signal_uv[chosen]).float() * 1e-3
        at = None if part.beats is None else torch.from_numpy(part.beats.at[chosen]).to(where)
        with autocast(config, where):
            out = module(to_input(x.to(where)), at)
        found.append(out.float().cpu().numpy())
    return np.concatenate(found)


def judged(task: Task, module: nn.Module, part: Part, config: StudyConfig, where: torch.device) -> dict[str, float]:
    return task.score(task.truth(part), task.kept(outputs(module, part, config, where), part))


def trial(
    module: nn.Module, task: Task, parts: Parts, cell: Cell, data: Data, rate: float, device: str
) -> tuple[float, int, nn.Module]:
    """The validation score, the step and the mean net that was best on validation at one learning rate."""
    config, part, where = data.config, parts.train, device_of(device)
    tuning, noise = config.tuning, torch.from_numpy(data.noise)
    module.to(where, memory_format=torch.channels_last)  # type: ignore[call-overload]
    still = freeze(module, cell.freezing)
    learnt = [p for p in module.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(learnt, lr=rate, weight_decay=tuning.weight_decay)
    targets, shares = task.targets(part), task.shares(part).to(where)
    rng, torch_rng = np.random.default_rng([cell.seed, 3]), torch.Generator().manual_seed(cell.seed)
    torch.manual_seed(cell.seed)
    steps = steps_of(config, len(np.unique(part.unit)))
    checks = {round(steps * (i + 1) / tuning.checks) for i in range(tuning.checks)}
    mean = copy.deepcopy(module).eval()
    best: tuple[float, int, nn.Module] | None = None
    warp = tuning.warp if task.warp else 0.0
    for step, chosen in zip(range(steps), rows(part, tuning.batch, rng), strict=False):
        module.train()
        for frozen in still:
            frozen.eval()
        x = torch.from_numpy(part.signal_uv[chosen]).float() * 1e-3
        x = augment(unlabelled(x), noise, torch_rng, tuning.noise, warp).signal_mv
        at = None if part.beats is None else torch.from_numpy(part.beats.at[chosen]).to(where)
        for group in optimizer.param_groups:
            group["lr"] = rate * schedule(step / steps)
        with autocast(config, where):
            out = module(to_input(x.to(where)), at)
        optimizer.zero_grad(set_to_none=True)
        task.loss(out.float(), targets[chosen].to(where), shares).backward()
        nn.utils.clip_grad_norm_(learnt, 1.0)
        optimizer.step()
        move_mean(mean, module, min(_MEAN_DECAY, (1 + step) / (10 + step)))
        if step + 1 in checks:
            said = judged(task, mean, parts.validation, config, where)[task.score_name]
            if best is None or said > best[0]:
                best = said, step + 1, copy.deepcopy(mean)
    assert best is not None
    return best


def fitted(cell: Cell, weights: Weights | None, data: Data, device: str) -> dict[str, Any]:
    """The row of a cell. weights: of the trunk that it starts from, where it starts from one."""
    config, task = data.config, TASKS[cell.task]
    started = time.monotonic(), time.process_time()
    parts = task.parts(data, cell)
    trials: list[dict[str, float]] = []
    best: tuple[float, nn.Module] | None = None
    for rate in config.tuning.learning_rates:
        torch.manual_seed(cell.seed)
        module = task.module(BODIES[cell.net](config.trunk), config)
        if weights is not None:
            put_weights(module.get_submodule("body"), weights)
        said, step, net = trial(module, task, parts, cell, data, rate, device)
        trials.append({"learning_rate": rate, "step": step, "validation": said})
        if best is None or said > best[0]:
            best = said, net
    assert best is not None
    kept = task.kept(outputs(best[1], parts.test, config, device_of(device)), parts.test)
    return {
        "scores": task.score(task.truth(parts.test), kept),
        "records": {"train": len(parts.train.names), "validation": len(parts.validation.names), "test": len(kept)},
        "trials": trials,
        "parameters": sum(p.numel() for p in best[1].parameters()),
        "seconds": round(time.monotonic() - started[0], 1),
        "cpu_seconds": round(time.process_time() - started[1], 1),
        "kept": pack(kept),
    }
