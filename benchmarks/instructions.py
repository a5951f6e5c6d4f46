"""Instructions, counted: `instructions.c` compiled on the spot, and what it wrote, by mark and by where they ran."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path

from benchmarks.arm64 import call, need

_SOURCE = Path(__file__).with_suffix(".c")
# Whose a mapped file is: the first of these that stands in its path.
_OWNERS = {
    "ai_edge_litert": "net's runtime",
    "tflite_runtime": "net's runtime",
    "onnxruntime": "net's runtime",
    "numpy": "numpy",
    "libpython": "Python",
    "/bin/python": "Python",
    "lib-dynload": "Python",
}
REST = "C library"
OWNERS = (*dict.fromkeys(_OWNERS.values()), REST)


class Plugin:
    """The plugin, compiled into a folder, and the file that it writes to."""

    def __init__(self, folder: Path) -> None:
        self._library, self._counts = folder / "instructions.so", folder / "instructions.txt"
        call([need("gcc", "gcc"), "-std=c11", "-O2", "-shared", "-fPIC", "-o", self._library, _SOURCE])

    @property
    def arguments(self) -> tuple[str, str]:
        """Of QEMU."""
        return "-plugin", f"{self._library},out={self._counts}"

    def between(self) -> list[Counter[str]]:
        """By owner, what ran between the first two marks, between the second and the third, and so on."""
        return between(self._counts.read_text().splitlines())


def between(lines: Iterable[str]) -> list[Counter[str]]:
    """Lines are `mark count path`, all counts from the start. Raises ValueError for a line that is none."""
    marks: list[Counter[str]] = []
    for line in lines:
        mark, count, path = line.split(" ", 2)
        if int(mark) >= len(marks):
            marks.append(Counter())
        marks[int(mark)][owner_of(path)] += int(count)
    return [Counter({name: n for name in OWNERS if (n := b[name] - a[name])}) for a, b in pairwise(marks)]


def owner_of(path: str) -> str:
    """One of OWNERS."""
    return next((owner for part, owner in _OWNERS.items() if part in path), REST)
