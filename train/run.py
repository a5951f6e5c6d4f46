"""A run's folder: its config, the commit that made it, and the weights of each stage and fold."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from edge_runtime.delineation import WAVES
from edge_runtime.errors import UsageError
from edge_runtime.library import cache_folder
from edge_runtime.report import RHYTHMS
from train import parallel
from train.augment import noise_bank
from train.config import Config, Stage, config_from
from train.folds import FOLDS
from train.generate import synthetic_windows
from train.generators.deepfake import deepfake_windows
from train.loop import Task, train_stage
from train.nets import Net
from train.offsets import fit_offsets, shifted
from train.windows import Windows, cinc2017_windows, ludb_windows, ptbxl_windows, qtdb_windows

ALL = "all"
STAGES = ("pretrain", "regress", "transfer")
NOISE_BANK = 4000
MIN_NOISE_MV = 0.02  # RMS under which a window called noisy is flat rather than noise
REHEARSED_EPOCHS = 12  # so many epochs without seeing a synthetic heart twice
_COMMIT = "commit"
_MAKERS = {"ludb": ludb_windows, "qtdb": qtdb_windows, "cinc2017": cinc2017_windows, "ptbxl": ptbxl_windows}


def fingerprint() -> str:
    """Of the code that makes windows, so that a cache of other code's windows is never taken for this one's."""
    root = Path(__file__).parent
    files = [*root.glob("generators/*.py"), *root.glob("datasets/*.py"), root / "windows.py", root / "generate.py"]
    files += [root / "folds.py"]
    files += [root.parent / "edge_runtime" / name for name in ("conditioning.py", "delineation.py", "records.py")]
    return hashlib.sha256(b"".join(f.read_bytes() for f in sorted(files))).hexdigest()[:8]


def commit() -> str:
    """The checkout's commit, with `+` where there are changes on top of it."""

    def git(*words: str) -> str:
        root = Path(__file__).parent.parent
        return subprocess.run(["git", *words], capture_output=True, text=True, check=True, cwd=root).stdout.strip()

    try:
        head = git("rev-parse", "--short=7", "HEAD")
        dirty = git("status", "--porcelain", "--untracked-files=no", "--", "train", "export", "edge_runtime/*.py")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return head + ("+" if dirty else "")


@dataclass(frozen=True)
class Run:
    """folder: what the run leaves; cache: what can be made again."""

    folder: Path
    config: Config
    cache: Path

    @classmethod
    def open(cls, folder: Path) -> Run:
        """An existing run. Raises UsageError where there is none."""
        try:
            config = config_from(json.loads((folder / "run.json").read_text())["config"], str(folder))
            return cls(folder, config, folder / "cache")
        except (OSError, ValueError, KeyError) as error:
            raise UsageError(
                f"{folder}: no run ({error}); make one with python -m train regress --config FILE"
            ) from error

    @classmethod
    def create(cls, config: Config, parent: Path, cache: Path | None = None) -> Run:
        """The run of that config under `parent`, a new one or the one that is there."""
        run = cls(parent / config.name, config, cache or parent / config.name / "cache")
        path = run.folder / "run.json"
        if path.exists():
            if Run.open(run.folder).config != config:
                raise UsageError(
                    f"{run.folder}: was made by another config; give the new one another name, or remove it"
                )
            return run
        run.folder.mkdir(parents=True, exist_ok=True)
        made = {
            "config": config.to_dict(),
            "commit": commit(),
            "torch": torch.__version__,
            "python": platform.python_version(),
        }
        path.write_text(json.dumps(made, indent=1) + "\n")
        return run

    def place(self, fold: str) -> Path:
        return self.folder / (ALL if fold == ALL else f"fold{fold}")

    def weights_path(self, stage: str, fold: str = ALL) -> Path:
        return self.folder / "pretrain.npz" if stage == "pretrain" else self.place(fold) / f"{stage}.npz"

    def load(self, stage: str, fold: str = ALL) -> Net:
        """The net of a stage, in eval mode. Raises UsageError where that stage has not been run."""
        path = self.weights_path(stage, fold)
        if not path.exists():
            raise UsageError(f"{path}: not there yet; run the stage before it first (make bundle runs them all)")
        net = Net(self.config.net)
        with np.load(path, allow_pickle=False) as file:
            net.load_state_dict({k: torch.from_numpy(file[k]) for k in file.files if k != _COMMIT})
        return net.eval()

    def save(self, net: Net, stage: str, fold: str, made_at: str) -> None:
        """Write a stage's weights, and with them the commit whose code made them."""
        path = self.weights_path(stage, fold)
        part = path.with_suffix(".part.npz")
        weights = {k: v.numpy() for k, v in net.state_dict().items() if not k.endswith("num_batches_tracked")}
        np.savez(part, **weights, **{_COMMIT: np.array(made_at)})
        part.replace(path)

    def digest(self, fold: str = ALL) -> str:
        """sha256 of a fold's final weights."""
        return hashlib.sha256(self.weights_path("transfer", fold).read_bytes()).hexdigest()

    def commits(self, fold: str = ALL) -> dict[str, str]:
        """Stage to the commit that its weights were made at."""
        found = {}
        for stage in STAGES:
            with np.load(self.weights_path(stage, fold), allow_pickle=False) as file:
                found[stage] = str(file[_COMMIT]) if _COMMIT in file else "unknown"
        return found

    def _cached(self, name: str) -> Path:
        of = {"synthetic": self.config.seed, "held_out": f"{self.config.seed}-{self.config.synthetic_windows}"}
        return self.cache / f"{name}-{of.get(name, self.config.records_per_set)}-{fingerprint()}.npz"

    # ---- data, each made once a process ------------------------------------------------------------------------------

    @cached_property
    def synthetic(self) -> Windows:
        """Training hearts; the ones from `synthetic_windows` on are held out."""
        c = self.config
        return synthetic_windows(c.seed, c.synthetic_windows, cache=self._cached("synthetic"))

    @cached_property
    def held_out(self) -> Windows:
        c = self.config
        return synthetic_windows(c.seed, c.held_out_windows, first=c.synthetic_windows, cache=self._cached("held_out"))

    @cached_property
    def deepfake(self) -> Windows:
        """deepfake-ecg's, labelled by the default bundle's net. That net has seen every fold's patients, so what is
        trained on these windows is out of fold but for what their labels carry over."""
        return deepfake_windows(self.config.seed, self.config.deepfake_windows, self.cache / "deepfake.npz")

    @cached_property
    def real(self) -> dict[str, Windows]:
        """The annotated sets that are at hand."""
        data, few = cache_folder(), self.config.records_per_set
        found = {}
        for name in tqdm([n for n in _MAKERS if (data / n).exists()], desc="data sets"):
            path = self._cached(name)
            if not path.exists():
                _MAKERS[name](data / name, few).save(path)
            found[name] = Windows.load(path)
        return found

    @cached_property
    def noise(self) -> np.ndarray:
        size = min(NOISE_BANK, self.config.synthetic_windows)
        return noise_bank(self.config.seed, size)

    def make_caches(self) -> None:
        """All windows that can be made again, so that processes which follow only read them."""
        _ = self.synthetic, self.held_out, self.real

    def sources(self, stage: Stage, fold: str) -> dict[str, Windows]:
        """What a stage of a fold may train on: everything but that fold's patients and those that validate."""
        chosen = {}
        if stage.mix.synthetic:
            chosen["synthetic"] = self.synthetic if stage is self.config.pretrain else self._rehearsed(stage, fold)
        if stage.mix.deepfake:
            chosen["deepfake"] = self.deepfake
        for name in (n for n in _MAKERS if getattr(stage.mix, n)):
            windows = self._of_fold(name, fold)
            chosen[name] = windows.select(~windows.validates)
        return chosen

    def validation(self, stage: Stage, fold: str) -> dict[str, Windows]:
        """What chooses the epoch: held-out hearts, or of the other folds' patients those set aside, a window a
        record."""
        if stage is self.config.pretrain:
            return {"synthetic": self.held_out}
        chosen = {}
        for name in (n for n in _MAKERS if getattr(stage.mix, n)):
            windows = self._of_fold(name, fold)
            windows = windows.select(windows.validates)
            chosen[name] = windows.select(np.unique(windows.group, return_index=True)[1])
        return {name: windows for name, windows in chosen.items() if len(windows)}

    def _of_fold(self, name: str, fold: str) -> Windows:
        """Of a data set, what a fold's net may know; what tests every net (PTB-XL's fold 9) is in no fold."""
        if name not in self.real:
            raise UsageError(f"no {name} under {cache_folder()}; put it there or set LEADWIRE_DATA, or mix none of it")
        windows = self.real[name]
        own = -2 if fold == ALL else int(fold)
        return windows.select((windows.fold != own) & ((windows.fold < FOLDS) | windows.validates))

    def _rehearsed(self, stage: Stage, fold: str) -> Windows:
        """Some of the synthetic hearts, labelled as the fold's annotators would label them."""
        count = min(len(self.synthetic), REHEARSED_EPOCHS * stage.mix.synthetic)
        return shifted(self.synthetic.select(np.arange(count)), self.offsets(fold))

    def offsets(self, fold: str) -> np.ndarray:
        """(3, 2) s; see train.offsets. Fitted once a fold on what it may train on, and kept."""
        path = self.place(fold) / "offsets.json"
        if path.exists():
            return np.array(json.loads(path.read_text())["offsets_s"])
        sets = [self._of_fold(name, fold) for name in ("ludb", "qtdb") if name in self.real]
        fitted = fit_offsets(self.load("pretrain"), [w.select(~w.validates) for w in sets])
        path.parent.mkdir(parents=True, exist_ok=True)
        rounded = [[round(float(v), 5) for v in row] for row in fitted]
        path.write_text(json.dumps({"waves": list(WAVES), "edges": ["onset", "offset"], "offsets_s": rounded}) + "\n")
        return np.array(rounded)

    # ---- stages ------------------------------------------------------------------------------------------------------

    def stage(self, name: str, fold: str = ALL, device: str = "auto") -> None:
        """Run one stage of one fold from the stage before it, or go on with it, or see that it is done."""
        path = self.weights_path(name, fold)
        if path.exists():
            return
        made_at = commit()  # now, since this process runs the code as it stands now
        spec: Stage = getattr(self.config, name)
        if name == "pretrain":
            torch.manual_seed(self.config.seed)
            net = Net(self.config.net)
        else:
            net = self.load("pretrain" if name == "regress" else "regress", fold)
        with parallel.first_alone():
            sources, validation, bank = self.sources(spec, fold), self.validation(spec, fold), self.noise
        seed = self.config.seed * 100 + (99 if fold == ALL else int(fold))
        task = Task(
            sources,
            validation,
            _with_real_noise(bank, sources),
            spec,
            self.config.measures,
            seed,
            device,
        )
        best = train_stage(net, task, path.parent, name)
        if parallel.rank() == 0:
            self.save(best, name, fold, made_at)
            (path.parent / f"{name}.resume.pt").unlink(missing_ok=True)
        parallel.wait()

    def folds(self) -> list[str]:
        return [*(str(f) for f in self.config.folds), ALL]


def _with_real_noise(bank: np.ndarray, sources: Mapping[str, Windows]) -> np.ndarray:
    """The bank, and what a stage's own training records hold that their annotators called noise."""
    if "cinc2017" not in sources:
        return bank
    windows = sources["cinc2017"]
    real = windows.signal_uv[windows.rhythm == RHYTHMS.index("noisy")].astype(np.float32) * 1e-3
    scale = real.std(1, keepdims=True)
    return np.concatenate([bank, (real / scale.clip(1e-6))[scale[:, 0] > MIN_NOISE_MV]])


def default_threads() -> int:
    return len(os.sched_getaffinity(0))
