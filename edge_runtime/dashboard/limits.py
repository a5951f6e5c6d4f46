"""How much of something is let through in a while. Pure: the time is given."""

from __future__ import annotations

from collections import OrderedDict

_MOST_ADDRESSES = 1024


class Allowance:
    """So many a second, and a few at once."""

    def __init__(self, per_s: float, at_once: float, now_s: float) -> None:
        self._per_s, self._most = per_s, at_once
        self._left, self._at_s = at_once, now_s

    def any_left(self, now_s: float) -> bool:
        self._left = min(self._most, self._left + (now_s - self._at_s) * self._per_s)
        self._at_s = now_s
        return self._left >= 1

    def take(self, now_s: float) -> bool:
        """Whether one more is within it."""
        if not self.any_left(now_s):
            return False
        self._left -= 1
        return True


class Throttle:
    """Wrong tokens, by the address that they come from: after a few of them it has to wait."""

    def __init__(self, per_s: float, at_once: float) -> None:
        self._each = (per_s, at_once)
        self._addresses: OrderedDict[str, Allowance] = OrderedDict()

    def blocks(self, address: str, now_s: float) -> bool:
        allowance = self._addresses.get(address)
        return allowance is not None and not allowance.any_left(now_s)

    def wrong(self, address: str, now_s: float) -> None:
        allowance = self._addresses.setdefault(address, Allowance(*self._each, now_s))
        allowance.take(now_s)
        self._addresses.move_to_end(address)
        while len(self._addresses) > _MOST_ADDRESSES:
            self._addresses.popitem(last=False)
