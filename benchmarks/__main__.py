"""`python -m benchmarks NAME`: measure, write `benchmarks/results/NAME.json`, and bring the README up to date."""

from __future__ import annotations

import argparse
import json
from importlib import import_module
from pathlib import Path
from typing import Any

from benchmarks import runtime, wire
from benchmarks.arm64 import FOLDER
from edge_runtime.errors import exit_with

RESULTS = Path(__file__).parent / "results"
_IN_PARTS = {"wire": wire, "runtime": runtime}
# What a benchmark takes beside the run and the results' folder, and what it is unless said otherwise.
_OPTIONS: dict[str, dict[str, Any]] = {
    "arm": {"root": FOLDER, "records": 150},
    "sizes": {"root": FOLDER},
    "peers": {"records": 0, "workers": 1},
    "scale": {"hours": 24.0},
}


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    names = (
        "accuracy",
        "fiducials",
        "quality",
        "longterm",
        "boards",
        "beats",
        "peers",
        "scale",
        "microcontroller",
        "arm",
        "wire",
        "runtime",
        "sizes",
        "disagreement",
    )
    parser.add_argument("name", choices=names)
    parser.add_argument("--run", type=Path, default=Path("runs/default"), help="the run whose folds are judged")
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--readme", type=Path, default=Path("README.md"))
    parser.add_argument("--only-tables", action="store_true", help="rewrite the tables from the result that is there")
    parser.add_argument("--only", nargs="+", default=(), help="of wire or runtime: these parts")
    parser.add_argument("--full", action="store_true", help="of wire and runtime: at full size, which takes hours")
    parser.add_argument("--root", type=Path, help=f"arm, sizes: where the userland is kept (default {FOLDER})")
    parser.add_argument("--records", type=int, help="arm: how many of LUDB's (default 150); peers: of each set (all)")
    parser.add_argument("--hours", type=float, help="scale: how long the recording is (default 24)")
    parser.add_argument("--workers", type=int, help="peers: so many at once (default 1); their times are taken alone")
    chosen = parser.parse_args(arguments)

    from benchmarks.report import MARKDOWN, bring_up_to_date

    if chosen.only_tables:
        result = json.loads((chosen.results / f"{chosen.name}.json").read_text())
    elif chosen.name in _IN_PARTS:
        parts = _IN_PARTS[chosen.name]
        for part in set(chosen.only) - parts.PARTS.keys():
            parser.error(f"{chosen.name} has no part {part!r}; it has {', '.join(parts.PARTS)}")
        result = parts.measure(chosen.results, chosen.only, chosen.full)
    else:
        from train.run import Run

        measure = import_module(f"benchmarks.{chosen.name}").measure
        known = _OPTIONS.get(chosen.name, {})
        options = {name: usual if (own := getattr(chosen, name)) is None else own for name, usual in known.items()}
        result = measure(Run.open(chosen.run), chosen.results, **options)
    print(MARKDOWN[chosen.name](result) if chosen.name in MARKDOWN else result)
    if chosen.readme.exists():
        bring_up_to_date(chosen.readme, chosen.results, chosen.run)
    return 0


if __name__ == "__main__":
    exit_with("benchmarks", main)
