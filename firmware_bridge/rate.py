"""How fast samples really come. What a board says of itself is a claim: 190 Hz calls itself 500, and so does 977."""

from __future__ import annotations

from collections import deque

import numpy as np

SLOWEST_HZ, FASTEST_HZ = 20.0, 20_000.0  # beyond these a rate is damage or malice
WITHIN = 0.01  # how well a rate has to be known before a value is valid
_POINT_S = 0.05  # one point of the line in this time: what arrives in one burst is one observation
_SHORTEST_S, _LONGEST_S = 5.0, 30.0  # of the line
_ESTIMATE_S = 0.5  # time between two looks at it


class RateMeter:
    """A robust slope of samples over time: the median over pairs half of the line apart.

    Bytes arrive late and never early, in bursts of an adapter's 16 ms, and all at once at the start. Such things bend
    the ends of the line or scatter its points; the middle of the pairs does not see the first, and how far the pairs
    disagree tells of the second.
    """

    def __init__(self) -> None:
        self.hz: float | None = None  # the last estimate that was confirmed
        self.restart()

    def restart(self) -> None:
        """Begin a new line: what was before is no longer comparable. The estimate stays."""
        self._points: deque[tuple[float, int]] = deque()
        self._latest: tuple[float, int] | None = None
        self._looked_s = -np.inf

    def add(self, time_s: float, count: int) -> bool:
        """`count` samples had come by `time_s`, both since any time. True when there is a new confirmed estimate."""
        points, latest = self._points, self._latest
        self._latest = (time_s, count)
        if latest is None:
            self._looked_s = time_s
            return False
        # A point is the last of its moment: everything that had come before time went on.
        if time_s > latest[0] and (not points or latest[0] - points[-1][0] >= _POINT_S):
            points.append(latest)
            while points[-1][0] - points[0][0] > _LONGEST_S:
                points.popleft()
        if time_s - self._looked_s < _ESTIMATE_S or not points or points[-1][0] - points[0][0] < _SHORTEST_S:
            return False
        self._looked_s = time_s
        return self._estimate()

    def _estimate(self) -> bool:
        line = np.array(self._points)
        half = len(line) // 2
        run = line[half:] - line[: len(line) - half]
        slopes = run[:, 1] / run[:, 0]
        low, middle, high = np.quantile(slopes, (0.25, 0.5, 0.75))
        if not SLOWEST_HZ <= middle <= FASTEST_HZ or high - low > WITHIN * middle:
            return False
        self.hz = float(middle)
        return True
