"""`python -m export.proof RUN`: every form of the nets beside the torch nets they came from, out of fold.

A form is a runtime with an arithmetic. Each fold's net is converted, and each of its forms says what it makes of
patients that the net has never seen; the errors of all folds together are what the gates of `export` hold the bundle
that ships to (RUN/proof.json).
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from edge_runtime.analysis import analyse_window
from edge_runtime.backends import BACKENDS, Backend, Tflite, head_shapes, open_backend
from edge_runtime.bundle import FLOAT, MEASURED, ONNX, TFLITE, Bundle, Model
from edge_runtime.conditioning import compand, condition
from edge_runtime.errors import exit_with
from edge_runtime.library import cache_folder
from edge_runtime.report import RHYTHMS
from export.bundle_writer import PROOF, REFERENCE, write_bundle
from train.by_fold import each_fold
from train.datasets.truth import Case, ludb_cases, qtdb_cases
from train.evaluate import TorchBackend, window_of
from train.run import Run, commit
from train.scores import f1_scores, roc
from train.windows import Windows

PTBXL_TEST_FOLD = 9
BANDS: dict[str, tuple[str, float, float]] = {  # by what, from, to
    "all": ("rate_bpm", 0, 1e9),
    "under 60 bpm": ("rate_bpm", 0, 60),
    "60 to 99 bpm": ("rate_bpm", 60, 100),
    "100 bpm and over": ("rate_bpm", 100, 1e9),
    "under 0.5 mV": ("size_mv", 0, 0.5),
    "0.5 to 1 mV": ("size_mv", 0.5, 1),
    "1 mV and over": ("size_mv", 1, 1e9),
}


@dataclass(frozen=True)
class Row:
    """One measure of one window by one form. rate_bpm: the true rate; size_mv: peak to peak, as conditioned."""

    place: tuple[str, str, str, int]  # data set, record, lead, window
    form: str
    measure: str
    truth: float
    value: float | None
    low: float | None
    high: float | None
    rate_bpm: float
    size_mv: float


@dataclass
class Seen:
    """Of some folds: rows, and by form the classes' truths and what was said. findings: a pair (truth, logits) a net.

    heads: by form the largest difference of any head from the reference's.
    """

    rows: list[Row] = field(default_factory=list)
    rhythms: dict[str, list[tuple[int, int]]] = field(default_factory=dict)
    findings: dict[str, list[tuple[NDArray[np.bool_], NDArray[np.float32]]]] = field(default_factory=dict)
    heads: dict[str, float] = field(default_factory=dict)

    def add(self, other: Seen) -> None:
        self.rows += other.rows
        for form, said in other.rhythms.items():
            self.rhythms.setdefault(form, []).extend(said)
        for form, net in other.findings.items():
            self.findings.setdefault(form, []).extend(net)
        for form, most in other.heads.items():
            self.heads[form] = max(most, self.heads.get(form, 0.0))


def forms(bundle: Bundle, backend: Backend) -> Iterator[tuple[str, Backend]]:
    """Every runtime that can be had with every arithmetic; the net's own torch first."""
    yield REFERENCE, backend
    for arithmetic, names in (("float", FLOAT), ("int8", {ONNX: ONNX, TFLITE: TFLITE})):
        files = {kind: (bundle.folder / name).read_bytes() for kind, name in names.items()}
        own = replace(bundle, files=files)
        for name in BACKENDS:
            yield f"{name} {arithmetic}", open_backend(own, name)
        yield f"tensorflow {arithmetic}", _tensorflow(files[TFLITE], head_shapes(bundle))


def _tensorflow(content: bytes, shapes: dict[str, tuple[int, ...]]) -> Backend:
    import tensorflow as tf

    with _without_warnings():
        return Tflite("tensorflow", tf.lite.Interpreter(model_content=content, num_threads=1), shapes)


@contextmanager
def _without_warnings() -> Iterator[None]:
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it announces its successor
        yield


def interval_rows(form: str, backend: Backend, model: Model, cases: list[Case]) -> Iterator[Row]:
    for case in cases:
        for k, (mv, truth) in enumerate(zip(case.windows_mv, case.window_truth, strict=True)):
            report = analyse_window(window_of(mv, case.sampling_rate_hz, case.lead), model, backend)
            rate, size = truth["hr_bpm"] or 0.0, float(np.ptp(condition(mv, case.sampling_rate_hz)))
            for name in MEASURED:
                true, said = truth[name], report.measures[name]
                if true is not None:
                    place = (case.dataset, case.record, case.lead, k)
                    yield Row(place, form, name, true, said.value, said.low, said.high, rate, size)


def heads_of(windows: Windows, backend: Backend, head: str) -> NDArray[np.float32]:
    """(n, count) of one head over conditioned windows."""
    return np.stack([backend(compand(row.astype(np.float32) * 1e-3))[head] for row in windows.signal_uv])


def see_fold(job: tuple[Path, Path, int]) -> Seen:
    """All forms of a fold's net on its own patients; a process of its own can do it."""
    folder, cache, fold = job
    torch.set_num_threads(1)
    run, out = replace(Run.open(folder), cache=cache), Seen()
    data, few = cache_folder(), run.config.records_per_set
    cases = ludb_cases(data / "ludb", most_records=few) + qtdb_cases(data / "qtdb", most_records=few)
    cases = [c for c in cases if c.fold == fold]
    cinc, ptbxl = (run.real.get(name) for name in ("cinc2017", "ptbxl"))
    if cinc is not None:
        own = cinc.select(cinc.fold == fold)
        cinc = own.select(np.unique(own.group, return_index=True)[1])
    if ptbxl is not None:
        ptbxl = ptbxl.select(ptbxl.fold == PTBXL_TEST_FOLD)
    with tempfile.TemporaryDirectory() as scratch:
        bundle = write_bundle(run, Path(scratch) / "bundle", str(fold), allow=True, with_float=True)
        net = TorchBackend(run.load("transfer", str(fold)))
        few_windows = [compand(condition(mv, c.sampling_rate_hz)) for c in cases[:20] for mv in c.windows_mv[:1]]
        for form, backend in tqdm(list(forms(bundle, net)), desc=f"forms of fold {fold}"):
            out.rows += interval_rows(form, backend, bundle.model, cases)
            if cinc is not None and len(cinc):
                said = heads_of(cinc, backend, "rhythm").argmax(1)
                out.rhythms[form] = list(zip(cinc.rhythm.tolist(), said.tolist(), strict=True))
            if ptbxl is not None and len(ptbxl):
                out.findings[form] = [(ptbxl.findings == 1, heads_of(ptbxl, backend, "findings"))]
            pairs = [(backend(x), net(x)) for x in few_windows]
            out.heads[form] = max((float(np.abs(a[h] - b[h]).max()) for a, b in pairs for h in b), default=0.0)
    return out


def table(seen: Seen, form: str, belongs: Callable[[Row], bool] = lambda row: True) -> dict[str, Any]:
    """By measure: errors of the form and of the reference over the windows where both state a value, and how far the
    two are apart; the coverage of the ranges; in how many windows only one of them states it."""
    reference = {(r.place, r.measure): r for r in seen.rows if r.form == REFERENCE}
    out: dict[str, Any] = {}
    for name in MEASURED:
        own = [r for r in seen.rows if r.form == form and r.measure == name and belongs(r)]
        pairs = [(r, reference[r.place, name]) for r in own]
        both = [(a, b) for a, b in pairs if a.value is not None and b.value is not None]
        row: dict[str, Any] = {
            "n": len(both),
            "one_sided": sum((a.value is None) != (b.value is None) for a, b in pairs),
        }
        if both:
            errors, theirs = (np.array([p[k].value - p[k].truth for p in both], np.float64) for k in (0, 1))  # type: ignore[operator]
            row |= {
                "mae": float(np.abs(errors).mean()),
                "mae_reference": float(np.abs(theirs).mean()),
                "apart": float(np.abs(errors - theirs).mean()),
                "apart_most": float(np.abs(errors - theirs).max()),
                "coverage": _coverage([a for a, _ in both]),
                "coverage_reference": _coverage([b for _, b in both]),
            }
        out[name] = row
    return out


def _coverage(rows: list[Row]) -> float:
    return float(np.mean([r.low is not None and r.high is not None and r.low <= r.truth <= r.high for r in rows]))


def rhythm_f1(pairs: list[tuple[int, int]]) -> float:
    """Mean F1 of N, A and O, each record's first window alone."""
    scores = f1_scores([t for t, _ in pairs], [s for _, s in pairs], RHYTHMS)["f1"]
    return float(np.mean([scores[name] for name in RHYTHMS if name != "noisy"]))


def findings_auc(nets: list[tuple[NDArray[np.bool_], NDArray[np.float32]]]) -> float:
    """Macro AUC, the mean over nets; of what some have and others have not."""
    areas = [
        roc(truth[:, k], said[:, k])[0]
        for truth, said in nets
        for k in range(truth.shape[1])
        if 0 < truth[:, k].sum() < len(truth)
    ]
    return float(np.mean(areas)) if areas else float("nan")


def prove(run: Run) -> dict[str, Any]:
    """See every fold, and write `proof.json` into the run's folder."""
    seen = Seen()
    jobs = [(run.folder, run.cache, fold) for fold in run.config.folds]
    for part in each_fold(run, see_fold, jobs):
        seen.add(part)
    found = list(seen.heads)
    proof = {
        "what": "nets of five folds on patients that they never saw; each form beside torch",
        "weights": {str(fold): run.digest(str(fold)) for fold in run.config.folds},
        "commit": commit(),
        "forms": {form: table(seen, form) for form in found},
        "heads_apart_most": seen.heads,
        "rhythm_f1": {form: rhythm_f1(pairs) for form, pairs in seen.rhythms.items()},
        "findings_auc": {form: findings_auc(nets) for form, nets in seen.findings.items()},
        "bands": {
            band: {
                form: table(seen, form, lambda r, by=by, low=low, high=high: low <= getattr(r, by) < high)  # type: ignore[misc]
                for form in found
                if form.endswith("int8")
            }
            for band, (by, low, high) in BANDS.items()
        },
    }
    (run.folder / PROOF).write_text(json.dumps(proof, indent=1) + "\n")
    return proof


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m export.proof", description=__doc__)
    parser.add_argument("run", type=Path, help="a run's folder, such as runs/default")
    chosen = parser.parse_args(arguments)
    proof = prove(Run.open(chosen.run))
    for form, by_measure in proof["forms"].items():
        said = ", ".join(f"{n} {r['mae']:.2f} ({r['apart']:.2f} apart)" for n, r in by_measure.items() if r["n"])
        print(f"{form:22} {said}; F1 {proof['rhythm_f1'].get(form, float('nan')):.4f}")
    return 0


if __name__ == "__main__":
    exit_with("export.proof", main)
