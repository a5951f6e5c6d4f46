"""A wearable without the wearable: it plays samples in the native frame, with faults, on a pty.

`Wearable` is what the device does (pure: asked for a time, it gives bytes); `play` is the pty and the pace around it.
"""

from __future__ import annotations

import contextlib
import errno
import os
import random
import select
import time
import tty
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from firmware_bridge.faults import Faults
from firmware_bridge.frames import Info
from firmware_bridge.protocols import native

_INFO_EVERY_S = 5.0
_OFF_COUNTS = 0.45  # of full scale: where an amplifier's output goes when an electrode is off


@dataclass
class Ledger:
    """Exactly what the simulated device did."""

    frames: int = 0
    samples: int = 0
    dropped_frames: int = 0
    dropped_samples: int = 0
    unplugged: list[tuple[float, float]] = field(default_factory=list)
    lead_off: list[tuple[float, float]] = field(default_factory=list)
    overrun_bytes: int = 0

    def to_dict(self) -> dict[str, object]:
        return asdict(self)


class Wearable:
    """The device: `frames()` gives (device time at which the frame is complete in s, bytes or None if it is lost)."""

    def __init__(
        self,
        counts: NDArray[np.int32],
        info: Info,
        faults: Faults | None = None,
        seed: int = 0,
        missing: NDArray[np.bool_] | None = None,
    ) -> None:
        """missing: (n,) where the recording has no sample; a frame with one is never sent."""
        self.counts, self.info, self.faults = counts, info, faults or Faults()
        self.missing = np.zeros(len(counts), np.bool_) if missing is None else missing
        self.ledger = Ledger(
            unplugged=[(a, b) for kind, a, b in self.faults.events if kind == "unplug"],
            lead_off=[(a, b) for kind, a, b in self.faults.events if kind == "lead_off"],
        )
        self._random = random.Random(seed)
        self._sequence = 0

    def describe(self, device_s: float) -> bytes:
        """An INFO frame now: on HELLO, at the start, every 5 s."""
        data = native.encode_info(self._sequence, round(device_s * 1e6), self.info)
        self._sequence += 1
        return data

    def frames(self) -> Iterator[tuple[float, bytes | None]]:
        rate, size = self.info.sampling_rate_hz, self.info.samples_per_frame
        next_info = _INFO_EVERY_S
        for first in range(0, len(self.counts), size):
            counts = self.counts[first : first + size]
            start_s, end_s = first / rate, (first + len(counts)) / rate
            flags = 0
            if self.faults.active("lead_off", start_s):
                flags = native.LEAD_OFF
                counts = np.full(len(counts), round(_OFF_COUNTS * 2**self.info.bits / 2) + self.info.zero_count)
            data: bytes | None = native.encode_samples(self._sequence, round(start_s * 1e6), counts, flags)
            self._sequence += 1
            self.ledger.frames += 1
            self.ledger.samples += len(counts)
            if self._random.random() < self.faults.drop or self.missing[first : first + size].any():
                self.ledger.dropped_frames += 1
                self.ledger.dropped_samples += len(counts)
                data = None
            yield end_s, data
            if end_s >= next_info:
                next_info += _INFO_EVERY_S
                yield end_s, self.describe(end_s)


class _Pty:
    """The cable: a pty whose path is kept at a stable link, as /dev/serial/by-id does for a real port."""

    def __init__(self, link: Path) -> None:
        self.link = link
        self.master = -1
        self.parser = native.NativeParser()

    def plug(self) -> None:
        self.master, slave = os.openpty()
        tty.setraw(slave)
        os.set_blocking(self.master, False)
        path = os.ttyname(slave)
        os.close(slave)  # or nobody would see the hang-up
        if self.link.exists() and not self.link.is_symlink():
            raise FileExistsError(errno.EEXIST, "it is there already and no link")
        fresh = self.link.with_name(f".{self.link.name}.new")
        with contextlib.suppress(FileNotFoundError):
            fresh.unlink()
        fresh.symlink_to(path)
        fresh.replace(self.link)

    def unplug(self) -> None:
        if self.master >= 0:
            os.close(self.master)
            self.master = -1
            with contextlib.suppress(FileNotFoundError):
                self.link.unlink()

    def commands(self, wait_s: float) -> list[str]:
        """What the host sent, after at most `wait_s`."""
        if self.master < 0 or not select.select([self.master], [], [], max(0.0, wait_s))[0]:
            if self.master < 0:
                time.sleep(max(0.0, wait_s))
            return []
        try:
            data = os.read(self.master, 4096)
        except OSError:  # nobody has the other end open
            time.sleep(min(0.01, max(0.0, wait_s)))
            return []
        return [f.command for f in self.parser.feed(data, 0.0) if f.command]

    def send(self, data: bytes) -> int:
        """Bytes that did not fit: a real USB port overruns, so nothing waits for the host."""
        if self.master < 0:
            return 0
        try:
            return len(data) - os.write(self.master, data)
        except OSError:
            return len(data)


def play(
    wearable: Wearable,
    link: Path,
    speed: float = 1.0,
    on_ready: Callable[[], None] = lambda: None,
    stop: Callable[[], bool] = lambda: False,
) -> Ledger:
    """Play the whole wearable on a pty behind `link`, `speed` times as fast as life; waits for START first.

    The device's own clock goes on while it is unplugged. Returns the ledger.
    """
    cable = _Pty(link)
    cable.plug()
    on_ready()
    try:
        started = False
        while not started and not stop():
            for command in cable.commands(0.05):
                if command in ("hello", "start"):
                    cable.send(wearable.describe(0.0))
                started |= command == "start"
        zero = time.monotonic()
        for due_s, data in wearable.frames():
            if stop():
                break
            _pace(cable, wearable, zero, due_s, speed)
            unplugged = wearable.faults.active("unplug", due_s)
            if unplugged != (cable.master < 0):
                cable.unplug() if unplugged else cable.plug()
            if data is not None and not wearable.faults.active("stall", due_s):
                wearable.ledger.overrun_bytes += cable.send(data)
        time.sleep(0.2)  # what is still in the pty goes with it
        return wearable.ledger
    finally:
        cable.unplug()


def _pace(cable: _Pty, wearable: Wearable, zero: float, due_s: float, speed: float) -> None:
    """Wait until a frame is due; answer the host meanwhile."""
    while True:
        left = zero + due_s / speed - time.monotonic()
        for command in cable.commands(max(0.0, left)):
            if command == "hello":
                cable.send(wearable.describe(due_s))
        if left <= 0:
            return
