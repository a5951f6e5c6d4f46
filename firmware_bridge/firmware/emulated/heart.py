"""The ECG inside the emulated microcontroller: eight beats that loop without a seam, printed as a C header.

Every wave is a lobe on its own interval, zero outside, so the intervals are exact: what a monitor should find is known.
Standard library only: it runs when the image is built.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

RATE_HZ = 250
PICOVOLTS_PER_COUNT = 1_000_000  # a microvolt a count
BITS = 16
RR_SAMPLES = (207, 204, 199, 195, 194, 197, 201, 205)  # it breathes
PR_S, QRS_S, QT_S = 0.16, 0.096, 0.384


@dataclass(frozen=True)
class Lobe:
    """A raised cosine on [start, end] in s from the QRS onset; peak in mV."""

    start_s: float
    end_s: float
    peak_mv: float


LOBES = (
    Lobe(-PR_S, -0.056, 0.14),  # P
    Lobe(0.0, 0.028, -0.09),  # Q
    Lobe(0.02, 0.068, 1.1),  # R
    Lobe(0.06, QRS_S, -0.24),  # S
    Lobe(0.19, QT_S, 0.3),  # T
)


def heart_rate_bpm() -> float:
    return 60 * RATE_HZ * len(RR_SAMPLES) / sum(RR_SAMPLES)


def counts() -> list[int]:
    """One turn of the loop; what reaches over its beginning comes at its end."""
    total = sum(RR_SAMPLES)
    mv = [0.0] * total
    onset = 0
    for rr in RR_SAMPLES:
        for lobe in LOBES:
            for i in range(math.ceil(lobe.start_s * RATE_HZ), math.floor(lobe.end_s * RATE_HZ) + 1):
                phase = (i / RATE_HZ - lobe.start_s) / (lobe.end_s - lobe.start_s)
                mv[(onset + i) % total] += lobe.peak_mv * (1 - math.cos(2 * math.pi * phase)) / 2
        onset += rr
    return [round(v * 1e9 / PICOVOLTS_PER_COUNT) for v in mv]


def header() -> str:
    values = counts()
    rows = [", ".join(map(str, values[i : i + 16])) for i in range(0, len(values), 16)]
    return "\n".join(
        [
            "/* Made by heart.py. */",
            "#include <stdint.h>",
            f"#define HEART_RATE_HZ {RATE_HZ}",
            f"#define HEART_PICOVOLTS_PER_COUNT {PICOVOLTS_PER_COUNT}",
            f"#define HEART_BITS {BITS}",
            f"#define HEART_SAMPLES {len(values)}",
            "static const int16_t heart[HEART_SAMPLES] = {",
            *(f"    {row}," for row in rows),
            "};",
        ]
    )


if __name__ == "__main__":
    print(header())
