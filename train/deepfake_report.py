"""What `deepfake-ecg` draws, as files to look at, and how far the delineator's labels and NeuroKit2's agree on it.

Neither is the truth: there is none of a window that no heart made. Whose a bias is, LUDB says, where it is at hand:
there NeuroKit2 is held against the cardiologists' marks in the same lead and by the same rules.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from edge_runtime.bundle import MEASURED
from edge_runtime.delineation import WAVES
from edge_runtime.library import cache_folder
from train.datasets.truth import ludb_cases
from train.generate import write_wfdb
from train.generators.deepfake import (
    MV_PER_UNIT,
    RATE_HZ,
    SURE,
    SURE_WITHIN,
    DeepfakeWindow,
    Delineator,
    Generator,
    deepfake_window,
    one_thread,
)
from train.peers import NEUROKIT, Measures, Signal, about, ask, measures
from train.pictures import contact_sheet
from train.run import commit
from train.windows import UNKNOWN, Collector

_IN_THE_SHEET = 24


def agreement(ours: Sequence[Measures], theirs: Sequence[Measures]) -> dict[str, dict[str, Any]]:
    """By measure: the share of windows in which each states it, and the difference, ours - theirs, where both do.

    ours: the delineator's measures, or the annotator's; theirs: NeuroKit2's of the same windows.
    """
    out: dict[str, dict[str, Any]] = {}
    for name in MEASURED:
        a, b = (np.array([m[name] for m in measures], float) for measures in (ours, theirs))
        difference = (a - b)[np.isfinite(a) & np.isfinite(b)]
        n = len(difference)
        out[name] = {
            "stated": _rounded(np.isfinite(a).mean(), 4),
            "neurokit2_stated": _rounded(np.isfinite(b).mean(), 4),
            "both": n,
            "mean_difference": _rounded(difference.mean()) if n else None,
            "sd": _rounded(difference.std(ddof=1)) if n > 1 else None,
            "mae": _rounded(np.abs(difference).mean()) if n else None,
            "median_abs": _rounded(np.median(np.abs(difference))) if n else None,
        }
    return out


def population(measures: Sequence[Measures]) -> dict[str, dict[str, Any]]:
    """By measure: n, median, and the 5th and 95th percentile of what was stated."""
    out: dict[str, dict[str, Any]] = {}
    for name in MEASURED:
        stated = [value for m in measures if (value := m[name]) is not None]
        out[name] = {"n": len(stated)}
        if stated:
            keys = ("p5", "median", "p95")
            out[name] |= dict(zip(keys, map(_rounded, np.percentile(stated, (5, 50, 95))), strict=True))
    return out


def _by_neurokit(signals: Sequence[Signal]) -> list[Measures]:
    answers = ask(NEUROKIT, signals).answers
    return [measures(answer, len(mv) / rate) for answer, (mv, rate) in zip(answers, signals, strict=True)]


def _neurokit_on_ludb() -> dict[str, dict[str, Any]] | None:
    """NeuroKit2 against LUDB's manual marks in lead I; None without the data set."""
    folder = cache_folder() / "ludb"
    if not folder.exists():
        return None
    cases = ludb_cases(folder, leads=("i",))
    theirs = _by_neurokit([(c.windows_mv[0], c.sampling_rate_hz) for c in cases])
    return agreement([c.truth for c in cases], theirs)


def _rounded(value: float, digits: int = 2) -> float:
    return round(float(value), digits)


def _labels(windows: Sequence[DeepfakeWindow]) -> dict[str, Any]:
    """How much of the labels is known, and what they say of P waves and rhythm."""
    share = np.mean([w.known.mean(1) for w in windows], axis=0)
    p_waves = Counter(w.p_wave for w in windows)
    return {
        "sure": SURE,
        "sure_within_steps": SURE_WITHIN,
        "known_share": dict(zip(WAVES, (_rounded(v, 4) for v in share), strict=True)),
        "p_wave": {"present": p_waves[1], "absent": p_waves[0], "unknown": p_waves[UNKNOWN]},
        "rhythm_of_the_net": dict(Counter(w.report.rhythm.label or "uncertain" for w in windows)),
    }


def generate_deepfake(seed: int, count: int, folder: Path) -> Mapping[str, Any]:
    """Write the first `count` draws of the run's seed that quality does not refuse, and what there is to say of them.

    Under `folder`: `generated/` (WFDB with the delineator's fiducials), `deepfake_contact_sheet.png` and
    `deepfake.json`, which is also returned. Raises UsageError where deepfake-ecg or NeuroKit2 is not installed.
    """
    generator, delineator = Generator(), Delineator()
    version = about(NEUROKIT)["version"]  # what is missing is said before the work, not after it
    windows: list[DeepfakeWindow] = []
    refused: Counter[str] = Counter()
    drawing_s = 0.0
    sheet = Collector()
    with one_thread(), tqdm(total=count, desc="deepfake", unit=" windows", mininterval=5) as bar:
        while len(windows) < count:
            started = time.perf_counter()
            window = deepfake_window(generator, delineator, seed, len(windows) + refused.total())
            drawing_s += time.perf_counter() - started
            if window.refused is not None:
                refused[window.refused] += 1
                continue
            windows.append(window)
            comment = f"deepfake-ecg {seed}/{window.number}, fiducials by {delineator.model.id}"
            write_wfdb(window.samples_mv, window.waves, comment, f"deepfake{window.number:05d}", folder / "generated")
            if len(sheet.signals) < _IN_THE_SHEET:
                sheet.add(window.samples_mv, RATE_HZ, UNKNOWN, window.number, window.labels)
            bar.update()
    contact_sheet(sheet.windows(), folder / "deepfake_contact_sheet.png", len(sheet.signals))
    theirs = _by_neurokit([(w.samples_mv, RATE_HZ) for w in windows])
    draws = len(windows) + refused.total()
    ours: list[Measures] = [{name: w.report.measures[name].value for name in MEASURED} for w in windows]
    peak_to_peak = np.percentile([np.ptp(w.samples_mv) for w in windows], (5, 50, 95))
    result = {
        "commit": commit(),
        "deepfake_ecg": metadata.version("deepfake-ecg"),
        "neurokit2": version,
        "delineator": delineator.model.id,
        "seed": seed,
        "draws": draws,
        "windows": len(windows),
        "refused": dict(refused),
        "windows_per_s_one_thread": _rounded(draws / drawing_s, 1),
        "mv_per_unit": MV_PER_UNIT,
        "peak_to_peak_mv": dict(zip(("p5", "median", "p95"), map(_rounded, peak_to_peak), strict=True)),
        "population": population(ours),
        "population_by_neurokit2": population(theirs),
        "difference": "delineator, or LUDB's annotator, minus neurokit2",
        "agreement": agreement(ours, theirs),
        "neurokit2_on_ludb_lead_i": _neurokit_on_ludb(),
        "labels": _labels(windows),
    }
    (folder / "deepfake.json").write_text(json.dumps(result, indent=1) + "\n")
    print(
        f"{folder / 'deepfake.json'}: {len(windows)} windows of {draws} draws, "
        f"{result['windows_per_s_one_thread']:g} windows/s drawn and labelled on one thread; "
        f"{folder / 'generated'}, {folder / 'deepfake_contact_sheet.png'}"
    )
    return result
