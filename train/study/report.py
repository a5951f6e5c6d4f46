"""docs/transfer.md, its figures and its tables, from the rows alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from train.markdown import table as markdown
from train.study.baselines import baselines
from train.study.cells import PRETRAIN, SCRATCH, THEN_REAL, Cell, table
from train.study.config import ALL_LABELS, Comparison, StudyConfig
from train.study.data import PTBXL_FOLDS
from train.study.pictures import differences, label_curves
from train.study.report_text import ARMS, arm_name, labels_name, write_csv
from train.study.results import Result, Results
from train.study.tasks import TASKS

_HYPOTHESES = {
    ("all", "scratch"): ("H1, regression helps", "Pretraining on the four intervals, against none"),
    ("all", "masking"): ("H2, it is the intervals", "The four intervals, against the same windows without labels"),
    ("delineation", "all"): ("H3, delineation is worth more", "Delineation, against the four intervals"),
}

# The seed's public table: accuracy and macro AUC with one label a record, eight leads, one seed (authors' repository).
_SEEDS_TABLE = (
    ("scratch, eight leads", ".775", ".884"),
    ("best source within PTB-XL, eight leads", ".787", ".906"),
    ("best synthetic source, then PTB-XL, eight leads", ".783", ".895"),
)


def write_report(config: StudyConfig, folder: Path, docs: Path) -> None:
    """Write `transfer.md`, its figures and its tables under `docs`."""
    results = Results(config, folder)
    docs.mkdir(parents=True, exist_ok=True)
    known, curves = _known(results), _curves(results)
    parts = [part for section in _SECTIONS for part in section(results)]
    if curves:
        label_curves(curves, docs / CURVES)
    if known:
        differences(known, config.statistics.bound, docs / DIFFERENCES)
    _tables(results, docs)
    path = docs / "transfer.md"
    path.write_text("\n\n".join(parts).rstrip() + "\n", encoding="utf-8")
    print(path)


CURVES, DIFFERENCES = "transfer-curves.png", "transfer-differences.png"


def _head(r: Results) -> Iterator[str]:
    every = table(r.config)
    commits = sorted({row["commit"] for row in r.rows.values()})
    yield "<!-- written by python -m train study -->\n# Does learning intervals help to classify?"
    yield (
        "What was asked, of whom, and how it is judged was decided before the first cell was run: "
        f"[{Path(r.config.plan).name}]({Path(r.config.plan).name}). {len(r.cells)} of {len(every)} cells have been "
        f"run (budget {r.config.digest}, commit {', '.join(commits) or 'none'})."
        + ("" if len(r.cells) == len(every) else " What follows is what these show; the rest is listed as left out.")
    )


def _answers(r: Results) -> Iterator[str]:
    yield "## What follows"
    for (arm, against), (title, words) in _HYPOTHESES.items():
        found = [x for x in r.families.get("hypotheses", []) if _is(x.comparison, arm, against)]
        said = [f"{_at(x)} {x.verdict} ({_signed(x)})" for x in found if x.difference is not None]
        yield f"- **{title}.** {words}: {'; '.join(said) or 'not known yet'}."
    for name, results in r.families.items():
        if name == "hypotheses":
            continue
        counted = Counter(x.verdict for x in results if x.difference is not None)
        told = ", ".join(f"{n} {word}" for word, n in counted.items()) or "none known yet"
        yield f"- **Of the {len(results)} comparisons of {name}**: {told}."


def _is(c: Comparison, arm: str, against: str) -> bool:
    return (c.arm["source"], c.against["source"]) == (arm, against)


def _at(x: Result) -> str:
    return f"with {labels_name(x.labels)}"


def _signed(x: Result) -> str:
    d = x.difference
    assert d is not None
    return f"{d.mean:+.3f}, {d.low:+.3f} to {d.high:+.3f}"


def _arms(r: Results) -> Iterator[str]:
    yield "## PTB-XL's superclasses from lead I, by source and label count"
    yield (
        "Macro area under the ROC on records of patients that no stage had seen; mean and SD over folds, each with "
        "its own seed (n). Simulator then real, the whole net fine-tuned."
    )
    counts = sorted({c.labels for c in r.cells if c.task == "superclasses"}, key=lambda n: n or 1 << 30)
    rows = []
    for source, name in ARMS.items():
        row = [name]
        for labels in counts:
            like = _cell("superclasses", source, labels)
            values = [r.score(c, "macro_auc") for c in r.folds_of(like)]
            row.append(_spread(values))
        rows.append(row)
    yield markdown(["pretrained on", *map(labels_name, counts)], rows)
    if _curves(r):
        yield f"![label curves]({CURVES})"


def _cell(task: str, source: str, labels: int = ALL_LABELS, net: str = "trunk") -> Cell:
    before, full = ("none" if source == SCRATCH else THEN_REAL), "full"
    return Cell(task, source, 1, 1, labels, before, full, net)


def _spread(values: list[float]) -> str:
    if not values:
        return ""
    return f"{np.mean(values):.3f} ± {np.std(values, ddof=1):.3f} ({len(values)})" if len(values) > 1 else "(1)"


def _comparisons(r: Results) -> Iterator[str]:
    if not _known(r):
        return
    yield "## What was compared"
    how = r.config.statistics
    yield (
        "Differences of arms that were trained and tested on the same records. p and equivalence (within "
        f"±{how.bound:g}) are corrected within each family (Holm); *detectable* is what would have been called "
        f"different in {how.power:.0%} of repetitions at the family's strictest level."
    )
    for family, every in r.families.items():
        results = [x for x in every if x.difference is not None]
        if not results:
            continue
        yield f"### {family[0].upper()}{family[1:]}"
        rows = [[arm_name(x.comparison), x.comparison.task, labels_name(x.labels), *_figures(x)] for x in results]
        head = ["difference", "task", "labels", "n", "mean", "95 %, seeds and folds", "95 %, patients", "detectable"]
        yield markdown([*head, "p", "p, equivalence", "verdict"], rows)
    yield f"![differences]({DIFFERENCES})"


def _figures(x: Result) -> list[str]:
    d = x.difference
    assert d is not None
    return [
        str(d.seeds),
        f"{d.mean:+.4f}",
        f"{d.low:+.4f} to {d.high:+.4f}",
        f"{d.patients_low:+.4f} to {d.patients_high:+.4f}",
        f"{x.detectable:.4f}",
        f"{x.corrected:.3g}",
        f"{x.corrected_equivalent:.3g}",
        f"**{x.verdict}**",
    ]


def _one_label(r: Results) -> Iterator[str]:
    yield "## The seed project's task, beside its table"
    yield (
        "One label a record. The seed's figures are for eight leads, records without a measurable PR (most of them "
        "in fibrillation) left out, a split by record and one seed, and its test set alone is uncertain by 2.1 "
        "points of accuracy; ours are for lead I, by patient, and none is left out. Absolute values cannot be "
        "compared; differences can."
    )
    ours = []
    for source in (SCRATCH, "all"):
        cells = r.folds_of(_cell("one_label", source))
        row = [f"{ARMS[source]}, lead I (ours)"]
        ours.append(row + [_spread([r.score(c, k) for c in cells]) for k in ("accuracy", "macro_auc")])
    yield markdown(["pretrained on", "accuracy", "macro AUC"], [*map(list, _SEEDS_TABLE), *ours])
    comparison = Comparison("", "one_label", {"source": "all"}, {"source": SCRATCH})
    _, d = r.compared(comparison, ALL_LABELS, "accuracy")
    if d is not None:
        yield (
            f"All four less scratch in accuracy: {d.mean:+.4f} ({d.low:+.4f} to {d.high:+.4f} over seeds and folds, "
            f"{d.patients_low:+.4f} to {d.patients_high:+.4f} over patients)."
        )


def _others(r: Results) -> Iterator[str]:
    if any(c.task in ("rhythm", "beats") for c in r.cells):
        yield "## Rhythm and beats"
    for task in ("rhythm", "beats"):
        names: list[str] = []
        rows = []
        for source in (SCRATCH, "all", "masking"):
            cells = r.folds_of(_cell(task, source))
            if cells:
                names = names or list(r.rows[cells[0].key]["scores"])
                rows.append([ARMS[source], *(_spread([r.score(c, k) for c in cells]) for k in names)])
        if rows:
            yield f"{TASKS[task].title}."
            yield markdown(["pretrained on", *names], rows)


def _learnt(r: Results) -> Iterator[str]:
    yield "## What pretraining had learnt"
    yield (
        "MAE on windows of annotated patients that the seed's pretraining had left out (bpm, ms), mean over seeds, "
        "and beside it the constant's. A source that had learnt nothing could not be expected to transfer. The "
        "labels of deepfake-ecg's windows come from a net that knew these patients."
    )
    rows = []
    for arm in dict.fromkeys((c.source, c.pretraining, c.net) for c in r.cells if c.task == PRETRAIN):
        cells = [c for c in r.cells if c.task == PRETRAIN and (c.source, c.pretraining, c.net) == arm]
        judged = [r.rows[c.key]["judged"] for c in cells]
        for dataset in ("ludb", "qtdb"):
            own = [j[dataset] for j in judged if dataset in j]
            measures = [m for m in ("hr_bpm", "pr_ms", "qrs_ms", "qt_ms") if own and m in own[0]]
            told = [
                f"{np.mean([o[m]['mae'] for o in own if m in o]):.1f} "
                f"({np.mean([o[m]['constant_mae'] for o in own if m in o]):.1f})"
                if m in measures
                else ""
                for m in ("hr_bpm", "pr_ms", "qrs_ms", "qt_ms")
            ]
            loss = f"{np.mean([o['loss'] for o in own]):.4f}" if own and "loss" in own[0] else ""
            if own:
                rows.append([ARMS[arm[0]], arm[1].replace("_", " "), arm[2], dataset, str(len(own)), *told, loss])
    yield markdown(["source", "data", "net", "judged on", "n", "HR", "PR", "QRS", "QT", "loss"], rows)


def _cost(r: Results) -> Iterator[str]:
    yield "## At what cost"
    yield "Seconds of one core, mean over the rows: what an arm costs before its first label, and with all labels."
    rows = []
    for source, name in ARMS.items():
        before = [
            np.mean(seconds)
            for data in ("simulator", THEN_REAL)
            if (
                seconds := [
                    r.rows[c.key]["cpu_seconds"]
                    for c in r.cells
                    if (c.task, c.source, c.pretraining, c.net) == (PRETRAIN, source, data, "trunk")
                ]
            )
        ]
        after = [r.rows[c.key]["cpu_seconds"] for c in r.folds_of(_cell("superclasses", source))]
        if after:
            rows.append([name, f"{sum(before):.0f}", f"{np.mean(after):.0f}"])
    yield markdown(["pretrained on", "pretraining", "three trials, all labels"], rows)
    hours = sum(row["cpu_seconds"] for row in r.rows.values()) / 3600
    yield f"All rows together: {hours:.1f} core-hours."


def _left_out(r: Results) -> Iterator[str]:
    yield "## What was left out"
    every = [x for family in r.families.values() for x in family]
    missing = len(table(r.config)) - len(r.cells)
    few: dict[str, list[str]] = {}
    for x in every:
        if x.difference is None:
            few.setdefault(f"{arm_name(x.comparison)} ({x.comparison.task})", []).append(labels_name(x.labels))
    if few:
        least = r.config.statistics.fewest_seeds
        told = "\n".join(f"- {name}: {', '.join(labels)}" for name, labels in few.items())
        yield f"No conclusion is stated of what has fewer than {least} seeds:\n{told}"
    if missing:
        yield f"{missing} cells have not been run; the same command goes on with them."
    if any(x.difference and x.seeds < PTBXL_FOLDS and x.comparison.task == "superclasses" for x in every):
        yield "Comparisons of PTB-XL with fewer than nine folds (n) do not test every record."
    if not few and not missing:
        yield "Nothing that was planned."


def _again(r: Results) -> Iterator[str]:
    yield "## To run it again"
    yield (
        "`python -m train study --config train/configs/study.toml` goes on behind the last row of `runs/study`, and "
        "writes this page when no cell is left (`--report` writes it from the rows that are there, `--plan` says "
        "what is left). `--workers N` runs N cells at a time, a core each; `--ray ADDRESS` fills a cluster whose "
        "nodes have the data sets (`--ray local` starts one here). Put the whole of PTB-XL under "
        "`$LEADWIRE_DATA/ptbxl` and give `--runs` another folder, and the same study is one of all of its "
        "folds 1 to 9. Tables: [scores](transfer-scores.csv), [comparisons](transfer-comparisons.csv), "
        "[pretraining](transfer-pretraining.csv)."
    )


_SECTIONS = (_head, _answers, _arms, _comparisons, _one_label, _others, baselines, _learnt, _cost, _left_out, _again)


def _known(r: Results) -> list[Result]:
    return [x for family in r.families.values() for x in family if x.difference is not None]


def _curves(r: Results) -> dict[str, dict[int, np.ndarray]]:
    """Source -> training records (the mean over folds, for all labels) -> macro AUC by fold, of two folds or more."""
    found: dict[str, dict[int, np.ndarray]] = {}
    for source in ARMS:
        for labels in sorted({c.labels for c in r.cells if c.task == "superclasses"}):
            cells = r.folds_of(_cell("superclasses", source, labels))
            if len(cells) > 1:
                records = round(np.mean([r.rows[c.key]["records"]["train"] for c in cells]))
                found.setdefault(source, {})[records] = np.array([r.score(c, "macro_auc") for c in cells])
    return found


def _tables(r: Results, docs: Path) -> None:
    keys = list(Cell.__dataclass_fields__)
    scores = [
        [*(getattr(c, k) for k in keys), name, value, row["trials"][_chosen(row)]["learning_rate"], row["cpu_seconds"]]
        for c in r.cells
        if c.task != PRETRAIN
        for row in (r.rows[c.key],)
        for name, value in row["scores"].items()
    ]
    write_csv(docs / "transfer-scores.csv", [*keys, "score", "value", "learning_rate", "cpu_seconds"], scores)
    head = ["family", "task", "difference", "labels", "seeds", "mean", "low", "high", "patients_low", "patients_high"]
    compared = [
        [
            *(family, x.comparison.task, arm_name(x.comparison), x.labels or "all", x.seeds),
            *(round(v, 5) for v in (d.mean, d.low, d.high, d.patients_low, d.patients_high)),
            *(f"{v:.4g}" for v in (d.p, x.corrected, x.corrected_equivalent, x.detectable)),
            x.verdict,
        ]
        for family, results in r.families.items()
        for x in results
        if (d := x.difference) is not None
    ]
    ends = ["p", "p_corrected", "p_equivalence_corrected", "detectable", "verdict"]
    write_csv(docs / "transfer-comparisons.csv", [*head, *ends], compared)
    learnt = [
        [c.source, c.pretraining, c.net, c.seed, dataset, measure, found["mae"], found["constant_mae"], found["n"]]
        for c in r.cells
        if c.task == PRETRAIN
        for dataset, measures in r.rows[c.key]["judged"].items()
        for measure, found in measures.items()
        if isinstance(found, dict)
    ]
    head = ["source", "pretraining", "net", "seed", "data", "measure", "mae", "constant_mae", "n"]
    write_csv(docs / "transfer-pretraining.csv", head, learnt)


def _chosen(row: dict[str, Any]) -> int:
    """The trial with the best validation score, the first of equals."""
    return int(np.argmax([t["validation"] for t in row["trials"]]))
