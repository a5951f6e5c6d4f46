"""`runtime.json` as the tables of docs/runtime.md."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

from benchmarks.runtime.ward import carries
from train.markdown import table

_RESULTS = "../benchmarks/results/runtime.json"  # from docs/


def markdown(result: dict[str, Any]) -> str:
    """The whole page: a section for each part that was measured."""
    lines = ["<!-- written by python -m benchmarks runtime -->", "# What a run costs, and how late it is", ""]
    for name, (title, text) in _SECTIONS.items():
        if name in result:
            lines += [f"## {title}", "", *text(result[name]), "", _made(result[name], name in _ON_ONE_CORE), ""]
    return "\n".join(lines)


_ON_ONE_CORE = ("live", "ward")


def _made(part: dict[str, Any], on_one_core: bool) -> str:
    size = "" if part["full"] else " at the small size"
    return (
        f"Measured{size} at {part['measured_at_commit']} on {part['machine']}, {part['cores']} cores"
        f"{' of which it has one' if on_one_core else ''}, load {part['load_before']:g} before; "
        f"numbers in [runtime.json]({_RESULTS})."
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


def _night(part: dict[str, Any]) -> list[str]:
    reports, seconds, invented = part["reports"], part["seconds"], part["invented"]
    windows, values = invented["windows"], invented["values"]
    lost = sum(reports["printed_and_not_stored"].values())
    rows = [
        ["reports made, as far as they were printed / in the store / in it twice",
         f"{reports['printed']} / {reports['stored']} / {reports['stored_twice']}"],
        ["printed and not in the store; numbers missing in a session's sequence; told as lost",
         f"{lost}; {reports['missing_in_sequence']}; {part['told_lost']}"],
        ["waited while the disk was full, and were written", _listed(w["written"] for w in part["waited"])],
        ["whole seconds that the device gave / without a report / gone with a pulled cable or a kill",
         f"{seconds['whole']} / {seconds['without_a_report']} / {seconds['on_their_way']}"],
        ["reports twice of a second / of a second of which nothing came",
         f"{seconds['reports_twice']} / {seconds['reports_of_nothing']}"],
        *(
            [f"values stated in the {windows[kind]} windows {what}", _total(values[kind])]
            for kind, what in _NOTHING_THERE.items()
        ),
        ["resident memory of each start, MB: after a minute's reports / at its end",
         "; ".join(" / ".join(f"{mb:g}" for mb in weighed.values()) for weighed in part["resident_mb"])],
    ]  # fmt: skip
    broker = part.get("broker")
    if broker:
        rows.append(
            [
                "heard from the broker, twice among them / in the store and not heard / left to send",
                f"{broker['heard']}, {broker['twice']} / {broker['stored_and_not_heard']} / {part['outbox_left']}",
            ]
        )
    return [
        f"{part['device_hours']:g} h of a device's time, {part['speed']['was']:g} times as fast as life (at most "
        f"{part['speed']['most']:g}: the device waits for a program that is behind, and for one that starts), through "
        f"`leadwire run` with its store{' and a Mosquitto' if broker else ''}. Meanwhile: {_events(part)}. The disk is "
        f"{part['disk']}; up to {part['room_reports']} reports may wait for it, and what a buffer holds is counted in "
        "reports, since its tries go by the clock on the wall. Of the device's faults "
        f"({_listed(f'{n} {kind}' for kind, n in part['spans'].items())}; {part['faults']['steady']}) the noise is "
        f"{-part['faults']['noise_db']:g} dB above the heart.",
        "",
        table(["what was counted", "found"], rows),
    ]


_NOTHING_THERE = {
    "lead_off": "with any of it without electrodes",
    "noise": "wholly under noise",
    "gone": "with a second or more of it missing",
}


def _events(part: dict[str, Any]) -> str:
    count = Counter(event["what"] for event in part["happened"])
    return _listed(f"{n} x {what}" for what, n in count.items())


def _listed(items: Iterable[object]) -> str:
    return ", ".join(str(item) for item in items)


def _total(values: dict[str, int]) -> str:
    total = sum(values.values())
    return f"**{total}** ({_listed(f'{n} {name}' for name, n in values.items() if n)})" if total else "0"


def _security(part: dict[str, Any]) -> list[str]:
    surfaces = part["surfaces"]
    rows = [
        [
            name,
            str(surface["tried"]),
            f"**{surface['wrong']}**" if surface["wrong"] else "0",
            _listed(f"{n} {outcome}" for outcome, n in surface["outcomes"].items()),
        ]
        for name, surface in surfaces.items()
    ]
    listens = _listed(
        f"{s['protocol']} {s['address']} port {s['port']}{'' if s['loopback'] else ' (**not loopback**)'}"
        for s in part["listens"]
    )
    unpickled = part["unpickled"]
    return [
        f"`leadwire run --dashboard` listens on: {listens}, and on nothing else. Of {unpickled['files']} source files "
        f"{len(unpickled['places']) or 'none'} would unpickle or run what is read.",
        "",
        table(["surface", "tried", "wrong", "what came of it"], rows),
        "",
        "Wrong is a traceback, an answer of 5xx where the store is there, no end, a file elsewhere, or memory that "
        "grows; `taken` is a mutation that is still a good one, or one that cannot be told from it.",
    ]


_SECTIONS = {
    "live": ("One lead", _live),
    "ward": ("A ward", _ward),
    "night": ("A night", _night),
    "security": ("What should be refused", _security),
}
