"""`python -m train generate|regress|transfer|evaluate|compare|study --config FILE`; every stage resumes where it was.

generate writes windows as WFDB with their fiducials, and a contact sheet: synthetic hearts or, with --source deepfake,
what deepfake-ecg draws and how far its labels agree with NeuroKit2's. regress pretrains on synthetic hearts and
fine-tunes on annotated leads; transfer adds the rhythm; evaluate fits ranges and quality out of fold; study asks what
regression does for classification, and writes docs/transfer.md."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from edge_runtime.errors import exit_with

# Without these glibc gives every activation back to the system and takes it again: up to half of the training time.
_MALLOC = {
    "MALLOC_MMAP_THRESHOLD_": "4294967296",
    "MALLOC_TRIM_THRESHOLD_": "17179869184",
    "MALLOC_TOP_PAD_": "1073741824",
}


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m train", description=__doc__)
    parser.add_argument("verb", choices=("generate", "regress", "transfer", "evaluate", "compare", "study"))
    parser.add_argument("--config", type=Path, required=True)
    parser.add_argument("--runs", type=Path, default=Path("runs"), help="where run folders live (default: runs)")
    parser.add_argument("--fold", action="append", help="only this fold (0 to 4, or all); default: every one")
    parser.add_argument("--only", action="append", metavar="NAME", help="compare: only this candidate, and finish none")
    parser.add_argument("--threads", type=int, help="torch threads; default: all cores")
    parser.add_argument("--device", default="auto", help="cpu, cuda, or auto (default)")
    parser.add_argument("--count", type=int, default=24, help="windows that `generate` writes (default 24)")
    parser.add_argument("--source", choices=("synthetic", "deepfake"), default="synthetic", help="what generate draws")
    parser.add_argument("--workers", type=int, default=1, help="study: cells at a time, a core each (default 1)")
    parser.add_argument("--ray", metavar="ADDRESS", help="study: on this Ray cluster; `local` starts one here")
    parser.add_argument("--smoke", action="store_true", help="study: a few cells, hardly trained, under RUNS")
    parser.add_argument("--plan", action="store_true", help="study: only say what is done and what is left")
    parser.add_argument("--report", action="store_true", help="study: only write the report of the rows that are there")
    chosen = parser.parse_args(arguments)
    if chosen.verb == "study":
        if chosen.workers < 1:
            parser.error("--workers: at least 1")
        from train.study.command import study

        own = (chosen.device, chosen.workers, chosen.ray, chosen.smoke, chosen.plan, chosen.report)
        study(chosen.config, chosen.runs, *own)
        return 0

    import torch

    from train import parallel
    from train.compare import compare
    from train.config import load_config
    from train.deepfake_report import generate_deepfake
    from train.evaluate import evaluate
    from train.pictures import generate, learning_curves
    from train.run import Run, default_threads

    parallel.begin(chosen.device)
    torch.set_num_threads(chosen.threads or default_threads())
    if chosen.verb == "compare":
        compare(chosen.config, chosen.runs, chosen.device, chosen.only)
        return 0
    if chosen.verb in ("generate", "evaluate") and chosen.fold:
        parser.error(f"--fold: {chosen.verb} is of the whole run")
    run = Run.create(load_config(chosen.config), chosen.runs)
    folds = chosen.fold or run.folds()
    if unknown := [f for f in folds if f not in run.folds()]:
        parser.error(f"--fold {unknown[0]}: this run has {', '.join(run.folds())}")
    if chosen.verb == "generate":
        draw = generate_deepfake if chosen.source == "deepfake" else generate
        draw(run.config.seed, chosen.count, run.folder)
    elif chosen.verb == "regress":
        run.stage("pretrain", device=chosen.device)
        for fold in folds:
            run.stage("regress", fold, chosen.device)
    elif chosen.verb == "transfer":
        for fold in folds:
            run.stage("transfer", fold, chosen.device)
        learning_curves(run.folder)
    else:
        evaluate(run)
    parallel.end()
    return 0


if __name__ == "__main__":
    if any(os.environ.get(k) != v for k, v in _MALLOC.items()):
        os.execve(sys.executable, [sys.executable, "-m", "train", *sys.argv[1:]], {**os.environ, **_MALLOC})
    exit_with("train", main)
