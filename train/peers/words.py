"""What the two sides of a peer's process say to each other. Standard library only."""

from __future__ import annotations

from typing import Any

MARKS, VALUES, FAILED = "marks", "values", "failed"
EMPTY: dict[str, Any] = {MARKS: {}, VALUES: None, FAILED: None, "wall_ms": 0.0, "processor_ms": 0.0}
BEATS = ("R", *(f"{wave} {point}" for wave in ("P", "QRS", "T") for point in ("onset", "peak", "offset")))
WHOLE = {"pr_ms": ("P onset", "QRS onset"), "qrs_ms": ("QRS onset", "QRS offset"), "qt_ms": ("QRS onset", "T offset")}
ABSENT = "`make peers` makes the environment that has them all"
UNUSABLE = 9  # the exit code of one that is not there, or cannot be opened; its last line says why
