"""`python -m benchmarks.dashboard pictures [--folder docs] [--only NAME...] | attacks`"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path

from edge_runtime.errors import exit_with


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.dashboard", description=__doc__)
    parser.add_argument("what", choices=("pictures", "attacks"))
    parser.add_argument("--folder", type=Path, default=Path("docs"), help="where the pictures go (default: docs)")
    parser.add_argument("--only", nargs="+", default=(), help="these pictures")
    chosen = parser.parse_args(arguments)
    if chosen.what == "pictures":
        from benchmarks.dashboard.pictures import draw

        draw(chosen.folder, chosen.only)
    else:
        from benchmarks.dashboard.attacks import measure

        with tempfile.TemporaryDirectory() as scratch:
            print(json.dumps(measure(Path(scratch)), indent=1))
    return 0


if __name__ == "__main__":
    exit_with("benchmarks.dashboard", main)
