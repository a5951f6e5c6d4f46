"""The wearable of an end-to-end measurement, in a process of its own: `player.py JOB`.

It plays at the pace of life, prints a line when its pty is there, and leaves in an `.npz` when each frame was sent, on
the system's monotonic clock, and the device's time of its last sample.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from edge_runtime.bench.heart import Played, wearable
from edge_runtime.errors import LeadwireError
from firmware_bridge.cable import Piece
from firmware_bridge.simulator import play


def main(job: dict[str, Any]) -> None:
    """job: played, seconds, link and sent (paths)."""
    device = wearable(Played(**job["played"]), job["seconds"])
    sent: list[tuple[float, float]] = []

    def note(piece: Piece) -> None:
        if piece.samples:
            sent.append(((piece.first + piece.samples) / device.sampling_rate_hz, time.monotonic()))

    play(device, Path(job["link"]), on_ready=lambda: print("ready", flush=True), on_send=note)
    device_s, at_s = np.array(sent, np.float64).reshape(-1, 2).T
    np.savez(job["sent"], device_s=device_s, sent_s=at_s)


if __name__ == "__main__":
    try:
        main(json.loads(sys.argv[1]))
    except LeadwireError as error:
        print(error, file=sys.stderr)
        raise SystemExit(error.exit_code) from None
