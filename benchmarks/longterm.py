"""`python -m benchmarks longterm`: episodes on long records, and how soon a rate that steps is reported.

Atrial fibrillation on MIT-BIH's half hours, each by the fold's net that never saw the patient, through the product's
own filter. That filter's numbers were chosen on CinC 2017's records, strung together to hours of known rhythm, and
never on MIT-BIH: the choice is made again here and stands beside what ships. Turned leads are looked for in the same
half hours, as they are and with their sign turned.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from benchmarks import steps
from benchmarks.accuracy import fold_bundle
from edge_runtime.analysis import analyse_window
from edge_runtime.backends import Backend, open_backend
from edge_runtime.bundle import Model
from edge_runtime.episodes import Episode, latest
from edge_runtime.library import cache_folder
from edge_runtime.longterm import SENSE, LongTerm, Sense
from edge_runtime.polarity import LEAD_OF
from edge_runtime.records import read_record
from edge_runtime.report import Report
from edge_runtime.windows import WINDOW_S, windows_of
from train import folds
from train.by_fold import each_fold
from train.datasets import cinc2017
from train.run import Run, commit

Span = tuple[float, float]
HOP_S = 1.0
LEAST_S = 30.0  # an episode of fibrillation, as everybody counts it
_VENTRICULAR = ("(VT", "(B", "(T", "(IVR", "(VFL")  # runs within a fibrillation that goes on under them
GRID = {"weight": (1.0, 2.0, 4.0), "believed": (0.8, 0.9), "held_s": (10.0, 15.0, 30.0)}
STREAMS, STREAM_S = 60, 3600.0
_SHARES = {"normal": 0.45, "af": 0.3, "other": 0.25}
_LASTS_S = {"normal": (60, 120, 300, 600), "af": (30, 40, 60, 120, 300, 600), "other": (60, 120, 300, 600)}


@dataclass
class Found:
    """mitdb: record -> reports; cinc: class -> records of reports; turned: record -> (as it is, turned) seconds until
    it is called inverted, None where it is not."""

    mitdb: dict[str, list[Report]] = field(default_factory=dict)
    cinc: dict[str, list[list[Report]]] = field(default_factory=dict)
    turned: dict[str, tuple[float | None, float | None]] = field(default_factory=dict)


def lean(report: Report) -> Report:
    """What the filter needs of it."""
    return replace(report, measures={}, findings={}, missing=(), r_peaks_s=(), fiducials=None)


def reports_of(
    mv: NDArray[np.float64], rate: float, lead: str, hop_s: float, net: tuple[Model, Backend]
) -> list[Report]:
    return [lean(analyse_window(w, *net, upright=hop_s >= WINDOW_S)) for w in windows_of(mv, rate, lead, hop_s)]


def judge_fold(job: tuple[Path, int]) -> Found:
    """Everything that one fold's net has to look at."""
    run, fold = Run.open(job[0]), job[1]
    data, few = cache_folder(), run.config.records_per_set
    bundle = fold_bundle(run, fold)
    net, found = (bundle.model, open_backend(bundle, "ai-edge-litert")), Found()
    names = [n for n in mitdb_names(data / "mitdb") if folds.fold_of("mitdb", n) == fold]
    for name in names[: few or None]:
        record = read_record(data / "mitdb" / name)
        lead, rate = record.lead(), record.sampling_rate_hz
        found.mitdb[name] = reports_of(lead.millivolts, rate, lead.name, HOP_S, net)
        if lead.name.lower() in LEAD_OF:
            both = [reports_of(sign * lead.millivolts, rate, lead.name, WINDOW_S, net) for sign in (1, -1)]
            found.turned[name] = inverted_after_s(both[0]), inverted_after_s(both[1])
    for name, truth in cinc2017.records(data / "cinc2017").items():
        kind = [*_SHARES, None][truth]
        own = found.cinc.setdefault(kind, []) if kind else []
        if kind is None or folds.fold_of("cinc2017", name) != fold or (few and len(own) >= few):
            continue
        mv, rate = cinc2017.read(data / "cinc2017", name)
        if len(mv) / rate >= 25 and (kind == "af" or len(own) < 130):
            own.append(reports_of(mv, rate, "I", HOP_S, net))
    return found


def mitdb_names(folder: Path) -> list[str]:
    return sorted(p.stem for p in folder.glob("*.hea"))


def episodes_of(reports: Sequence[Report], sense: Sense = SENSE, hop_s: float = HOP_S) -> list[Episode]:
    filtered = LongTerm(hop_s, sense)
    return latest(e for report in reports for e in filtered.add(report))


def inverted_after_s(reports: Sequence[Report]) -> float | None:
    """When it is said first, s from the beginning; None where it is never said."""
    filtered = LongTerm(WINDOW_S)
    for report in reports:
        if any(e.kind == "inverted" for e in filtered.add(report)):
            return report.end_s
    return None


# ---- what is true ----------------------------------------------------------------------------------------------------


def fibrillation_of(changes: Sequence[tuple[float, str]], end_s: float) -> tuple[list[Span], list[Span]]:
    """(fibrillation, flutter): spans, from the changes of rhythm. Ventricular runs within a fibrillation do not end
    it."""
    spans = [(s, e, rhythm) for (s, rhythm), (e, _) in zip(changes, [*changes[1:], (end_s, "")], strict=True)]
    joined: list[Span] = []
    goes_on = False
    for start, end, rhythm in spans:
        if rhythm == "(AFIB":
            joined = [*joined[:-1], (joined[-1][0], end)] if goes_on else [*joined, (start, end)]
            goes_on = True
        elif rhythm not in _VENTRICULAR:
            goes_on = False
    return joined, [(s, e) for s, e, rhythm in spans if rhythm == "(AFL"]


def rhythm_changes(path: Path, rate: float) -> tuple[list[tuple[float, str]], float]:
    """When each rhythm begins, s, and when the annotation ends."""
    import wfdb

    said = wfdb.rdann(str(path), "atr")
    found = [
        (float(sample) / rate, note.strip("\0"))
        for sample, symbol, note in zip(said.sample, said.symbol, said.aux_note, strict=True)
        if symbol == "+"
    ]
    return found, float(said.sample[-1]) / rate


# ---- how right it is -------------------------------------------------------------------------------------------------


def _shared_s(a: Span, b: Span) -> float:
    return max(0.0, min(a[1], b[1]) - max(a[0], b[0]))


@dataclass
class Score:
    """Episodes: reference ones of LEAST_S and more, those found, those given, those of these that are true (ANSI/AAMI
    EC57: any overlap). Seconds: of fibrillation, found of it, given in all, and of the record; flutter does not
    count as given."""

    reference: int = 0
    found: int = 0
    given: int = 0
    true: int = 0
    delays_s: list[float] = field(default_factory=list)
    reference_s: float = 0.0
    found_s: float = 0.0
    given_s: float = 0.0
    record_s: float = 0.0

    def add(self, given: Sequence[Span], truth: Sequence[Span], neutral: Sequence[Span], record_s: float) -> None:
        for span in (t for t in truth if t[1] - t[0] >= LEAST_S):
            met = [g for g in given if _shared_s(g, span) > 0]
            self.reference, self.found = self.reference + 1, self.found + bool(met)
            if met:
                self.delays_s.append(max(0.0, min(g[0] for g in met) - span[0]))
        for span in given:
            besides = span[1] - span[0] - sum(_shared_s(span, n) for n in neutral)
            self.given_s += besides
            if span[1] - span[0] < LEAST_S:
                continue
            true = any(_shared_s(span, t) > 0 for t in truth)
            if true or besides > 0.5 * (span[1] - span[0]):
                self.given, self.true = self.given + 1, self.true + true
        self.reference_s += sum(t[1] - t[0] for t in truth)
        self.found_s += sum(_shared_s(g, t) for g in given for t in truth)
        self.record_s += record_s

    def to_dict(self) -> dict[str, Any]:
        delay = [float(v) for v in np.percentile(self.delays_s, (50, 90))] if self.delays_s else None
        return {**asdict(self), "delays_s": None, "onset_delay_s": delay}


def af_spans(episodes: Sequence[Episode]) -> list[Span]:
    return [(e.start_s, e.end_s) for e in episodes if e.kind == "af"]


def streams(records: dict[str, list[list[Report]]], seed: int) -> list[tuple[list[Report], list[Span]]]:
    """Hours of known rhythm: a record of that class, over and over, for as long as the rhythm lasts."""
    rng = np.random.default_rng(seed)
    kinds, out = list(_SHARES), []
    for _ in range(STREAMS):
        t, reports, truth = 0.0, [], []
        while t < STREAM_S:
            kind = kinds[rng.choice(len(kinds), p=list(_SHARES.values()))]
            record = records[kind][rng.integers(len(records[kind]))]
            start, lasts, at = t, float(rng.choice(_LASTS_S[kind])), int(rng.integers(len(record)))
            while t < start + lasts:
                reports.append(replace(record[at % len(record)], start_s=t, end_s=t + WINDOW_S))
                t, at = t + HOP_S, at + 1
            if kind == "af":  # a report stands for the middle of its window
                truth.append((start + WINDOW_S / 2, t + WINDOW_S / 2))
        out.append((reports, truth))
    return out


def choice(records: dict[str, list[list[Report]]], seed: int) -> list[dict[str, Any]]:
    """Each filter of GRID on the streams."""
    made, rows = streams(records, seed), []
    for values in tqdm(list(product(*GRID.values())), desc="filters", mininterval=5):
        numbers = dict(zip(GRID, values, strict=True))
        score = Score()
        for reports, truth in made:
            score.add(af_spans(episodes_of(reports, replace(SENSE, **numbers))), truth, (), len(reports) * HOP_S)
        rows.append({**numbers, **score.to_dict()})
    return rows


def chosen_of(rows: Sequence[dict[str, Any]]) -> dict[str, float]:
    """The filter with the best harmonic mean of the episodes found and of those given that are true."""

    def f1(row: dict[str, Any]) -> float:
        found, true = row["found"] / max(row["reference"], 1), row["true"] / max(row["given"], 1)
        return float(2 * found * true / max(found + true, 1e-9))

    best = max(rows, key=f1)
    return {name: best[name] for name in GRID}


def mitdb_tables(folder: Path, found: dict[str, list[Report]]) -> dict[str, Any]:
    """Over the records with fibrillation, with each of them; over those without; and how the time was spent."""
    groups: dict[str, Score] = {"with": Score(), "without": Score()}
    rows, spent = {}, dict.fromkeys(("normal", "af", "other", "lead_off", "noise", "absent"), 0.0)
    for name, reports in sorted(found.items()):
        rate = read_record(folder / name).sampling_rate_hz
        changes, end_s = rhythm_changes(folder / name, rate)
        truth, flutter = fibrillation_of(changes, end_s)
        episodes, own = episodes_of(reports), Score()
        for score in (own, groups["with" if truth else "without"]):
            score.add(af_spans(episodes), truth, flutter, end_s)
        for e in episodes:
            if e.kind in spent:
                spent[e.kind] += e.end_s - e.start_s
        if truth or own.given_s:
            rows[name] = own.to_dict()
    return {**{name: score.to_dict() for name, score in groups.items()}, "records": rows, "spent_s": spent}


def measure(run: Run, results: Path) -> dict[str, Any]:
    """Write `longterm.json` into `results`."""
    found, jobs = Found(), [(run.folder, fold) for fold in run.config.folds]
    for part in each_fold(run, judge_fold, jobs):
        found.mitdb |= part.mitdb
        found.turned |= part.turned
        for kind, records in part.cinc.items():
            found.cinc.setdefault(kind, []).extend(records)
    tried = choice(found.cinc, run.config.seed)
    shown = ("as_it_is", "turned")
    out: dict[str, Any] = {
        "what": "five folds by patient; nets that never saw the patient",
        "measured_at_commit": commit(),
        "weights": {str(fold): run.digest(str(fold)) for fold in run.config.folds},
        "filter": {**asdict(SENSE), "chosen_again": chosen_of(tried), "tried": tried},
        "mitdb": mitdb_tables(cache_folder() / "mitdb", found.mitdb),
        "inverted_after_s": {n: dict(zip(shown, said, strict=True)) for n, said in sorted(found.turned.items())},
        "steps": steps.measure(),
    }
    results.mkdir(parents=True, exist_ok=True)
    (results / "longterm.json").write_text(json.dumps(out, indent=1) + "\n")
    return out
