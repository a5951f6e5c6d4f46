"""Two results side by side: the ratio of their medians, how sure it is, and first of all whether they may be compared.

The interval is a percentile bootstrap in two steps: processes are drawn, and of each its reports, since
reports of one process are more alike than those of two.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_runtime.bench.result import SAME_MACHINE, busy, cold_samples, processor_ms, stage_samples

_DRAWS = 2000
FEWEST = 5  # processes, or blocks
PROCESSOR = "processor's time a report"
_BLOCK = 10  # reports in a row that count as one, where there was one process only
_AT_ONCE = 1_000_000  # samples that are drawn together
Samples = Sequence[Sequence[float]]


def ratio_of_medians(a: Samples, b: Samples, seed: int = 0) -> tuple[float, float, float]:
    """(median of b / median of a, and its 95 % interval); a and b: samples by process, as many of each."""
    rng = np.random.default_rng(seed)
    one, other = clusters(a), clusters(b)
    tail = 100 * _tail(min(len(one), len(other)))
    low, high = np.percentile(_medians(other, rng) / _medians(one, rng), (tail, 100 - tail))
    return float(np.median(other) / np.median(one)), float(low), float(high)


def clusters(samples: Samples) -> NDArray[np.float64]:
    """(clusters, samples of each): the processes, or of a single one its blocks, without a last part."""
    if len(samples) > 1 or len(samples[0]) < _BLOCK:
        return np.array(samples, np.float64)
    whole = len(samples[0]) // _BLOCK * _BLOCK
    return np.array(samples[0][:whole], np.float64).reshape(-1, _BLOCK)


def _tail(count: int) -> float:
    """What to leave at each end for an interval of 95 %: of few clusters the plain percentiles are too narrow.

    Hesterberg 2015, "expanded percentile"; Student's quantile by Cornish and Fisher's expansion.
    """
    if count < 2:
        return 0.0
    z, freedom = 1.959964, count - 1
    t = z + (z**3 + z) / (4 * freedom) + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * freedom**2)
    return 0.5 * math.erfc(math.sqrt(count / freedom) * t / math.sqrt(2))


def _medians(drawn_from: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.float64]:
    """(_DRAWS,) medians: of each draw the clusters are drawn first, and their samples second."""
    count, size = drawn_from.shape
    at_once = max(1, _AT_ONCE // drawn_from.size)
    out = []
    for first in range(0, _DRAWS, at_once):
        draws = min(at_once, _DRAWS - first)
        chosen = rng.integers(count, size=(draws, count, 1))
        out.append(np.median(drawn_from[chosen, rng.integers(size, size=(draws, count, size))], axis=(1, 2)))
    return np.concatenate(out)


def verdict(a: Samples, b: Samples, low: float, high: float) -> str:
    """What B is, against A. Of a few processes nothing is sure: their spread is not known."""
    if min(len(clusters(a)), len(clusters(b))) < FEWEST:
        return f"undecided (fewer than {FEWEST} processes)"
    return "faster" if high < 1 else "slower" if low > 1 else "undecided"


def lines(a: dict[str, Any], b: dict[str, Any]) -> Iterator[str]:
    """Of B against A. What differs in the machine is said before any figure, and behind each word."""
    apart = differences(a, b)
    for label, said in (("A", a), ("B", b)):
        crowd = "; BUSY, so its times decide nothing" if busy(said) else ""
        yield f"{label}: {said['machine']['name']}, {said['bundle']['id']}, {said['made_utc']}{crowd}"
    for name, (of_a, of_b) in apart.items():
        yield f"DIFFERENT {name}: A {of_a}; B {of_b}"
    machines = any(name.startswith("machine") for name in apart)
    if machines:
        yield "These are different machines: a ratio says which of the two is faster, and nothing of the software."
    yield "median of B / median of A (95 % interval; B is)".ljust(52) + "A, ms".rjust(10) + "B, ms".rjust(10)
    compared = list(_pairs(a, b))
    for name, own, other in compared:
        ratio, low, high = ratio_of_medians(own, other)
        judged = verdict(own, other, low, high)
        if (busy(a) or busy(b)) and not name.endswith(PROCESSOR):
            judged = "undecided (busy)"
        medians = "".join(f"{np.median(clusters(s)):10.3f}" for s in (own, other))
        note = " (as a machine)" if machines else ""
        yield f"  {name}".ljust(52) + medians + f"   {ratio:.3f} ({low:.3f} to {high:.3f}) {judged}{note}"
    if not compared:
        yield "  nothing was measured in both"


def differences(a: dict[str, Any], b: dict[str, Any]) -> dict[str, tuple[Any, Any]]:
    """By name what is not the same of what a time depends on: machine, packages, bundle, what was played."""
    pairs = {f"machine's {key}": (a["machine"].get(key), b["machine"].get(key)) for key in SAME_MACHINE}
    packages = {**a["machine"]["packages"], **b["machine"]["packages"]}
    pairs |= {name: tuple(r["machine"]["packages"].get(name) for r in (a, b)) for name in packages}
    pairs["bundle"] = (a["bundle"]["id"], b["bundle"]["id"])
    pairs |= {f"input's {key}": (a["input"].get(key), b["input"].get(key)) for key in {**a["input"], **b["input"]}}
    governors = tuple(r["vitals"]["before"]["governor"] for r in (a, b))
    pairs["machine's governor"] = governors
    return {name: (of_a, of_b) for name, (of_a, of_b) in pairs.items() if of_a != of_b}


def _pairs(a: dict[str, Any], b: dict[str, Any]) -> Iterator[tuple[str, Samples, Samples]]:
    """What both have: name, and samples by process."""
    rows = [{(r["backend"], r["form"]): r for r in said["nets"] if r["error"] is None} for said in (a, b)]
    for key in (k for k in rows[0] if k in rows[1]):
        own, other = rows[0][key], rows[1][key]
        name = ", ".join(key)
        stages = [stage_samples(r) for r in (own, other)]
        for stage in stages[0]:
            yield f"{name}: {stage}", stages[0][stage], stages[1][stage]
        for what, of in ((PROCESSOR, processor_ms), ("cold start", lambda row: cold_samples(row)["start"])):
            mine, theirs = ([[v] for v in of(row)] for row in (own, other))
            yield f"{name}: {what}", mine, theirs
    for name in ("end_to_end", "sustained"):
        if all(said[name] and said[name]["latency_ms"] for said in (a, b)):
            own, other = ([said[name]["latency_ms"]] for said in (a, b))
            yield f"{name.replace('_', ' ')}: latency", own, other
