"""Result files to the tables that the README shows, between its markers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

_UNITS = {"hr_bpm": ("HR", "bpm", 2), "pr_ms": ("PR", "ms", 1), "qrs_ms": ("QRS", "ms", 1), "qt_ms": ("QT", "ms", 1)}


def accuracy_markdown(result: dict[str, Any]) -> str:
    """The tables of `benchmarks/results/accuracy.json`."""
    lines = [
        "| data | measure | constant's MAE | float MAE | **int8 MAE** (95 % CI) | median | bias | SD | stated / n "
        "| MAE of all n | 90 % range holds |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for group, by_measure in result["intervals"].items():
        for name, by in by_measure.items():
            label, unit, digits = _UNITS[name]
            f, q = by["float"], by["int8"]
            if not q["stated"] or not f["stated"]:
                continue

            def show(value: float, digits: int = digits) -> str:
                return f"{value:.{digits}f}"

            low, high = q["mae_ci95"]
            lines.append(
                f"| {group} | {label}, {unit} | {show(q['constant_mae'])} | {show(f['mae'])} | **{show(q['mae'])}** "
                f"({show(low)} to {show(high)}) | {show(q['median_abs'])} | {q['bias']:+.{digits}f} | {show(q['sd'])} "
                f"| {q['stated']} / {q['n']} | {show(q['mae_all'])} | {100 * q['coverage']:.0f} % |"
            )
    lines += [
        "",
        "| CinC 2017, F1 | arithmetic | normal | af | other | noisy | **mean of N, A, O** | records | labelled |",
    ]
    lines.append("|---|---|---|---|---|---|---|---|---|")
    for label, by in result["rhythm"].items():
        for arithmetic, scores in by.items():
            f1 = " | ".join(f"{scores['f1'][c]:.3f}" for c in ("normal", "af", "other", "noisy"))
            mean, share = scores["f1_mean_nao"], f"{100 * scores['labelled']:.0f} %"
            lines.append(f"| {label} | {arithmetic} | {f1} | **{mean:.3f}** | {scores['n']} | {share} |")
    lines += ["", "| LUDB I + II with electrode motion on top | heart rate stated | of these within 10 % or 5 bpm |"]
    lines.append("|---|---|---|")
    for decibel, row in result["noise"].items():
        lines.append(f"| {decibel} dB | {100 * row['stated']:.1f} % | {100 * row['right_of_stated']:.1f} % |")
    said = [f"{row['stated']} of {row['n']} in {name}" for name, row in result["pr_where_there_is_no_p"].items()]
    lines += ["", f"A PR interval was stated where the annotator marked no P wave at all: {', '.join(said)}."]
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
        shares = " | ".join(f"{_percent(w['sensitivity'])} / {_percent(w['precision'])}" for w in waves)
        lines.append(f"| {group} | {finder} | {counts} | {shares} |")
    return "\n".join(lines)


def _point(table: dict[str, Any] | None) -> str:
    """Mean +- SD over all points, and in brackets the mean of the records' SDs."""
    if table is None:
        return "-"
    return f"{table['mean']:+.1f} ± {table['sd']:.1f} ({_number(table['record_sd'])})"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}"


def _percent(share: float | None) -> str:
    return _number(None if share is None else 100 * share)


MARKDOWN = {"accuracy": accuracy_markdown, "fiducials": fiducials_markdown}


def put_between(path: Path, name: str, text: str) -> None:
    """Replace what stands between `<!-- NAME:begin -->` and `<!-- NAME:end -->`. Raises ValueError without the two."""
    begin, end = f"<!-- {name}:begin -->", f"<!-- {name}:end -->"
    whole = path.read_text("utf-8")
    if whole.count(begin) != 1 or whole.count(end) != 1 or whole.index(begin) > whole.index(end):
        raise ValueError(f"{path}: needs one {begin} and, behind it, one {end}")
    before, after = whole[: whole.index(begin) + len(begin)], whole[whole.index(end) :]
    path.write_text(f"{before}\n{text}\n{after}", "utf-8")
