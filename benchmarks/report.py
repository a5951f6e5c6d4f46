"""Result files to the tables that the README and the model card show, between their markers."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.arm_tables import arm_markdown
from benchmarks.int8_tables import disagreement_markdown, proof_markdown, sensitivity_markdown, training_markdown
from benchmarks.longterm_tables import longterm_markdown
from benchmarks.microcontroller import markdown as microcontroller_markdown
from benchmarks.microcontroller import xnnpack_markdown
from benchmarks.peers.tables import markdown as peers_markdown
from benchmarks.quality_tables import quality_markdown
from benchmarks.runtime.tables import markdown as runtime_markdown
from benchmarks.scale import markdown as scale_markdown
from benchmarks.sizes_tables import codings_markdown, sizes_markdown
from benchmarks.wire.tables import markdown as wire_markdown
from edge_runtime.bundle import DEFAULT, load_bundle
from train.markdown import UNITS, table

_TITLES = {
    "fiducials": "Fiducials",
    "proof": "Float and int8",
    "disagreement": "Where float and int8 differ",
    "training": "What quantization in training could win back",
    "sensitivity": "Which layer's int8 moves what",
    "sizes": "Cost against error",
    "codings": "The coding of the input, by P wave",
    "boards": "Boards",
    "beats": "Beats (research; not in the bundle)",
}
_RESULTS = "../benchmarks/results"  # from docs/
_WAYS = {"ours": "ours", "one_width": "one width for all", "constant": "the constant's"}


def _percent(share: float, digits: int = 0) -> str:
    return f"{100 * share:.{digits}f} %"


def interval_table(by_group: dict[str, Any]) -> str:
    """MAE beside the constant's and the float net's, with bias, SD, n, and how often the range holds."""
    rows = []
    for group, by_measure in by_group.items():
        for name, by in by_measure.items():
            label, unit, digits = UNITS[name]
            q, f, n = by["int8"], by.get("float", {}), by.get("neurokit2", {})
            if not q["stated"]:
                continue
            mae, constant, median, sd, of_all, low, high = (
                f"{v:.{digits}f}"
                for v in (q["mae"], q["constant_mae"], q["median_abs"], q["sd"], q["mae_all"], *q["mae_ci95"])
            )
            rows.append(
                [
                    group,
                    f"{label}, {unit}",
                    constant,
                    f"{n['mae']:.{digits}f} ({n['stated']})" if n.get("stated") else "",
                    f"{f['mae']:.{digits}f}" if f.get("stated") else "",
                    f"**{mae}** ({low} to {high})",
                    median,
                    f"{q['bias']:+.{digits}f}",
                    sd,
                    f"{_percent(q['windows_stated'], 1)} of {q['n']}",
                    of_all,
                    _percent(q["coverage"]),
                ]
            )
    head = [
        "data",
        "measure",
        "constant's MAE",
        "NeuroKit2's (n)",
        "float MAE",
        "**int8 MAE** (95 % CI)",
        "median",
        "bias",
        "SD",
    ]
    return table([*head, "windows stated, of n cases", "MAE of all n", "90 % range holds"], rows)


def range_table(ranges: dict[str, Any], groups: Sequence[str] | None = None) -> str:
    """Coverage by patient, width and interval score beside the neighbours'."""
    rows = []
    for name, by_group in ranges.items():
        label, unit, digits = UNITS[name]
        for group, by in by_group.items():
            if groups is not None and group not in groups:
                continue
            for way, said in by.items():
                low, high = said["coverage_ci95"]
                held = f"{_percent(said['coverage'], 1)} ({100 * low:.1f} to {100 * high:.1f})"
                width, score = (f"{said[k]:.{digits}f}" for k in ("mean_width", "interval_score"))
                count = f"{said['n']} of {said['patients']}"
                rows.append([f"{label}, {unit}", group, _WAYS[way], held, width, score, count])
    head = ["measure", "windows", "range", "holds (95 % CI)", "mean width", "interval score", "n of patients"]
    return table(head, rows)


def rhythm_table(rhythm: dict[str, Any]) -> str:
    rows = []
    for label, by in rhythm.items():
        for arithmetic, scores in by.items():
            f1 = [f"{scores['f1'][c]:.3f}" for c in ("normal", "af", "other", "noisy")]
            mean, share = f"**{scores['f1_mean_nao']:.3f}**", _percent(scores["labelled"])
            rows.append([label, arithmetic, *f1, mean, str(scores["n"]), share])
    head = [
        "CinC 2017, F1",
        "arithmetic",
        "normal",
        "af",
        "other",
        "noisy",
        "**mean of N, A, O**",
        "records",
        "labelled",
    ]
    return table(head, rows)


def noise_table(noise: dict[str, Any]) -> str:
    rows = [[f"{db} dB", _percent(r["stated"], 1), _percent(r["right_of_stated"], 1)] for db, r in noise.items()]
    head = ["LUDB I + II with electrode motion on top", "heart rate stated", "of these within 10 % or 5 bpm"]
    return table(head, rows)


def finding_table(findings: dict[str, Any]) -> str:
    rows = []
    for lead, by in findings.items():
        for arithmetic, said in by.items():
            low, high = said["macro_auc_ci95"]
            each = [f"{area:.3f}" for area in said["auc"].values()]
            macro = f"**{said['macro_auc']:.3f}** ({low:.3f} to {high:.3f})"
            rows.append([lead, arithmetic, *each, macro, str(said["n"])])
    head = ["PTB-XL fold 9, AUC", "arithmetic", "NORM", "MI", "STTC", "CD", "HYP", "**macro** (95 % CI)", "records"]
    return table(head, rows)


def presence_table(presence: dict[str, Any]) -> str:
    rows = [[name, f"{p['auc']:.3f}", str(p["with_p"]), str(p["without_p"])] for name, p in presence.items()]
    return table(["P waves present", "AUC", "cases with", "without"], rows)


def _no_p(result: dict[str, Any]) -> str:
    said = [f"{row['stated']} of {row['n']} in {name}" for name, row in result["pr_where_there_is_no_p"].items()]
    return f"A PR interval was stated where the annotator marked no P wave at all: {', '.join(said)}."


def compare_markdown(rows: Sequence[dict[str, Any]]) -> str:
    """What `runs/compare/rows.jsonl` says: each candidate by each way of reading its heads, on the selection fold."""
    lines = []
    for row in rows:
        for way in row["ways"]:
            cells = []
            for dataset in ("ludb", "qtdb"):
                for name in row["measures"] if len(row["measures"]) < len(UNITS) else UNITS:
                    cells.append(f"{row['errors'][dataset][way][name]['mae_all']:.{UNITS[name][2]}f}")
            if len(row["measures"]) < len(UNITS):  # a net of one measure: the other columns are not its
                position = [i for i, name in enumerate(UNITS) if name in row["measures"]]
                full = [""] * (2 * len(UNITS))
                for k, cell in zip([*position, *(i + len(UNITS) for i in position)], cells, strict=True):
                    full[k] = cell
                cells = full
            lines.append([row["candidate"], row["budget"], way, f"{row['parameters'] / 1e3:.0f} k", *cells])
    head = [f"{d} {label}" for d in ("LUDB", "QTDB") for label, _, _ in UNITS.values()]
    return table(["net", "budget", "read from", "parameters", *head], lines)


def accuracy_markdown(result: dict[str, Any]) -> str:
    """What the README shows of `benchmarks/results/accuracy.json`."""
    shown = ("ludb I", "ludb II", "ludb I + II", "qtdb")
    rhythm = {k: v for k, v in result["rhythm"].items() if k == "five folds"}
    parts = [
        interval_table({g: result["intervals"][g] for g in shown if g in result["intervals"]}),
        range_table(result["ranges"], ("all",)),
        rhythm_table(rhythm),
        finding_table(result["findings"]),
        noise_table(result["noise"]),
        _no_p(result),
    ]
    return "\n\n".join(parts)


def card_markdown(result: dict[str, Any], card: str, more: Sequence[tuple[str, str]]) -> str:
    """The model card: what the bundle says of itself, and every table there is."""
    others = {g: v for g, v in result["intervals"].items() if "folds 1 to 4" in g}
    finding_groups = [
        [lead, group, f"{area:.3f}"]
        for lead, by in result["findings"].items()
        for group, area in by["int8"]["by_group"].items()
    ]
    sections = [
        ("Model card", f"```\n{card}\n```"),
        (
            "Intervals, by lead and data set",
            interval_table({g: v for g, v in result["intervals"].items() if g not in others}),
        ),
        ("Intervals, by sex, age and rate", interval_table(result["by_group"])),
        (
            "Intervals, without the fold that chose the net",
            "Fold 0 chose the net and its heads (`train/configs/compare.toml`); these are the other four.\n\n"
            + interval_table(others),
        ),
        ("Ranges, by data set and rate", range_table(result["ranges"])),
        (
            "P waves",
            presence_table(result["p_presence"])
            + f"\n\n{_no_p(result)}\n\n"
            + f"![The ROC of the head that tells whether there are P waves]({_RESULTS}/p-presence.png)",
        ),
        ("Rhythm, by fold", rhythm_table(result["rhythm"])),
        (
            "Findings",
            finding_table(result["findings"])
            + "\n\nA research output. Each figure is the mean of the five folds' nets, none of which was trained on "
            "PTB-XL's folds 8 and 9.\n\n" + table(["lead", "group", "macro AUC"], finding_groups),
        ),
        ("Noise", noise_table(result["noise"])),
        *more,
        (
            "Where it fails",
            "The twenty values that are furthest off, in units of each measure's usual spread, one a record and "
            "lead.\n\n![Twenty traces, each with the annotator's waves above it and the net's below]"
            f"({_RESULTS}/worst-windows.png)",
        ),
    ]
    lines = ["<!-- written by python -m benchmarks accuracy -->"]
    for i, (title, text) in enumerate(sections):
        lines += [f"{'#' if i == 0 else '##'} {title}", "", text, ""]
    return "\n".join(lines)


_POINTS = {
    "P onset": "P on", "P peak": "P peak", "P offset": "P off",
    "QRS onset": "QRS on", "QRS peak": "R peak", "QRS offset": "QRS off",
    "T onset": "T on", "T peak": "T peak", "T offset": "T off",
}  # fmt: skip


def fiducials_markdown(result: dict[str, Any]) -> str:
    """The tables of `benchmarks/results/fiducials.json`."""
    names = {"neurokit2": f"NeuroKit2 {result['peer_version']}", "leadwire int8": "**Leadwire, int8**"}
    groups = next(iter(result["found"].values()))
    rows = [(group, names[finder], found[group]) for group in groups for finder, found in result["found"].items()]
    lines = [f"| ms | by | {' | '.join(_POINTS.values())} |", "|---" * (2 + len(_POINTS)) + "|"]
    for group, finder, tables in rows:
        lines.append(f"| {group} | {finder} | {' | '.join(_point(tables['points'].get(p)) for p in _POINTS)} |")
    lines += [
        "",
        "| sensitivity / precision, % | by | annotated P, QRS, T | P | QRS | T |",
        "|---|---|---|---|---|---|",
    ]
    for group, finder, tables in rows:
        waves = tables["waves"].values()
        counts = ", ".join(str(w["annotated"]) for w in waves)
        shares = " | ".join(f"{_hundredths(w['sensitivity'])} / {_hundredths(w['precision'])}" for w in waves)
        lines.append(f"| {group} | {finder} | {counts} | {shares} |")
    return "\n".join(lines)


def _point(table: dict[str, Any] | None) -> str:
    """Mean +- SD over all points, and in brackets the mean of the records' SDs."""
    if table is None:
        return "-"
    return f"{table['mean']:+.1f} ± {table['sd']:.1f} ({_number(table['record_sd'])})"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}"


def _hundredths(share: float | None) -> str:
    return _number(None if share is None else 100 * share)


def boards_markdown(result: dict[str, Any]) -> str:
    """MAE of each measure through each board, and by how much it is worse than the recording's own."""
    rows = []
    for name, board in result["boards"].items():
        band = [board.get(k) for k in ("high_pass_hz", "low_pass_hz")]
        cells = [name, f"{board['sampling_rate_hz']:g}", str(board.get("bits") or "")]
        cells.append("" if band == [None, None] else " to ".join("" if f is None else f"{f:g}" for f in band))
        for measure, said in board["measures"].items():
            digits = UNITS[measure][2]
            if said["mae"] is None:
                cells.append("")
                continue
            change = "" if "bits" not in board else f" ({said['worse']:+.{digits}f})"
            cells.append(f"{said['mae']:.{digits}f}{change}")
        rows.append([*cells, f"{board['measures']['qt_ms']['stated']} / {board['measures']['qt_ms']['n']}"])
    head = [
        "LUDB I + II through",
        "Hz",
        "bits",
        "band, Hz",
        *(f"{label}, {unit}" for label, unit, _ in UNITS.values()),
    ]
    return table([*head, "QT stated"], rows)


def beats_markdown(result: dict[str, Any]) -> str:
    """Sensitivity and precision of the AAMI classes, mean and SD over seeds."""
    rows = []
    for label in ("DS2", "DS2 without 202"):
        for name in ("N", "S", "V", "F"):
            both = [result[label][key][name] for key in ("sensitivity", "precision")]
            cells = ["" if v is None else f"{100 * v[0]:.1f} +- {100 * v[1]:.1f} %" for v in both]
            rows.append([label, name, *cells])
    return table(["MIT-BIH", "class", "sensitivity", "precision"], rows)


MARKDOWN = {
    "accuracy": accuracy_markdown,
    "fiducials": fiducials_markdown,
    "boards": boards_markdown,
    "beats": beats_markdown,
    "proof": proof_markdown,
    "disagreement": disagreement_markdown,
    "training": training_markdown,
    "sensitivity": sensitivity_markdown,
    "sizes": sizes_markdown,
    "codings": codings_markdown,
    "wire": wire_markdown,
    "runtime": runtime_markdown,
    "microcontroller": microcontroller_markdown,
    "arm": arm_markdown,
    "peers": peers_markdown,
    "scale": scale_markdown,
    "quality": quality_markdown,
    "longterm": longterm_markdown,
}
_IN_README = ("accuracy", "fiducials")
_PAGES = {  # in docs/
    "arm": "arm.md",
    "microcontroller": "microcontroller.md",
    "peers": "benchmarks.md",
    "scale": "benchmarks.md",
    "quality": "quality.md",
    "longterm": "quality.md",
}


def results_of(results: Path, run: Path) -> dict[str, Any]:
    """By name, what of MARKDOWN was measured. The proof lies with the run, since the exporter reads it there."""
    proof = run / "proof.json"
    places = {name: results / f"{name}.json" for name in MARKDOWN}
    places |= {"proof": proof, "training": proof, "sensitivity": run / "sensitivity.json"}
    places |= {"codings": results / "sizes.json"}
    return {name: json.loads(path.read_text()) for name, path in places.items() if path.exists()}


def bring_up_to_date(readme: Path, results: Path, run: Path) -> None:
    """The README's tables and the model card, from every result file that is there, and what the run's folder holds."""
    found = results_of(results, run)
    compared = run.parent / "compare" / "rows.jsonl"
    for name in _IN_README:
        if name in found:
            put_between(readme, name, MARKDOWN[name](found[name]))
    for name, page in _PAGES.items():
        if name in found:
            put_between(readme.parent / "docs" / page, name, MARKDOWN[name](found[name]))
    if compared.exists():
        rows = [json.loads(line) for line in compared.read_text().splitlines()]
        put_between(readme, "compare", compare_markdown(rows))
    for name, markdown in (("wire", wire_markdown), ("runtime", runtime_markdown)):
        if name in found:
            (readme.parent / "docs" / f"{name}.md").write_text(markdown(found[name]), "utf-8")
    if "microcontroller" in found:
        of_xnnpack = xnnpack_markdown(found["microcontroller"])
        put_between(readme.parent / "docs" / _PAGES["microcontroller"], "xnnpack", of_xnnpack)
    if "accuracy" in found:
        more = [(_TITLES[n], MARKDOWN[n](found[n])) for n in _TITLES if n in found]
        card = card_markdown(found["accuracy"], load_bundle(DEFAULT).manifest["card"], more)
        (readme.parent / "docs" / "model-card.md").write_text(card, "utf-8")


def put_between(path: Path, name: str, text: str) -> None:
    """Replace what stands between `<!-- NAME:begin -->` and `<!-- NAME:end -->`. Raises ValueError without the two."""
    begin, end = f"<!-- {name}:begin -->", f"<!-- {name}:end -->"
    whole = path.read_text("utf-8")
    if whole.count(begin) != 1 or whole.count(end) != 1 or whole.index(begin) > whole.index(end):
        raise ValueError(f"{path}: needs one {begin} and, behind it, one {end}")
    before, after = whole[: whole.index(begin) + len(begin)], whole[whole.index(end) :]
    path.write_text(f"{before}\n{text}\n{after}", "utf-8")
