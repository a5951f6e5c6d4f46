"""`python -m train.polarity`: fit what tells a lead from one that is worn the other way round; write
`edge_runtime/polarity.json`.

PTB-XL's fold 8, which no net was trained on, through the default bundle: each lead as it is and with its sign turned.
A logistic without a bias, since turning the lead turns every feature.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

import edge_runtime
from edge_runtime import polarity
from edge_runtime.analysis import analyse_window, read
from edge_runtime.backends import Backend, open_backend
from edge_runtime.bundle import Model, load_bundle
from edge_runtime.library import cache_folder
from edge_runtime.windows import Window
from train.datasets import ptbxl
from train.logistic import newton

PLACE = Path(edge_runtime.__file__).parent / "polarity.json"
_RIDGE = 1.0


def rows_of(
    mv: NDArray[np.float64], rate: float, lead: str, model: Model, backend: Backend
) -> list[tuple[bool, NDArray[np.float64]]]:
    """(upright, features) of the lead as it is and turned, where the window is measured at all."""
    found = []
    for sign in (1, -1):
        window = Window(sign * mv, rate, 0.0, len(mv) / rate, lead)
        if analyse_window(window, model, backend).state != "ok":
            continue
        reading = read(window.samples_mv, rate, model, backend)
        found.append((sign > 0, reading.polarity(model)))
    return found


def fit(rows: list[tuple[bool, NDArray[np.float64]]]) -> list[float]:
    """(len(FEATURES),) weights."""
    x, y = np.array([values for _, values in rows]), np.array([up for up, _ in rows], np.float64)
    scale = np.sqrt((x**2).mean(0)) + 1e-9
    w = newton(x / scale, y, _RIDGE * np.eye(x.shape[1]), np.zeros(x.shape[1]))
    return [round(float(v), 4) for v in w / scale]


def main() -> None:
    bundle = load_bundle()
    backend = open_backend(bundle)
    rows: dict[str, list[tuple[bool, NDArray[np.float64]]]] = {lead: [] for lead in ptbxl.LEADS}
    for record in tqdm([r for r in ptbxl.records(cache_folder() / "ptbxl") if r.fold == ptbxl.VALIDATION_FOLD]):
        whole = ptbxl.read(record)
        for lead in ptbxl.LEADS:
            mv = whole.lead(lead).millivolts
            rows[lead] += rows_of(mv, whole.sampling_rate_hz, lead, bundle.model, backend)
    said: dict[str, Any] = {
        "fitted_on": "PTB-XL 1.0.3, fold 8",
        "bundle": bundle.model.id,
        "windows": {lead: len(own) for lead, own in rows.items()},
        "features": list(polarity.FEATURES),
        "weights": {lead: fit(own) for lead, own in rows.items()},
    }
    PLACE.write_text(json.dumps(said, indent=1) + "\n")
    print(PLACE, said)


if __name__ == "__main__":
    main()
