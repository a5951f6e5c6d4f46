"""One window to one report: the same pure function on the Pi, offline, and where the net is judged."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from edge_runtime import polarity, quality
from edge_runtime.backends import Backend, Heads
from edge_runtime.bundle import Model
from edge_runtime.causes import interference
from edge_runtime.conditioning import compand, condition
from edge_runtime.delineation import Beat, P, Wave, beats_of, doubt_of, probability_of
from edge_runtime.fiducials import Fiducials, fiducials_of
from edge_runtime.intervals import heart_rate_bpm, measure
from edge_runtime.quality import longest_run, runs_of
from edge_runtime.ranges import evidence_of
from edge_runtime.report import MEASURES, Finding, Report, Rhythm, invalid, nothing_found, nothing_measured
from edge_runtime.windows import Window

ABSURD_MV = 1e6  # a kilovolt: damage, and taken as missing
SHORTEST_S = 0.5  # of which anything is said
SHORTEST_INTERVALS_S = 5.0  # the net was trained and calibrated on whole windows: of less it names no interval
SHORTEST_RHYTHM_S = 8.5
MOST_BRIDGED_SHARE = 0.2  # of a window; each gap alone has to be within the bundle's `max_bridged_ms`


@dataclass(frozen=True)
class Reading:
    """What the net saw in a window.

    filled_mv: (m,) raw samples, gaps bridged; conditioned_mv (n,); its heads' logits; probability (3, length) of its
    masks, the waves in them, and the beats that they make.
    """

    filled_mv: NDArray[np.float64]
    conditioned_mv: NDArray[np.float32]
    heads: Heads
    probability: NDArray[np.float32]
    doubt: NDArray[np.float64]
    waves: list[Wave]
    beats: list[Beat]
    bridged_s: list[tuple[float, float]]

    def p_waves(self, model: Model) -> bool:
        """Whether the atria beat before the ventricles, as the net sees it."""
        return float(probability_of(self.heads["p_wave"][0])) >= model.thresholds["p_wave"]

    def polarity(self, model: Model) -> NDArray[np.float64]:
        """(len(polarity.FEATURES),)."""
        rate = model.conditioning.sampling_rate_hz
        return polarity.features(self.probability, self.conditioned_mv, rate, model.grid, self.p_waves(model))


def bridge(samples_mv: NDArray[np.float64]) -> tuple[NDArray[np.float64], list[tuple[int, int]]]:
    """Straight lines over what is missing, and the gaps as (first, last + 1). Needs one sample that is there."""
    missing = ~np.isfinite(samples_mv)
    if not missing.any():
        return samples_mv, []
    filled = samples_mv.copy()
    index = np.arange(len(samples_mv))
    filled[missing] = np.interp(index[missing], index[~missing], samples_mv[~missing])
    return filled, runs_of(missing)


def read(samples_mv: NDArray[np.float64], rate: float, model: Model, backend: Backend) -> Reading:
    """Bridge, condition, and ask the net. The window may be shorter than the net's: zeros stand behind it."""
    filled, gaps = bridge(samples_mv)
    conditioned = condition(filled, rate, model.conditioning)[: model.samples]
    padded = np.zeros(model.samples, np.float32)
    padded[: len(conditioned)] = conditioned
    heads = backend(compand(padded, model.conditioning))
    end_s = len(filled) / rate
    probability = probability_of(heads["masks"])
    waves = [w for w in model.grid.waves(probability) if w.onset_s < end_s]
    beats = [b for b in beats_of(waves, conditioned, model.conditioning.sampling_rate_hz) if 0 <= b.r_peak_s <= end_s]
    bridged_s = [(a / rate, b / rate) for a, b in gaps]
    return Reading(filled, conditioned, heads, probability, doubt_of(probability), waves, beats, bridged_s)


def analyse_window(
    window: Window, model: Model, backend: Backend, fiducials: bool = False, upright: bool = False
) -> Report:
    """The report of a window. Never raises for what a signal may hold: it says what is wrong with it.

    fiducials: give its waves, too, where it is good enough for intervals. upright: say how it is worn, where it is a
    lead of which that can be said.
    """
    window = replace(window, samples_mv=np.where(np.abs(window.samples_mv) < ABSURD_MV, window.samples_mv, np.nan))
    if window.sampling_rate_hz < model.conditioning.slowest_hz:
        return unmeasured(window, model, "clock")
    missing = np.isnan(window.samples_mv)
    lost = int(missing.sum())
    bridgeable = model.max_bridged_ms * 1e-3 * window.sampling_rate_hz
    if longest_run(missing) > bridgeable or lost > MOST_BRIDGED_SHARE * len(missing):
        return unmeasured(window, model, "gap")
    if window.lead_off:
        return unmeasured(window, model, "lead_off")
    if len(missing) < SHORTEST_S * window.sampling_rate_hz:
        return replace(unmeasured(window, model, "short", "few_beats"), quality=0.0, beats=0)
    reading = read(window.samples_mv, window.sampling_rate_hz, model, backend)
    rhythm = rhythm_of(rhythm_probabilities(reading.heads["rhythm"]), model)
    good, refused = _refused(window, reading, rhythm, model)
    if refused is not None:
        return refused
    p_waves = reading.p_waves(model)
    fibrillation = rhythm.label == "af"
    seconds = len(missing) / window.sampling_rate_hz
    measures = measure(
        reading.beats,
        reading.conditioned_mv,
        model.conditioning.sampling_rate_hz,
        seconds,
        reading.bridged_s,
        model.targets,
        evidence_of(reading.heads, reading.doubt),
        p_waves=p_waves,
        fibrillation=fibrillation,
    )
    if seconds < SHORTEST_INTERVALS_S:
        measures |= {name: invalid("few_beats") for name in MEASURES if name != "hr_bpm"}
    if seconds < SHORTEST_RHYTHM_S:
        rhythm = Rhythm(None, None, "uncertain")
    return Report(
        state="ok" if window.full else "short",
        lead=window.lead,
        start_s=window.start_s,
        end_s=window.end_s,
        sampling_rate_hz=window.sampling_rate_hz,
        measures=measures,
        rhythm=rhythm,
        bundle=model.id,
        quality=good,
        beats=len(reading.beats),
        lost_samples=lost,
        bridged_samples=lost,
        missing=_runs(missing, window),
        findings=findings_of(reading.heads["findings"], model)
        if seconds >= SHORTEST_RHYTHM_S
        else nothing_found("few_beats"),
        r_peaks_s=tuple(window.start_s + b.r_peak_s for b in reading.beats),
        fiducials=_fiducials(reading, window, model, p_waves and not fibrillation)
        if fiducials and seconds >= SHORTEST_INTERVALS_S
        else None,
        upright=polarity.upright(reading.polarity(model), window.lead) if upright else None,
    )


def _refused(window: Window, reading: Reading, rhythm: Rhythm, model: Model) -> tuple[float, Report | None]:
    """The window's quality and, where it is not to be trusted, the report that says why.

    A gate has its own reason. What the probability refuses has the cause that its raw samples show, if any stands out.
    """
    rate = window.sampling_rate_hz
    why = quality.gate(reading.filled_mv, reading.conditioned_mv, rate, window.clipped)
    if why == "lead_off":
        return 0.0, unmeasured(window, model, why)
    if why is not None:  # what the net makes of a flat line is no opinion
        return 0.0, replace(unmeasured(window, model, "poor_signal", why), quality=0.0)
    noisy = float(reading.heads["rhythm"][model.classes.index("noisy")])
    values = quality.features(reading.doubt, reading.beats, noisy, reading.conditioned_mv)
    good, bpm = quality.probability(values, model.quality), heart_rate_bpm(reading.beats)
    sure = good >= model.thresholds["quality"]
    plausible = bpm is None or quality.PLAUSIBLE_BPM[0] <= bpm <= quality.PLAUSIBLE_BPM[1]
    seen = quality.seen_throughout(reading.beats, len(reading.filled_mv) / rate)
    if sure and plausible and seen:
        return good, None
    cause = None if sure and seen else interference(reading.filled_mv, rate).cause
    why = cause or ("implausible_rate" if not plausible else "noise" if not sure else "few_beats")
    refused = replace(unmeasured(window, model, "poor_signal", why), quality=good)
    if not plausible:
        return good, refused
    kept = rhythm if rhythm.label == "noisy" else Rhythm(None, None, why, rhythm.distribution)
    peaks = tuple(window.start_s + b.r_peak_s for b in reading.beats)
    return good, replace(refused, rhythm=kept, r_peaks_s=peaks)


def _fiducials(reading: Reading, window: Window, model: Model, p_waves: bool) -> tuple[Fiducials, ...]:
    """Where there is no PR for want of P waves, a P that the masks draw is none."""
    return fiducials_of(
        [w for w in reading.waves if p_waves or w.kind != P],
        reading.beats,
        reading.conditioned_mv,
        model.conditioning.sampling_rate_hz,
        window.start_s,
        (len(window.samples_mv) - 1) / window.sampling_rate_hz,
        reading.bridged_s,
    )


def rhythm_probabilities(logits: NDArray[np.float32]) -> NDArray[np.float64]:
    """Softmax over the classes."""
    e = np.exp(logits.astype(np.float64) - float(logits.max()))
    return np.asarray(e / e.sum())


def rhythm_of(probabilities: NDArray[np.float64], model: Model) -> Rhythm:
    """The likeliest class, where it is likely enough; `noisy` is no rhythm, and says so."""
    best = int(probabilities.argmax())
    label, p, all_of_them = model.classes[best], float(probabilities[best]), tuple(probabilities.tolist())
    if label == "noisy":
        return Rhythm(label, p, "noise", all_of_them)
    if p < model.thresholds["rhythm"]:
        return Rhythm(None, p, "uncertain", all_of_them)
    return Rhythm(label, p, None, all_of_them)


def findings_of(logits: NDArray[np.float32], model: Model) -> dict[str, Finding]:
    """Probabilities of PTB-XL's superclasses, each by its own slope and offset on the net's logit. A research
    output."""
    told = [
        slope * logit + offset for logit, (slope, offset) in zip(logits.tolist(), model.findings.values(), strict=True)
    ]
    return {name: Finding(p) for name, p in zip(model.findings, probability_of(told).tolist(), strict=True)}


def unmeasured(window: Window, model: Model, state: str, why: str | None = None) -> Report:
    """A report that states no value, and why (the state's name, unless told otherwise)."""
    measures, rhythm = nothing_measured(why or state)
    missing = ~np.isfinite(window.samples_mv)
    return Report(
        state=state,
        lead=window.lead,
        start_s=window.start_s,
        end_s=window.end_s,
        sampling_rate_hz=window.sampling_rate_hz or None,
        measures=measures,
        rhythm=rhythm,
        bundle=model.id,
        lost_samples=int(missing.sum()),
        missing=_runs(missing, window),
        findings=nothing_found(why or state),
    )


def _runs(missing: NDArray[np.bool_], window: Window) -> tuple[tuple[int, int], ...]:
    """Runs of missing samples as (first, last + 1) on the timeline."""
    first = round(window.start_s * window.sampling_rate_hz)
    return tuple((first + a, first + b) for a, b in runs_of(missing))
