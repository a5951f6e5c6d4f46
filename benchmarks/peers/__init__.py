"""`python -m benchmarks peers`: other people's programs on the same windows, beside the same truth, in the same run.

Each as its documentation uses it. Ours is the int8 net of the fold that never saw the patient, through the product's
own code. Answers are kept in the run's cache: a run that was stopped goes on where it was.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from tqdm import tqdm

from benchmarks.accuracy import fold_bundle
from benchmarks.peers import judge
from benchmarks.peers.cases import Recording, cases_of, counts, recordings, windows_of
from benchmarks.peers.picture import picture
from benchmarks.peers.timing import timed
from edge_runtime.doctor import machine, versions
from edge_runtime.errors import UsageError
from edge_runtime.vitals import hardware
from train.datasets.truth import Case
from train.peers import Answer, about, ask
from train.peers.finders import BEATS_BY, OUR_BEATS, OURS, PEERS, Peer
from train.run import Run, commit

T = TypeVar("T")
_HERE = Path(sys.executable)
_RECORD_S = 1200.0  # for a recording of half an hour


def measure(run: Run, results: Path, records: int = 0, workers: int = 1) -> dict[str, Any]:
    """Write `peers.json`, `peers-rows.csv` and `peers.png`. records: of each data set, 0 for all; workers: at once."""
    kept = run.cache / "peers"
    cases, tapes = cases_of(run, records), recordings(records)
    there, absent = _installed({**PEERS, **BEATS_BY})
    theirs = _answers([n for n in PEERS if n in there and n != OURS], cases, kept, workers)
    their_beats = _beats([n for n in BEATS_BY if n in there and n != OUR_BEATS], tapes, kept, workers)
    bundles = {fold: str(fold_bundle(run, fold).folder) for fold in {c.fold for c in cases} | {t.fold for t in tapes}}
    answers = {OURS: _our_answers(cases, bundles), **theirs}
    said = {name: judge.by_case(cases, own) for name, own in answers.items()}
    beats = {OUR_BEATS: _our_beats(tapes, bundles), **their_beats} if tapes else {}
    bundle = bundles[min(bundles)]
    times = timed(
        {n: partial(ask, n, python=_HERE, bundle=bundle) if n == OURS else partial(ask, n) for n in said},
        windows_of(cases),
        _tell,
    )
    results.mkdir(parents=True, exist_ok=True)
    judge.write_rows(results, cases, said, {name: there[name]["version"] for name in said})
    out: dict[str, Any] = {
        "what": "the same windows, the same truth, the same run; ours by int8 nets that never saw the patient",
        "run": run.config.name,
        "measured_at_commit": commit(),
        "weights": {str(fold): run.digest(str(fold)) for fold in run.config.folds},
        "machine": {"name": machine(), **hardware(), "packages": versions()},
        "records": records or "all",
        "absent": absent,
        "peers": {
            name: {
                **there[name],
                "note": PEERS[name].note,
                "windows": judge.counted(said[name]),
                "failures": _reasons(answers[name]),
                "errors": judge.tables(cases, said[name], said[OURS]),
            }
            for name in said
        },
        "time": times,
        "beats": {name: {**there[name], **table} for name, table in beats.items()},
    }
    out["figures"] = figures(out)
    (results / "peers.json").write_text(json.dumps(out, indent=1) + "\n")
    picture(out, results / "peers.png")
    return out


def _installed(peers: dict[str, Peer]) -> tuple[dict[str, dict[str, Any]], dict[str, str]]:
    """What is known of those that are there, and why the others are not. Raises UsageError where none is."""
    there, absent = {}, {}
    for name, peer in peers.items():
        try:
            there[name] = about(name, _HERE if peer.package is None else None)
        except UsageError as error:
            absent[name] = str(error)
    if all(peers[name].package is None for name in there):
        raise UsageError(next(iter(absent.values())))
    return there, absent


def _answers(names: list[str], cases: list[Case], kept: Path, workers: int) -> dict[str, list[Answer]]:
    """By peer, one a window."""
    windows = windows_of(cases)
    return _each(names, lambda name: ask(name, windows, kept=kept).answers, workers, "peers")


def _our_answers(cases: list[Case], bundles: dict[int, str]) -> list[Answer]:
    """One a window, each of its fold's net."""
    by_fold = {
        fold: iter(ask(OURS, windows_of([c for c in cases if c.fold == fold]), _HERE, bundle=bundle).answers)
        for fold, bundle in bundles.items()
    }
    return [next(by_fold[case.fold]) for case in cases for _ in case.windows_mv]


def _beats(names: list[str], tapes: list[Recording], kept: Path, workers: int) -> dict[str, dict[str, Any]]:
    """By detector, what EC57 asks of MIT-BIH's recordings; nothing where they are not at hand."""
    signals = [tape.signal for tape in tapes]

    def of(name: str) -> dict[str, Any]:
        asked = ask(name, signals, kept=kept, limit_s=_RECORD_S)
        return beat_table(tapes, dict(zip([t.name for t in tapes], asked.answers, strict=True)))

    return _each(names, of, workers, "mitdb") if tapes else {}


def _our_beats(tapes: list[Recording], bundles: dict[int, str]) -> dict[str, Any]:
    found: dict[str, Answer] = {}
    for fold in sorted({t.fold for t in tapes}):
        own = [t for t in tapes if t.fold == fold]
        asked = ask(OUR_BEATS, [t.signal for t in own], _HERE, limit_s=_RECORD_S, bundle=bundles[fold])
        found |= dict(zip([t.name for t in own], asked.answers, strict=True))
    return beat_table(tapes, found)


def _each(names: list[str], of: Callable[[str], T], workers: int, title: str) -> dict[str, T]:
    """Of each name, so many at once."""
    with ThreadPoolExecutor(workers) as pool:
        return dict(zip(names, tqdm(pool.map(of, names), total=len(names), desc=title, mininterval=5), strict=True))


def beat_table(tapes: list[Recording], found: dict[str, Answer]) -> dict[str, Any]:
    """Sensitivity and precision over all beats (gross), and the mean over recordings; failures are all missed."""
    rows = {t.name: counts(t, found[t.name].marks.get("R", np.empty(0))) for t in tapes}
    total = {key: sum(row[key] for row in rows.values()) for key in ("found", "missed", "extra")}

    def shares(row: dict[str, int]) -> dict[str, float | None]:
        truth, said = row["found"] + row["missed"], row["found"] + row["extra"]
        return {
            "sensitivity": row["found"] / truth if truth else None,
            "precision": row["found"] / said if said else None,
        }

    each = [shares(row) for row in rows.values()]
    means = {
        f"mean_{key}": float(np.mean([v for row in each if (v := row[key]) is not None] or [np.nan]))
        for key in ("sensitivity", "precision")
    }
    return {
        "recordings": len(rows),
        "failed": [t.name for t in tapes if found[t.name].failed is not None],
        **total,
        **shares(total),
        **means,
        "processor_s_an_hour": sum(found[t.name].processor_ms for t in tapes)
        / sum(len(t.signal[0]) / t.signal[1] for t in tapes)
        * 3.6,
        "by_recording": rows,
    }


def figures(out: dict[str, Any]) -> dict[str, Any]:
    """The ratios that are asked for: how much faster than each peer with PR, QRS and QT, and whether better on all."""
    times = {name: row["processor_ms"]["p50"] for name, row in out["time"]["peers"].items()}
    found: dict[str, Any] = {}
    for name, row in out["peers"].items():
        mae = judge.mean_interval_mae(row["errors"])
        if name != OURS and mae is not None:
            found[name] = {
                "times_faster": times[name] / times[OURS],
                "better_on_every_mae_and_sd": judge.better_on_all(row["errors"]),
                "mean_interval_mae": mae,
            }
    return {
        "ours_mean_interval_mae": judge.mean_interval_mae(out["peers"][OURS]["errors"]),
        "against": found,
        "fastest_with_all_three": min(found, key=lambda name: times[name]) if found else None,
    }


def _reasons(answers: list[Answer]) -> dict[str, int]:
    """The commonest words of its failures."""
    words = [a.failed for a in answers if a.failed is not None]
    return {word: words.count(word) for word in sorted(set(words), key=words.count, reverse=True)[:5]}


def _tell(message: str) -> None:
    print(message, file=sys.stderr, flush=True)
