"""A report's JSON as one row of plain columns, and back: what the store's table and the CSV have in common.

A measure `hr_bpm` is the columns `hr_bpm`, `hr_bpm_low`, `hr_bpm_high` and `hr_bpm_why`; without a why it is valid.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from edge_runtime.report import MEASURES

_BEFORE = ("schema", "source", "session", "sequence", "utc", "record", "lead", "start_s", "end_s", "state", "quality")
_BETWEEN = ("beats", "sampling_rate_hz", "lost_samples", "bridged_samples")
_AFTER = ("latency_ms", "bundle")
_PARTS = ("value", "low", "high", "why")  # of a measure
_RHYTHM = ("label", "probability", "why")


def _named(key: str, part: str) -> str:
    return key if part in ("value", "label") else f"{key}_{part}"


_NESTED = {**dict.fromkeys(MEASURES, _PARTS), "rhythm": _RHYTHM}
COLUMNS = (
    *_BEFORE,
    *_BETWEEN,
    *(_named(key, part) for key, parts in _NESTED.items() for part in parts),
    *_AFTER,
    "more",  # JSON: whatever else the report had
)


def row_of(report: Mapping[str, Any]) -> dict[str, Any]:
    """The columns of a report's `to_dict()`, in the order of COLUMNS; null is None."""
    row: dict[str, Any] = {key: report[key] for key in (*_BEFORE, *_BETWEEN)}
    for key, parts in _NESTED.items():
        row |= {_named(key, part): report[key][part] for part in parts}
    row |= {key: report[key] for key in _AFTER}
    more = {key: value for key, value in report.items() if key not in row}
    return {**row, "more": json.dumps(more, separators=(",", ":")) if more else None}


def report_of(row: Mapping[str, Any]) -> dict[str, Any]:
    """The report's `to_dict()` again, from a row of COLUMNS."""

    def nested(key: str) -> dict[str, Any]:
        parts = {part: row[_named(key, part)] for part in _NESTED[key]}
        why = parts.pop("why")
        return {**parts, "valid": why is None, "why": why}

    return {
        **{key: row[key] for key in (*_BEFORE, *_BETWEEN)},
        **{key: nested(key) for key in _NESTED},
        **{key: row[key] for key in _AFTER},
        **json.loads(row["more"] or "{}"),
    }
