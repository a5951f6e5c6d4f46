"""`runtime.json` as the tables of docs/runtime.md."""

from __future__ import annotations

from typing import Any

from benchmarks.runtime.ward import carries
from train.markdown import table

_RESULTS = "../benchmarks/results/runtime.json"  # from docs/


def markdown(result: dict[str, Any]) -> str:
    """The whole page: a section for each part that was measured."""
    lines = ["<!-- written by python -m benchmarks runtime -->", "# What a run costs, and how late it is", ""]
    for name, (title, text) in _SECTIONS.items():
        if name in result:
            lines += [f"## {title}", "", *text(result[name]), "", _made(result[name]), ""]
    return "\n".join(lines)


def _made(part: dict[str, Any]) -> str:
    size = "" if part["full"] else " at the small size"
    return (
        f"Measured{size} at {part['measured_at_commit']} on {part['machine']}, {part['cores']} cores of which it has "
        f"one, load {part['load_before']:g} before; numbers in [runtime.json]({_RESULTS})."
    )


def _held(found: float, most: float) -> str:
    return f"{'**' if found > most else ''}{found:g}{'**' if found > most else ''} (at most {most:g})"


def _live(part: dict[str, Any]) -> list[str]:
    limits = part["limits"]
    rows = []
    for name, found in part["backends"].items():
        late, most = found["latency_ms"], limits["resident_mb"].get(name)
        rows.append(
            [
                name,
                f"{late['p50']:g} / {late['p95']:g} / {late['max']:g}",
                _held(late["p99"], limits["p99_ms"]),
                " / ".join(f"{age:.2f}" for age in found["age_s"]),
                f"{100 * found['core_share']:.1f} %",
                _held(found["resident_mb"], most) if most else f"{found['resident_mb']:g}",
                _held(found["cold_start_s"]["max"], limits["cold_start_s"]),
                f"{found['reports']}, {found['missing']} missing",
            ]
        )
    head = [
        "back end",
        "last byte to report, ms: p50 / p95 / max",
        "p99, ms",
        "age of the data, s: newest / middle / oldest",
        "of one core",
        "resident, MB",
        "cold start to first sample read, s",
        "reports",
    ]
    return [
        f"One lead at 250 Hz for {part['seconds']:g} s, at the pace of life, on a pty. From the sending of a window's "
        "last byte to its line in the hands of whoever reads the output. That is not the age of the data: a value "
        "speaks of ten seconds, and the middle of them is five seconds old.",
        "",
        table(head, rows),
    ]


def _ward(part: dict[str, Any]) -> list[str]:
    rows = []
    for row in part["leads"]:
        late = row["latency_ms"]
        rows.append(
            [
                str(row["leads"]),
                "yes" if carries(row) else "no",
                f"{row['late']} and {row['missing']} of {row['reports'] + row['missing']}",
                f"{late['p50']:g} / {late['p95']:g} / {late['p99']:g} / {late['max']:g}",
                f"{100 * row['core_share']:.0f} %",
                f"{row['resident_mb']:g}",
                f"{row['devices_late_ms']:g}",
            ]
        )
    head = [
        "leads",
        "carried",
        "late and missing reports",
        "last byte to report, ms: p50 / p95 / p99 / max",
        "of one core",
        "resident, MB",
        "the devices themselves were late by at most, ms",
    ]
    return [
        f"`leadwire run --config` with a device a pty, each at {part['rate_hz']:g} Hz with a report a second, for "
        f"{part['seconds']:g} s. Late is a report that comes {part['late_s']:g} s after its window's last byte. "
        f"**{part['carried']}** were carried ({part['target']} wanted). Ports are read less often while the net is "
        "busy, so that many leads are later and cost less each.",
        "",
        table(head, rows),
    ]


_SECTIONS = {"live": ("One lead", _live), "ward": ("A ward", _ward)}
