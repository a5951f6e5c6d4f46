"""`wire.json` as the tables of docs/wire.md."""

from __future__ import annotations

from typing import Any

from benchmarks.wire.native import BURST_BITS
from train.markdown import table

_RESULTS = "../benchmarks/results/wire.json"  # from docs/


def markdown(result: dict[str, Any]) -> str:
    """The whole page: a section for each part that was measured."""
    lines = ["<!-- written by python -m benchmarks wire -->", "# The wire", ""]
    for name, (title, text) in _SECTIONS.items():
        if name in result:
            lines += [f"## {title}", "", *text(result[name]), "", _made(result[name]), ""]
    return "\n".join(lines)


def _made(part: dict[str, Any]) -> str:
    size = "" if part["full"] else " at the small size"
    return f"Measured{size} at {part['measured_at_commit']} on {part['machine']}; numbers in [wire.json]({_RESULTS})."


def _fuzz(part: dict[str, Any]) -> list[str]:
    rows = []
    for name, found in part["boards"].items():
        grown = f"{found['grown_bytes'] / 1024:.0f} KiB"
        rate = f"{found['bytes_a_second'] / 1e6:.2f} MB/s"
        rows.append([name, str(found["baud"]), rate, f"{found['times_baud']:.0f}", f"{found['bytes']:,}", grown])
    head = ["board", "baud", "parser, one thread", "times its baud", "hostile bytes, no exception", "memory grew by"]
    least = part["target_times_baud"]
    return [f"A parser has to keep up with {least} times what its baud can carry.", "", table(head, rows)]


def _native(part: dict[str, Any]) -> list[str]:
    names = {
        "one_bit": "1 bit",
        "two_bits": "2 bits",
        "bursts_low_bit_first": f"bursts up to {BURST_BITS} bits, low bit first (as a UART sends)",
        "bursts_high_bit_first": f"bursts up to {BURST_BITS} bits, high bit first",
    }
    rows = [
        [f"{name}, frame of {frame['frame_bytes']} bytes", f"{said['errors']:,}", str(said["accepted"]), ""]
        for frame in part["enumerated"]
        for name, said in ((names[key], frame[key]) for key in names)
    ]
    on_wire = {"every single bit": part["every_bit_on_the_wire"], **part["on_the_wire"]}
    for name, said in on_wire.items():
        chance = said["corruptions"] * part["by_chance"]
        rows.append([f"on the wire: {name}", f"{said['corruptions']:,}", str(said["accepted"]), f"{chance:.1f}"])
    total, accepted = (sum(said[key] for said in on_wire.values()) for key in ("corruptions", "accepted"))
    rows.append(["on the wire, all", f"{total:,}", f"**{accepted}**", f"**{total * part['by_chance']:.1f}**"])
    beside = part["parser_beside_residuals"]
    return [
        table(["damage", "tried", "accepted", "by chance, 2^-16"], rows),
        "",
        f"Before COBS by enumeration, from one residual a bit; the real parser was asked about {beside['trials']:,} "
        f"and disagreed {beside['accepted_against_it']} times. On the wire the real parser was asked about each.",
    ]


def _faults(part: dict[str, Any]) -> list[str]:
    by_wire: dict[str, dict[str, Any]] = {}
    for name, board in part["boards"].items():
        by_wire.setdefault(board["wire"], {})[name] = board
    wires = list(by_wire)
    notes: list[str] = []
    rows = []
    for fault, spec in part["specs"].items():
        cells = [_cell([board["faults"][fault] for board in by_wire[wire].values()], notes) for wire in wires]
        rows.append([f"`{spec}`", part["what"][fault], *cells])
    deaf = []
    for wire in wires:
        said = [board["wrong_baud"] for board in by_wire[wire].values()]
        told = sum("wrong baud" in (w["says"] or "") for w in said)
        deaf.append(f"{sum(w['good_frames'] for w in said)} good frames; {told} of {len(said)} say so")
    rows.append(["half the baud", "", *deaf])
    return [
        "What parser and clock counted of what the simulated device's ledger says (and what follows from it by the "
        f"protocol's rules), each fault on its own for {part['seconds']:g} s. *exact*: the same on each of its boards.",
        "",
        table(["fault", "compared", *(f"{wire} ({len(by_wire[wire])})" for wire in wires)], rows),
        "",
        *(f"{i}. {note}" for i, note in enumerate(notes, 1)),
    ]


def _cell(cells: list[dict[str, Any]], notes: list[str]) -> str:
    able = [cell for cell in cells if cell["cannot"] is None]
    out = []
    if able:
        wrong = [f"{cell['counted']} of {cell['done']}" for cell in able if not cell["exact"]]
        out.append("**differs: " + ", ".join(wrong) + "**" if wrong else "exact")
    for why in dict.fromkeys(cell["cannot"] for cell in cells if cell["cannot"] is not None):
        if why not in notes:
            notes.append(why)
        done, counted = (sum(cell[key] for cell in cells if cell["cannot"] == why) for key in ("done", "counted"))
        out.append(f"{counted} of {done} ({notes.index(why) + 1})")
    return "; ".join(out)


_UNITS = {"hr_bpm": "HR, bpm", "pr_ms": "PR, ms", "qrs_ms": "QRS, ms", "qt_ms": "QT, ms"}


def _availability(part: dict[str, Any]) -> list[str]:
    rows = []
    for name, by_loss in part["sets"].items():
        for loss, said in by_loss.items():
            cells = []
            for measure in _UNITS:
                of = said["measures"][measure]
                grown = "" if of["grown"] is None else f" ({of['grown']:+.2f})"
                cells.append(f"{100 * of['stated'] / said['windows']:.1f} %{grown}")
            rows.append([name, f"{100 * float(loss):g} %", str(said["windows"]), str(said["bridged_windows"]), *cells])
    head = ["data", "frames lost", "windows", "with a bridged gap", *_UNITS.values()]
    return [
        "The share of windows that state a value, and in brackets how much farther from the annotator it is than "
        f"without a loss, where both are stated (at most {part['target_ms']:g} ms at 1 % is asked for). A recording is "
        f"played by the native simulated device and read by bundle {part['bundle']}, which has seen these patients: "
        "the change is what counts.",
        "",
        table(head, rows),
    ]


def _soak(part: dict[str, Any]) -> list[str]:
    samples = part["ledger"]["samples"]
    rows = [
        [name.replace("_", " "), f"{n:,}", f"{100 * n / samples:.3f} %"] for name, n in part["fates_samples"].items()
    ]
    rows.append(["**unaccounted**", f"**{part['unaccounted_samples']}**", ""])
    same = part["due"] == part["counted"]
    wraps, memory = part["wraps"], part["memory"]
    return [
        f"{part['device_hours']:g} h of a native device's time with `{part['faults']}`: "
        f"{part['ledger']['frames']:,} frames, {wraps['sequence']} wraps of the sequence and {wraps['device_time']} of "
        "the device's time, "
        f"{part['reports']:,} reports, in {part['cpu_s']:g} s of processor time. Resident memory grew by "
        f"{memory['grown_bytes'] / 1024:.0f} KiB after the first tenth.",
        "",
        table(["what became of a sample", "samples", "share"], rows),
        "",
        f"Pieces of which something else came than had to: {part['wrong_pieces']}, of these damaged ones that passed "
        f"the CRC: {part['forged_pieces']}. Good frames, duplicates, late frames, samples before an INFO and samples "
        f"lost, as counted by parser and clock, {'are' if same else '**are not**'} exactly those of the ledger.",
    ]


_SECTIONS = {
    "native": ("What the native frame refuses", _native),
    "fuzz": ("Parsers", _fuzz),
    "faults": ("Faults and boards", _faults),
    "availability": ("Availability", _availability),
    "soak": ("A day", _soak),
}
