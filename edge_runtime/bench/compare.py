"""Two results side by side: the ratio of their medians, how sure it is, and first of all whether they may be compared.

The interval is a percentile bootstrap (Efron 1979) in two steps: processes are drawn, and of each its reports, since
reports of one process are more alike than those of two.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from edge_runtime.bench.result import SAME_MACHINE, busy, cold_samples, processor_ms, stage_samples

_DRAWS = 2000
FEWEST = 5  # processes, or blocks
PROCESSOR = "processor's time a report"
_BLOCK = 10  # reports in a row that count as one, where there was one process only
Samples = Sequence[Sequence[float]]


def ratio_of_medians(a: Samples, b: Samples, seed: int = 0) -> tuple[float, float, float]:
    """(median of b / median of a, and its 95 % interval); a and b: samples by process."""
    rng = np.random.default_rng(seed)
    drawn = [_medians(_clusters(own), rng) for own in (a, b)]
    low, high = np.percentile(drawn[1] / drawn[0], (2.5, 97.5))
    middle = [float(np.median(np.concatenate(_clusters(own)))) for own in (a, b)]
    return middle[1] / middle[0], float(low), float(high)


def _clusters(samples: Samples) -> list[np.ndarray]:
    arrays = [np.asarray(own, np.float64) for own in samples if len(own)]
    if len(arrays) > 1:
        return arrays
    return [arrays[0][i : i + _BLOCK] for i in range(0, len(arrays[0]), _BLOCK)]


def _medians(clusters: list[np.ndarray], rng: np.random.Generator) -> np.ndarray:
    out = np.empty(_DRAWS)
    for k in range(_DRAWS):
        chosen = rng.integers(len(clusters), size=len(clusters))
        out[k] = np.median(np.concatenate([rng.choice(clusters[c], len(clusters[c])) for c in chosen]))
    return out


def verdict(a: Samples, b: Samples, low: float, high: float) -> str:
    """What B is, against A. Of a few processes nothing is sure: their spread is not known."""
    if min(len(_clusters(a)), len(_clusters(b))) < FEWEST:
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
        medians = "".join(f"{np.median(np.concatenate(_clusters(s))):10.3f}" for s in (own, other))
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
