from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from edge_runtime.delineation import QRS, P, T
from train.datasets.annotations import read_waves
from train.generate import synthetic_windows, write_wfdb
from train.generators import rhythms
from train.generators.beats import TABLE, add_table, morphology, p_table, qrs_table, t_table
from train.generators.conditions import CONDITIONS, FROM_A_VENTRICLE, PACED, Condition, Seen
from train.generators.hearts import RATE_HZ, synthetic_window

EVERY = (*CONDITIONS, FROM_A_VENTRICLE, PACED)


def _complex_of(condition: Condition) -> Callable[[np.random.Generator], np.ndarray]:
    return lambda rng: qrs_table(rng, Seen(condition, int(rng.integers(3))))


@pytest.mark.parametrize("table", [p_table, t_table, *map(_complex_of, EVERY)])
def test_every_wave_begins_and_ends_at_nothing(table) -> None:
    for seed in range(60):
        y = table(np.random.default_rng(seed))
        assert y.shape == (TABLE,)
        assert abs(y[0]) < 1e-6
        assert abs(y[-1]) < 1e-6
        assert np.abs(y).max() == pytest.approx(1.0)


def test_a_wave_touches_no_sample_outside_its_onset_and_offset() -> None:
    x = np.zeros(1000)
    add_table(x, 500.0, 0.5013, 0.0907, qrs_table(np.random.default_rng(3), Seen()), 1.0)
    where = np.flatnonzero(x) / 500
    assert where.min() >= 0.5013
    assert where.max() <= 0.592
    add_table(x, 500.0, -0.05, 0.1, np.ones(TABLE), 1.0)
    assert x[0] == 1.0, "a wave that was begun before the window goes on in it"


def test_each_fiducial_is_where_its_wave_leaves_and_meets_the_baseline() -> None:
    """Each beat alone, without ST level and U wave: the first and last sample that is not zero, against the label."""
    from dataclasses import replace

    from train.generators.hearts import _draw_beat
    from train.generators.rhythms import Beat

    step = 1 / RATE_HZ
    for seed in range(150):
        rng = np.random.default_rng(seed)
        shape = replace(morphology(rng, Seen(EVERY[seed % len(EVERY)])), st_mv=0.0, u_mv=0.0, spike_mv=0.0)
        for beat, kinds in ((Beat(1.0, None), {P}), (Beat(None, 1.2, 0.42), {QRS, T})):
            x = np.zeros(1500)
            waves = {w.kind: w for w in _draw_beat(rng, x, beat, shape, 1.0)}
            assert set(waves) == kinds
            where = np.flatnonzero(np.abs(x) > 1e-7) / RATE_HZ
            first, last = min(waves.values(), key=lambda w: w.onset_s), max(waves.values(), key=lambda w: w.offset_s)
            assert first.onset_s <= where.min() <= first.onset_s + 4 * step
            assert last.offset_s - 4 * step <= where.max() <= last.offset_s
            if T in waves and waves[T].onset_s > waves[QRS].offset_s + 4 * step:  # a pause of zeros between the two
                t = np.arange(1500) / RATE_HZ
                pause = (t > waves[QRS].offset_s) & (t < waves[T].onset_s)
                assert np.abs(x[pause]).max(initial=0.0) < 1e-9
                assert np.abs(x[(t > waves[QRS].offset_s - 5 * step) & (t < waves[QRS].offset_s)]).max() > 0
                assert np.abs(x[(t > waves[T].onset_s) & (t < waves[T].onset_s + 8 * step)]).max() > 0


def test_the_same_seed_and_number_is_the_same_heart() -> None:
    a, b, c = (synthetic_window(np.random.default_rng([1, i])) for i in (5, 5, 6))
    assert np.array_equal(a.samples_mv, b.samples_mv)
    assert a.waves == b.waves
    assert not np.array_equal(a.samples_mv, c.samples_mv)


def test_windows_are_written_as_wfdb_with_their_fiducials(tmp_path: Path) -> None:
    from edge_runtime.records import read_record

    for index in range(12):
        window = synthetic_window(np.random.default_rng([1, index]))
        write_wfdb(window.samples_mv, window.waves, f"synthetic {window.rhythm}", "w", tmp_path)
        lead = read_record(tmp_path / "w").lead()
        assert np.abs(lead.millivolts - window.samples_mv).max() < 0.0006
        found = [w for w in read_waves(tmp_path / "w", "atr", RATE_HZ) if w.kind == QRS and w.onset_s and w.offset_s]
        known = [w for w in window.waves if w.kind == QRS and w.onset_s > 0 and w.offset_s < 9.99]
        assert len(found) >= len(known) - 2, "one under a P or T of another focus may be read as two"
        if window.rhythm == "sinus":
            assert all(abs(a.onset_s - b.onset_s) < 0.005 for a, b in zip(found, known, strict=True))


def test_windows_do_not_depend_on_how_they_were_shared_out() -> None:
    whole, part = synthetic_windows(9, 30), synthetic_windows(9, 10, first=20)
    assert np.array_equal(whole.signal_uv[20:], part.signal_uv)


@pytest.mark.parametrize("make", [r for _, r in rhythms.RHYTHMS], ids=lambda r: r.__name__)
def test_every_rhythm_keeps_to_physiology(make) -> None:
    for seed in range(60):
        r = make(np.random.default_rng(seed), 11.0)
        onsets = sorted(b.qrs_onset_s for b in r.beats if b.qrs_onset_s is not None)
        assert np.diff(onsets).min() > 0.2
        assert np.diff(onsets).max() < 6.0
        for b in r.beats:
            if b.p_onset_s is not None and b.qrs_onset_s is not None:
                assert 0.06 <= b.qrs_onset_s - b.p_onset_s <= 0.36
            if b.qrs_onset_s is not None:
                assert 0.15 <= b.qt_s <= 0.66
        assert r.p_waves == any(b.p_onset_s is not None for b in r.beats)


def test_the_hearts_are_many_and_wide() -> None:
    windows = [synthetic_window(np.random.default_rng([2, i])) for i in range(300)]
    assert {w.rhythm for w in windows} >= {"sinus", "af", "ectopy", "av_block", "flutter", "junctional"}
    qrs = [1e3 * (v.offset_s - v.onset_s) for w in windows for v in w.waves if v.kind == QRS]
    assert min(qrs) < 65
    assert max(qrs) > 160
    with_p = [w for w in windows if any(v.kind == P for v in w.waves)]
    assert 0.5 < len(with_p) / len(windows) < 0.95
    sizes = [morphology(np.random.default_rng(i), Seen()).qrs_mv for i in range(300)]
    assert np.percentile(sizes, 90) / np.percentile(sizes, 10) > 3
