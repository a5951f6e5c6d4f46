"""ECG recordings from files: WFDB (formats 16, 32, 212 and the challenge's 16+24 `.mat`) and CSV, numpy only.

The `wfdb` package would bring pandas, scipy and matplotlib to a Pi; other formats ask for it by its extra.
Format: https://www.physionet.org/physiotools/wag/header-5.htm
"""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge_runtime.errors import RecordError
from firmware_bridge.frames import to_millivolts

_MILLIVOLTS_PER_UNIT = {"nv": 1e-6, "uv": 1e-3, "µv": 1e-3, "μv": 1e-3, "mv": 1.0, "v": 1e3}
_DEFAULT_GAIN = 200.0  # WFDB: where a header states none
_MISSING = {16: -32768, 32: -(1 << 31), 212: -2048}
MIN_RATE_HZ, MAX_RATE_HZ = 100.0, 1000.0


@dataclass(frozen=True)
class Lead:
    """One signal of a record: ADC counts with the gain and zero that turn them into millivolts.

    missing : (n,) bool, where the recording says that it has no sample.
    """

    name: str
    counts: NDArray[np.int32]
    picovolts_per_count: float
    zero_count: int
    bits: int
    missing: NDArray[np.bool_]

    @property
    def millivolts(self) -> NDArray[np.float64]:
        """(n,) mV, NaN where a sample is missing."""
        mv = to_millivolts(self.counts, self.picovolts_per_count, self.zero_count)
        mv[self.missing] = np.nan
        return mv


@dataclass(frozen=True)
class Record:
    name: str
    sampling_rate_hz: float
    leads: tuple[Lead, ...]

    def lead(self, name: str | None = None) -> Lead:
        """The lead of that name (without case), or the first. Raises RecordError naming those there are."""
        if name is None:
            return self.leads[0]
        for lead in self.leads:
            if lead.name.lower() == name.lower():
                return lead
        have = ", ".join(lead.name for lead in self.leads)
        raise RecordError(f"{self.name}: no lead {name!r}; it has {have}. Choose one with --lead")


def read_record(path: Path) -> Record:
    """Read a WFDB record (path with or without `.hea`) or a `.csv`.

    Raises RecordError, in one line, for anything that is not such a record.
    """
    try:
        if path.suffix.lower() == ".csv":
            return _read_csv(path)
        return _read_wfdb(path.with_suffix("") if path.suffix in (".hea", ".dat", ".mat") else path)
    except OSError as error:
        raise RecordError(f"{path}: cannot be read ({error.strerror or error}); check the path") from error
    except (ValueError, IndexError, OverflowError, csv.Error) as error:
        raise RecordError(f"{path}: no record that can be read ({error}); WFDB and CSV are understood") from error


# ---- WFDB -----------------------------------------------------------------------------------------------------------

_SIGNAL_FORMAT = re.compile(r"^(\d+)(?:x(\d+))?(?::(\d+))?(?:\+(\d+))?$")
_GAIN = re.compile(r"^([-+.\deE]+)(?:\((-?\d+)\))?(?:/(\S+))?$")


@dataclass(frozen=True, eq=False)
class _Signal:
    file: str
    format: int
    byte_offset: int
    gain_per_mv: float  # 0 for what is no voltage
    baseline: int
    bits: int
    name: str
    plain: bool  # one sample a frame, no skew: what this reader understands


def _read_wfdb(path: Path) -> Record:
    header = Path(f"{path}.hea")
    if header.stat().st_size > 1_000_000:
        raise RecordError(f"{header}: too large for a WFDB header; check the path")
    lines = [s for line in header.read_text("utf-8").splitlines() if (s := line.strip()) and not s.startswith("#")]
    if not lines:
        raise RecordError(f"{header}: an empty WFDB header; the file is damaged")
    fields = lines[0].split()
    if len(fields) < 2 or not fields[1].isdigit():
        raise RecordError(f"{header}: no WFDB header; its first line must be 'NAME SIGNALS RATE SAMPLES'")
    count = int(fields[1])
    rate = float(fields[2].split("/")[0].split("(")[0]) if len(fields) > 2 else 250.0
    samples = int(fields[3]) if len(fields) > 3 else 0
    check_rate(str(path), rate)
    if "/" in fields[0]:
        return _by_package(path, "a multi-segment record")
    if count < 1 or len(lines) < 1 + count:
        raise RecordError(f"{header}: declares {count} signals and describes {len(lines) - 1}; the file is damaged")
    signals = [_parse_signal(header, line) for line in lines[1 : 1 + count]]
    if any(s.format not in _MISSING or not s.plain for s in signals):
        return _by_package(path, "format " + "/".join(sorted({str(s.format) for s in signals})))
    by_file = {name: [s for s in signals if s.file == name] for name in {s.file for s in signals}}
    if any(len({s.format for s in group}) > 1 for group in by_file.values()):
        return _by_package(path, "a file of several formats")
    if not any(s.gain_per_mv for s in signals):
        raise RecordError(f"{header}: no signal in volts; nV, uV, mV and V are understood")
    read = {name: _read_signals(header.parent / name, group, samples) for name, group in by_file.items()}
    leads = []
    for signal in (s for s in signals if s.gain_per_mv):  # a pressure beside an ECG is left out
        counts = read[signal.file][:, by_file[signal.file].index(signal)]
        missing = counts == _MISSING[signal.format]
        picovolts = 1e9 / signal.gain_per_mv
        leads.append(Lead(signal.name, counts, picovolts, signal.baseline, signal.bits, missing))
    return Record(path.name, rate, tuple(leads))


def check_rate(name: str, rate: float) -> None:
    if not MIN_RATE_HZ <= rate <= MAX_RATE_HZ:
        raise RecordError(
            f"{name}: sampled at {rate:g} Hz; between {MIN_RATE_HZ:g} and {MAX_RATE_HZ:g} Hz is needed: resample it"
        )


def _parse_signal(header: Path, line: str) -> _Signal:
    parts = line.split(maxsplit=8)
    form = _SIGNAL_FORMAT.match(parts[1]) if len(parts) > 1 else None
    if form is None:
        raise RecordError(f"{header}: cannot understand the signal line {line!r}; the file is damaged")
    if Path(parts[0]).name != parts[0]:
        raise RecordError(f"{header}: its signal file {parts[0]!r} lies outside the record's folder; refused")
    gain_field = _GAIN.match(parts[2]) if len(parts) > 2 else None
    if len(parts) > 2 and gain_field is None:
        raise RecordError(f"{header}: cannot understand the gain {parts[2]!r}; the file is damaged")
    gain = float(gain_field[1]) if gain_field else _DEFAULT_GAIN
    unit = (gain_field[3] if gain_field else None) or "mV"
    volts = _MILLIVOLTS_PER_UNIT.get(unit.lower())
    bits = int(parts[3]) if len(parts) > 3 and int(parts[3]) > 0 else 16
    zero = int(parts[4]) if len(parts) > 4 else 0
    baseline = int(gain_field[2]) if gain_field and gain_field[2] is not None else zero
    return _Signal(
        file=parts[0],
        format=int(form[1]),
        byte_offset=int(form[4] or 0),
        gain_per_mv=(gain or _DEFAULT_GAIN) / volts if volts else 0.0,
        baseline=baseline,
        bits=bits,
        name=parts[8].strip() if len(parts) > 8 else "ECG",
        plain=form[2] in (None, "1") and form[3] in (None, "0"),
    )


def _read_signals(path: Path, group: list[_Signal], samples: int) -> NDArray[np.int32]:
    """(samples, len(group)) counts of the signals that share one file."""
    raw = np.frombuffer(path.read_bytes(), np.uint8)[group[0].byte_offset :]
    size = group[0].format // 8
    whole = raw[: len(raw) // size * size]
    values = _unpack_212(raw) if group[0].format == 212 else whole.view(f"<i{size}").astype(np.int32)
    available = len(values) // len(group)
    wanted = samples or available
    if available < wanted or wanted == 0:
        raise RecordError(f"{path}: holds {available} samples a lead where its header says {wanted}; it is cut short")
    return values[: wanted * len(group)].reshape(wanted, len(group))


def _unpack_212(raw: NDArray[np.uint8]) -> NDArray[np.int32]:
    """Two 12-bit two's complement samples in three bytes."""
    whole = np.concatenate([raw, np.zeros(-len(raw) % 3, np.uint8)]).reshape(-1, 3).astype(np.int32)
    pairs = np.stack([whole[:, 0] | (whole[:, 1] & 0x0F) << 8, whole[:, 2] | (whole[:, 1] & 0xF0) << 4], axis=1)
    pairs -= (pairs & 0x800) << 1
    return pairs.reshape(-1)[: len(raw) * 2 // 3]


def _by_package(path: Path, what: str) -> Record:
    """Read what our own reader does not understand with the `wfdb` package, where it is installed."""
    try:
        import wfdb
    except ImportError:
        raise RecordError(f"{path}: {what} needs the wfdb package: pip install 'leadwire[wfdb]'") from None
    try:
        whole = wfdb.rdrecord(str(path), physical=True, smooth_frames=True)
    except Exception as error:  # the package raises whatever its parser met
        raise RecordError(f"{path}: the wfdb package cannot read it ({error})") from error
    check_rate(str(path), float(whole.fs))
    leads = []
    for name, unit, column in zip(whole.sig_name, whole.units, whole.p_signal.T, strict=True):
        scale = _MILLIVOLTS_PER_UNIT.get(unit.lower())
        if scale is not None:
            leads.append(_lead_of_millivolts(name, column * scale))
    if not leads:
        raise RecordError(f"{path}: no signal in volts; nV, uV, mV and V are understood")
    return Record(path.name, float(whole.fs), tuple(leads))


def _lead_of_millivolts(name: str, mv: NDArray[np.float64]) -> Lead:
    """A lead whose file holds voltages: a nanovolt a count; coarser, or with an offset, where that would overflow."""
    missing = ~np.isfinite(mv)
    present = mv[~missing]
    low, high = (float(present.min()), float(present.max())) if len(present) else (0.0, 0.0)
    picovolts = max(1000.0, float(np.ceil((high - low) * 1e9 / 2**31)))
    zero = -round((low + high) / 2 * 1e9 / picovolts) if max(-low, high) * 1e9 / picovolts >= 2**31 else 0
    counts = np.round(np.where(missing, 0.0, mv) * (1e9 / picovolts)) + np.where(missing, 0, zero)
    return Lead(name, counts.astype(np.int32), picovolts, zero, 32, missing)


# ---- CSV ------------------------------------------------------------------------------------------------------------


def _read_csv(path: Path) -> Record:
    """Header, `time_s`, then leads in mV; an empty cell or `nan` is a gap, and so is a jump of the time."""
    with path.open(newline="", encoding="utf-8-sig") as file:
        rows = csv.reader(file)
        header = [name.strip() for name in next(rows, [])]
        if len(header) < 2 or header[0].lower() != "time_s":
            raise RecordError(f"{path}: a CSV needs the header 'time_s,LEAD,...' with leads in mV")
        body = []
        for number, row in enumerate(rows, 2):
            if not row:
                continue
            if len(row) != len(header):
                raise RecordError(f"{path}: line {number} has {len(row)} cells where the header has {len(header)}")
            try:
                body.append([float(cell) if cell.strip() else np.nan for cell in row])
            except ValueError:
                raise RecordError(f"{path}: line {number} holds something that is no number") from None
    table = np.array(body)
    if len(table) < 2 or not np.isfinite(table[:, 0]).all() or (np.diff(table[:, 0]) <= 0).any():
        raise RecordError(f"{path}: time_s must rise from line to line, and there must be two lines at least")
    time_s = table[:, 0] - table[0, 0]
    rate = _rate_of(time_s)
    check_rate(str(path), rate)
    index = np.round(time_s * rate).astype(np.int64)
    if len(set(index.tolist())) != len(index) or index[-1] > 50 * len(index):
        raise RecordError(f"{path}: time_s is too irregular for a sampling rate of {rate:g} Hz; resample it")
    grid = np.full((index[-1] + 1, len(header) - 1), np.nan)
    grid[index] = table[:, 1:]
    leads = tuple(_lead_of_millivolts(n, grid[:, i]) for i, n in enumerate(header[1:]))
    return Record(path.stem, rate, leads)


def _rate_of(time_s: NDArray[np.float64]) -> float:
    """Samples a second, from the runs between jumps, so that neither gaps nor rounded times move it."""
    steps = np.diff(time_s)
    regular = steps < 1.5 * np.median(steps)
    rate = float(regular.sum() / steps[regular].sum())
    # Times are often rounded: a whole rate is believed where it would not have drifted by half a sample.
    return float(round(rate)) if round(rate) > 0 and abs(rate - round(rate)) * len(time_s) < 0.5 * rate else rate
