"""What a real device does to you, by a spec and a seed: `drop=0.01,unplug@60+4,lead_off@100+6,stall@120+3`."""

from __future__ import annotations

import re
from dataclasses import dataclass

_EVENTS = ("unplug", "lead_off", "stall")
_ITEM = re.compile(r"^(?:(drop)=([\d.]+)|(unplug|lead_off|stall)@([\d.]+)\+([\d.]+))$")


@dataclass(frozen=True)
class Faults:
    """drop: share of SAMPLES frames that never arrive; events: (kind, start, end) in s of the device's time."""

    drop: float = 0.0
    events: tuple[tuple[str, float, float], ...] = ()

    @classmethod
    def parse(cls, spec: str) -> Faults:
        """Raises ValueError, naming the item, for what is not understood."""
        drop, events = 0.0, []
        for item in filter(None, (part.strip() for part in spec.split(","))):
            match = _ITEM.match(item)
            if match is None or (match[1] and not float(match[2]) <= 1):
                raise ValueError(f"fault {item!r}: write drop=SHARE or KIND@SECOND+SECONDS with {', '.join(_EVENTS)}")
            if match[1]:
                drop = float(match[2])
            else:
                start = float(match[4])
                events.append((match[3], start, start + float(match[5])))
        return cls(drop, tuple(events))

    def active(self, kind: str, device_s: float) -> bool:
        return any(k == kind and start <= device_s < end for k, start, end in self.events)
