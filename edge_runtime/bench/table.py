"""A result as text: where it was measured first, so that one machine's figure never passes for another's."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from edge_runtime.bench.result import COLD, TOTAL, busy, quantiles

_COLUMNS = ("p50", "p95", "p99", "max")


def lines(result: dict[str, Any]) -> Iterator[str]:
    yield from _header(result)
    for row in result["nets"]:
        yield ""
        yield from _net(row)
    for name in ("end_to_end", "sustained"):
        if result[name]:
            yield ""
            yield from _end_to_end(name.replace("_", " "), result[name])


def _header(result: dict[str, Any]) -> Iterator[str]:
    m, played = result["machine"], result["input"]
    memory = f", {m['memory_mb']} MB" if m["memory_mb"] else ""
    yield f"{m['name']} ({m['architecture']}, {m['usable_cores']} of {m['cores']} cores{memory})"
    yield f"{m['system']}, {m['libc']}, {m['python']}; {m['threads']} thread a net"
    packages = ", ".join(f"{name} {version}" for name, version in m["packages"].items())
    variables = ", ".join(f"{name}={value}" for name, value in m["environment"].items())
    yield packages + (f"; {variables}" if variables else "")
    hashes = ", ".join(f"{name} {sha256[:12]}" for name, sha256 in result["bundle"]["files"].items())
    yield f"bundle {result['bundle']['id']} ({hashes})"
    yield (
        f"{played['record']} at {played['sampling_rate_hz']:g} Hz through board {played['board']}, windows of "
        f"{played['window_s']:g} s every {played['hop_s']:g} s; {result['made_utc']}"
    )
    yield "before: " + condition(result["vitals"]["before"]) + "; after: " + condition(result["vitals"]["after"])
    if busy(result):
        yield "BUSY: others wanted the cores, too; the shares of a core hold, the times are longer than they need be"


def condition(said: dict[str, Any]) -> str:
    """Vitals in words; what the machine does not tell is not named."""
    parts = [
        f"{said['temperature_c']:.0f} C" if said["temperature_c"] is not None else "",
        f"{said['clock_mhz']:.0f} MHz" if said["clock_mhz"] is not None else "",
        f"governor {said['governor']}" if said["governor"] else "",
        f"load {said['load']:g}" if said["load"] is not None else "",
        _throttling(said),
    ]
    return ", ".join(part for part in parts if part) or "nothing known"


def _throttling(said: dict[str, Any]) -> str:
    if said["throttled"] is None:
        return ""
    now, before = said["throttled_now"], said["throttled_before"]
    since = f" (since it started: {', '.join(before)})" if before else ""
    return ("THROTTLED NOW: " + ", ".join(now) if now else "not throttled") + since


def _net(row: dict[str, Any]) -> Iterator[str]:
    name = f"{row['backend']}, {row['form']}"
    if row["error"]:
        yield f"{name}: not measured: {row['error']}"
        return
    s = row["summary"]
    memory = "" if s["peak_memory_mb"] is None else f"; peak memory {s['peak_memory_mb']:.1f} MB"
    yield (
        f"{name}: {s['real_time_factor']:.0f} times real time; {100 * s['core_share']:.2f} % of one core for one lead"
        + memory
    )
    total = s["stages_ms"][TOTAL]
    yield f"ms a report (n {total['n']} in {len(row['runs'])} processes)".ljust(44) + _head(_COLUMNS)
    for stage, q in s["stages_ms"].items():
        yield f"  {stage}".ljust(44) + _cells([q[c] for c in _COLUMNS], 3)
    yield "ms from a cold start (one a process)".ljust(44) + _head(("p50", "max"))
    for part in (*COLD, "start"):
        label = "to the first report" if part == "start" else part.replace("_", " ")
        yield f"  {label}".ljust(44) + _cells([s["cold_ms"][part][c] for c in ("p50", "max")], 1)


def _end_to_end(name: str, said: dict[str, Any]) -> Iterator[str]:
    share = "" if said["core_share"] is None else f", {100 * said['core_share']:.2f} % of one core"
    memory = "" if said["peak_memory_mb"] is None else f", peak memory {said['peak_memory_mb']:.1f} MB"
    states = ", ".join(f"{n} {state}" for state, n in said["states"].items())
    yield f"{name}: {said['seconds']:g} s at the pace of life, {said['backend']}{share}{memory}; reports: {states}"
    yield "ms from the device's last byte to the line".ljust(44) + _head(_COLUMNS)
    if said["latency_ms"]:
        q = quantiles(said["latency_ms"])
        yield f"  {q['n']} reports".ljust(44) + _cells([q[c] for c in _COLUMNS], 2)
    else:
        yield "  no report stated anything"
    yield "  before: " + condition(said["vitals"]["before"]) + "; after: " + condition(said["vitals"]["after"])


def _head(columns: Sequence[str]) -> str:
    return "".join(f"{column:>10}" for column in columns)


def _cells(values: Sequence[float], digits: int) -> str:
    return "".join(f"{value:10.{digits}f}" for value in values)
