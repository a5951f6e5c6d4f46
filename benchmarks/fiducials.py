"""`python -m benchmarks fiducials`: onset, peak and offset of P, QRS and T against a hand, for patients never seen.

The int8 nets of the five folds, through the product's own code, on LUDB (leads I and II, each against its own
annotation) and QTDB (channel 0, and the better of two channels); NeuroKit2 beside them on the same signals.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from benchmarks.accuracy import fold_bundle
from benchmarks.cases import later
from benchmarks.matching import POINTS, TOLERANCE_S, Outcome, better_of, point_tables, score, wave_tables
from edge_runtime.analysis import analyse_window
from edge_runtime.backends import Backend, open_backend
from edge_runtime.bundle import Model
from edge_runtime.delineation import QRS, P, T
from edge_runtime.library import cache_folder
from edge_runtime.offline import FIDUCIALS_HOP_S, each_wave_once
from edge_runtime.windows import windows_of
from train import folds
from train.datasets import ludb, qtdb
from train.datasets.annotations import AnnotatedWave
from train.datasets.truth import JUDGED_LUDB_LEADS
from train.peers import NEUROKIT, Answer, about, ask, installed
from train.run import Run, commit

OURS, PEER = "leadwire int8", "neurokit2"
GROUPS = ("ludb I", "ludb II", "ludb I + II", "qtdb channel 0", "qtdb better of two")
_AROUND_S = 5.0  # of QTDB's annotated stretch: the windows that see its ends whole
Found = tuple[AnnotatedWave, ...]


@dataclass(frozen=True)
class Stretch:
    """An annotated stretch of a record. leads_mv: (n,) mV each, with the annotation of each.

    Times are from its first sample. spans_s: stretches inside it in which every wave was annotated.
    """

    dataset: str
    record: str
    sampling_rate_hz: float
    leads_mv: tuple[NDArray[np.float64], ...]
    waves: tuple[Found, ...]
    spans_s: tuple[list[tuple[float, float]], ...]

    @property
    def fold(self) -> int:
        return folds.fold_of(self.dataset, self.record)


def ludb_stretches(folder: Path, most_records: int = 0) -> list[Stretch]:
    """Leads I and II, 10 s."""
    out = []
    for record in ludb.records(folder)[: most_records or None]:
        leads = ludb.read(folder, record, JUDGED_LUDB_LEADS)
        signals = tuple(lead.samples_mv for lead in leads)
        waves, spans = tuple(lead.waves for lead in leads), tuple([lead.span_s] for lead in leads)
        out.append(Stretch("ludb", record, leads[0].sampling_rate_hz, signals, waves, spans))
    return out


def qtdb_stretches(folder: Path, most_records: int = 0) -> list[Stretch]:
    """Both channels from the first annotated wave to the last, and somewhat more."""
    out = []
    for name in qtdb.records(folder)[: most_records or None]:
        whole = qtdb.read(folder, name)
        rate = whole.record.sampling_rate_hz
        low, high = whole.span_s
        first, last = max(0, round((low - _AROUND_S) * rate)), round((high + _AROUND_S) * rate)
        signals = tuple(lead.millivolts[first:last] for lead in whole.record.leads)
        waves = tuple(later(wave, -first / rate) for wave in whole.waves)
        spans = [(a - first / rate, b - first / rate) for a, b in whole.spans_s]
        out.append(Stretch("qtdb", name, rate, signals, (waves,) * len(signals), (spans,) * len(signals)))
    return out


def our_waves(mv: NDArray[np.float64], rate: float, model: Model, backend: Backend) -> Found:
    """What `leadwire analyse --fiducials` gives; windows that it refuses have no waves."""
    windows = windows_of(mv, rate, "I", FIDUCIALS_HOP_S)
    reports = each_wave_once(analyse_window(window, model, backend, fiducials=True) for window in windows)
    return tuple(AnnotatedWave(w.kind, w.onset_s, w.peak_s, w.offset_s) for r in reports for w in r.fiducials or ())


_KINDS = {P: "P", QRS: "QRS", T: "T"}


def peer_waves(answer: Answer) -> Found:
    """NeuroKit2's; nothing where it fails."""
    if answer.failed is not None:
        return ()
    found = []
    for kind, name in _KINDS.items():
        columns = (answer.marks.get(f"{name} {point}", np.empty(0)) for point in POINTS)
        for onset, peak, offset in zip(*columns, strict=True):
            if np.isfinite(peak):
                ends = (float(t) if np.isfinite(t) else None for t in (onset, offset))
                found.append(AnnotatedWave(kind, next(ends), float(peak), next(ends)))
    return tuple(found)


def outcomes_of(stretch: Stretch, find: Callable[[NDArray[np.float64], float], Found]) -> dict[str, Outcome]:
    """Group to outcome."""
    channels = [
        score(waves, find(mv, stretch.sampling_rate_hz), spans)
        for mv, waves, spans in zip(stretch.leads_mv, stretch.waves, stretch.spans_s, strict=True)
    ]
    if stretch.dataset == "ludb":
        return dict(zip(GROUPS[:2], channels, strict=True))
    return {GROUPS[3]: channels[0], GROUPS[4]: better_of(channels)}


def tables(outcomes: dict[str, list[Outcome]]) -> dict[str, Any]:
    """Group to its tables of points and of waves. LUDB's two leads also together."""
    both = [o for name in GROUPS[:2] for o in outcomes.get(name, [])]
    every = {**outcomes, GROUPS[2]: both}
    return {
        name: {"records": len(own), "points": point_tables(own), "waves": wave_tables(own)}
        for name in GROUPS
        if (own := every.get(name))
    }


def measure(run: Run, results: Path) -> dict[str, Any]:
    """Run everything; write `fiducials.json` into `results`."""
    data, few = cache_folder(), run.config.records_per_set
    stretches = ludb_stretches(data / "ludb", few) + qtdb_stretches(data / "qtdb", few)
    found: dict[str, dict[str, list[Outcome]]] = {OURS: {}}

    def judge(name: str, own: list[Stretch], find: Callable[[NDArray[np.float64], float], Found], title: str) -> None:
        for stretch in tqdm(own, desc=title, mininterval=5):
            for group, outcome in outcomes_of(stretch, find).items():
                found[name].setdefault(group, []).append(outcome)

    bundles = []
    for fold in run.config.folds:
        bundle = fold_bundle(run, fold)
        bundles.append({"fold": fold, "id": bundle.model.id})
        backend = open_backend(bundle, "ai-edge-litert")

        def ours(
            mv: NDArray[np.float64], rate: float, model: Model = bundle.model, backend: Backend = backend
        ) -> Found:
            return our_waves(mv, rate, model, backend)

        judge(OURS, [s for s in stretches if s.fold == fold], ours, f"fold {fold}")
    if installed(NEUROKIT):
        found[PEER] = {}
        answers = iter(ask(NEUROKIT, [(mv, s.sampling_rate_hz) for s in stretches for mv in s.leads_mv]).answers)
        judge(PEER, stretches, lambda mv, rate: peer_waves(next(answers)), PEER)
    else:
        print(f"{PEER} is not installed, so its rows are left out; make peers adds them")
    out = {
        "what": "five folds by patient; int8 nets that never saw the patient; found - annotated, ms",
        "run": run.config.name,
        "trained_at_commits": run.commits(str(run.config.folds[0])),
        "measured_at_commit": commit(),
        "weights": {str(fold): run.digest(str(fold)) for fold in run.config.folds},
        "bundles": bundles,
        "tolerance_ms": 1e3 * TOLERANCE_S,
        "peer_version": about(NEUROKIT)["version"] if installed(NEUROKIT) else None,
        "found": {name: tables(outcomes) for name, outcomes in found.items()},
    }
    results.mkdir(parents=True, exist_ok=True)
    (results / "fiducials.json").write_text(json.dumps(out, indent=1) + "\n")
    return out
