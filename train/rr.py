"""What a beat's RR intervals say of it, for nets that name beats."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def rr_features(peaks_s: NDArray[np.float64]) -> NDArray[np.float64]:
    """(beats, 4): RR before and after each beat over the median of the beats about it, their ratio, and the local rate;
    logs."""
    rr = np.diff(peaks_s, prepend=peaks_s[0] - 0.8).clip(0.15, 4.0)
    after = np.append(rr[1:], rr[-1])
    local = np.array([np.median(rr[max(0, i - 8) : i + 9]) for i in range(len(rr))])
    return np.log(np.column_stack([rr / local, after / local, rr / after, local / 0.8]))
