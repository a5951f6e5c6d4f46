"""What is classified: who trains, validates and is tested, by which loss, and the scores that follow."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from edge_runtime.report import FINDINGS, RHYTHMS
from train import folds
from train.datasets.mitdb import AAMI
from train.study.cells import Cell
from train.study.config import ALL_LABELS, StudyConfig
from train.study.data import PTBXL_FOLDS, Data, Part
from train.study.nets import OfBeats, Whole
from train.study.scores import Array, confusions, f1, macro_auc

_LEVELS = 65535  # of a probability as it is kept
_VALIDATING_DS1 = 5  # of its 22 records
_OTHER = 1  # a draw that has nothing to do with the weights'


@dataclass(frozen=True)
class Parts:
    train: Part
    validation: Part
    test: Part


class Task(ABC):
    """classes: what is told apart. score_name: the score that comparisons are made in. ratio: of tested to training
    records, for the variance over folds; 0 where every seed has the same test. warp: whether time may be bent."""

    name: ClassVar[str]
    title: ClassVar[str]
    classes: ClassVar[tuple[str, ...]]
    score_name: ClassVar[str]
    ratio: ClassVar[float]
    warp: ClassVar[bool] = True

    @abstractmethod
    def everyone(self, data: Data, cell: Cell) -> Parts:
        """Before the label count is applied."""

    @abstractmethod
    def loss(self, out: Tensor, target: Tensor, shares: Tensor) -> Tensor: ...

    @abstractmethod
    def kept(self, out: NDArray[np.float32], part: Part) -> NDArray[Any]:
        """What is kept of the test: whole numbers, one row a record, from the outputs of its windows."""

    @abstractmethod
    def scores(self, truth: NDArray[Any], kept: NDArray[Any], weights: Array) -> dict[str, Array]:
        """(b,) each, of r records under (b, r) weights."""

    def module(self, body: Any, config: StudyConfig) -> nn.Module:
        return Whole(body, len(self.classes), config.trunk.dropout)

    def targets(self, part: Part) -> Tensor:
        """A row a window."""
        return torch.from_numpy(part.truth[part.record])

    def shares(self, part: Part) -> Tensor:
        """Weights of the classes in the loss."""
        return torch.ones(len(self.classes))

    def parts(self, data: Data, cell: Cell) -> Parts:
        """With as many training records as the cell has labels, the same for every arm, the fewer among the more; and
        no more records that validate than train."""
        whole = self.everyone(data, cell)
        if cell.labels == ALL_LABELS:
            return whole
        drawn = [
            part.of(np.random.default_rng([cell.seed, _OTHER, i]).permutation(len(part.names))[: cell.labels])
            for i, part in enumerate((whole.train, whole.validation))
        ]
        return Parts(drawn[0], drawn[1], whole.test)

    def score(self, truth: NDArray[Any], kept: NDArray[Any]) -> dict[str, float]:
        found = self.scores(truth, kept, np.ones((1, len(truth))))
        return {name: round(float(value[0]), 5) for name, value in found.items()}

    def truth(self, part: Part) -> NDArray[Any]:
        """What `scores` holds the test against, a row a record."""
        return part.truth


class Superclasses(Task):
    name = "superclasses"
    title = "PTB-XL, five superclasses, several a record"
    classes = FINDINGS
    score_name = "macro_auc"
    ratio = 1 / (PTBXL_FOLDS - 2)

    def everyone(self, data: Data, cell: Cell) -> Parts:
        fold_of = data.ptbxl_folds
        validates = cell.fold % PTBXL_FOLDS + 1
        train = (fold_of != cell.fold) & (fold_of != validates)
        return Parts(data.ptbxl.of(train), data.ptbxl.of(fold_of == validates), data.ptbxl.of(fold_of == cell.fold))

    def loss(self, out: Tensor, target: Tensor, shares: Tensor) -> Tensor:
        return F.binary_cross_entropy_with_logits(out, target.float())

    def kept(self, out: NDArray[np.float32], part: Part) -> NDArray[Any]:
        return np.round(_LEVELS / (1 + np.exp(-out.astype(np.float64)))).astype(np.uint16)

    def scores(self, truth: NDArray[Any], kept: NDArray[Any], weights: Array) -> dict[str, Array]:
        return {"macro_auc": macro_auc(truth == 1, kept.astype(np.float64), weights)}


class OneLabel(Superclasses):
    """As the seed project has it, but for one lead and no record left out for its rhythm."""

    name = "one_label"
    title = "PTB-XL, five superclasses, records with exactly one"

    def everyone(self, data: Data, cell: Cell) -> Parts:
        def single(part: Part) -> Part:
            own = part.of(part.truth.sum(1) == 1)
            return own.relabelled(own.truth.argmax(1).astype(np.int8))

        whole = super().everyone(data, cell)
        return Parts(single(whole.train), single(whole.validation), single(whole.test))

    def loss(self, out: Tensor, target: Tensor, shares: Tensor) -> Tensor:
        return F.cross_entropy(out, target.long())

    def kept(self, out: NDArray[np.float32], part: Part) -> NDArray[Any]:
        return np.round(_LEVELS * torch.from_numpy(out).double().softmax(1).numpy()).astype(np.uint16)

    def scores(self, truth: NDArray[Any], kept: NDArray[Any], weights: Array) -> dict[str, Array]:
        labels = truth.astype(np.int64)
        one_hot = labels[:, None] == np.arange(len(self.classes))
        right = (kept.argmax(1) == labels).astype(np.float64)
        return {
            "macro_auc": macro_auc(one_hot, kept.astype(np.float64), weights),
            "accuracy": weights @ right / weights.sum(1),
        }


def _shares(labels: NDArray[Any], classes: int) -> Tensor:
    """n^-1/2: between one vote a record and one a class."""
    weights = np.bincount(labels, minlength=classes).clip(1) ** -0.5
    return torch.tensor(weights / weights.mean(), dtype=torch.float32)


class Rhythm(Task):
    name = "rhythm"
    title = "CinC 2017, normal, AF, other, noisy"
    classes = RHYTHMS
    score_name = "f1"
    ratio = 0.2 / (0.8 * (1 - 1 / folds.VALIDATION_SHARE))

    def everyone(self, data: Data, cell: Cell) -> Parts:
        tested = data.cinc2017_folds == cell.fold - 1
        validates = np.array([folds.validates("cinc2017", str(n)) for n in data.cinc2017.names]) & ~tested
        part = data.cinc2017
        return Parts(part.of(~tested & ~validates), part.of(validates), part.of(tested))

    def shares(self, part: Part) -> Tensor:
        return _shares(part.truth, len(self.classes))

    def loss(self, out: Tensor, target: Tensor, shares: Tensor) -> Tensor:
        return F.cross_entropy(out, target.long(), shares)

    def kept(self, out: NDArray[np.float32], part: Part) -> NDArray[Any]:
        """The class that is likeliest over the record's windows."""
        logs = torch.from_numpy(out).double().log_softmax(1).numpy()
        sums = np.zeros((len(part.names), len(self.classes)))
        np.add.at(sums, part.record, logs)
        return sums.argmax(1).astype(np.uint8)

    def scores(self, truth: NDArray[Any], kept: NDArray[Any], weights: Array) -> dict[str, Array]:
        each = f1(confusions(truth.astype(np.int64), kept.astype(np.int64), len(self.classes), weights))
        return {"f1": each[:, :3].mean(1), **{f"f1_{c}": each[:, k] for k, c in enumerate(self.classes)}}


class BeatClasses(Task):
    name = "beats"
    title = "MIT-BIH, AAMI beats, DS1 to DS2"
    classes = AAMI
    score_name = "f1"
    ratio = 0.0
    warp = False  # the peaks are where they are

    def everyone(self, data: Data, cell: Cell) -> Parts:
        part = data.mitdb
        ds1 = np.flatnonzero(part.truth == 0)
        mixed = np.random.default_rng([cell.seed, _OTHER]).permutation(ds1)
        few = min(_VALIDATING_DS1, len(ds1) // 2)
        return Parts(part.of(np.sort(mixed[few:])), part.of(np.sort(mixed[:few])), part.of(part.truth == 1))

    def module(self, body: Any, config: StudyConfig) -> nn.Module:
        return OfBeats(body, 4, len(self.classes), config.trunk.dropout)

    def targets(self, part: Part) -> Tensor:
        assert part.beats is not None
        return torch.from_numpy(part.beats.label)

    def shares(self, part: Part) -> Tensor:
        assert part.beats is not None
        return _shares(part.beats.label[part.beats.label >= 0], len(self.classes))

    def loss(self, out: Tensor, target: Tensor, shares: Tensor) -> Tensor:
        return F.cross_entropy(out.flatten(0, 1), target.flatten().long(), shares, ignore_index=-1)

    def kept(self, out: NDArray[np.float32], part: Part) -> NDArray[Any]:
        """(r, k, k) counts of beats, rows truth."""
        assert part.beats is not None
        label, said = part.beats.label, out.argmax(2)
        known = label >= 0
        record = np.broadcast_to(part.record[:, None], label.shape)
        counts = np.zeros((len(part.names), len(self.classes), len(self.classes)), np.uint16)
        np.add.at(counts, (record[known], label[known], said[known]), 1)
        return counts

    def scores(self, truth: NDArray[Any], kept: NDArray[Any], weights: Array) -> dict[str, Array]:
        k = len(self.classes)
        confusion = (weights @ kept.reshape(len(kept), k * k).astype(np.float64)).reshape(-1, k, k)
        each = f1(confusion)
        right = np.diagonal(confusion, axis1=1, axis2=2)
        sensitivity = right / np.maximum(confusion.sum(2), 1e-12)
        precision = right / np.maximum(confusion.sum(1), 1e-12)
        out = {"f1": each[:, :3].mean(1)}
        for i, name in enumerate(self.classes[:3]):
            out |= {f"sensitivity_{name}": sensitivity[:, i], f"precision_{name}": precision[:, i]}
        return out


TASKS: dict[str, Task] = {t.name: t for t in (Superclasses(), OneLabel(), Rhythm(), BeatClasses())}
