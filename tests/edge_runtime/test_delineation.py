from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from edge_runtime.delineation import QRS, P, T, Wave, beats_of
from tests.fakes import GRID, ecg_of, logits_of, regular_waves


@given(st.floats(0.2, 9.0), st.floats(0.06, 0.3))
def test_a_wave_that_is_drawn_is_read_where_it_was(onset: float, duration: float) -> None:
    (wave,) = GRID.read(logits_of([Wave(QRS, onset, onset + duration)]))
    assert abs(wave.onset_s - onset) < 0.0015
    assert abs(wave.offset_s - onset - duration) < 0.0015
    assert wave.confidence > 0.7


def test_masks_of_nothing_and_of_everything_hold_no_wave() -> None:
    assert GRID.read(np.full((3, 1280), -30, np.float32)) == []
    assert GRID.read(np.full((3, 1280), 30, np.float32)) == []
    assert GRID.read(np.full((3, 1280), np.float32(1e9))) == []


@given(st.integers(0, 2**32 - 1))
def test_no_masks_make_it_raise(seed: int) -> None:
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 5, (3, 1280)).astype(np.float32)
    waves = GRID.read(logits)
    assert waves == sorted(waves, key=lambda w: w.onset_s)
    assert all(w.offset_s > w.onset_s for w in waves)
    beats_of(waves, rng.normal(size=2500).astype(np.float32), 250.0)


def test_runs_with_a_crack_are_one_wave_and_specks_are_none() -> None:
    cracked = [Wave(T, 1.0, 1.1), Wave(T, 1.112, 1.25), Wave(P, 3.0, 3.012)]
    waves = GRID.read(logits_of(cracked))
    assert [(w.kind, round(w.onset_s, 2), round(w.offset_s, 2)) for w in waves] == [(T, 1.0, 1.25)]


def test_beats_take_their_own_p_and_t() -> None:
    waves = regular_waves(rr_s=0.8)
    beats = beats_of(waves, ecg_of(waves, 250).astype(np.float32), 250)
    assert len(beats) == sum(w.kind == QRS for w in waves)
    for beat in beats[1:-1]:
        assert beat.p and beat.t
        assert abs(beat.qrs.onset_s - beat.p.onset_s - 0.16) < 1e-9
        assert abs(beat.t.offset_s - beat.qrs.onset_s - 0.38) < 1e-9
        assert abs(beat.r_peak_s - (beat.qrs.onset_s + 0.045)) < 0.002


def test_a_blocked_p_belongs_to_no_beat_but_the_next() -> None:
    waves = [Wave(P, 1.0, 1.1), Wave(P, 2.0, 2.1), Wave(QRS, 2.2, 2.3), Wave(T, 2.4, 2.6)]
    (beat,) = beats_of(waves, np.zeros(2500, np.float32), 250)
    assert beat.p == waves[1]
