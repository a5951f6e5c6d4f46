"""The tables of `benchmarks/results/peers.json`."""

from __future__ import annotations

from typing import Any

from train.markdown import table
from train.peers.finders import OUR_BEATS, OURS

_MEASURES = {"hr_bpm": ("HR, bpm", 2), "pr_ms": ("PR, ms", 1), "qrs_ms": ("QRS, ms", 1), "qt_ms": ("QT, ms", 1)}


def markdown(result: dict[str, Any]) -> str:
    m, times = result["machine"], result["time"]
    head = (
        f"{m['name']} ({m['architecture']}, {m['usable_cores']} cores), {m['python']}; {times['windows']} windows in "
        f"{times['rounds']} rounds; load before {times['load_before']}."
    )
    parts = [head, _claims(result), _costs(result)]
    parts += [_errors(result, group) for group in ("ludb I + II", "qtdb")]
    parts += [_beside(result), _beats(result)] if result["beats"] else [_beside(result)]
    if result["absent"]:
        parts.append("Not measured: " + "; ".join(result["absent"].values()))
    return "\n\n".join(parts)


def _name(peer: str, row: dict[str, Any]) -> str:
    return f"**{peer}**" if peer in (OURS, OUR_BEATS) else f"{peer} {row['version']}"


def _claims(result: dict[str, Any]) -> str:
    rows = [
        [
            name + (" (the fastest of them)" if name == result["figures"]["fastest_with_all_three"] else ""),
            f"{said['times_faster']:.1f}",
            f"{said['mean_interval_mae']:.1f}",
            f"{result['figures']['ours_mean_interval_mae']:.1f}",
            "yes" if said["better_on_every_mae_and_sd"] else "**no**",
        ]
        for name, said in sorted(result["figures"]["against"].items(), key=lambda item: item[1]["times_faster"])
    ]
    head = ["against", "times faster", "its mean MAE, ms", "ours", "ours better on every interval's MAE and SD"]
    return table(head, rows)


def _costs(result: dict[str, Any]) -> str:
    rows = []
    for name, row in result["peers"].items():
        spent, asked = result["time"]["peers"][name], row["windows"]
        rows.append(
            [
                _name(name, row),
                f"{spent['processor_ms']['p50']:.2f}",
                f"{spent['wall_ms']['p50']:.2f}",
                f"{spent['peak_memory_mb']:.0f}",
                f"{row['install_mb']:.0f}",
                f"{asked['failed']} of {asked['windows']}",
                ", ".join(str(n) for n in asked["not_stated"].values()),
                row["note"],
            ]
        )
    head = ["", "a core's ms a window", "wall, ms", "memory, MB", "installed, MB", "failed windows"]
    return table([*head, "no HR, PR, QRS, QT", ""], rows)


def _errors(result: dict[str, Any], group: str) -> str:
    rows = []
    for name, row in result["peers"].items():
        cells = [_name(name, row)]
        for measure, (_, digits) in _MEASURES.items():
            said = row["errors"][group][measure]
            if not said["stated"]:
                cells.append("")
                continue
            low, high = (f"{v:.{digits}f}" for v in said["mae_ci95"])
            cells.append(
                f"{said['mae']:.{digits}f} ({low} to {high}), {said['bias']:+.{digits}f} ± {said['sd']:.{digits}f}, "
                f"{said['stated']} of {said['n']}"
            )
        rows.append(cells)
    head = [group, *(f"{label}: MAE (95 % CI), bias ± SD, n" for label, _ in _MEASURES.values())]
    return table(head, rows)


def _beside(result: dict[str, Any]) -> str:
    rows = []
    for name, row in result["peers"].items():
        cells = [_name(name, row)]
        for measure, (_, digits) in _MEASURES.items():
            said = row["errors"]["both"][measure].get("beside_ours")
            if name == OURS or said is None:
                cells.append("")
                continue
            low, high = (f"{v:+.{digits}f}" for v in said["mae_more_ci95"])
            cells.append(
                f"{said['mae_theirs']:.{digits}f} / {said['mae_ours']:.{digits}f} ({low} to {high}), SD "
                f"{said['sd_theirs']:.{digits}f} / {said['sd_ours']:.{digits}f}, {said['n']}"
            )
        if any(cells[1:]):
            rows.append(cells)
    labels = (label for label, _ in _MEASURES.values())
    return table(["where both state it", *(f"{label}: MAE its / ours (its - ours), SD, n" for label in labels)], rows)


def _beats(result: dict[str, Any]) -> str:
    rows = [
        [
            _name(name, row),
            *(
                "-" if row[key] is None else f"{100 * row[key]:.2f}"
                for key in ("sensitivity", "precision", "mean_sensitivity", "mean_precision")
            ),
            str(row["missed"]),
            str(row["extra"]),
            str(len(row["failed"])),
            f"{row['processor_s_an_hour']:.1f}",
        ]
        for name, row in result["beats"].items()
    ]
    count = next(iter(result["beats"].values()))["recordings"]
    head = [f"mitdb, {count} recordings", "Se, %", "+P, %", "mean Se", "mean +P", "missed", "extra", "failed"]
    return table([*head, "a core's s an hour"], rows)
