"""A disk that can be full: a small file system of its own where one may mount one, elsewhere a limit on how long a file
of that process may become."""

from __future__ import annotations

import os
import resource
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class Mounted:
    """A tmpfs, with a file on it that takes all that is left."""

    how = "a tmpfs that is full"

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._ballast = folder / "ballast"

    def fill(self, pid: int) -> None:
        with self._ballast.open("wb", buffering=0) as file:
            for size in (1 << 16, 1 << 12, 1 << 8, 1):
                try:
                    while file.write(bytes(size)) == size:
                        pass
                except OSError:
                    continue

    def empty(self, pid: int) -> None:
        self._ballast.unlink()


class Limited:
    """A folder, and no file in it may become longer than the longest is."""

    how = "a limit on the length of a file"

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def fill(self, pid: int) -> None:
        longest = max((path.stat().st_size for path in self.folder.iterdir()), default=0)
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (longest, resource.RLIM_INFINITY))

    def empty(self, pid: int) -> None:
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))


@contextmanager
def small_disk(folder: Path, size: int) -> Iterator[Mounted | Limited]:
    """folder: to be made; size: bytes that it holds."""
    folder.mkdir()
    mounting = ["mount", "-t", "tmpfs", "-o", f"size={size},mode=0700", "leadwire-night", str(folder)]
    if os.geteuid() == 0 and subprocess.run(mounting, capture_output=True).returncode == 0:
        try:
            yield Mounted(folder)
        finally:
            subprocess.run(["umount", "--lazy", str(folder)], check=True)
    else:
        yield Limited(folder)
