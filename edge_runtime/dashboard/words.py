"""What the page says: states, reasons and rhythms in plain words. The codes are those of report.schema.json."""

from __future__ import annotations

NOTICE = "Research use only; not a medical device."

# What is the matter, and what it means or what to do.
STATES = {
    "disconnected": ("Unplugged", "The port is gone. Monitoring goes on by itself when the device comes back."),
    "silent": (
        "The device is silent",
        "It is connected and sends nothing. Is it switched on, and is it the right board?",
    ),
    "clock": ("Measuring the sampling rate", "It is not known yet, or too low to carry an ECG."),
    "warming_up": ("Warming up", "The first ten seconds have to be seen before anything is said."),
    "gap": ("Samples are missing", "More was lost in the last ten seconds than can be bridged."),
    "lead_off": (
        "No electrodes",
        "The device says that an electrode is off. Values come back ten seconds after contact.",
    ),
    "poor_signal": ("Signal too poor to measure", "Check that the electrodes sit well, and keep still."),
    "short": ("A short recording", "Less than ten seconds were recorded."),
    "ok": ("Measuring", ""),
}

WHYS = {
    "disconnected": "unplugged",
    "silent": "the device is silent",
    "clock": "sampling rate not known",
    "warming_up": "warming up",
    "gap": "samples are missing",
    "lead_off": "no electrodes",
    "poor_signal": "signal too poor",
    "flat": "a flat line",
    "clipped": "signal is cut off at its limits",
    "mains": "mains hum",
    "muscle": "muscle noise",
    "motion": "movement",
    "low_amplitude": "signal too small",
    "implausible_rate": "no plausible heart rate",
    "noise": "too noisy",
    "ectopy": "beats of many shapes",
    "no_p_wave": "no P wave found",
    "few_beats": "too few beats",
    "uncertain": "too uncertain to say",
    "no_head": "not in this model",
}

SWAPPED = "The lead is upside down. Rate and intervals are measured all the same; the shape of the waves is not theirs."

# Of reports, of the ribbon, and of episodes.
RHYTHMS = {
    "normal": "Normal rhythm",
    "af": "Atrial fibrillation",
    "other": "Other rhythm",
    "noisy": "Too noisy",
    "uncertain": "Uncertain",
    "noise": "Too noisy",
    "absent": "No signal",
    "inverted": "Electrodes look swapped",
    **{code: title for code, (title, _) in STATES.items()},
}


def words() -> dict[str, object]:
    """What the page is given when it connects."""
    return {"notice": NOTICE, "states": STATES, "whys": WHYS, "rhythms": RHYTHMS, "swapped": SWAPPED}
