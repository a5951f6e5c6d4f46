"""The gates: how much an exported net may differ from the torch net it came from, in the units that a user sees.

Two kinds. What the nets of the folds lose where the truth is known and nobody was trained on it (`export.proof`), and
how far the very files that are about to ship lie from their own net.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from edge_runtime.analysis import analyse_window
from edge_runtime.backends import BACKENDS, Backend
from edge_runtime.bundle import MEASURED, Model
from edge_runtime.errors import BundleError
from edge_runtime.windows import Window

# Mean absolute difference that is let through; the measure's own unit. A rhythm may change in this share of windows.
# A measure that only one of the two states, in more than this share of the windows where either does, is no agreement.
ONE_SIDED_GATE = 0.05
GATES = {"hr_bpm": 0.25, "pr_ms": 2.0, "qrs_ms": 2.0, "qt_ms": 3.0, "rhythm": 0.06}

# What a form may lose out of fold: MAE in the measure's own unit, and shares of one.
LOSSES = {"hr_bpm": 0.1, "pr_ms": 1.0, "qrs_ms": 1.0, "qt_ms": 1.5}
LOST_COVERAGE, LOST_F1, LOST_AUC = 0.01, 0.005, 0.005
FLOAT_APART = 1e-4  # of any output of the float ONNX graph

Found = dict[str, dict[str, float | None]]


def agreement(reference: Backend, candidate: Backend, model: Model, windows: Sequence[Window]) -> Found:
    """By measure: mean and largest absolute difference (None for no window at all), n, and in how many windows only one
    of the two states it."""
    differences: dict[str, list[float]] = {name: [] for name in MEASURED}
    one_sided = dict.fromkeys(MEASURED, 0)
    changed = []
    for window in windows:
        a, b = (analyse_window(window, model, backend) for backend in (reference, candidate))
        for name in MEASURED:
            x, y = a.measures[name].value, b.measures[name].value
            if x is not None and y is not None:
                differences[name].append(abs(x - y))
            elif x is not y:
                one_sided[name] += 1
        changed.append(a.rhythm.label != b.rhythm.label)
    out: Found = {
        name: {
            "mean_abs": round(float(np.mean(d)), 4) if d else None,
            "max_abs": round(float(np.max(d)), 3) if d else None,
            "n": len(d),
            "one_sided": one_sided[name],
        }
        for name, d in differences.items()
    }
    out["rhythm"] = {"mean_abs": round(float(np.mean(changed)), 4), "n": len(changed)}
    return out


def over_the_gates(backend: str, found: Found) -> list[str]:
    """In a sentence each, what of `agreement` is over its gate; what could not be compared is over."""
    over = []
    for name, limit in GATES.items():
        difference = found[name]["mean_abs"]
        if difference is None:
            over.append(f"{backend}: {name} could not be compared in any window")
        elif difference > limit:
            over.append(f"{backend}: {name} differs by {difference:g}, {limit:g} is let through")
        one_sided, both = found[name].get("one_sided") or 0, found[name]["n"] or 0
        if one_sided > ONE_SIDED_GATE * (one_sided + both):
            over.append(f"{backend}: {name} is stated by only one of the two in {one_sided} windows, by both in {both}")
    return over


def lost(proof: Mapping[str, Any], reference: str) -> list[str]:
    """In a sentence each, what int8 loses out of fold beyond its gate on a back end that ships, and float ONNX at all.

    proof: as `export.proof` writes it.
    """
    over = []

    def hold(what: str, loss: float | None, limit: float) -> None:
        if loss is None or not loss <= limit:  # NaN is over, too
            said = "could not be judged" if loss is None else f"loses {loss:.4g}, {limit:g} is let through"
            over.append(f"{what} {said}")

    for form in (f"{name} int8" for name in BACKENDS):
        by_measure = proof["forms"].get(form, {})
        for name, limit in LOSSES.items():
            row = by_measure.get(name, {})
            judged = "mae" in row
            hold(f"{form}: {name}", row["mae"] - row["mae_reference"] if judged else None, limit)
            coverage = row["coverage_reference"] - row["coverage"] if judged else None
            hold(f"{form}: coverage of {name}", coverage, LOST_COVERAGE)
        for what, key, limit in (("rhythm's F1", "rhythm_f1", LOST_F1), ("findings' AUC", "findings_auc", LOST_AUC)):
            both = proof[key].get(form), proof[key].get(reference)
            hold(f"{form}: {what}", None if None in both else both[1] - both[0], limit)
    hold("onnxruntime float: an output", proof["heads_apart_most"].get("onnxruntime float"), FLOAT_APART)
    return over


def refuse(over: Sequence[str], allow: bool) -> None:
    """Raises BundleError for what is over a gate unless it is allowed."""
    if over and not allow:
        raise BundleError("; ".join(over) + ". Nothing was written; --allow writes it and says so in the manifest")
