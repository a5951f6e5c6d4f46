"""How much an exported net differs from the torch net it came from, in the units that a user sees."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from edge_runtime.analysis import analyse_window
from edge_runtime.backends import Backend
from edge_runtime.bundle import MEASURED, Model
from edge_runtime.errors import BundleError
from edge_runtime.windows import Window

# Mean absolute difference that is let through; the measure's own unit. A rhythm may change in this share of windows.
# A measure that only one of the two states, in more than this share of the windows where either does, is no agreement.
ONE_SIDED_GATE = 0.05
GATES = {"hr_bpm": 0.25, "pr_ms": 2.0, "qrs_ms": 2.0, "qt_ms": 3.0, "rhythm": 0.06}


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


def hold_to_gates(backend: str, found: Found, allow: bool) -> list[str]:
    """What is over its gate. Raises BundleError for it unless it is allowed; what could not be compared is over."""
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
    if over and not allow:
        raise BundleError("; ".join(over) + ". Nothing was written; --allow writes it and says so in the manifest")
    return over
