"""`longterm.json` as the tables of `docs/quality.md`."""

from __future__ import annotations

from typing import Any

from train.markdown import sections, table

_DAY_S = 86400.0


def _of(part: float, whole: float) -> str:
    return f"{part:g} of {whole:g}" + (f" ({100 * part / whole:.0f} %)" if whole else "")


def _share(part: float, whole: float) -> str:
    return f"{100 * part / whole:.1f} %" if whole else "-"


def _delay(score: dict[str, Any]) -> str:
    delay = score["onset_delay_s"]
    return "-" if delay is None else f"{delay[0]:.0f} / {delay[1]:.0f}"


def fibrillation_markdown(found: dict[str, Any]) -> str:
    rows = []
    labels = {"with": "all with fibrillation", "without": "all without"}
    for name, score in ({labels[k]: found[k] for k in labels} | found["records"]).items():
        false_min, days = (score["given_s"] - score["found_s"]) / 60, score["record_s"] / _DAY_S
        rows.append(
            [
                name,
                f"{score['record_s'] / 3600:.1f}",
                _of(score["found"], score["reference"]),
                _of(score["true"], score["given"]),
                _share(score["found_s"], score["reference_s"]),
                _share(score["found_s"], score["given_s"]),
                _delay(score),
                f"{false_min:.1f} ({false_min / days:.0f})" if days else "-",
            ]
        )
    head = ["MIT-BIH", "hours", "episodes of 30 s and more found", "given ones that are true", "of its time found"]
    return table([*head, "of the time given true", "onset, s late, p50 / p90", "false minutes (a day)"], rows)


def filter_markdown(filtered: dict[str, Any]) -> str:
    ships = {name: filtered[name] for name in filtered["chosen_again"]}
    rows = []
    for row in filtered["tried"]:
        numbers = {name: row[name] for name in ships}
        mark = "**ships**" if numbers == ships else ""
        found, true = _share(row["found"], row["reference"]), _share(row["true"], row["given"])
        rows.append([*(f"{v:g}" for v in numbers.values()), found, true, _delay(row), mark])
    return table(["weight", "believed from", "held, s", "episodes found", "given ones true", "onset, s late", ""], rows)


def inverted_markdown(said: dict[str, Any]) -> str:
    rows = []
    for key, label in (("as_it_is", "as they are"), ("turned", "turned")):
        after = sorted(row[key] for row in said.values() if row[key] is not None)
        middle = f"{after[len(after) // 2]:.0f}" if after else "-"
        rows.append([label, _of(len(after), len(said)), middle])
    return table(["MIT-BIH's MLII, half an hour each", "called inverted", "after so many s, median"], rows)


def steps_markdown(steps: dict[str, Any]) -> str:
    rows = []
    for name, said in steps.items():
        seconds = "-" if said["seconds"] is None else " / ".join(f"{v:.1f}" for v in said["seconds"])
        rows.append([name, _of(said["reported"], said["hearts"]), seconds, f"{said['silent_reports']:.1f}"])
    head = ["the rate steps", "hearts reported right", "after so many s, p50 / p90 / most"]
    return table([*head, "reports without a rate on the way, mean"], rows)


def longterm_markdown(result: dict[str, Any]) -> str:
    parts = {
        "### Fibrillation in half hours": fibrillation_markdown(result["mitdb"]),
        "### What the filter was chosen on": filter_markdown(result["filter"]),
        "### Leads worn the other way round, over half an hour": inverted_markdown(result["inverted_after_s"]),
        "### A rate that steps": steps_markdown(result["steps"]),
    }
    return sections(parts)
