"""NeuroKit2 as its documentation uses it: cleaning, R peaks, delineation by wavelets. The neighbour of every figure."""

from __future__ import annotations

import warnings
from importlib import metadata

import numpy as np
from numpy.typing import NDArray

from edge_runtime.bundle import MEASURED
from edge_runtime.errors import UsageError
from edge_runtime.intervals import EDGE_S, MIN_BEATS

Marks = dict[str, NDArray[np.float64]]
Measures = dict[str, float | None]


def version() -> str | None:
    """None where it is not installed."""
    try:
        return metadata.version("neurokit2")
    except metadata.PackageNotFoundError:
        return None


def delineated(samples_mv: NDArray[np.float64], rate: float) -> Marks:
    """By NeuroKit2's own names, such as `ECG_P_Onsets`: s, one a beat, NaN where it has none.

    Where it fails, what it had found by then: the R peaks alone, or nothing. Raises UsageError where it is not
    installed.
    """
    found: Marks = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what its pandas will do one day, several a window
        try:
            import neurokit2
        except ImportError as error:
            raise UsageError(f"NeuroKit2 cannot be used ({error}); pip install 'leadwire[train]'") from error
        try:
            clean = neurokit2.ecg_clean(samples_mv, sampling_rate=round(rate))
            r = np.asarray(neurokit2.ecg_peaks(clean, sampling_rate=round(rate))[1]["ECG_R_Peaks"])
            found["ECG_R_Peaks"] = r / rate
            marks = neurokit2.ecg_delineate(clean, r, sampling_rate=round(rate), method="dwt")[1]
            found |= {name: np.asarray(at, np.float64) / rate for name, at in marks.items()}
        except Exception:  # it raises whatever its arithmetic met: a flat line, beats too few or too odd
            pass
    return found


def measures(samples_mv: NDArray[np.float64], rate: float) -> Measures:
    """HR, bpm, and PR, QRS and QT, ms, as `delineated` has them.

    The medians are held to the product's rules: MIN_BEATS at least, wholly inside the window but for EDGE_S at each
    end. None where there are fewer.
    """
    found: Measures = dict.fromkeys(MEASURED)
    marks, end_s = delineated(samples_mv, rate), len(samples_mv) / rate - EDGE_S
    r = marks.get("ECG_R_Peaks", np.empty(0))
    if len(r) < MIN_BEATS:
        return found
    found["hr_bpm"] = 60.0 * (len(r) - 1) / float(r[-1] - r[0])
    spans = {"pr_ms": ("P_Onsets", "R_Onsets"), "qrs_ms": ("R_Onsets", "R_Offsets"), "qt_ms": ("R_Onsets", "T_Offsets")}
    for name, ends in spans.items():
        first, last = (marks.get(f"ECG_{end}", np.full(len(r), np.nan)) for end in ends)
        length_ms = 1e3 * (last - first)[(first >= EDGE_S) & (last <= end_s)]  # NaN is neither
        found[name] = float(np.median(length_ms)) if len(length_ms) >= MIN_BEATS else None
    return found
