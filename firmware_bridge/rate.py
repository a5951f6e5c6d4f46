"""How fast samples really come. What a board says of itself is a claim: 190 Hz calls itself 500, and so does 977."""

from __future__ import annotations

from collections import deque

import numpy as np
from numpy.typing import NDArray

SLOWEST_HZ, FASTEST_HZ = 20.0, 20_000.0  # beyond these a rate is damage or malice
WITHIN = 0.01  # how well a rate has to be known before a value is valid
_POINT_S = 0.05  # one point of a line in this time: what arrives in one burst is one observation
_SHORTEST_S, _LONGEST_S = 5.0, 30.0  # of the lines together
_BLOCK_POINTS = 10  # in so long a block of time a line should be touched
_TOUCHED = 0.6  # of the blocks, or what was found is no line
_NEAR = 0.2 * WITHIN  # of a line's length: so near it is touched; over 0.6 of a line that is a slope within 0.35 %
_NEAREST_S = 0.03
_SHORTEST_LINE_S = 1.0
_SURE = 0.1  # of what it has to be known within: the standard error
_LOOKS = 10  # points of time between two looks


class RateMeter:
    """The slope of the line that the earliest arrivals lie on (Moon, Skelly and Towsley 1999, of network delays).

    Bytes arrive late and never early: in bursts of an adapter's 16 ms, behind a stall, all at once at the start. So
    samples over time lie on a line or below it, and the upper hull of the points holds the line, wherever most of them
    are. Its edge at the middle is taken; where `skip` began another line of unknown offset, the edge that is the middle
    of all of them. What was found counts once most of the time touches it: a hull has an edge over anything.
    """

    def __init__(
        self,
        slowest_hz: float = SLOWEST_HZ,
        fastest_hz: float = FASTEST_HZ,
        point_s: float = _POINT_S,
        longest_s: float = _LONGEST_S,
    ) -> None:
        self.hz: float | None = None  # the last estimate that was confirmed
        self._range_hz, self._point_s, self._longest_s = (slowest_hz, fastest_hz), point_s, longest_s
        self.restart()

    def restart(self) -> None:
        """Begin anew: what was before is no longer comparable. The estimate stays."""
        self._lines: deque[deque[tuple[float, int]]] = deque([deque()])
        self._latest: tuple[float, int] | None = None
        self._looked_s = -np.inf

    def skip(self) -> None:
        """An unknown number of samples is missing before the next: the rate is the same, the line another."""
        if self._lines[-1]:
            self._lines.append(deque())
        self._latest = None

    def add(self, time_s: float, count: int) -> bool:
        """`count` samples had come by `time_s`, both since any time. True when there is a new confirmed estimate."""
        points, latest = self._lines[-1], self._latest
        self._latest = (time_s, count)
        if self._looked_s == -np.inf:
            self._looked_s = time_s
        if latest is None:
            return False
        # A point is the last of its moment: everything that had come before time went on.
        if time_s > latest[0] and (not points or latest[0] - points[-1][0] >= self._point_s):
            points.append(latest)
            self._forget(latest[0] - self._longest_s)
        if time_s - self._looked_s < _LOOKS * self._point_s:
            return False
        self._looked_s = time_s
        return self._estimate()

    def _forget(self, before_s: float) -> None:
        while self._lines[0][0][0] < before_s:
            self._lines[0].popleft()
            if not self._lines[0]:
                self._lines.popleft()

    def _estimate(self) -> bool:
        """Over all of the time that is kept or, where that is no line, over its later half: a delay may have come."""
        lines = [np.array(line) for line in self._lines if line]
        middle_s = (lines[0][0, 0] + lines[-1][-1, 0]) / 2 if lines else 0.0
        hz = self._rate_of(lines) or self._rate_of([line[line[:, 0] >= middle_s] for line in lines])
        self.hz = hz or self.hz
        return hz is not None

    def _rate_of(self, lines: list[NDArray[np.float64]]) -> float | None:
        """Of parallel lines, or None where it is not known within a percent."""
        lines = [line for line in lines if len(line) and line[-1, 0] - line[0, 0] >= _SHORTEST_LINE_S]
        if sum(line[-1, 0] - line[0, 0] for line in lines) < _SHORTEST_S:
            return None
        guess_hz = _middle_slope(lines)
        if not guess_hz > 0:
            return None
        firsts = [_earliest(line, guess_hz, _BLOCK_POINTS * self._point_s) for line in lines]
        if np.concatenate([touched for _, touched in firsts]).mean() < _TOUCHED:
            return None
        hz, error_hz = _slope([points[touched] for points, touched in firsts])
        low, high = self._range_hz
        return hz if low <= hz <= high and error_hz <= _SURE * WITHIN * hz else None


def _middle_slope(lines: list[NDArray[np.float64]]) -> float:
    """The median slope of the hulls' edges: each weighs its length, and a long line more than a short one.

    Of one line that is the slope at its middle. It has the least sum of all points' distances from lines that none of
    them lies above (Moon et al., where points come evenly).
    """
    slopes, weights = [], []
    for line in lines:
        hull = _upper_hull(line)
        run, rise = np.diff(hull, axis=0).T
        slopes.append(rise / run)
        weights.append(run * (line[-1, 0] - line[0, 0]))
    slope, weight = np.concatenate(slopes), np.concatenate(weights)
    order = np.argsort(slope)
    total = np.cumsum(weight[order])
    return float(slope[order][np.searchsorted(total, total[-1] / 2)])


def _upper_hull(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Of points whose times rise, (n, 2): those that a string over them all would touch."""
    hull: list[tuple[float, float]] = []
    for t, n in points.tolist():
        while len(hull) > 1:
            (t0, n0), (t1, n1) = hull[-2:]
            if (n1 - n0) * (t - t1) > (n - n1) * (t1 - t0):
                break
            hull.pop()
        hull.append((t, n))
    return np.array(hull)


def _earliest(line: NDArray[np.float64], hz: float, block_s: float) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """(blocks, 2) the earliest point of each block of time that has one, (blocks,) whether it is on the line."""
    early_s = line[:, 1] / hz - line[:, 0]
    block = np.floor((line[:, 0] - line[0, 0]) / block_s)
    order = np.lexsort((-early_s, block))
    first = order[np.flatnonzero(np.diff(block[order], prepend=-1.0))]
    near_s = min(_NEAREST_S, _NEAR * (line[-1, 0] - line[0, 0]))
    return line[first], early_s.max() - early_s[first] <= near_s


def _slope(lines: list[NDArray[np.float64]]) -> tuple[float, float]:
    """Least squares of parallel lines: their slope and its standard error."""
    centred = np.concatenate([line - line.mean(axis=0) for line in lines if len(line)])
    time_s, count = centred.T
    spread = float(time_s @ time_s)
    if spread == 0:
        return 0.0, 0.0
    slope = float(time_s @ count) / spread
    apart = count - slope * time_s
    free = max(1, len(centred) - len(lines) - 1)
    return slope, float(np.sqrt(apart @ apart / free / spread))
