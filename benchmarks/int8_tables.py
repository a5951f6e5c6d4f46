"""What int8 costs, as tables: `proof.json`, `sensitivity.json` and `disagreement.json`."""

from __future__ import annotations

from typing import Any

from export.agreement import LOSSES
from train.markdown import UNITS, table

_SHIPS = "ai-edge-litert int8"
_LAYERS = 6  # of sensitivity, the farthest
_HEAD = [f"{label}, {unit}" for label, unit, _ in UNITS.values()]


def proof_markdown(proof: dict[str, Any]) -> str:
    """Each form of the nets beside torch, and the int8 forms by rate and amplitude: MAE, torch's behind it where the
    two differ in what is shown."""

    def cells(by_measure: dict[str, Any]) -> list[str]:
        out = []
        for name, (_, _, digits) in UNITS.items():
            row = by_measure[name]
            mae, own = (f"{row[k]:.{digits}f}" if row["n"] else "" for k in ("mae", "mae_reference"))
            out.append(mae if mae == own else f"{mae} (torch {own})")
        return out

    def share(said: dict[str, float], form: str) -> str:
        return f"{said[form]:.4f}" if form in said else ""

    whole = [
        [
            form,
            *cells(by),
            share(proof["rhythm_f1"], form),
            share(proof["findings_auc"], form),
            f"{proof['heads_apart_most'][form]:.1e}",
        ]
        for form, by in proof["forms"].items()
    ]
    bands = [
        [band, form, str(by["qt_ms"]["n"]), *cells(by)]
        for band, of_band in proof["bands"].items()
        for form, by in of_band.items()
    ]
    return "\n\n".join(
        [
            "MAE over the windows where torch and the form both state a value; F1 of N, A and O from each record's "
            "first window; macro AUC of PTB-XL's fold 9; the largest difference of any output, in its own unit.",
            table(["form", *_HEAD, "F1", "AUC", "outputs apart"], whole),
            table(["windows", "form", "n", *_HEAD], bands),
        ]
    )


def training_markdown(proof: dict[str, Any]) -> str:
    """What a fine-tuning that knows of the quantization could win back at most: what is lost without one."""
    by = proof["forms"][_SHIPS]
    loss = {name: by[name]["mae"] - by[name]["mae_reference"] for name in UNITS}
    rows = [
        [
            f"{label}, {unit}",
            *(f"{v:.3f}" for v in (by[m]["mae_reference"], by[m]["mae"])),
            f"{loss[m]:+.3f}",
            f"{LOSSES[m]:g}",
        ]
        for m, (label, unit, _) in UNITS.items()
    ]
    most = max(loss, key=lambda name: loss[name] / LOSSES[name])
    label, unit, _ = UNITS[most]
    said = (
        f"The most that is lost, in units of what the gates let through, is {loss[most]:+.3f} {unit} of {label}, with "
        f"{LOSSES[most]:g} let through."
    )
    if loss[most] <= 0.1 * LOSSES[most]:
        said += (
            " That is what a fine-tuning with quantization in the loop could win back, so there is none: each net is "
            "quantized after its training, from calibration windows."
        )
    return f"{table(['int8 on LiteRT', 'MAE, torch', 'int8', 'lost', 'let through'], rows)}\n\n{said}"


def sensitivity_markdown(found: dict[str, Any]) -> str:
    """The layers whose int8 alone moves what is stated, the farthest first, and what keeping one in float gives."""

    def cells(row: dict[str, float | None]) -> list[str]:
        return ["" if (v := row[m]) is None else f"{v:.{d + 1}f}" for m, (_, _, d) in UNITS.items()]

    layers = sorted(found["layers"].items(), key=lambda row: -(row[1]["pr_ms"] or 0.0))
    rows = [["every operation", *cells(found["everything"])]]
    rows += [[f"all but `{name}`", *cells(row)] for name, row in found.get("all_but", {}).items()]
    rows += [[f"`{name}` alone", *cells(row)] for name, row in layers[:_LAYERS]]
    return (
        f"Mean absolute difference of what is stated from the float graph's over {found['windows']} windows of the net "
        "that ships, when this alone is int8 (ONNX Runtime): how far values move, not how much worse they become.\n\n"
        + table(["int8", *_HEAD], rows)
        + _blame(found)
    )


def _blame(found: dict[str, Any]) -> str:
    """Whether one layer in float would be worth it, where that was measured."""
    whole = found["everything"]["qt_ms"]
    for name, row in found.get("all_but", {}).items():
        gone = 100 * (1 - row["qt_ms"] / whole)
        said = f"\n\nWith `{name}`, which moves most, kept in float, {gone:.0f} % of the movement of QT are gone"
        return said + (": the rest adds up over all layers, so none is kept in float." if gone < 50 else ".")
    return ""


def disagreement_markdown(found: dict[str, Any]) -> str:
    """How far int8 and float are apart by window, and the windows that the picture shows."""
    rows = []
    for name, (label, unit, digits) in UNITS.items():
        row = found["apart"][name]
        cells = [f"{row[k]:.{digits + 1}f}" for k in ("mean", "p50", "p90", "p99", "most")]
        rows.append([f"{label}, {unit}", str(row["windows"]), *cells, str(row["one_sided"])])
    head = ["int8 from float", "windows", "mean", "median", "90 %", "99 %", "most", "stated by one alone"]
    return "\n\n".join(
        [
            "Window by window, the nets of the five folds on patients that they never saw: LUDB's leads I and II, "
            "QTDB's first channel; LiteRT beside torch.",
            table(head, rows),
            "The windows that are farthest apart in each measure, one a record and lead, and last some that only one "
            "of the two states. In each title float / int8.",
            "![Traces with the float net's masks above and the int8 net's below]"
            "(../benchmarks/results/int8-and-float.png)",
        ]
    )
