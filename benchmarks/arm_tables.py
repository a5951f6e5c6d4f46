"""The tables of `benchmarks/results/arm.json`."""

from __future__ import annotations

from typing import Any

from train.markdown import table

_PLACES = {
    "haswell": "x86-64 without VNNI (Haswell)",
    "cortex-a53": "Cortex-A53",
    "cortex-a72": "Cortex-A72",
    "cortex-a76": "Cortex-A76",
}


def arm_markdown(result: dict[str, Any]) -> str:
    """Limits, the same answers, the same reports, and instructions by stage and core."""
    versions = ", ".join(f"{name} {version}" for name, version in result["versions"].items())
    cold = result["cold_start"]
    return "\n\n".join(
        [
            f"Bundle {result['bundle']}, {result['macs'] / 1e6:.1f} M multiply-accumulates (MACs); {versions}.",
            limits_table(result["limits"]),
            f"The start: median of {cold['starts']}, the fastest {cold['fastest_s']:.2f} s, with {cold['load']} other "
            f"and own processes wanting the {cold['cores']} cores at the time; of a core it took "
            f"{cold['processor_s']:.2f} s.",
            "### The net's answers",
            "Each core was asked the same windows; a window counts as apart where any number of any head is not "
            "bit for bit that of this x86-64 machine.",
            outputs_table(result["outputs"]),
            "### The reports",
            "`leadwire analyse --findings --fiducials` of the same records, line by line and key by key. A number may "
            "fall on the other side of an edge between two of the JSON's last digits (0.1 bpm, 0.1 ms, 0.001 for the "
            "rest), since the conditioning's floats differ in their last bits.",
            reports_table(result["reports"]),
            *(installs_markdown(result["installs"]) if "installs" in result else []),  # not in older results
            "### Instructions a report",
            "Millions, of one report of a window of 10 s at 500 Hz, by stage and by whose code they ran in. Counted, "
            "not timed: instructions are no cycles.",
            instructions_table(result["instructions"], result["macs"]),
        ]
    )


def limits_table(limits: list[dict[str, Any]]) -> str:
    rows = [[r["what"], f"{r['found']:.4g}", f"{r['limit']:g}", "yes" if r["held"] else "**no**"] for r in limits]
    return table(["", "found", "limit", "held"], rows)


def outputs_table(outputs: dict[str, Any]) -> str:
    rows = []
    for backend, by in outputs.items():
        for place, said in by["places"].items():
            farthest = f"{said['most']:.3g}" if said["windows_apart"] else "0"
            cells = [f"{said['windows_apart']} of {said['windows']}", farthest, f"`{said['sha256'][:16]}`"]
            rows.append([backend, _PLACES[place], *cells, f"`{by['sha256'][:16]}`"])
    return table(["int8", "on", "windows apart", "farthest, in a head's unit", "SHA-256", "x86-64's"], rows)


def reports_table(reports: dict[str, Any]) -> str:
    rows = []
    for backend, by in reports.items():
        for place, said in by.items():
            steps, words = said["steps_apart"], said["words_apart"]
            farthest = max(steps, key=lambda k: steps[k]) if steps else None
            rows.append(
                [
                    backend,
                    _PLACES[place],
                    f"{said['same']} of {said['reports']}",
                    ", ".join(f"{k} ({n})" for k, n in words.items()) or "none",
                    f"{steps[farthest]:g} steps ({farthest})" if farthest else "none",
                ]
            )
    return table(["int8", "on", "equal in every key", "texts, nulls or counts apart", "numbers apart, at most"], rows)


def installs_markdown(installs: list[dict[str, Any]]) -> list[str]:
    return [
        "### What is installed",
        "As pip finds it for a device: the newest, unless the line says otherwise. pip compiles every module; with "
        "`--no-compile`, those that run are compiled when they first do. Answers and instructions are those of a "
        "Cortex-A72; the answers are held to LiteRT's on x86-64, ONNX Runtime's to its own.",
        installs_table(installs),
    ]


def installs_table(installs: list[dict[str, Any]]) -> str:
    rows = []
    for row in installs:
        size = row["bytes"]
        rows.append(
            [
                f"`{row['typed']}`",
                f"**{size['whole'] / 1e6:.1f}**",
                f"{size['with_byte_code_that_runs'] / 1e6:.1f}",
                f"{row['windows_apart']} of {row['windows']}" + (f" ({row['most']:.2g})" if row["most"] else ""),
                f"{row['net'] / 1e6:.2f}",
                f"{row['report'] / 1e6:.2f}",
                ", ".join(f"{name} {version}" for name, version in sorted(row["versions"].items())),
            ]
        )
    head = [
        "install",
        "MB, compiled by pip",
        "MB, compiled when run",
        "windows apart",
        "M instructions a net",
        "a report",
    ]
    return table([*head, "what it brings"], rows)


def instructions_table(instructions: dict[str, Any], macs: int) -> str:
    """A row a stage; the net's also a MAC."""
    rows = []
    owners: list[str] = []
    for backend, by_core in instructions.items():
        for core, by_stage in by_core.items():
            for stage, by in by_stage.items():
                owners = owners or list(by)
                total = sum(by.values())
                a_mac = f"{total / macs:.2f}" if stage == "net" else ""
                cells = [backend, _PLACES[core], stage, f"**{total / 1e6:.2f}**"]
                rows.append([*cells, *(f"{by[owner] / 1e6:z.2f}" for owner in owners), a_mac])
    return table(["int8", "core", "stage", "all", *owners, "a MAC"], rows)
