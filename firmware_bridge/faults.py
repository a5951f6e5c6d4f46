"""What a real device does to you, by a spec and a seed: `drop=0.01,flip=1e-6,banner,unplug@60+4,lead_off@100+6`.

A fault is a row of KINDS. The rows stand in the order in which they happen, from the device to the host.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from random import Random

from firmware_bridge import cable
from firmware_bridge.cable import Ledger, Piece, Setting, Spans

Stage = Callable[[Iterator[Piece], Setting], Iterator[Piece]]


@dataclass(frozen=True)
class Kind:
    """How a fault is written and what it does. stage: to the pieces on the cable; None where it is done to the samples
    before they are encoded. written: behind its name; low, high: of the number there, where it has one."""

    name: str
    written: str
    text: str
    stage: Stage | None = None
    low: float = 0.0
    high: float = 1.0

    @property
    def example(self) -> str:
        return self.name + self.written


_SHARE, _DURING, _ONCE = "=SHARE", "@SECOND+SECONDS", ""
_LONG_S = 1e7
_NAME = re.compile(r"\w*")
_NUMBERS = {"=": re.compile(r"=(.+)"), "@": re.compile(r"@([^+]+)\+(.+)"), "": re.compile("")}

KINDS: dict[str, Kind] = {
    kind.name: kind
    for kind in (
        Kind("lead_off", _DURING, "an electrode is off: a flag, or an amplifier at its end", None, 0, _LONG_S),
        Kind("clip", _DURING, "the amplifier is overdriven and cut at the converter's ends", None, 0, _LONG_S),
        Kind("banner", _ONCE, "a text before the first frame", cable.behind_a_banner),
        Kind("drop", _SHARE, "of the frames with samples never arrive", cable.dropped),
        Kind("stall", _DURING, "nothing comes, while the device goes on", cable.stalled, 0, _LONG_S),
        Kind("unplug", _DURING, "there is no port, while the device goes on", cable.unplugged, 0, _LONG_S),
        Kind("flip", _SHARE, "of the bits arrive as their opposite", cable.flipped),
        Kind("baud", "=RATE", "the device sends at this rate, not at its own", cable.at_another_baud, 50, 1e7),
        Kind("reorder", _SHARE, "of the frames with samples change places with the next", cable.reordered),
        Kind("duplicate", _SHARE, "of the frames with samples come twice", cable.duplicated),
        Kind("garbage", _SHARE, "of the frames have 1 to 32 random bytes before them", cable.with_garbage),
        Kind("drift", "=PPM", "the device's crystal is fast by so many millionths", cable.drifting, -1e5, 1e5),
        Kind("burst", "=SECONDS", "what was sent in this time arrives at once, at its end", cable.in_bursts, 1e-4, 60),
    )
}  # fmt: skip


def described() -> str:
    """A line a fault, for whoever writes a spec."""
    width = max(len(kind.example) for kind in KINDS.values())
    return "\n".join(f"  {kind.example:{width}}  {kind.text}" for kind in KINDS.values())


@dataclass(frozen=True)
class Faults:
    """amounts: by kind the number behind its `=`; events: (kind, start, end) in s of the device's time."""

    amounts: Mapping[str, float] = field(default_factory=dict)
    events: tuple[tuple[str, float, float], ...] = ()

    @classmethod
    def parse(cls, spec: str) -> Faults:
        """Raises ValueError, naming the item, for what is not understood."""
        amounts: dict[str, float] = {}
        events: list[tuple[str, float, float]] = []
        for item in filter(None, (part.strip() for part in spec.split(","))):
            kind, numbers = _item(item)
            if kind.written == _DURING:
                start, seconds = numbers
                events.append((kind.name, start, start + seconds))
            elif kind.name in amounts:
                raise ValueError(f"fault {item!r}: {kind.name} is there already; write it once")
            else:
                amounts[kind.name] = numbers[0] if numbers else 1.0
        return cls(amounts, tuple(events))

    def active(self, kind: str, device_s: float) -> bool:
        return self.during[kind].hold(device_s)

    def spans_s(self, kind: str) -> list[tuple[float, float]]:
        return [(start, end) for k, start, end in self.events if k == kind]

    @cached_property
    def during(self) -> Mapping[str, Spans]:
        return {kind: Spans(self.spans_s(kind)) for kind in KINDS}

    def happen(self, pieces: Iterator[Piece], seed: int, baud: int, ledger: Ledger) -> Iterator[Piece]:
        """The pieces as they arrive. Each fault has its own random source: one more leaves the others as they were."""
        for kind in KINDS.values():
            amount, during = self.amounts.get(kind.name, 0.0), self.during[kind.name]
            if kind.stage is not None and (amount or during):
                on = Setting(amount, during, Random(f"{kind.name} {seed}"), baud, ledger)
                pieces = kind.stage(pieces, on)
        return cable.booked(pieces, ledger)


def _item(item: str) -> tuple[Kind, list[float]]:
    name = _NAME.match(item)[0]  # type: ignore[index]  # it always matches
    kind = KINDS.get(name)
    if kind is None:
        raise ValueError(f"fault {item!r}: write {', '.join(k.example for k in KINDS.values())}")
    match = _NUMBERS[kind.written[:1]].fullmatch(item[len(name) :])
    numbers = [_number(text) for text in match.groups()] if match else [math.nan]
    if not all(kind.low <= number <= kind.high for number in numbers):
        within = f", from {kind.low:g} to {kind.high:g}" if kind.written else " and no more"
        raise ValueError(f"fault {item!r}: write {kind.example}{within}")
    return kind, numbers


def _number(text: str) -> float:
    """NaN, which is in no range, for what is none."""
    try:
        value = float(text)
    except ValueError:
        return math.nan
    return value if math.isfinite(value) else math.nan
