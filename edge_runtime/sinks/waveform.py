"""The samples of a session as WFDB records, written as they come: formats 16 and 32, gaps as invalid samples.

Formats: https://www.physionet.org/physiotools/wag/signal-5.htm and header-5.htm
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from firmware_bridge.clock import Samples, Scale

NAME = "ecg"
_LONGEST_GAP_S = 600.0  # an absence beyond it is the end of a record, and not a file of nothing
_MOST_RECORDS = 500
_GAP_PIECE = 65536
_TYPES: dict[int, np.dtype[Any]] = {16: np.dtype("<i2"), 32: np.dtype("<i4")}
_HEADER_EVERY = 10  # flushes


@dataclass(frozen=True)
class _Kind:
    """What one record is of; a change of it begins another, since a header states it once."""

    rate_hz: float
    lead: str
    scale: Scale
    format: int


class Waveform:
    """`ecg.hea` and `ecg.dat` in a folder, then `ecg_2`, ...: another where the rate, the lead or the gain changes, or
    the device was away for over ten minutes. Counts are the device's own: millivolts are those that were analysed.

    Whatever happens, a header tells no more than its file holds: it follows behind the data every ten flushes, and at
    the end. utc_of: the time of day of an arrival, asked whenever a header is written, as clocks are set meanwhile.
    Methods raise OSError where the disk has had enough.
    """

    def __init__(self, folder: Path, utc_of: Callable[[float], datetime]) -> None:
        self._folder, self._utc_of = folder, utc_of
        self._record: _Record | None = None
        self._records, self._flushes = 0, 0
        self._wide = False  # a count was seen that 16 bits do not hold

    def write(self, samples: Samples) -> None:
        scale, rate = samples.scale, samples.sampling_rate_hz
        counts = np.rint(samples.millivolts / (scale.picovolts_per_count * 1e-9)).astype(np.int64) + scale.zero_count
        self._wide |= _needs_32_bits(scale) or not np.array_equal(counts, counts.astype(np.int16))
        kind = _Kind(rate, samples.lead, scale, 32 if self._wide else 16)
        record = self._record
        if record is None or record.kind != kind or not 0 <= samples.index - record.end <= _LONGEST_GAP_S * rate:
            self.close()
            if self._records >= _MOST_RECORDS:
                return
            self._records += 1
            name = NAME if self._records == 1 else f"{NAME}_{self._records}"
            record = self._record = _Record(self._folder, name, kind, samples.index, samples.arrival_s)
        record.append(samples.index, counts)

    def flush(self) -> None:
        """What came is in the file; and, every now and then, in the header."""
        if self._record:
            self._record.flush()
            self._flushes += 1
            if self._flushes % _HEADER_EVERY == 1:
                self._record.describe(self._utc_of)

    def close(self) -> None:
        record, self._record = self._record, None
        if record:
            try:
                record.flush()
                record.describe(self._utc_of)
            finally:
                record.close()


class _Record:
    def __init__(self, folder: Path, name: str, kind: _Kind, index: int, arrival_s: float) -> None:
        self.kind, self.end = kind, index  # the next sample's place on the timeline
        self._name, self._begin, self._arrival_s = name, index, arrival_s
        self._header = folder / f"{name}.hea"
        self._data = (folder / f"{name}.dat").open("wb")
        self._type = _TYPES[kind.format]
        self._first: int | None = None
        self._sum = 0

    def append(self, index: int, counts: NDArray[np.int64]) -> None:
        while self.end < index:
            self._write(np.full(min(_GAP_PIECE, index - self.end), np.iinfo(self._type).min))
        limits = np.iinfo(self._type)
        self._write(np.clip(counts, limits.min + 1, limits.max))

    def _write(self, counts: NDArray[np.int64]) -> None:
        if self._first is None and len(counts):
            self._first = int(counts[0])
        self._data.write(counts.astype(self._type).tobytes())
        self.end += len(counts)
        self._sum += int(counts.sum())

    def flush(self) -> None:
        self._data.flush()

    def describe(self, utc_of: Callable[[float], datetime]) -> None:
        """The header of what is in the file by now, whole or not at all."""
        part = self._header.with_name(f"{self._header.name}.part")
        part.write_text(self._text(utc_of(self._arrival_s)), encoding="utf-8")
        part.replace(self._header)

    def _text(self, start: datetime) -> str:
        kind, scale = self.kind, self.kind.scale
        gain = _plain(1e9 / scale.picovolts_per_count)
        checksum = (self._sum + 0x8000) % 0x10000 - 0x8000
        lead = "".join(c if c.isprintable() else "?" for c in kind.lead).strip() or "ECG"
        bits = min(scale.bits or kind.format, kind.format)
        at = f"{start:%H:%M:%S}.{start.microsecond // 1000:03d} {start:%d/%m/%Y}"
        return (
            f"{self._name} 1 {_plain(kind.rate_hz)} {self.end - self._begin} {at}\n"
            f"{self._name}.dat {kind.format} {gain}({scale.zero_count})/mV {bits} {scale.zero_count} "
            f"{self._first or 0} {checksum} 0 {lead}\n"
            f"# UTC; the first sample is {_plain(self._begin / kind.rate_hz)} s after the session's\n"
        )

    def close(self) -> None:
        self._data.close()


def _needs_32_bits(scale: Scale) -> bool:
    """An unsigned count of 16 bits is one too many for a signed one."""
    return scale.bits is not None and scale.bits + (scale.zero_count > 0 and scale.count_range is not None) > 16


def _plain(number: float) -> str:
    """All of its digits, and no exponent, which few readers of a header expect."""
    return np.format_float_positional(number, trim="-")
