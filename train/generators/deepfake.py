"""Windows of `deepfake-ecg` (Thambawita et al. 2021), a generator learnt from clinical ECGs, labelled by our own net.

The package ships one network: uniform noise in, 10 s of eight leads (I, II, V1 to V6, in the order that its
documentation gives) at 500 Hz out, and no fiducials. It writes `int(6000 * output)` without naming the unit; read as
microvolts, as here, lead I has 1.0 mV peak to peak in the median and V4 2.0 mV, as hearts do. So these labels are a
net's opinion, unlike the simulator's, and only where the net is sure of them are they called known.
"""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from edge_runtime.analysis import analyse_window, read
from edge_runtime.backends import Backend, open_backend
from edge_runtime.bundle import Model, load_bundle
from edge_runtime.delineation import Beat, MaskGrid, Wave, probability_of
from edge_runtime.errors import UsageError
from edge_runtime.report import Report
from edge_runtime.windows import Window
from train.nets import Net
from train.windows import UNKNOWN, Collector, Labels, Windows, beat_table

RATE_HZ = 500.0
NOISE_SHAPE = (8, 5000)  # uniform in [-1, 1]; the output's shape, too
LEAD, LEAD_I = "I", 0
MV_PER_UNIT = 6.0

SURE = 0.9  # a probability from here on, or up to 1 - SURE, is sure
SURE_WITHIN = 4  # steps of the mask to either side in which a sure boundary is done with its turn
_CHUNK = 100  # draws that are made, and kept in the cache, together
_MOST_DRAWS = 4  # for each window wanted; beyond that the net refuses what it should not


class Generator:
    """The package's network, on one thread of the CPU: `generator(seed, number)` is one window's lead I.

    Raises UsageError where the package is not installed.
    """

    def __init__(self) -> None:
        try:
            from deepfakeecg.models import Generator as Network
        except ImportError as error:
            raise UsageError(f"deepfake-ecg cannot be used ({error}); pip install 'leadwire[train]'") from error
        with warnings.catch_warnings(), torch.device("meta"):  # on meta, since every weight is about to be replaced
            warnings.simplefilter("ignore", FutureWarning)  # the package calls an initialiser by its old name
            self._net = Network()
        with resources.files("deepfakeecg").joinpath("checkpoints/g_stat.pt").open("rb") as file:
            weights = torch.load(file, weights_only=True, map_location="cpu")["stat_dict"]
        self._net.load_state_dict(weights, assign=True)
        self._net.eval()

    @torch.inference_mode()
    def __call__(self, seed: int, number: int) -> NDArray[np.float64]:
        """(5000,) mV at RATE_HZ. One at a time: larger batches are a quarter faster, and differ in the last bits."""
        noise = np.random.default_rng([seed, number]).uniform(-1.0, 1.0, NOISE_SHAPE).astype(np.float32)
        out: torch.Tensor = self._net(torch.from_numpy(noise)[None])
        return out[0, LEAD_I].numpy().astype(np.float64) * MV_PER_UNIT


class Delineator:
    """A model and what runs it: the default bundle's, or the given net in the bundle's place.

    The default bundle's net has seen every patient of the annotated sets. Labels for a net that is to be judged on some
    of them have to come from a net that has not: that fold's own.
    """

    def __init__(self, net: Net | None = None) -> None:
        bundle = load_bundle()
        self.model: Model = bundle.model
        if net is None:
            self.backend: Backend = open_backend(bundle)
        else:
            from train.evaluate import TorchBackend  # here, since it imports the runs, which import this

            self.backend = TorchBackend(net)


@dataclass(frozen=True)
class DeepfakeWindow:
    """One draw and what the delineator makes of it.

    samples_mv: (5000,) of lead I at RATE_HZ; waves in s from its start; mask (3, length) coverage in 0 to 255, known
    (3, length) 0 or 1; p_wave 1, 0 or UNKNOWN.
    """

    number: int
    samples_mv: NDArray[np.float64]
    report: Report
    waves: tuple[Wave, ...]
    beats: tuple[Beat, ...]
    mask: NDArray[np.uint8]
    known: NDArray[np.uint8]
    p_wave: int

    @property
    def labels(self) -> Labels:
        rows = [
            (b.p.onset_s if b.p else None, b.qrs.onset_s, b.qrs.offset_s, b.t.offset_s if b.t else None)
            for b in self.beats
        ]
        return Labels((self.mask, self.known), beat_table(rows), self.p_wave)

    @property
    def refused(self) -> str | None:
        """Why quality refused the window; None where it is fit to be trained on."""
        return None if self.report.state == "ok" else self.report.measures["hr_bpm"].why


def deepfake_window(generator: Generator, delineator: Delineator, seed: int, number: int) -> DeepfakeWindow:
    """Draw number `number` of a seed, with its labels; refused ones too."""
    mv = generator(seed, number)
    model = delineator.model
    report = analyse_window(Window(mv, RATE_HZ, 0.0, len(mv) / RATE_HZ, LEAD), model, delineator.backend)
    reading = read(mv, RATE_HZ, model, delineator.backend)
    waves = tuple(model.grid.read(reading.heads["masks"]))
    mask = np.round(model.grid.draw(waves) * 255).astype(np.uint8)
    known = sure_of(reading.heads["masks"], waves, model.grid)
    with_p = [b.p is not None for b in reading.beats]
    p_wave = p_label(float(probability_of(reading.heads["p_wave"])[0]), with_p)
    return DeepfakeWindow(number, mv, report, waves, tuple(reading.beats), mask, known, p_wave)


def sure_of(logits: NDArray[np.float32], waves: Iterable[Wave], grid: MaskGrid) -> NDArray[np.uint8]:
    """Where the masks of `waves`, read from these (3, length) logits, are labels: (3, length) of 0 and 1.

    Inside a wave where the probability is at least SURE, outside of all where it is at most 1 - SURE, and on the two
    steps around an onset or offset where both are so within SURE_WITHIN steps of it. A run that was too short to be
    a wave, a pause that was bridged, and a slow or half-hearted turn are unknown.
    """
    probability = probability_of(logits)
    drawn = grid.draw(waves)
    known = ((drawn == 1) & (probability >= SURE)) | ((drawn == 0) & (probability <= 1 - SURE))
    for wave in waves:
        row = probability[wave.kind]
        for t, rising in ((wave.onset_s, True), (wave.offset_s, False)):
            crossing = int(np.floor(t * grid.sampling_rate_hz + grid.margin))
            after = min(crossing + 1, grid.length - 1)  # the first step behind it
            left, right = row[max(0, after - SURE_WITHIN) : after], row[after : after + SURE_WITHIN]
            outside, inside = (left, right) if rising else (right, left)
            known[wave.kind, after - 1 : after + 1] = inside.max() >= SURE and outside.min() <= 1 - SURE
    return known.astype(np.uint8)


def p_label(probability: float, beats_with_p: list[bool]) -> int:
    """1: the head is sure of P waves and over half of the beats have one; 0: it is sure of none, and none has."""
    if probability >= SURE and 2 * sum(beats_with_p) > len(beats_with_p):
        return 1
    return 0 if probability <= 1 - SURE and not any(beats_with_p) else UNKNOWN


@contextmanager
def one_thread() -> Iterator[None]:
    """Torch on one thread meanwhile: sums that are shared out differ in their last bits."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


_generator = lru_cache(maxsize=1)(Generator)
_delineators: list[Delineator] = []  # this process's one, put there by _begin


def _begin(net: Net | None) -> None:
    _delineators[:] = [Delineator(net)]


def _chunk(job: tuple[int, int, int, Path | None]) -> Windows | None:
    """The windows that were kept of `count` draws from `first` on; None where all were refused."""
    seed, first, count, path = job
    out = Collector()
    with one_thread():
        for number in range(first, first + count):
            window = deepfake_window(_generator(), _delineators[0], seed, number)
            if window.refused is None:
                out.add(window.samples_mv, RATE_HZ, UNKNOWN, number, window.labels)
    if not out.signals:
        return None
    windows = out.windows()
    if path is not None:
        windows.save(path)
    return windows


@contextmanager
def _mapper(processes: int, net: Net | None) -> Iterator[Callable[..., Iterable[Windows | None]]]:
    """A `map` that keeps the order: the built-in one, or a pool's."""
    if processes <= 1:
        _begin(net)
        yield map
        return
    with multiprocessing.get_context("spawn").Pool(processes, _begin, (net,)) as pool:
        yield pool.imap


def _identity(net: Net | None) -> str:
    """Seven digits that change with the net that draws the labels."""
    if net is None:
        return load_bundle().model.id.rpartition("@")[2]
    weights = b"".join(v.detach().cpu().numpy().tobytes() for v in net.state_dict().values())
    return hashlib.sha256(weights).hexdigest()[:7]


def deepfake_windows(seed: int, count: int, cache: Path | None = None, net: Net | None = None) -> Windows:
    """The first `count` windows of a seed that quality does not refuse; on one machine the same however shared out.

    seed, count : of fewer windows the same ones, so a larger set begins with the smaller.
    cache : `cache` without its suffix, and behind it the seed and the net's digest, is a folder in which each chunk of
        draws is kept as it is done: what was interrupted, or was made for a smaller count, goes on from there.
    net : what draws the labels (see Delineator); None is the default bundle's.

    Returns Windows whose `rhythm` and `fold` are UNKNOWN and whose `group` is the number of the draw: of
    `group[-1] + 1` draws all but `count` were refused.

    Raises UsageError where deepfake-ecg is not installed, or where nearly all of its windows are refused.
    """
    if count < 1:
        raise UsageError(f"{count} windows of deepfake-ecg: at least 1")
    _generator()  # what is missing is said here, once, not by every process
    folder = cache and cache.with_name(f"{cache.stem}-{seed}-{_identity(net)}")

    def place(start: int) -> Path | None:
        return folder and folder / f"{start:07d}.npz"

    def cached(start: int) -> Windows | None:
        path = place(start)
        return Windows.load(path) if path is not None and path.exists() else None

    parts: list[Windows] = []
    kept = first = 0
    processes = min(-(-count // _CHUNK), len(os.sched_getaffinity(0)))
    with tqdm(total=count, desc="deepfake", unit=" windows", mininterval=5) as bar, _mapper(processes, net) as run:
        while kept < count:
            if first >= _MOST_DRAWS * max(count, _CHUNK):
                raise UsageError(f"deepfake-ecg: quality refused all but {kept} of {first} windows; look at the net")
            starts = range(first, first + _CHUNK * -(-(count - kept) // _CHUNK), _CHUNK)
            there = {s: windows for s in starts if (windows := cached(s)) is not None}
            made = iter(run(_chunk, [(seed, s, _CHUNK, place(s)) for s in starts if s not in there]))
            for s in starts:
                part = there[s] if s in there else next(made)
                if part is not None:
                    parts.append(part)
                    bar.update(min(len(part), count - kept))
                    kept += len(part)
            first = starts.stop
    return Windows(**{name: np.concatenate([getattr(p, name) for p in parts])[:count] for name in vars(parts[0])})
