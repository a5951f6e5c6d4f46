"""What cells work with: each data set made once a machine, kept in the cache, loaded once a process."""

from __future__ import annotations

import fcntl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_runtime.conditioning import condition
from edge_runtime.errors import UsageError
from edge_runtime.library import cache_folder
from train import folds
from train.augment import noise_bank
from train.datasets import cinc2017, mitdb, ptbxl, qtdb
from train.generate import _chunk
from train.generators.deepfake import deepfake_windows
from train.nets import Net
from train.rr import rr_features
from train.run import Run, fingerprint
from train.study.config import StudyConfig
from train.windows import (
    SAMPLES,
    WINDOW_S,
    Collector,
    Labels,
    Windows,
    cinc2017_windows,
    ludb_windows,
    qtdb_windows,
)

PTBXL_FOLDS = 9
MOST_BEATS = 32  # in the middle of a window of mitdb
BEAT_HOP_S = 5.0  # each beat is taken from the window in whose middle it is
_SEED = 7000  # of the simulator, plus the cell's: no heart of the shipped net's pretraining
_LABELLER = Path(__file__).parent.parent.parent / "runs" / "default"
NAMES = ("ludb", "qtdb", "ptbxl", "cinc2017", "mitdb")


@dataclass(frozen=True)
class Beats:
    """Of n windows: at (n, MOST_BEATS, 1 + 4), the R peak's s from the start and its RR features; label
    (n, MOST_BEATS) of AAMI, -1 where there is no beat."""

    at: NDArray[np.float32]
    label: NDArray[np.int8]


@dataclass(frozen=True)
class Part:
    """Windows of records: signal_uv (n, 2500), record (n,) an index into what follows; names, patients (r,) and truth
    (r, ...) of records. unit (n,): of each, one window is drawn an epoch."""

    signal_uv: NDArray[np.int16]
    record: NDArray[np.int32]
    names: NDArray[np.str_]
    patients: NDArray[np.str_]
    truth: NDArray[np.int8]
    unit: NDArray[np.int32]
    beats: Beats | None = None

    def of(self, keep: NDArray[np.bool_] | NDArray[np.intp]) -> Part:
        """The records of a mask or of a list of indices, with their windows."""
        chosen = np.arange(len(self.names))[keep]
        place = np.full(len(self.names), -1, np.int32)
        place[chosen] = np.arange(len(chosen))
        rows = np.flatnonzero(place[self.record] >= 0)
        beats = self.beats and Beats(self.beats.at[rows], self.beats.label[rows])
        of_records = {k: getattr(self, k)[chosen] for k in ("names", "patients", "truth")}
        windows = {"signal_uv": self.signal_uv[rows], "record": place[self.record[rows]], "unit": self.unit[rows]}
        return replace(self, **of_records, **windows, beats=beats)

    def relabelled(self, truth: NDArray[np.int8]) -> Part:
        return replace(self, truth=truth)


def labeller() -> Net:
    """A net that has seen simulated hearts, LUDB and QTDB, and no other patient: it draws what deepfake-ecg's windows
    are labelled by."""
    return Run.open(_LABELLER).load("regress", "all")


@contextmanager
def alone(path: Path) -> Iterator[None]:
    """One process of this machine at a time."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.with_suffix(".lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


class Data:
    """The data of one study; `cache` is what can be made again. labels_only: records without windows."""

    def __init__(self, config: StudyConfig, cache: Path, labels_only: bool = False) -> None:
        self.config, self.cache, self.few, self.labels_only = config, cache, config.records_per_set, labels_only
        self._hearts: tuple[int, Windows] | None = None

    def _kept(self, name: str, make: Callable[[], Windows]) -> Windows:
        path = self.cache / f"{name}-{self.few}-{fingerprint()}.npz"
        with alone(path):
            if not path.exists():
                make().save(path)
            return Windows.load(path)

    def _folder(self, name: str) -> Path:
        folder = cache_folder() / name
        if not folder.exists():
            raise UsageError(f"no {name} under {cache_folder()}; put it there or set LEADWIRE_DATA")
        return folder

    def simulator(self, seed: int) -> Windows:
        """Made in this process, as a worker has one core. A seed's sources follow each other: its hearts are held."""
        if self._hearts is None or self._hearts[0] != seed:
            self._hearts = seed, _chunk((_SEED + seed, 0, self.config.pretraining.simulator_windows))
        return self._hearts[1]

    def deepfake(self, seed: int, labeller: Net) -> Windows:
        count = self.config.pretraining.deepfake_windows
        return deepfake_windows(_SEED + seed, count, self.cache / "deepfake.npz", labeller)

    @cached_property
    def annotated(self) -> dict[str, Windows]:
        """LUDB and QTDB, without the subjects that MIT-BIH's beats are tested on."""
        ludb = self._kept("ludb", lambda: ludb_windows(self._folder("ludb"), self.few))
        qt = self._kept("qtdb", lambda: qtdb_windows(self._folder("qtdb"), 2 * self.few))
        names = qtdb.records(self._folder("qtdb"))
        shared = [i for i, name in enumerate(names) if name in qtdb.MITDB_SUBJECTS]
        return {"ludb": ludb, "qtdb": qt.select(~np.isin(qt.group // 2, shared))}

    @cached_property
    def noise(self) -> NDArray[np.float32]:
        return noise_bank(0, self.config.noise_bank)

    @cached_property
    def ptbxl_records(self) -> list[ptbxl.PtbxlRecord]:
        """Of folds 1 to 9: the tenth, where it is at hand, stays for others to test on."""
        every = ptbxl.records(self._folder("ptbxl"))
        by_fold = ([r for r in every if r.fold == f] for f in range(1, PTBXL_FOLDS + 1))
        return [r for own in by_fold for r in own[: 5 * self.few or None]]

    @cached_property
    def ptbxl_folds(self) -> NDArray[np.int64]:
        return np.array([r.fold for r in self.ptbxl_records])

    @cached_property
    def ptbxl(self) -> Part:
        """Lead I; truth (r, 5) of the superclasses."""
        records = self.ptbxl_records

        def make() -> Windows:
            out = Collector()
            for i, record in enumerate(records):
                whole = ptbxl.read(record)
                out.add(whole.lead("I").millivolts, whole.sampling_rate_hz, record.fold, i, Labels())
            return out.windows()

        names, patients = np.array([r.name for r in records]), np.array([r.patient for r in records])
        truth = np.array([r.findings for r in records], np.int8)
        if self.labels_only:
            return _without_windows(names, patients, truth)
        own = np.arange(len(records), dtype=np.int32)
        return Part(self._kept("study-ptbxl", make).signal_uv, own, names, patients, truth, own)

    @cached_property
    def cinc2017(self) -> Part:
        """truth (r,), in the order of RHYTHMS. No patients are published: a record stands for one."""
        folder = self._folder("cinc2017")
        labels = dict(list(cinc2017.records(folder).items())[: 10 * self.few or None])
        names = np.array(list(labels))
        truth = np.array(list(labels.values()), np.int8)
        if self.labels_only:
            return _without_windows(names, names, truth)
        windows = self._kept("cinc2017", lambda: cinc2017_windows(folder, 10 * self.few))
        return Part(windows.signal_uv, windows.group, names, names, truth, windows.group)

    @cached_property
    def cinc2017_folds(self) -> NDArray[np.int64]:
        return np.array([folds.fold_of("cinc2017", str(name)) for name in self.cinc2017.names])

    @cached_property
    def mitdb(self) -> Part:
        """The first lead of DS1 and DS2 without the record of DS2 whose patient is in DS1; truth (r,): 1 in DS2."""
        folder = self._folder("mitdb")
        tested = [n for n in mitdb.DS2 if n not in mitdb.SHARED_WITH_DS1]
        names = [*mitdb.DS1[: self.few or None], *tested[: self.few or None]]
        every = np.array(names)
        of_ds2 = np.isin(every, mitdb.DS2).astype(np.int8)
        if self.labels_only:
            return _without_windows(every, every, of_ds2)
        path = self.cache / f"study-mitdb-{self.few}-{fingerprint()}.npz"
        with alone(path):
            if not path.exists():
                rows = [_mitdb_windows(mitdb.read(folder, n), 12 if self.few else None) for n in names]
                record = np.repeat(np.arange(len(names), dtype=np.int32), [len(r["signal_uv"]) for r in rows])
                columns: dict[str, Any] = {k: np.concatenate([r[k] for r in rows]) for k in rows[0]}
                part = path.with_suffix(".part.npz")
                np.savez(part, record=record, **columns)
                part.replace(path)
            with np.load(path, allow_pickle=False) as file:
                held = {k: file[k] for k in file.files}
        unit = np.arange(len(held["record"]), dtype=np.int32)
        beats = Beats(held["at"], held["label"])
        return Part(held["signal_uv"], held["record"], every, every, of_ds2, unit, beats)


def _without_windows(names: NDArray[np.str_], patients: NDArray[np.str_], truth: NDArray[np.int8]) -> Part:
    none = np.empty(0, np.int32)
    beats = Beats(np.empty((0, MOST_BEATS, 5), np.float32), np.empty((0, MOST_BEATS), np.int8))
    return Part(np.empty((0, SAMPLES), np.int16), none, names, patients, truth, none, beats)


def _mitdb_windows(record: mitdb.MitdbRecord, most: int | None) -> dict[str, NDArray[Any]]:
    """A window every BEAT_HOP_S with the beats that are nearest to its middle."""
    rate, size = record.sampling_rate_hz, round(WINDOW_S * record.sampling_rate_hz)
    peaks_s = record.beat_samples / rate
    last_s = len(record.samples_mv) / rate - WINDOW_S
    starts = np.append(np.arange(0.0, last_s, BEAT_HOP_S), last_s)
    window_of = np.abs(peaks_s[:, None] - (starts + WINDOW_S / 2)[None]).argmin(1)
    given = rr_features(peaks_s)
    signals, ats, labels = [], [], []
    for w, start in enumerate(starts[:most]):
        first = min(round(start * rate), len(record.samples_mv) - size)
        signal = condition(record.samples_mv[first : first + size], rate)[:SAMPLES]
        inside = np.flatnonzero(window_of == w)[:MOST_BEATS]
        at = np.zeros((MOST_BEATS, 1 + given.shape[1]), np.float32)
        label = np.full(MOST_BEATS, -1, np.int8)
        at[: len(inside), 0] = peaks_s[inside] - first / rate
        at[: len(inside), 1:] = given[inside]
        label[: len(inside)] = record.beat_classes[inside]
        signals.append(np.clip(np.round(signal * 1e3), -32767, 32767).astype(np.int16))
        ats.append(at)
        labels.append(label)
    return {"signal_uv": np.stack(signals), "at": np.stack(ats), "label": np.stack(labels)}


_held: dict[tuple[str, Path], Data] = {}


def data_of(config: StudyConfig, cache: Path) -> Data:
    """This process's one."""
    key = config.digest, cache
    if key not in _held:
        _held.clear()
        _held[key] = Data(config, cache)
    return _held[key]
