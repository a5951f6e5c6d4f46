"""The recorded waveform, as the `wfdb` package and our own reader see it."""

from __future__ import annotations

import resource
import warnings
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
import wfdb
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_runtime.records import read_record
from edge_runtime.sinks.recorder import Recorder, replay
from edge_runtime.sinks.waveform import Waveform
from firmware_bridge.boards import BOARDS, Board
from firmware_bridge.clock import Clock, Samples, Scale
from firmware_bridge.frames import to_millivolts
from tests.edge_runtime.test_monitor import events, record
from tests.fakes import FakeBackend, model_that_states_all

START = datetime(2026, 3, 1, 23, 59, 59, 250_000, UTC)


def utc_of(arrival_s: float) -> datetime:
    return START + timedelta(seconds=arrival_s)


USUAL = Scale(5e6, 1024, "II", 11)


def samples(
    counts: list[int] | np.ndarray,
    index: int = 0,
    scale: Scale = USUAL,
    rate: float = 250.0,
    arrival_s: float = 0.0,
) -> Samples:
    mv = to_millivolts(np.asarray(counts), scale.picovolts_per_count, scale.zero_count)
    return Samples(index, mv, rate, scale.lead, arrival_s, scale=scale)


def written(folder: Path, *pieces: Samples) -> None:
    waveform = Waveform(folder, utc_of)
    for piece in pieces:
        waveform.write(piece)
    waveform.close()


def digital(path: Path) -> wfdb.Record:
    return wfdb.rdrecord(str(path), physical=False)


def test_it_opens_in_wfdb_with_its_rate_gain_units_lead_start_and_gaps(tmp_path: Path) -> None:
    written(tmp_path, samples([1024, 1224, 824]), samples([1025], index=8), samples([], index=9))
    made = wfdb.rdrecord(str(tmp_path / "ecg"))
    assert (made.fs, made.units, made.sig_name, made.sig_len) == (250, ["mV"], ["II"], 9)
    assert (made.adc_gain, made.baseline, made.adc_zero, made.adc_res) == ([200.0], [1024], [1024], [11])
    assert made.base_datetime == START.replace(tzinfo=None)
    assert made.p_signal[:, 0] == pytest.approx([0, 1, -1, *[np.nan] * 5, 0.005], nan_ok=True)
    raw = digital(tmp_path / "ecg")
    assert raw.calc_checksum()[0] % 65536 == made.checksum[0] % 65536  # which a header may state with a sign
    assert made.init_value == [1024]


@settings(max_examples=40)
@given(data=st.data(), board=st.sampled_from([b for b in BOARDS.values() if b.bits]))
def test_every_count_of_every_board_comes_back(
    tmp_path_factory: pytest.TempPathFactory, board: Board, data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("w")
    scale = Clock(board)._scale
    low, high = board.count_range
    counts = data.draw(st.lists(st.integers(low, high) | st.sampled_from([low, high]), min_size=1, max_size=60))
    rate = data.draw(st.floats(100.0, 1000.0))
    piece = samples(counts, scale=scale, rate=rate)
    written(folder, piece)
    back = read_record(folder / "ecg")
    lead = back.lead()
    held = np.maximum(counts, -32767 if low == -32768 else low)  # 16 bits keep their lowest for what is missing
    assert np.array_equal(lead.counts, held)
    assert not lead.missing.any()
    assert back.sampling_rate_hz == rate
    assert lead.millivolts == pytest.approx(to_millivolts(held, scale.picovolts_per_count, scale.zero_count), rel=1e-12)
    raw = digital(folder / "ecg")
    assert np.array_equal(raw.d_signal[:, 0], held)
    assert raw.fmt == (["32"] if high > 32767 else ["16"])
    assert raw.calc_checksum()[0] % 65536 == raw.checksum[0] % 65536


def test_another_rate_lead_or_gain_and_a_long_absence_begin_another_record(tmp_path: Path) -> None:
    one, other = Scale(5e6, 0, "I", 12), Scale(4e6, 0, "I", 12)
    written(
        tmp_path,
        samples([1, 2], scale=one),
        samples([3], index=2, scale=other),
        samples([4], index=3, scale=other, rate=500.0),
        samples([5], index=4, scale=Scale(4e6, 0, "V5", 12), rate=500.0),
        samples([6], index=4 + 601 * 500, scale=Scale(4e6, 0, "V5", 12), rate=500.0, arrival_s=601.0),
    )
    names = ["ecg", "ecg_2", "ecg_3", "ecg_4", "ecg_5"]
    made = [wfdb.rdrecord(str(tmp_path / name), physical=False) for name in names]
    assert [m.d_signal[:, 0].tolist() for m in made] == [[1, 2], [3], [4], [5], [6]]
    assert [(m.fs, m.sig_name[0], m.adc_gain[0]) for m in made] == [
        (250, "I", 200),
        (250, "I", 250),
        (500, "I", 250),
        (500, "V5", 250),
        (500, "V5", 250),
    ]
    assert made[4].base_datetime - made[3].base_datetime == timedelta(seconds=601)


def test_a_count_that_16_bits_do_not_hold_begins_a_wider_record(tmp_path: Path) -> None:
    written(tmp_path, samples([1]), samples([70_000], index=1), samples([2], index=2))
    assert digital(tmp_path / "ecg").d_signal.tolist() == [[1]]
    assert digital(tmp_path / "ecg_2").d_signal.tolist() == [[70_000], [2]]


def test_a_device_that_is_another_every_second_does_not_fill_the_folder(tmp_path: Path) -> None:
    written(tmp_path, *(samples([i], index=i, rate=250.0 + i) for i in range(520)))
    assert len(list(tmp_path.glob("*.hea"))) == 500


def test_a_lead_name_from_the_wire_stays_in_its_line(tmp_path: Path) -> None:
    written(tmp_path, samples([1], scale=Scale(5e6, 0, "I\n# x\n/etc/passwd 16", 12)))
    lines = (tmp_path / "ecg.hea").read_text().splitlines()
    assert len(lines) == 3
    assert wfdb.rdheader(str(tmp_path / "ecg")).n_sig == 1


def test_at_any_moment_the_header_is_of_what_the_file_holds(tmp_path: Path) -> None:
    """As a kill would leave it: what was flushed, and nothing of what was not."""
    waveform = Waveform(tmp_path, utc_of)
    for i in range(47):
        waveform.write(samples(np.arange(250), index=250 * i))
        waveform.flush()
        if i % 6 == 0:
            seen = read_record(tmp_path / "ecg").lead()
            assert i * 250 - 9 * 250 <= len(seen.counts) <= (i + 1) * 250
            assert np.array_equal(seen.counts, np.tile(np.arange(250), 60)[: len(seen.counts)])
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                assert digital(tmp_path / "ecg").sig_len == len(seen.counts)
    waveform.close()
    assert digital(tmp_path / "ecg").sig_len == 47 * 250


def test_the_clock_may_be_set_after_the_recording_began(tmp_path: Path) -> None:
    set_by = [timedelta(0)]
    waveform = Waveform(tmp_path, lambda arrival_s: utc_of(arrival_s) + set_by[0])
    waveform.write(samples([1, 2, 3], arrival_s=1.0))
    waveform.flush()
    set_by[0] = timedelta(days=20_000 // 24)
    waveform.close()
    assert digital(tmp_path / "ecg").base_datetime == (utc_of(1.0) + set_by[0]).replace(tzinfo=None)


def test_a_full_disk_keeps_what_was_complete(tmp_path: Path) -> None:
    """A limit on the size of files fails as a full disk does, in the middle of a write."""
    told: list[str] = []
    keeper = Recorder(tmp_path / "r", "port", "native", told.append, utc_of=utc_of)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, limits[1]))
    try:
        clock_s = 0.0
        for i in range(60):
            clock_s = float(i)
            keeper.samples(samples(np.arange(250), index=250 * i, arrival_s=clock_s))
            keeper.event("data", clock_s, bytes(100))
            keeper.event("tick", clock_s)
        keeper.close()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert len(told) == 1
    assert "stopped (File too large); what was complete can be replayed" in told[0]
    kept = digital(tmp_path / "r" / "ecg").d_signal[:, 0]
    assert len(kept) >= 250 * 30
    assert np.array_equal(kept, np.tile(np.arange(250), 60)[: len(kept)])
    assert list(replay(tmp_path / "r", model_that_states_all(), FakeBackend())), "the silence that it recorded"


def test_what_a_session_recorded_is_the_record_that_was_played(tmp_path: Path) -> None:
    """Through the wire, with an unplugged device: the gap is in its place, and nothing else is missing."""
    from tests.edge_runtime.test_monitor import stream_of

    what = record(16.0)
    keeper = Recorder(tmp_path / "r", "port", "native", lambda message: None, {"bundle": "b@1"}, utc_of)
    stream = stream_of(FakeBackend())
    stream.watchers.append(keeper.samples)
    for event in events(what, "unplug@6+3"):
        keeper.event(*event)
        list(stream.handle(*event))
    keeper.close()
    back, lead = read_record(tmp_path / "r" / "ecg").lead(), what.lead()
    away = np.flatnonzero(back.missing)
    assert away[0] == pytest.approx(6 * 250, abs=5)
    assert len(away) == pytest.approx(3 * 250, abs=6)
    assert np.array_equal(np.flatnonzero(back.missing), np.arange(away[0], away[-1] + 1))
    here = ~back.missing
    assert np.array_equal(back.counts[here], lead.counts[: len(here)][here])
    assert np.array_equal(back.millivolts[here], lead.millivolts[: len(here)][here])
