"""What a protocol parser gives: frames of ADC counts, and what the device says of itself."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray


def to_millivolts(counts: NDArray[np.integer], picovolts_per_count: float, zero_count: int) -> NDArray[np.float64]:
    """ADC counts to millivolts. The one place where a gain is applied, so that a wire and a file agree to the bit."""
    return (counts.astype(np.float64) - zero_count) * (picovolts_per_count * 1e-9)


@dataclass(frozen=True)
class Info:
    """The stream's description of itself (native INFO frame); other protocols take it from the board's table row."""

    boot_id: int
    rate_num: int
    rate_den: int
    picovolts_per_count: int
    zero_count: int
    bits: int
    samples_per_frame: int
    high_pass_mhz: int
    low_pass_dhz: int
    board: str
    firmware: str
    lead: str

    @property
    def sampling_rate_hz(self) -> float:
        return self.rate_num / self.rate_den


@dataclass(slots=True)  # not frozen, which would double its cost: hundreds of them are made a second
class Frame:
    """One frame as parsed: samples, or an `info`. Nobody changes one.

    sequence, device_time_us : as on the wire, still wrapped; None where the protocol has none.
    counts : (n,) ADC counts; empty for a frame that only carries `info`.
    arrival_s : monotonic host time at which the read that completed the frame returned.
    """

    arrival_s: float
    sequence: int | None = None
    device_time_us: int | None = None
    counts: NDArray[np.int32] = field(default_factory=lambda: np.empty(0, np.int32))
    lead_off: bool = False
    clipped: bool = False
    overrun: bool = False
    low_battery: bool = False
    info: Info | None = None
    command: str | None = None


@dataclass(frozen=True)
class Sent:
    """One frame as a device means it. sequence: unwrapped; device_time_us: of its first sample; counts: (samples a
    frame,)."""

    sequence: int
    device_time_us: int
    counts: NDArray[np.int32]
    lead_off: bool = False
    clipped: bool = False


@dataclass
class FrameStatistics:
    """What a parser saw, in frames; `resynchronised_bytes` are those that belong to no frame at all.

    malformed: what began as a frame and was none (text: lines without the numbers). partial: begun and never finished.
    """

    good: int = 0
    bad_checksum: int = 0
    malformed: int = 0
    unknown_type: int = 0
    partial: int = 0
    resynchronised_bytes: int = 0
