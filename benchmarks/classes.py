"""The rhythm of whole records, the presence of P waves, and PTB-XL's superclasses, each by nets that never saw the
patient."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from benchmarks.statistics import bootstrap_auc
from edge_runtime.analysis import analyse_window
from edge_runtime.backends import Backend
from edge_runtime.bundle import Model
from edge_runtime.conditioning import compand, condition
from edge_runtime.offline import SUMMARY_HOP_S, record_rhythm
from edge_runtime.report import FINDINGS, RHYTHMS
from edge_runtime.windows import windows_of
from train import folds
from train.datasets import cinc2017, ptbxl
from train.scores import f1_scores, roc

ROC_POINTS = 41


@dataclass(frozen=True)
class RhythmRow:
    """Likeliest class `said`, and whether the product states it."""

    fold: int
    arithmetic: str
    truth: int
    said: int
    stated: bool


@dataclass(frozen=True)
class PresenceRow:
    """Whether a case has P waves by its annotator or rhythm statement, and the net's logit."""

    dataset: str
    patient: str
    present: bool
    logit: float


@dataclass(frozen=True)
class FindingRow:
    fold: int
    arithmetic: str
    lead: str
    patient: str
    age: float | None
    sex: int | None
    truth: tuple[bool, ...]
    probability: tuple[float, ...]


def rhythm_rows(folder: Path, fold: int, model: Model, backends: dict[str, Backend], few: int) -> list[RhythmRow]:
    """Each of the fold's CinC records as a whole."""
    own = [(n, t) for n, t in cinc2017.records(folder).items() if folds.fold_of("cinc2017", n) == fold]
    rows = []
    for name, truth in tqdm(own[: few or None], desc=f"cinc2017 fold {fold}", mininterval=5):
        mv, rate = cinc2017.read(folder, name)
        windows = windows_of(mv, rate, "I", SUMMARY_HOP_S)
        for arithmetic, backend in backends.items():
            rhythm = record_rhythm([analyse_window(w, model, backend) for w in windows], model)
            said = int(np.argmax(rhythm.distribution)) if rhythm.distribution else RHYTHMS.index("noisy")
            rows.append(RhythmRow(fold, arithmetic, truth, said, rhythm.label is not None))
    return rows


def rhythm_tables(rows: Sequence[RhythmRow]) -> dict[str, Any]:
    """F1 of N, A and O: all records out of fold, and each fold's fifth alone."""
    out: dict[str, Any] = {}
    chosen_folds: list[int | None] = [None, *sorted({r.fold for r in rows})]
    for chosen in chosen_folds:
        label = "five folds" if chosen is None else f"fold {chosen}"
        for arithmetic in dict.fromkeys(r.arithmetic for r in rows):
            own = [r for r in rows if r.arithmetic == arithmetic and chosen in (None, r.fold)]
            scores = f1_scores([r.truth for r in own], [r.said for r in own], RHYTHMS)
            scores["labelled"] = float(np.mean([r.stated for r in own]))
            scores["f1_mean_nao"] = float(np.mean([scores["f1"][c] for c in ("normal", "af", "other")]))
            out.setdefault(label, {})[arithmetic] = scores
    return out


def finding_rows(folder: Path, fold: int, model: Model, backends: dict[str, Backend], few: int) -> list[FindingRow]:
    """PTB-XL's test fold through one fold's net, leads I and II each by itself."""
    own = [r for r in ptbxl.records(folder) if r.fold == ptbxl.TEST_FOLD]
    rows = []
    for record in tqdm(own[: few or None], desc=f"ptbxl, net {fold}", mininterval=5):
        whole = ptbxl.read(record)
        for lead in ptbxl.LEADS:
            (window,) = windows_of(whole.lead(lead).millivolts, whole.sampling_rate_hz, lead, 10.0)
            for arithmetic, backend in backends.items():
                found = analyse_window(window, model, backend).findings
                said = tuple(
                    0.5 if found[f].probability is None else float(found[f].probability or 0) for f in FINDINGS
                )
                place = (fold, arithmetic, lead, record.patient, record.age, record.sex)
                rows.append(FindingRow(*place, record.findings, said))
    return rows


def macro_auc(rows: Sequence[FindingRow]) -> float | None:
    """The mean of the five areas; None where a class is empty or full."""
    truth, said = np.array([r.truth for r in rows]), np.array([r.probability for r in rows])
    if not len(rows) or (truth.all(0) | ~truth.any(0)).any():
        return None
    return float(np.mean([roc(truth[:, k], said[:, k])[0] for k in range(len(FINDINGS))]))


def finding_tables(rows: Sequence[FindingRow]) -> dict[str, Any]:
    """Lead -> arithmetic: each class's area, the macro mean over the five nets with its spread, by sex and age."""
    out: dict[str, Any] = {}
    for lead in ptbxl.LEADS:
        for arithmetic in dict.fromkeys(r.arithmetic for r in rows):
            own = [r for r in rows if r.lead == lead and r.arithmetic == arithmetic]
            nets = [[r for r in own if r.fold == f] for f in sorted({r.fold for r in own})]
            macro = [m for net in nets if (m := macro_auc(net)) is not None]
            if not macro:
                continue
            by_class = {
                name: float(
                    np.mean([roc([r.truth[k] for r in net], [r.probability[k] for r in net])[0] for net in nets])
                )
                for k, name in enumerate(FINDINGS)
            }
            groups = {"male": lambda r: r.sex == 0, "female": lambda r: r.sex == 1}
            groups |= {
                "under 60": lambda r: r.age is not None and r.age < 60,
                "60 and over": lambda r: r.age is not None and r.age >= 60,
            }
            parts = {
                g: [m for net in nets if (m := macro_auc([r for r in net if belongs(r)])) is not None]
                for g, belongs in groups.items()
            }
            out.setdefault(lead, {})[arithmetic] = {
                "macro_auc": float(np.mean(macro)),
                "macro_auc_by_net": macro,
                "macro_auc_ci95": list(bootstrap_auc(nets, macro_auc)),
                "auc": by_class,
                "by_group": {g: float(np.mean(v)) for g, v in parts.items() if v},
                "n": len(nets[0]),
                "positive": {name: int(sum(r.truth[k] for r in nets[0])) for k, name in enumerate(FINDINGS)},
            }
    return out


def presence_row(
    dataset: str, patient: str, present: bool, mv: NDArray[np.float64], rate: float, backend: Backend
) -> PresenceRow:
    return PresenceRow(dataset, patient, present, float(backend(compand(condition(mv, rate)[:2500]))["p_wave"][0]))


def ptbxl_presence(folder: Path, fold: int, backend: Backend, few: int) -> list[PresenceRow]:
    """Lead I of the test records whose rhythm statement tells, a fifth of them through each fold's net."""
    own = [r for r in ptbxl.records(folder) if r.fold == ptbxl.TEST_FOLD and r.p_waves in (0, 1)]
    rows = []
    for record in own[fold :: folds.FOLDS][: few or None]:
        whole = ptbxl.read(record)
        mv = whole.lead("I").millivolts
        rows.append(presence_row("ptbxl", record.patient, record.p_waves == 1, mv, whole.sampling_rate_hz, backend))
    return rows


def presence_picture(tables: dict[str, Any], path: Path) -> None:
    """A PNG of each data set's ROC."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    figure, ax = plt.subplots(figsize=(4.2, 4), layout="constrained")
    for dataset, said in tables.items():
        label = f"{dataset}: {said['auc']:.3f} ({said['with_p']} with, {said['without_p']} without)"
        ax.plot(said["fpr"], said["tpr"], label=label)
    ax.plot([0, 1], [0, 1], "k:", lw=0.8)
    ax.set(xlabel="no P wave, called present", ylabel="P waves, called present", xlim=(0, 1), ylim=(0, 1.01))
    ax.legend(loc="lower right", fontsize=8, title="area", frameon=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=80)
    plt.close(figure)


def presence_tables(rows: Sequence[PresenceRow]) -> dict[str, Any]:
    """Area under the ROC by data set, its curve at ROC_POINTS false positive rates, and how many have P waves."""
    out = {}
    for dataset in dict.fromkeys(r.dataset for r in rows):
        own = [r for r in rows if r.dataset == dataset]
        truth = [r.present for r in own]
        if len(set(truth)) < 2:
            continue
        area, fpr, tpr = roc(truth, [r.logit for r in own])
        grid = np.linspace(0, 1, ROC_POINTS)
        out[dataset] = {
            "auc": area,
            "with_p": int(sum(truth)),
            "without_p": len(truth) - int(sum(truth)),
            "fpr": grid.round(3).tolist(),
            "tpr": np.interp(grid, fpr, tpr).round(4).tolist(),
        }
    return out
