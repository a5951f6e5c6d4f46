"""A table as Markdown, and how the measures are called in one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

# Label, unit, and digits behind the point.
UNITS = {"hr_bpm": ("HR", "bpm", 2), "pr_ms": ("PR", "ms", 1), "qrs_ms": ("QRS", "ms", 1), "qt_ms": ("QT", "ms", 1)}


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def sections(texts: Mapping[str, str]) -> str:
    """Each text under its title, in their order."""
    return "\n\n".join(line for title_and_text in texts.items() for line in title_and_text)
