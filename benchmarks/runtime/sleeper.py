"""Who is worn through the night: a simulated device with every fault, in a process of its own: `python -m
benchmarks.runtime.sleeper JOB`. It keeps books of what it gave to whoever listened.
"""

from __future__ import annotations

import json
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.runtime.observed import RATE_HZ, RECORDS
from benchmarks.spoiled import noises, without_phase
from benchmarks.wire.books import Books
from edge_runtime.library import find_record
from firmware_bridge.cable import Piece
from firmware_bridge.faults import Faults
from firmware_bridge.frames import Info
from firmware_bridge.simulator import Wearable, play
from train.generators.noise import shaped

STEADY = "banner,drop=0.002,flip=1e-6,reorder=0.001,duplicate=0.001,garbage=0.001"
EVERY_S = {"stall": 900.0, "lead_off": 600.0, "clip": 1200.0, "unplug": 3600.0}  # one of each, somewhere within
NOISE_EVERY_S, NOISE_DB = 600.0, -24.0  # of the heart's power to the noise's: no heart can be seen
_LONGEST_S = {"stall": 20.0, "lead_off": 60.0, "clip": 10.0, "unplug": 20.0}
_NOISE_S = 40.0
_PIECE_S = 10.0  # of noise
_FRAME = 20  # samples, 80 ms: one that is lost can be bridged
_MICROVOLT = 1_000_000  # in pV


@dataclass(frozen=True)
class Night:
    """What is played, at most `speed` times as fast as life; link: where its port is; books: where those come."""

    seconds: float
    speed: float
    seed: int
    link: str
    books: str

    def to_json(self) -> str:
        return json.dumps(asdict(self))


def spec_of(seconds: float, seed: int) -> str:
    """The shares, and the events: each kind in its own turn, so that none lies under another for long."""
    random = Random(seed)
    items = [STEADY]
    for kind, every_s in EVERY_S.items():
        every_s = min(every_s, seconds / 2)
        for number in range(int(seconds / every_s)):
            start = every_s * (number + random.uniform(0.1, 0.7))
            items.append(f"{kind}@{start:.3f}+{random.uniform(0.2, 1.0) * _LONGEST_S[kind]:.3f}")
    return ",".join(items)


def noise_spans_s(seconds: float, seed: int) -> list[tuple[float, float]]:
    random = Random(seed + 1)
    every_s = min(NOISE_EVERY_S, seconds / 2)
    starts = (every_s * (number + random.uniform(0.05, 0.8)) for number in range(int(seconds / every_s)))
    return [(round(start, 1), round(start, 1) + _NOISE_S) for start in starts if start + _NOISE_S < seconds]


def noise_pieces(seed: int) -> list[NDArray[np.float64]]:
    """Of unit RMS, each a kind of noise that never pauses."""
    rng, n = np.random.default_rng(seed), round(_PIECE_S * RATE_HZ)
    recorded = noises()
    made = [shaped(rng, n, RATE_HZ, 5, 100, 0.3) for _ in range(4)]
    made += [shaped(rng, n, RATE_HZ, 0.5, 40, 0.0) for _ in range(4)]
    made += [without_phase(rng, recorded[name](rng, n, RATE_HZ)) for name in ("em", "ma") if name in recorded]
    return [(mv - mv.mean()) / mv.std() for mv in made]


def night(job: Night) -> Witnessed:
    """Records of hearts one after the other, with the noise on top that the spans say."""
    n = round(job.seconds * RATE_HZ)
    hearts = []
    for name in RECORDS:
        lead = find_record(name).lead(None)
        hearts.append(np.nan_to_num(lead.millivolts).astype(np.float32))
    once = np.concatenate([mv - np.median(mv) for mv in hearts])
    mv = np.resize(once, n)
    pieces, random, size = noise_pieces(job.seed), Random(job.seed + 2), round(_PIECE_S * RATE_HZ)
    for start_s, end_s in noise_spans_s(job.seconds, job.seed):
        first = round(start_s * RATE_HZ)
        end = round(end_s * RATE_HZ)
        rms = float(mv[first:end].std()) * 10 ** (-NOISE_DB / 20)
        for at in range(first, end, size):
            part = slice(at, min(at + size, end))
            mv[part] += rms * random.choice(pieces)[: part.stop - part.start]
    counts = np.clip(np.round(mv * 1e9 / _MICROVOLT), -(1 << 23) + 1, (1 << 23) - 1).astype(np.int32)
    info = Info(1, round(RATE_HZ), 1, _MICROVOLT, 0, 24, _FRAME, 0, 0, "simulated", "night", "I")
    return Witnessed(counts, info, Faults.parse(spec_of(job.seconds, job.seed)), job.seed)


class Witnessed(Wearable):
    """given: first sample and how many, of each frame that a listener could make sense of. greeted: when it was asked
    to say what it is, on this machine's clock, and how many frames it had given by then."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.given: list[tuple[int, int]] = []
        self.greeted: list[tuple[float, int]] = []
        self._books = Books(self.board)
        self._own = False
        self._plays = False
        self._answer: Piece | None = None  # it goes behind the piece that is on its way, where there is one

    def note(self, piece: Piece) -> None:
        self._plays = True
        if self._books.hear(piece):
            self.given.append((piece.first, piece.samples))
        if self._answer is not None:
            self._books.hear(self._answer)
            self._answer = None

    def introduce(self, device_s: float) -> Piece:
        self._own = True
        try:
            return super().introduce(device_s)
        finally:
            self._own = False

    def describe(self, device_s: float) -> bytes:
        number, data = self._sequence, super().describe(device_s)
        if not self._own:
            self.greeted.append((time.monotonic(), len(self.given)))
            self._books.opened()
            answer = Piece(device_s, data, number)
            if self._plays:
                self._answer = answer
            else:
                self._books.hear(answer)
        return data


def main(job: Night) -> None:
    device = night(job)

    def ready() -> None:
        print("ready", flush=True)

    ledger = play(device, Path(job.link), job.speed, ready, on_sent=device.note, patient=True)
    np.savez(
        job.books,
        given=np.array(device.given, np.int64).reshape(-1, 2),
        greeted=np.array(device.greeted, np.float64).reshape(-1, 2),
        **{kind: np.array(device.faults.spans_s(kind)).reshape(-1, 2) for kind in EVERY_S},
        noise=np.array(noise_spans_s(job.seconds, job.seed)).reshape(-1, 2),
        ledger=json.dumps(ledger.to_dict()),
    )
    print("done", flush=True)


if __name__ == "__main__":
    main(Night(**json.loads(sys.argv[1])))
