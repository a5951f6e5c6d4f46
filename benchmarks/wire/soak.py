"""A day of a native device's time with every fault, and no sample unaccounted for.

Each piece is followed through the receiver: what has to come out of it comes out, at its place on the timeline and to
the bit, and everything else that the device made is in the books as what happened to it. The monitor with the default
bundle makes its reports of what arrives, so that the memory that is watched is the whole product's.
"""

from __future__ import annotations

import resource
import time
from dataclasses import asdict
from pathlib import Path
from random import Random
from typing import Any

import numpy as np

from benchmarks.wire.books import Heard, Witness
from benchmarks.wire.matrix import INFO
from edge_runtime.backends import open_backend
from edge_runtime.bundle import DEFAULT, load_bundle
from edge_runtime.monitor import Monitor
from firmware_bridge.cable import Piece
from firmware_bridge.clock import Samples
from firmware_bridge.faults import Faults
from firmware_bridge.frames import to_millivolts
from firmware_bridge.simulator import Wearable

STEADY = "drop=0.005,flip=3e-6,reorder=0.002,duplicate=0.002,garbage=0.001,banner,drift=80,burst=0.016"
_EVENTS = ("stall", "unplug", "lead_off", "clip")
_EVERY_S = 600.0  # one of each
_LONGEST_S = 20.0
_HOP_S = 10.0  # between reports
_WARM_SHARE = 0.1  # of the time, after which memory may not grow
_SHOWN = 20
_SEQUENCE_WRAP, _TIME_WRAP_S = 1 << 16, (1 << 32) * 1e-6
_PAGE = resource.getpagesize()


def spec_of(seconds: float, seed: int) -> str:
    """Every fault but a wrong baud rate, at which nothing arrives at all."""
    random = Random(seed)
    items = [STEADY]
    for kind in _EVENTS:
        for begin in np.arange(0.0, seconds - 2 * _LONGEST_S, _EVERY_S):
            start = begin + random.uniform(_LONGEST_S, min(_EVERY_S, seconds - begin) - _LONGEST_S)
            items.append(f"{kind}@{start:.3f}+{random.uniform(0.1, _LONGEST_S):.3f}")
    return ",".join(items)


def resident_bytes(pid: int | str = "self") -> int:
    """Of a process, now."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE


class Memory:
    """Resident memory once everything runs, and the most of it since."""

    def __init__(self, seconds: float) -> None:
        self.warm = self.most = self.last = 0
        self._next_s, self._every_s = _WARM_SHARE * seconds, 0.01 * seconds

    def look(self, at_s: float) -> None:
        if at_s < self._next_s:
            return
        self._next_s += self._every_s
        self.last = resident_bytes()
        self.warm = self.warm or self.last
        self.most = max(self.most, self.last)


class Auditor:
    """Holds what arrives against what was sent, to the bit and at its place."""

    def __init__(self, device: Wearable) -> None:
        self.right_samples = 0
        self.wrong_at_s: list[float] = []  # device time of the first pieces of which another thing came than had to
        self.wrong = self.forged = 0  # pieces of which that is so; of which anything came though they were damaged
        self._sent, self._what = device.counts, device.info or INFO
        self._offset: int | None = None  # from the timeline's index to the device's own

    def check(self, heard: Heard) -> None:
        if not heard.wanted and not heard.samples:
            return
        if heard.wanted and len(heard.samples) == 1 and self._is_right(heard.piece, heard.samples[0]):
            self.right_samples += heard.piece.samples
            return
        self.wrong += 1
        self.forged += not heard.wanted
        if self.wrong <= _SHOWN:
            self.wrong_at_s.append(heard.piece.due_s)

    def _is_right(self, piece: Piece, samples: Samples) -> bool:
        if self._offset is None:
            self._offset = piece.first - samples.index
        placed = samples.index + self._offset == piece.first and len(samples.millivolts) == piece.samples
        if not placed or samples.lead_off or samples.clipped:
            return placed
        counts = self._sent[piece.first : piece.first + piece.samples]
        sent = to_millivolts(counts, self._what.picovolts_per_count, self._what.zero_count)
        return np.array_equal(samples.millivolts, sent)


def a_day(seconds: float, seed: int) -> Wearable:
    """Its samples tell which they are: no two stretches of them are alike. Every page of its arrays is in use."""
    n = round(seconds * INFO.sampling_rate_hz)
    counts = (np.arange(n, dtype=np.uint32) * np.uint32(2654435761) >> np.uint32(21)).astype(np.int32) - 1024
    missing = np.empty(n, np.bool_)
    missing[:] = False
    return Wearable(counts, INFO, Faults.parse(spec_of(seconds, seed)), seed, missing)


def measure(full: bool, hours: float | None = None, seed: int = 1) -> dict[str, Any]:
    """What became of every sample, how often everything wrapped, and what the memory did."""
    seconds = 3600.0 * (hours or (24.0 if full else 0.1))
    device = a_day(seconds, seed)
    witness, auditor, memory = Witness(device), Auditor(device), Memory(seconds)
    bundle = load_bundle(DEFAULT)
    monitor = Monitor(bundle.model, open_backend(bundle), "soak", _HOP_S)
    monitor.opened(0.0)
    began, reports = time.thread_time(), 0
    for heard in witness.listen():
        auditor.check(heard)
        for samples in heard.samples:
            reports += len(monitor.push(samples))
        memory.look(heard.piece.due_s)
    ledger, books = device.ledger, witness.books
    parsed, clock = witness.receiver.parser.statistics, witness.receiver.clock.statistics
    fates = {how: getattr(ledger, f"{how}_samples") for how in ("dropped", "stalled", "unplugged", "corrupted")}
    fates |= books.fates
    counted = {
        "good": parsed.good,
        **{name: getattr(clock, name) for name in ("duplicates", "late", "before_info", "lost_samples")},
    }
    return {
        "device_hours": seconds / 3600,
        "faults": f"{STEADY}; {', '.join(_EVENTS)} every {_EVERY_S:g} s for up to {_LONGEST_S:g} s",
        "seed": seed,
        "cpu_s": round(time.thread_time() - began, 1),
        "reports": reports,
        "wraps": {"sequence": device.frames_made // _SEQUENCE_WRAP, "device_time": int(seconds / _TIME_WRAP_S)},
        "ledger": {name: value for name, value in ledger.to_dict().items() if isinstance(value, int)},
        "fates_samples": fates,
        "unaccounted_samples": ledger.samples - sum(fates.values()) + books.fates["received"] - auditor.right_samples,
        "wrong_pieces": auditor.wrong,
        "forged_pieces": auditor.forged,
        "wrong_at_s": auditor.wrong_at_s,
        "due": asdict(books.counts),
        "counted": counted,
        "memory": {"warm_bytes": memory.warm, "grown_bytes": memory.most - memory.warm, "end_bytes": memory.last},
    }
