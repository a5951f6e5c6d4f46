"""`python -m benchmarks NAME`: measure, write `benchmarks/results/NAME.json`, and bring the README up to date."""

from __future__ import annotations

import argparse
import json
from importlib import import_module
from pathlib import Path

from benchmarks import wire
from benchmarks.arm64 import FOLDER
from edge_runtime.errors import exit_with

RESULTS = Path(__file__).parent / "results"
_OPTIONS = {"arm": ("root", "records")}  # what a benchmark takes beside the run and the results' folder


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    judged = ("accuracy", "fiducials", "quality", "longterm", "boards", "beats", "peer")
    names = (*judged, "microcontroller", "arm", "wire")
    parser.add_argument("name", choices=names)
    parser.add_argument("--run", type=Path, default=Path("runs/default"), help="the run whose folds are judged")
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--readme", type=Path, default=Path("README.md"))
    parser.add_argument("--only-tables", action="store_true", help="rewrite the tables from the result that is there")
    parser.add_argument("--only", nargs="+", choices=tuple(wire.PARTS), default=(), help="of wire: these parts")
    parser.add_argument("--full", action="store_true", help="of wire: at full size, which takes hours")
    parser.add_argument("--root", type=Path, default=FOLDER, help=f"arm: where its userland is kept (default {FOLDER})")
    parser.add_argument("--records", type=int, default=150, help="arm: how many of LUDB's (default 150)")
    chosen = parser.parse_args(arguments)

    from benchmarks.report import MARKDOWN, bring_up_to_date

    if chosen.only_tables:
        result = json.loads((chosen.results / f"{chosen.name}.json").read_text())
    elif chosen.name == "wire":
        result = wire.measure(chosen.results, chosen.only, chosen.full)
    else:
        from train.run import Run

        measure = import_module(f"benchmarks.{chosen.name}").measure
        options = {name: getattr(chosen, name) for name in _OPTIONS.get(chosen.name, ())}
        result = measure(Run.open(chosen.run), chosen.results, **options)
    print(MARKDOWN[chosen.name](result) if chosen.name in MARKDOWN else result)
    if chosen.readme.exists():
        bring_up_to_date(chosen.readme, chosen.results, chosen.run)
    return 0


if __name__ == "__main__":
    exit_with("benchmarks", main)
