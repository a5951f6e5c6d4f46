"""The verb `bench`: its words, and what it does. What is heavy is imported by the command."""

from __future__ import annotations

import argparse
import re
import sys
import tempfile
from pathlib import Path
from typing import Any

_UNITS_S = {"s": 1.0, "m": 60.0, "h": 3600.0}
_LONGEST_S = 86_400.0


def add_bench(verbs: Any) -> None:
    """verbs: what `add_subparsers` gave."""
    bench = verbs.add_parser(
        "bench",
        help="what a report costs on this machine, stage by stage",
        description="Measure what a second of one lead costs on this machine. Figures of a busy machine are worth "
        "little: stop what else runs. docs/bench.md says what is what.",
    )
    what = bench.add_mutually_exclusive_group()
    what.add_argument("--compare", nargs=2, type=Path, metavar=("A", "B"), help="two results: which is faster, surely?")
    what.add_argument("--show", type=Path, metavar="FILE", help="check a result, and print its table")
    bench.add_argument("--out", type=Path, default=Path("bench.json"), help="the result (default: bench.json)")
    bench.add_argument("--bundle", type=Path, help="a bundle's folder (default: the one that comes with leadwire)")
    bench.add_argument(
        "--with-float",
        type=Path,
        metavar="DIR",
        help="a bundle with float files, to measure them, too (default: those in --bundle, where it has them)",
    )
    bench.add_argument("--backend", action="append", metavar="NAME", help="only this one (may be repeated)")
    bench.add_argument("--board", default="native", help="the simulated board that plays (default: native)")
    bench.add_argument("--record", help="what it plays: a path or DATABASE/RECORD (default: leadwire's own heart)")
    bench.add_argument("--lead", help="of the record (default: the first)")
    bench.add_argument("--runs", type=_count, default=8, metavar="N", help="fresh processes a net (default 8)")
    bench.add_argument("--warm-up", type=_count, default=10, metavar="N", help="reports not counted (default 10)")
    bench.add_argument("--reports", type=_count, default=50, metavar="N", help="reports a process (default 50)")
    bench.add_argument(
        "--end-to-end", type=_duration, default=45.0, metavar="S", help="so long through a pty (default 45s; 0: not)"
    )
    bench.add_argument(
        "--sustained", type=_duration, metavar="S", help="so long at the pace of life, such as 10m: does it grow hot?"
    )


def _count(text: str) -> int:
    value = int(text)
    if not 1 <= value <= 100_000:
        raise argparse.ArgumentTypeError(f"{text} is not between 1 and 100000")
    return value


def _duration(text: str) -> float:
    """Seconds of `90`, `90s`, `10m` or `2h`."""
    found = re.fullmatch(r"(\d+(?:\.\d*)?)([smh]?)", text)
    seconds = float(found[1]) * _UNITS_S[found[2] or "s"] if found else -1.0
    if not 0 <= seconds <= _LONGEST_S:
        raise argparse.ArgumentTypeError(f"{text!r} is no time such as 90s, 10m or 2h, up to 24h")
    return seconds


def bench(chosen: argparse.Namespace) -> int:
    from edge_runtime.bench import compare, table
    from edge_runtime.bench.result import load

    if chosen.compare:
        a, b = (load(path) for path in chosen.compare)
        print(*compare.lines(a, b), sep="\n")
        return 0
    result = load(chosen.show) if chosen.show else _measure(chosen)
    print(*table.lines(result), sep="\n")
    return 0


def _measure(chosen: argparse.Namespace) -> dict[str, Any]:
    from edge_runtime.bench import result as results
    from edge_runtime.bench.end_to_end import through_a_pty
    from edge_runtime.bench.heart import BUILT_IN, Played
    from edge_runtime.bench.nets import FLOAT_FORM, INT8, Effort, chosen_backends, measure_nets
    from edge_runtime.bundle import DEFAULT, FLOAT, load_bundle
    from edge_runtime.vitals import vitals

    folder: Path = chosen.bundle or DEFAULT
    bundle, backends = load_bundle(folder), chosen_backends(chosen.backend)
    folders = {INT8: folder}
    if chosen.with_float or any((folder / name).exists() for name in FLOAT.values()):
        folders[FLOAT_FORM] = chosen.with_float or folder
    played = Played(chosen.record or BUILT_IN, chosen.lead, chosen.board)
    result: dict[str, Any] = {"format": results.FORMAT, **results.header(bundle)}
    before = vitals()
    with tempfile.TemporaryDirectory(prefix="leadwire-bench-") as place:
        scratch = Path(place)
        effort = Effort(chosen.runs, chosen.warm_up, chosen.reports)
        rows, result["input"] = measure_nets(folders, backends, played, effort, scratch, _progress)
        working = next(row["backend"] for row in rows if row["form"] == INT8 and row["error"] is None)
        for name, seconds in (("end_to_end", chosen.end_to_end), ("sustained", chosen.sustained)):
            result[name] = None
            if seconds:
                _progress(f"{name.replace('_', ' ')}: {seconds:g} s at the pace of life")
                result[name] = through_a_pty(played, seconds, folder, working, scratch)
    for row in rows:
        row["summary"] = results.summary(row) if row["error"] is None else None
    result |= {
        "effort": vars(effort),
        "nets": rows,
        "vitals": {"before": before.to_dict(), "after": vitals().to_dict()},
    }
    results.write(result, chosen.out)
    _progress(f"every sample is in {chosen.out}")
    return result


def _progress(message: str) -> None:
    print(f"leadwire bench: {message}", file=sys.stderr)
