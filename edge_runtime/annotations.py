"""Fiducials as WFDB annotations: `( p )`, `( N )`, `( t )` in a record's own samples, in the MIT format.

Format: https://www.physionet.org/physiotools/wag/annot-5.htm
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np

from edge_runtime.errors import UsageError
from edge_runtime.fiducials import Fiducials
from edge_runtime.library import record_name

ANNOTATOR = "lw"
_CODES = {"N": 1, "NOTE": 22, "p": 24, "t": 27, "(": 39, ")": 40}
_SKIP, _NUM, _AUX = 59, 60, 63
_LONGEST_STEP = 1023  # samples that an annotation can count from the one before it
_PEAKS = ("p", "N", "t")


@dataclass(frozen=True)
class Annotation:
    """sample: from the record's first; num: of a bracket, which wave it belongs to (0 P, 1 QRS, 2 T)."""

    sample: int
    symbol: str
    num: int = 0


def annotations_of(waves: Iterable[Fiducials], rate: float) -> list[Annotation]:
    """Three annotations a wave, by time, as the QT Database's automatic annotator writes them.

    Brackets cannot nest: where two waves overlap, as a T wave and the P wave that rides on its end do, both are cut in
    the middle of what they share, and never beyond their peaks.
    """
    by_peak = sorted(waves, key=lambda w: w.peak_s)
    onsets, offsets = [w.onset_s for w in by_peak], [w.offset_s for w in by_peak]
    for i, (wave, after) in enumerate(pairwise(by_peak)):
        if wave.offset_s > after.onset_s:
            shared_s = (after.onset_s + min(wave.offset_s, after.offset_s)) / 2
            middle_s = min(max(shared_s, wave.peak_s), after.peak_s)
            offsets[i], onsets[i + 1] = middle_s, middle_s
    out = []
    for wave, onset_s, offset_s in zip(by_peak, onsets, offsets, strict=True):
        points = ((onset_s, "(", wave.kind), (wave.peak_s, _PEAKS[wave.kind], 0), (offset_s, ")", wave.kind))
        out += [Annotation(round(t * rate), symbol, num) for t, symbol, num in points]
    return out


def to_mit(annotations: Sequence[Annotation], rate: float) -> bytes:
    """The file's bytes; annotations by time, any number at one sample. The rate stands in a note at its beginning.

    Raises ValueError for annotations that go back in time, or one before the record.
    """
    note = f"## time resolution: {np.format_float_positional(rate, trim='-')}".encode()
    out = [_pair(_CODES["NOTE"], 0), _pair(_AUX, len(note)), note + b"\0" * (len(note) % 2)]
    before, num = 0, 0
    for annotation in annotations:
        step = annotation.sample - before
        if step < 0:
            raise ValueError(f"annotations must not go back in time: {annotation.sample} behind {before}")
        if step > _LONGEST_STEP:
            out += [_pair(_SKIP, 0), struct.pack("<HH", step >> 16, step & 0xFFFF)]  # the high half first: a PDP-11's
            step = 0
        out.append(_pair(_CODES[annotation.symbol], step))
        if annotation.num != num:
            out.append(_pair(_NUM, annotation.num))
        before, num = annotation.sample, annotation.num
    return b"".join(out) + _pair(0, 0)


def _pair(code: int, value: int) -> bytes:
    return struct.pack("<H", code << 10 | value)


def make_folder(folder: Path, records: Sequence[str]) -> None:
    """Before anything is analysed: the folder is there, and each of the records that a user named has its own file.

    Raises UsageError.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _unwritable(folder, error) from error
    first: dict[str, str] = {}
    for record in records:
        file = f"{record_name(record)}.{ANNOTATOR}"
        if file in first:
            same = f"{first[file]} and {record} would both be {file}"
            raise UsageError(f"--annotations {folder}: {same}; analyse them one by one, into two folders")
        first[file] = record


def write_annotations(folder: Path, record: str, waves: Iterable[Fiducials], rate: float) -> Path:
    """Write `folder/record.lw`, whole or not at all; one of before is replaced. Raises UsageError."""
    path = folder / f"{record}.{ANNOTATOR}"
    part = path.with_name(f"{path.name}.part")
    try:
        part.write_bytes(to_mit(annotations_of(waves, rate), rate))
        part.replace(path)
    except OSError as error:
        raise _unwritable(folder, error) from error
    return path


def _unwritable(folder: Path, error: OSError) -> UsageError:
    return UsageError(f"--annotations {folder}: cannot be written ({error.strerror}); choose another folder")
