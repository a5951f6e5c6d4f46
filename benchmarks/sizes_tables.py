"""The tables of `benchmarks/results/sizes.json`: cost against error, and the codings of the input by P amplitude."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from benchmarks.p_waves import BANDS_UV
from benchmarks.sizes_picture import DEFAULT, by_coding, error, family, instructions
from train.markdown import UNITS, table

_FORMS = ("float", "int8")
CORES = ("cortex-a72", "cortex-a76")


def sizes_markdown(result: dict[str, Any]) -> str:
    """What each size costs and gives, and what each step from one size to the next buys."""
    nets = result["nets"]
    names = [*family(nets), *(n for n in nets if n not in family(nets) and nets[n]["coding"] == "companded")]
    share = ", ".join(f"{100 * v:g} % of {k}'s windows" for k, v in result["share_of_the_default_budget"].items())
    parts = [
        f"Every net at the same share of the default's budget ({share}), one seed, judged on the patients of fold 0 in "
        "all twelve leads of LUDB and both channels of QTDB; `train/configs/sizes.toml` says their channels. Score: "
        "each measure's MAE over the constant predictor's, a refused value counted as the constant's, on average over "
        "measures and data sets; intervals are read from the masks. Instructions a window are the net's, counted on "
        "emulated cores. int8 as it ships, with a scale for each channel; for comparison with one for each layer.",
        _cost_table({n: nets[n] for n in names}),
        _steps(nets),
        _quantizing({n: nets[n] for n in names}),
        "![Error over instructions: the score, and MAE of PR, QRS and QT](../benchmarks/results/sizes.png)",
        "MAE, a refused value counted as the constant's, bpm and ms:",
        _error_table({n: nets[n] for n in names}),
    ]
    if result["missing"]:
        parts.append(f"Not trained yet: {', '.join(result['missing'])}.")
    return "\n\n".join(parts)


def _cost_table(nets: dict[str, Any]) -> str:
    rows = []
    for name, net in nets.items():
        counted = [f"{instructions(net, core):.1f}" if "instructions" in net else "" for core in CORES]
        scores = [f"{net['score'][form]:.3f}" for form in ("float", "int8", "int8, a scale a layer")]
        shown = f"**{name}** (ships)" if name == DEFAULT else name
        sizes = [f"{net['parameters'] / 1e3:.0f} k", f"{net['macs'] / 1e6:.1f}", f"{net['int8_bytes'] / 1e3:.0f}"]
        rows.append([shown, " ".join(map(str, net["channels"])), *sizes, *counted, *scores])
    head = ["net", "channels", "parameters", "M MACs", "int8 file, kB", "M instructions, A72", "A76"]
    return table([*head, "score, float", "int8", "a scale a layer"], rows)


def _steps(nets: dict[str, Any]) -> str:
    """What the next size costs and buys, as sentences."""
    said = []
    for a, b in pairwise(family(nets)):
        cost = nets[b]["macs"] / nets[a]["macs"]
        if "instructions" in nets[a] and "instructions" in nets[b]:
            cost = instructions(nets[b], "cortex-a72") / instructions(nets[a], "cortex-a72")
        bought = 1 - error(nets[b], "int8", None) / error(nets[a], "int8", None)
        said.append(f"from {a} to {b} {cost:.1f} times the instructions for {100 * bought:.0f} % less error")
    return f"Step by step, in int8: {'; '.join(said)}."


def _quantizing(nets: dict[str, Any]) -> str:
    """What int8 does to the score, over all of these nets."""
    said = []
    for form, how in (("int8", "with a scale a channel"), ("int8, a scale a layer", "with one a layer")):
        changes = [100 * (net["score"][form] / net["score"]["float"] - 1) for net in nets.values()]
        said.append(f"{how} by {min(changes):+z.1f} to {max(changes):+z.1f} %")
    return f"Quantizing changes the error of these nets {', '.join(said)}."


def _error_table(nets: dict[str, Any]) -> str:
    rows = []
    for name, net in nets.items():
        for form in net["errors"]:
            sets = net["errors"][form].values()
            cells = [f"{by[m]['mae_all']:.{digits}f}" for by in sets for m, (_, _, digits) in UNITS.items()]
            rows.append([name, form, *cells])
    first = next(iter(nets.values()))["errors"]["int8"]
    head = [f"{data.upper()} {label}" for data in first for label, _, _ in UNITS.values()]
    return table(["net", "arithmetic", *head], rows)


def codings_markdown(result: dict[str, Any]) -> str:
    """The net of the size that ships, trained on each coding of its input, by the size of the P wave."""
    nets = by_coding(result["nets"])
    errors, waves = [], []
    for band in BANDS_UV:
        for shown, net in nets.items():
            if net["code_error_uv"][band] is not None:
                errors.append([band, shown, f"{net['input']['step_uv']:.1f}", f"{net['code_error_uv'][band]:.1f}"])
            for form in _FORMS:
                waves.append([band, shown, form, *_p_cells(net["p_waves"][form][band])])
    scores = [
        [shown, *(f"{net['score'][form]:.3f}" for form in _FORMS), *(f"{error(net, f, 'pr_ms'):.1f}" for f in _FORMS)]
        for shown, net in nets.items()
    ]
    lost = [
        f"{100 * (net['score']['int8'] / net['score']['float'] - 1):+z.0f} % ({shown})" for shown, net in nets.items()
    ]
    head = ["P wave", "input", "arithmetic", "annotated", "found", "found where there is none"]
    return "\n\n".join(
        [
            "The net of the default's size, trained on each coding of its input at the budget of the sizes above; the "
            "same patients. A P wave's size is how far it leaves the line between its ends, as conditioned.",
            table(["input", "score, float", "int8", "PR MAE of all, ms, float", "int8"], scores),
            f"Quantizing changes the score by {', '.join(lost)}.",
            "What a code's int8 itself does to P waves, µV: the step at zero, and the RMS difference from the signal.",
            table(["P wave", "input", "step at zero", "RMS error"], errors),
            "P waves found within 150 ms of an annotated one, by its size; those found where none was annotated, by "
            "their own; MAE of the found onsets; MAE of PR by the median size of a window's P waves.",
            "![By the size of the P wave: the share found, the errors of the onset and of PR]"
            "(../benchmarks/results/codings.png)",
            table([*head, "onset, ms", "PR, ms", "PR stated, of windows"], waves),
        ]
    )


def _p_cells(row: dict[str, Any]) -> list[str]:
    found = f"{100 * row['found'] / row['annotated']:.1f} %" if row["annotated"] else ""
    onset, pr = (f"{row[k]:.1f}" if row[k] is not None else "" for k in ("onset_mae_ms", "pr_mae_ms"))
    return [str(row["annotated"]), found, str(row["extra"]), onset, pr, f"{row['pr_stated']} of {row['pr_windows']}"]
