"""A `leadwire run` with its dashboard and no device, to be asked what it should refuse."""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.runtime.broker import wait_for
from edge_runtime.errors import LeadwireError

_WHERE = re.compile(r"the dashboard is at http://127\.0\.0\.1:(\d+)/")


@contextmanager
def dashboard_of_a_run(token: str) -> Iterator[tuple[subprocess.Popen[bytes], int, Path]]:
    """The process, its dashboard's port, and the file of what it says. Raises LeadwireError where it does not start."""
    with tempfile.TemporaryDirectory(prefix="leadwire-run-") as scratch:
        folder = Path(scratch)
        (folder / "token").write_text(token)
        (folder / "run.toml").write_text(
            f'[[device]]\nport = "{folder / "none"}"\nname = "bed"\n[store]\npath = "{folder / "run.db"}"\n'
            f'[dashboard]\nwhere = "127.0.0.1:0"\ntoken_file = "{folder / "token"}"\n'
        )
        command = [sys.executable, "-m", "edge_runtime.cli", "run", "--config", str(folder / "run.toml")]
        with (folder / "said").open("w") as said:
            process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=said)
        try:
            wait_for(lambda: process.poll() is not None or bool(_WHERE.search((folder / "said").read_text())))
            found = _WHERE.search((folder / "said").read_text())
            if found is None:
                raise LeadwireError("leadwire run did not start its dashboard")
            yield process, int(found[1]), folder / "said"
        finally:
            process.terminate()
            process.wait(60)
