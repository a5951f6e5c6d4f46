"""`python -m benchmarks accuracy`: measure, write `benchmarks/results/NAME.json`, and bring the README up to date."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from edge_runtime.errors import exit_with

RESULTS = Path(__file__).parent / "results"


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("name", choices=("accuracy",))
    parser.add_argument("--run", type=Path, default=Path("runs/default"), help="the run whose folds are judged")
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--readme", type=Path, default=Path("README.md"))
    parser.add_argument("--only-tables", action="store_true", help="rewrite the tables from the result that is there")
    chosen = parser.parse_args(arguments)

    from benchmarks.report import accuracy_markdown, card_markdown, compare_markdown, put_between
    from edge_runtime.bundle import DEFAULT, load_bundle

    if chosen.only_tables:
        result = json.loads((chosen.results / "accuracy.json").read_text())
    else:
        from benchmarks.accuracy import measure
        from train.run import Run

        result = measure(Run.open(chosen.run), chosen.results)
    table = accuracy_markdown(result)
    print(table)
    if chosen.readme.exists():
        put_between(chosen.readme, "accuracy", table)
        rows = chosen.run.parent / "compare" / "rows.jsonl"
        if rows.exists():
            compared = [json.loads(line) for line in rows.read_text().splitlines()]
            put_between(chosen.readme, "compare", compare_markdown(compared))
        card = chosen.readme.parent / "docs" / "model-card.md"
        card.write_text(card_markdown(result, load_bundle(DEFAULT).manifest["card"]), "utf-8")
    return 0


if __name__ == "__main__":
    exit_with("benchmarks", main)
