"""The seed project's baselines, small and for one lead, beside the constant and the majority.

There the RNN, LSTM, CNN and ViT were at the level of a constant. Here each is held against it, fold by fold, and what
does not pass is said with what is known of why.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from scipy.stats import t as student

from train.markdown import table as markdown
from train.study.cells import PRETRAIN, SCRATCH, THEN_REAL, Cell
from train.study.results import Results
from train.study.scores import unpack

NETS = {"rnn": "RNN", "lstm": "LSTM", "cnn": "CNN", "vit": "ViT", "trunk": "this study's trunk"}
SHORT = {"hr_bpm": "HR, bpm", "pr_ms": "PR, ms", "qrs_ms": "QRS, ms", "qt_ms": "QT, ms"}


def lower_end(differences: list[float]) -> float:
    """Of the one-sided 95 % interval of a mean over seeds; minus infinity for one alone."""
    k = len(differences)
    if k < 2:
        return float("-inf")
    return float(np.mean(differences) - student.ppf(0.95, k - 1) * np.std(differences, ddof=1) / np.sqrt(k))


def majority(r: Results, cell: Cell) -> float:
    """The accuracy of the fold's commonest class, which flatters the majority: it is taken from the test itself."""
    return float(np.bincount(r.tested[cell.task, cell.fold].truth).max() / len(r.tested[cell.task, cell.fold].truth))


def baselines(r: Results) -> Iterator[str]:
    """Sections of the report."""
    yield "## The seed project's baselines"
    yield (
        "In the seed project's table its RNN, LSTM, CNN and ViT were at the level of a constant. Here each has the "
        "budget of every other arm. *passes* where it is better than the constant by more than chance over seeds "
        f"(one-sided 95 %), judged from {r.config.statistics.fewest_seeds} seeds on."
    )
    named, why = _classifiers(r)
    if named:
        yield "As classifiers, one label a record, from scratch; beside each the majority class and a constant's area."
        yield markdown(["net", "n", "accuracy (majority)", "macro AUC (constant)"], named)
    measured, more = _regressors(r)
    if measured:
        yield "As regressors, simulator then real, on annotated patients that were left out; MAE (the constant's)."
        yield markdown(["net", "judged on", "n", *SHORT.values()], measured)
    if why or more:
        yield "What does not pass, and why:\n" + "\n".join(f"- {line}" for line in [*why, *more])


def _classifiers(r: Results) -> tuple[list[list[str]], list[str]]:
    """Rows of a table, and what does not pass."""
    rows, why = [], []
    for net, name in NETS.items():
        cells = r.folds_of(Cell("one_label", SCRATCH, 1, 1, 0, "none", "full", net))
        if not cells:
            continue
        accuracy, area = ([r.score(c, k) for c in cells] for k in ("accuracy", "macro_auc"))
        constant = [majority(r, c) for c in cells]
        more, above = [a - b for a, b in zip(accuracy, constant, strict=True)], [a - 0.5 for a in area]
        told = f"{np.mean(accuracy):.3f} ({np.mean(constant):.3f})", f"{np.mean(area):.3f} (0.500)"
        rows.append([name, str(len(cells)), told[0] + _passes(r, more), told[1] + _passes(r, above)])
        if _judged(r, more) and min(lower_end(more), lower_end(above)) <= 0:
            why.append(_why(r, name, cells))
    return rows, why


def _regressors(r: Results) -> tuple[list[list[str]], list[str]]:
    """Rows of a table, and what does not pass."""
    rows, why = [], []
    for net, name in NETS.items():
        cells = r.folds_of(Cell(PRETRAIN, "all", 1, 1, 0, THEN_REAL, "none", net))
        for dataset in ("ludb", "qtdb"):
            told = []
            for measure, title in SHORT.items():
                found = [j[measure] for c in cells if measure in (j := r.rows[c.key]["judged"].get(dataset, {}))]
                if not found:
                    told.append("")
                    continue
                gains = [f["constant_mae"] - f["mae"] for f in found]
                mae, constant = (float(np.mean([f[k] for f in found])) for k in ("mae", "constant_mae"))
                told.append(f"{mae:.1f} ({constant:.1f}){_passes(r, gains)}")
                if _judged(r, gains) and lower_end(gains) <= 0:
                    why.append(f"{name}, {title.split(',')[0]} on {dataset.upper()}: {_gap(mae, constant)}.")
            if any(told):
                rows.append([name, dataset, str(len(cells)), *told])
    return rows, why


def _judged(r: Results, differences: list[float]) -> bool:
    return len(differences) >= r.config.statistics.fewest_seeds


def _passes(r: Results, differences: list[float]) -> str:
    return " passes" if _judged(r, differences) and lower_end(differences) > 0 else ""


def _gap(mae: float, constant: float) -> str:
    if mae > constant:
        return f"it errs by {mae - constant:.1f} more than the median of other patients does"
    return f"it gains {constant - mae:.1f}, less than seeds and held-out patients differ"


def _why(r: Results, name: str, cells: list[Cell]) -> str:
    """How often it names the commonest class: a net at the majority's level that has learnt to say nothing else."""
    said = np.concatenate([unpack(r.rows[c.key]["kept"]).argmax(1) for c in cells])
    share = np.bincount(said).max() / len(said)
    validation = np.mean([max(t["validation"] for t in r.rows[c.key]["trials"]) for c in cells])
    return (
        f"{name} as a classifier is not beyond both: it names one class in {share:.0%} of records, and its best "
        f"validation area is {validation:.3f}."
    )
