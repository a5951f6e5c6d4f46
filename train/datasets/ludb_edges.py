"""LUDB leaves about two beats a record unmarked at its edges; a heart rate needs them. Found here, kept as indices.

`python -m train.datasets.ludb_edges` writes `ludb_edge_beats.json` (record -> samples at 500 Hz). Beats are found where
the twelve leads' summed QRS energy stands out as it does at the annotated beats, and placed by correlation with the
annotated beat that they are most like.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge_runtime.conditioning import condition
from edge_runtime.delineation import QRS
from edge_runtime.library import cache_folder
from train.datasets import ludb

PATH = Path(__file__).with_name("ludb_edge_beats.json")
RATE = 250.0
_REFRACTORY_S = 0.28
_ENERGY_SHARE = 0.35  # of the median annotated beat's
_SURE_SHARE = 0.7  # energy with which a beat unlike all annotated ones (an extrasystole) is believed
_ALIKE, _ALIKE_AT_BORDER = 0.75, 0.92  # correlation over twelve leads
_BORDER_S, _CUT_S = 0.06, 0.03  # where a filter's own edge looks like a beat; where no R peak can be told
_HALF = 20  # samples of a template on each side


def load() -> dict[str, list[int]]:
    """Record name to the sample numbers (500 Hz) of its unannotated beats."""
    loaded: dict[str, list[int]] = json.loads(PATH.read_text())
    return loaded


def edge_beats(leads: list[ludb.LudbLead]) -> list[int]:
    """Samples at the leads' rate of the beats before the first and after the last annotated one."""
    x = np.stack([condition(lead.samples_mv, lead.sampling_rate_hz) for lead in leads]).astype(np.float64)
    slope = np.gradient(x, axis=1)
    energy = np.sqrt(np.convolve((slope**2).sum(0), np.ones(15) / 15, "same"))
    marks: list[list[float]] = [[w.peak_s for w in lead.waves if w.kind == QRS] for lead in leads]
    best = max(marks, key=len)
    annotated = [round(s * RATE) for s in best]
    typical = float(np.median([energy[max(0, a - 15) : a + 16].max() for a in annotated]))
    found: list[int] = []
    refractory = round(_REFRACTORY_S * RATE)
    for low, high in ((0, annotated[0] - refractory), (annotated[-1] + refractory, x.shape[1])):
        allowed = np.zeros(x.shape[1], bool)
        allowed[max(0, low) : max(0, high)] = True
        while True:
            e = np.where(allowed, energy, 0.0)
            at = int(e.argmax())
            if e[at] < _ENERGY_SHARE * typical:
                break
            allowed[max(0, at - refractory) : at + refractory + 1] = False
            # A rise towards the border of the stretch belongs to the annotated beat beyond it.
            if 0 < at < x.shape[1] - 1 and not (energy[at - 1] < energy[at] >= energy[at + 1]):
                continue
            alike, place = _placed(x, at, annotated)
            to_border_s = min(place, x.shape[1] - place) / RATE
            at_border = to_border_s < _BORDER_S
            if to_border_s < _CUT_S:
                continue
            if alike >= (_ALIKE_AT_BORDER if at_border else _ALIKE) or (
                e[at] >= _SURE_SHARE * typical and not at_border
            ):
                found.append(place)
    return sorted(round(at * leads[0].sampling_rate_hz / RATE) for at in found)


def _placed(x: NDArray[np.float64], at: int, annotated: list[int]) -> tuple[float, int]:
    """How much, and where near `at`, the leads are like an annotated beat around its R peak."""
    best, place = 0.0, at
    for centre in annotated:
        if centre < _HALF or centre + _HALF >= x.shape[1]:
            continue
        template = x[:, centre - _HALF : centre + _HALF + 1]
        for candidate in range(max(2, at - 15), min(x.shape[1] - 2, at + 16)):
            a, b = max(0, candidate - _HALF), min(x.shape[1], candidate + _HALF + 1)
            piece, part = x[:, a:b], template[:, a - candidate + _HALF : b - candidate + _HALF]
            score = float((piece * part).sum() / (np.linalg.norm(piece) * np.linalg.norm(part) + 1e-9))
            if score > best:
                best, place = score, candidate
    return best, place


def main() -> None:
    folder = cache_folder() / "ludb"
    beats = {record: edge_beats(ludb.read(folder, record)) for record in ludb.records(folder)}
    PATH.write_text(json.dumps(beats, separators=(",", ":")).replace('],"', '],\n"') + "\n")
    print(f"{PATH.name}: {sum(map(len, beats.values()))} beats in {len(beats)} records")


if __name__ == "__main__":
    main()
