"""A heart whose rate steps, through the monitor: how many seconds until the reported rate is the new one.

As ANSI/AAMI EC13 asks of a monitor: from 80 to 120 and from 80 to 40 bpm, at once. The hearts are synthetic, so that
the moment is known; their P, QRS and T are drawn as in training.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_runtime.backends import Backend, open_backend
from edge_runtime.bundle import Model, load_bundle
from edge_runtime.monitor import Monitor
from firmware_bridge.clock import Samples
from train.evaluate import within_ec13
from train.generators import noise
from train.generators.beats import Morphology, add_st, add_table, morphology
from train.generators.conditions import LEAD_I, LEAD_II, NORMAL, Seen

STEPS = ((80.0, 120.0), (80.0, 40.0))
HEARTS = 40
STEP_S, LASTS_S, RATE_HZ = 40.0, 80.0, 250.0
_PR_S, _QTC_S = 0.16, 0.41


def stepping(rng: np.random.Generator, before_bpm: float, after_bpm: float) -> tuple[NDArray[np.float64], float]:
    """(n,) mV at RATE_HZ, and the instant of the last beat before the rate is another, s."""
    m = morphology(rng, Seen(NORMAL, int(rng.choice((LEAD_I, LEAD_II)))))
    x = noise.residual(rng, round(LASTS_S * RATE_HZ), RATE_HZ)
    t, stepped_s = float(rng.uniform(0.2, 0.9)), 0.0
    while t < LASTS_S:
        if t <= STEP_S:
            stepped_s = t
        rr_s = 60.0 / (before_bpm if t + 60.0 / before_bpm <= STEP_S else after_bpm)
        _draw(x, t, rr_s, m)
        t += rr_s * float(rng.normal(1, 0.005))
    return x, stepped_s


def _draw(x: NDArray[np.float64], at_s: float, rr_s: float, m: Morphology) -> None:
    qt_s = min(_QTC_S * rr_s ** (1 / 3), 0.9 * rr_s)
    t_s = m.t_fraction * (qt_s - m.qrs_s)
    add_table(x, RATE_HZ, at_s - _PR_S, min(m.p_s, 0.95 * _PR_S), m.p, m.p_mv)
    add_table(x, RATE_HZ, at_s, m.qrs_s, m.qrs, m.qrs_mv)
    add_st(x, RATE_HZ, at_s, qt_s, m, m.qrs_s / qt_s, 1 - t_s / qt_s)
    add_table(x, RATE_HZ, at_s + qt_s - t_s, t_s, m.t, m.t_mv)


def settled_after_s(
    mv: NDArray[np.float64], stepped_s: float, after_bpm: float, net: tuple[Model, Backend]
) -> tuple[float | None, int]:
    """From the step to the first report within 5 bpm or 10 % of the new rate that no report behind it leaves, None
    where there is none; and how many reports in between state no rate."""
    monitor, reports = Monitor(*net, "step"), []
    chunk = round(RATE_HZ / 25)
    for first in range(0, len(mv), chunk):
        piece = mv[first : first + chunk]
        reports += monitor.push(Samples(first, piece, RATE_HZ, "I", (first + len(piece)) / RATE_HZ))
    behind = [r for r in reports if r.end_s > stepped_s]
    right = [within_ec13(r.measures["hr_bpm"].value, after_bpm) for r in behind]
    stated = [r.measures["hr_bpm"].valid for r in behind]
    lasting = [all(ok or not said for ok, said in zip(right[i:], stated[i:], strict=True)) for i in range(len(right))]
    at = next((i for i, (ok, stays) in enumerate(zip(right, lasting, strict=True)) if ok and stays), None)
    if at is None:
        return None, stated.count(False)
    return behind[at].end_s - stepped_s, stated[:at].count(False)


def measure(hearts: int = HEARTS) -> dict[str, Any]:
    """By step: seconds until it is reported, median and the ends, over so many hearts; by the bundle that ships."""
    bundle = load_bundle()
    net = bundle.model, open_backend(bundle)
    out = {}
    for before, after in STEPS:
        rng = np.random.default_rng([13, round(after)])
        found = [settled_after_s(*stepping(rng, before, after), after, net) for _ in range(hearts)]
        seconds = [s for s, _ in found if s is not None]
        out[f"{before:g} to {after:g} bpm"] = {
            "hearts": hearts,
            "reported": len(seconds),
            "seconds": [float(v) for v in np.percentile(seconds, (50, 90, 100))] if seconds else None,
            "silent_reports": float(np.mean([silent for _, silent in found])),
        }
    return out
