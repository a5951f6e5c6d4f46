"""Each peer as its documentation uses it: a signal and its rate in, where the waves are out.

A finder gives, by point, seconds, one a beat, NaN where it has none; or VALUES, for a program that says numbers alone.
`beats` of a peer is its way through a long recording: R peaks only. It runs in the peers' environment.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

import numpy as np

from train.peers.words import VALUES

Finder = Callable[[Any, float], dict[str, Any]]


class Partly(Exception):
    """It failed on the way, and had found this much."""

    def __init__(self, message: str, found: dict[str, Any]) -> None:
        super().__init__(message)
        self.found = found


@dataclass(frozen=True)
class Peer:
    """package: the distribution whose version is stated, None for ours; installs: what is installed to have it.

    make: its finder, from options; module: what has to be importable; note: what a reader has to know.
    """

    package: str | None
    module: str
    installs: tuple[str, ...]
    make: Callable[..., Finder]
    note: str = ""

    def make_sure(self) -> None:
        """Raises ImportError."""
        if find_spec(self.module) is None:
            raise ImportError(f"no module {self.module}")


def _failed(error: Exception, found: dict[str, Any]) -> Partly:
    return Partly(f"{type(error).__name__}: {error}"[:200], found)


# Where a point may lie about its R peak, s: for lists that leave out the beats without such a point.
_REACH_S = {"P": (0.4, 0.0), "QRS onset": (0.2, 0.0), "QRS offset": (0.0, 0.2), "T": (0.0, 0.6)}


def _of_beats(times_s: Any, peaks_s: Any, point: str) -> Any:
    """One time a beat: the nearest within reach of its R peak and on this side of the next, else NaN."""
    before_s, after_s = _REACH_S.get(point) or _REACH_S[point.split()[0]]
    out = np.full(len(peaks_s), np.nan)
    for i, peak in enumerate(peaks_s):
        low = max(peak - before_s, peaks_s[i - 1] if i else -np.inf)
        high = min(peak + after_s, peaks_s[i + 1] if i + 1 < len(peaks_s) else np.inf)
        near = times_s[(times_s >= low) & (times_s <= high)]
        if len(near):
            out[i] = near[np.abs(near - peak).argmin()]
    return out


# ---- NeuroKit2 -------------------------------------------------------------------------------------------------------

_NEUROKIT = {
    "P onset": "ECG_P_Onsets", "P peak": "ECG_P_Peaks", "P offset": "ECG_P_Offsets",
    "QRS onset": "ECG_R_Onsets", "QRS offset": "ECG_R_Offsets",
    "T onset": "ECG_T_Onsets", "T peak": "ECG_T_Peaks", "T offset": "ECG_T_Offsets",
}  # fmt: skip


def _neurokit(method: str) -> Finder:
    """`ecg_clean`, `ecg_peaks`, `ecg_delineate`; R peaks alone for an empty method."""
    import neurokit2

    def find(mv: Any, rate: float) -> dict[str, Any]:
        hz = round(rate)
        clean = neurokit2.ecg_clean(mv, sampling_rate=hz)
        peaks = np.asarray(neurokit2.ecg_peaks(clean, sampling_rate=hz)[1]["ECG_R_Peaks"])
        found: dict[str, Any] = {"R": peaks / rate}
        if not method:
            return found
        try:
            said = neurokit2.ecg_delineate(clean, peaks, sampling_rate=hz, method=method)[1]
        except Exception as error:
            raise _failed(error, found) from error
        found["QRS peak"] = found["R"]
        for point, name in _NEUROKIT.items():
            if name in said:
                at = np.asarray(said[name], np.float64) / rate
                found[point] = at if len(at) == len(peaks) else _of_beats(at, found["R"], point)
        return found

    return find


# ---- detectors of beats ----------------------------------------------------------------------------------------------


def _xqrs() -> Finder:
    from wfdb.processing import xqrs_detect

    return lambda mv, rate: {"R": np.asarray(xqrs_detect(sig=mv, fs=rate, verbose=False)) / rate}


def _sleepecg() -> Finder:
    from sleepecg import detect_heartbeats

    return lambda mv, rate: {"R": np.asarray(detect_heartbeats(mv, rate)) / rate}


def _ecgdetectors(name: str) -> Finder:
    from ecgdetectors import Detectors

    return lambda mv, rate: {"R": np.asarray(getattr(Detectors(round(rate)), f"{name}_detector")(mv), float) / rate}


# ---- BioSPPy ---------------------------------------------------------------------------------------------------------


def _biosppy(waves: bool) -> Finder:
    """`ecg` (band-pass, Hamilton), and of its templates the positions of Q, S, P and T."""
    from biosppy.signals import ecg

    def find(mv: Any, rate: float) -> dict[str, Any]:
        said = ecg.ecg(signal=mv, sampling_rate=rate, show=False)
        peaks = np.asarray(said["rpeaks"], float)
        found: dict[str, Any] = {"R": peaks / rate}
        if not waves:
            return found
        try:
            p, q, s, t = (getattr(ecg, f"get{wave}Positions")(said, show=False) for wave in "PQST")
        except Exception as error:
            raise _failed(error, found) from error
        for point, said_of, name in (
            ("P onset", p, "P_start_positions"),
            ("P peak", p, "P_positions"),
            ("P offset", p, "P_end_positions"),
            ("QRS onset", q, "Q_start_positions"),
            ("QRS offset", s, "S_end_positions"),
            ("T onset", t, "T_start_positions"),
            ("T peak", t, "T_positions"),
            ("T offset", t, "T_end_positions"),
        ):
            found[point] = _of_beats(np.asarray(said_of[name], float) / rate, found["R"], point)
        found["QRS peak"] = found["R"]
        return found

    return find


# ---- OpenECG ---------------------------------------------------------------------------------------------------------


def _resampled(mv: Any, rate: float, wanted: int) -> Any:
    from scipy.signal import resample_poly

    return mv if rate == wanted else resample_poly(mv, wanted, round(rate))


def _openecg_boundary() -> Finder:
    """`openecg.deploy.Inference`: segments of P, QRS and T at 250 Hz; waves between two QRS belong to the later or the
    earlier one."""
    from openecg.deploy import Inference

    detector = Inference()

    def find(mv: Any, rate: float) -> dict[str, Any]:
        windows = detector.predict(_resampled(mv, rate, 250))
        placed = [(2500 * k, boundary) for k, window in enumerate(windows) for boundary in window]
        waves = [(b.name, (first + b.start) / 250, (first + b.end) / 250) for first, b in placed]
        return _beats_of(waves)

    return find


def _beats_of(waves: list[tuple[str, float, float]]) -> dict[str, Any]:
    """Of each QRS the last P before it and the first T behind it, with no other QRS between."""
    qrs = [i for i, wave in enumerate(waves) if wave[0] == "QRS"]
    points = ("P onset", "P offset", "QRS onset", "QRS offset", "T onset", "T offset")
    found = {point: np.full(len(qrs), np.nan) for point in points}
    for k, i in enumerate(qrs):
        last, following = qrs[k - 1] if k else -1, qrs[k + 1] if k + 1 < len(qrs) else len(waves)
        for name, own in (
            ("P", [w for w in waves[last + 1 : i] if w[0] == "P"][-1:]),
            ("QRS", [waves[i]]),
            ("T", [w for w in waves[i + 1 : following] if w[0] == "T"][:1]),
        ):
            for _, begin, end in own:
                found[f"{name} onset"][k], found[f"{name} offset"][k] = begin, end
    found["R"] = (found["QRS onset"] + found["QRS offset"]) / 2
    return found


def _openecg_report() -> Finder:
    """`openecg.report` at 500 Hz, its int8 codec loaded once: the numbers that it says."""
    import openecg
    from openecg.deploy import OnnxCodec

    codec = OnnxCodec()

    def find(mv: Any, rate: float) -> dict[str, Any]:
        said = openecg.report(_resampled(mv, rate, 500), fs=500, model=codec)
        ms, bpm = said.intervals_ms, said.heart_rate["bpm"]
        return {
            VALUES: {
                "hr_bpm": bpm or None,
                "pr_ms": ms.get("pr"),
                "qrs_ms": ms.get("qrs_duration"),
                "qt_ms": ms.get("qt"),
            }
        }

    return find


def _openecg_beats() -> Finder:
    import openecg

    return lambda mv, rate: {"R": np.asarray(openecg.detect_qrs(mv, round(rate))) / rate}


# ---- ours ------------------------------------------------------------------------------------------------------------


def _leadwire(bundle: str, backend: str = "ai-edge-litert") -> Finder:
    """`leadwire analyse`'s answer for one window: everything that is in a report."""
    from pathlib import Path

    from edge_runtime.analysis import analyse_window
    from edge_runtime.backends import open_backend
    from edge_runtime.bundle import load_bundle
    from edge_runtime.windows import Window

    loaded = load_bundle(Path(bundle))
    net = open_backend(loaded, backend)

    def find(mv: Any, rate: float) -> dict[str, Any]:
        report = analyse_window(Window(mv, rate, 0.0, len(mv) / rate, "I"), loaded.model, net)
        return {VALUES: {name: report.measures[name].value for name in ("hr_bpm", "pr_ms", "qrs_ms", "qt_ms")}}

    return find


def _leadwire_beats(bundle: str, backend: str = "ai-edge-litert") -> Finder:
    """R peaks of a recording: of each window of 10 s, every 5 s, those of its middle half."""
    from pathlib import Path

    from edge_runtime.analysis import analyse_window
    from edge_runtime.backends import open_backend
    from edge_runtime.bundle import load_bundle
    from edge_runtime.windows import windows_of

    loaded = load_bundle(Path(bundle))
    net = open_backend(loaded, backend)

    def find(mv: Any, rate: float) -> dict[str, Any]:
        end_s, hop_s = len(mv) / rate, loaded.model.window_s / 2
        windows = windows_of(mv, rate, "I", hop_s, loaded.model.window_s)
        reports = [analyse_window(window, loaded.model, net) for window in windows]
        peaks: list[float] = []
        for k, report in enumerate(reports):
            begin = 0.0 if k == 0 else (reports[k - 1].end_s + report.start_s) / 2
            end = end_s if k + 1 == len(reports) else (report.end_s + reports[k + 1].start_s) / 2
            peaks += [t for t in report.r_peaks_s if begin <= t < end]
        return {"R": np.array(peaks)}

    return find


_TRAINED = "trained on LUDB and QTDB themselves, perhaps on these very records"
_OPENECG = ("openecg[report]", "scipy")  # scipy: to come to its rate
_BIOSPPY = ("biosppy", "peakutils")  # which it imports and does not ask for
_OURS = ("numpy", "pyserial", "ai-edge-litert")
DETECTORS = ("two_average", "matched_filter", "swt", "engzee", "christov", "hamilton", "pan_tompkins", "wqrs")
OURS, OUR_BEATS = "leadwire", "leadwire beats"

PEERS: dict[str, Peer] = {
    OURS: Peer(None, "edge_runtime", _OURS, _leadwire, "the int8 net of the fold that never saw the patient"),
    **{
        f"neurokit2 {method}": Peer(
            "neurokit2", "neurokit2", ("neurokit2",), lambda method=method: _neurokit(method), note
        )
        for method, note in (("dwt", "its default"), ("cwt", ""), ("prominence", ""), ("peak", "gives no QRS bounds"))
    },
    "openecg boundary": Peer("openecg", "openecg", ("openecg", "ai-edge-litert", "scipy"), _openecg_boundary, _TRAINED),
    "openecg report": Peer("openecg", "openecg", _OPENECG, _openecg_report, _TRAINED),
    "biosppy": Peer("biosppy", "biosppy", _BIOSPPY, lambda: _biosppy(True)),
    "wfdb xqrs": Peer("wfdb", "wfdb", ("wfdb",), _xqrs),
    "sleepecg": Peer("sleepecg", "sleepecg", ("sleepecg",), _sleepecg),
    **{
        f"ecgdetectors {name}": Peer(
            "py-ecg-detectors", "ecgdetectors", ("py-ecg-detectors",), lambda name=name: _ecgdetectors(name), note
        )
        for name in DETECTORS
        for note in ("has templates for 250 and 360 Hz only" if name == "matched_filter" else "",)
    },
}
# The ways through a long recording, for R peaks: a delineator's is its own detector.
BEATS_BY: dict[str, Peer] = {
    OUR_BEATS: Peer(None, "edge_runtime", _OURS, _leadwire_beats),
    "neurokit2": Peer("neurokit2", "neurokit2", ("neurokit2",), lambda: _neurokit("")),
    "openecg": Peer("openecg", "openecg", _OPENECG, _openecg_beats),
    "biosppy hamilton": Peer("biosppy", "biosppy", _BIOSPPY, lambda: _biosppy(False)),
    **{name: p for name, p in PEERS.items() if name in ("wfdb xqrs", "sleepecg") or name.startswith("ecgdetectors")},
}
EVERY = PEERS | BEATS_BY
