"""How other programs are asked: in a process of their own, a line an answer, and whatever happens to them."""

from __future__ import annotations

import json
import stat
import sys
from pathlib import Path

import numpy as np
import pytest

from edge_runtime.bundle import DEFAULT
from edge_runtime.errors import UsageError
from tests.fakes import ecg_of, regular_waves
from train import peers
from train.peers import Answer, about, ask, installed, measures
from train.peers.finders import _REACH_S, BEATS_BY, EVERY, OUR_BEATS, OURS, PEERS, _beats_of, _of_beats
from train.peers.words import BEATS, UNUSABLE
from train.peers.worker import closure, size_bytes

HERE = Path(sys.executable)
HEART = (ecg_of(regular_waves(rr_s=0.8), 250.0), 250.0)
SLOW = (ecg_of(regular_waves(rr_s=1.1), 500.0), 500.0)
NOTHING = (np.empty(0), 250.0)


def ask_ours(*signals: peers.Signal, **more: object) -> peers.Asked:
    return ask(OURS, signals, HERE, bundle=str(DEFAULT), **more)  # type: ignore[arg-type]


def test_each_signal_has_an_answer_and_one_that_fails_costs_no_other() -> None:
    asked = ask_ours(HEART, NOTHING, SLOW)
    first, empty, last = asked.answers
    assert measures(first, 10.0)["hr_bpm"] == pytest.approx(75, abs=0.5)
    assert measures(last, 10.0)["hr_bpm"] == pytest.approx(60 / 1.1, abs=0.5)
    assert set(measures(empty, 10.0).values()) == {None}
    assert first.processor_ms > 0 and first.wall_ms > 0
    assert (asked.peak_mb or 0) > 20
    assert [a.failed for a in ask_ours(HEART, limit_s=1e-5).answers] == ["TimeoutError: no answer within 1e-05 s"]


def test_what_is_kept_is_not_asked_again_and_half_a_line_is(tmp_path: Path) -> None:
    whole = ask_ours(HEART, SLOW, kept=tmp_path)
    (path,) = tmp_path.iterdir()
    lines = path.read_text().splitlines(keepends=True)
    assert [len(lines), "peak_mb" in lines[-1]] == [3, True]
    marked = json.loads(lines[0]) | {"wall_ms": 12345.0}
    path.write_text(json.dumps(marked) + "\n" + lines[1][: len(lines[1]) // 2])
    again = ask_ours(HEART, SLOW, kept=tmp_path)
    assert again.answers[0].wall_ms == 12345.0, "it was there"
    assert again.answers[1].values == whole.answers[1].values
    ask_ours(SLOW, HEART, kept=tmp_path)
    assert len(list(tmp_path.iterdir())) == 2, "other signals are another question"


def python_that(answers: str, tmp_path: Path) -> Path:
    """An interpreter that says what it is asked about, and does this when it is to answer."""
    script = tmp_path / "python"
    script.write_text(f'#!/bin/sh\nif [ "$3" = about ]; then exec {sys.executable} "$@"; fi\n{answers}\n')
    script.chmod(script.stat().st_mode | stat.S_IXUSR)
    return script


def test_a_process_that_dies_costs_the_signal_that_killed_it(tmp_path: Path) -> None:
    """This one dies at every second signal."""
    line = json.dumps(dict(peers.EMPTY))
    dies = python_that(f"test -e {tmp_path}/one && rm {tmp_path}/one && exit 139\ntouch {tmp_path}/one\n"
                       f"echo '{line}' >> \"$5\"\nexit 139", tmp_path)  # fmt: skip
    asked = ask(OURS, [HEART] * 4, dies, bundle=str(DEFAULT))
    assert [a.failed for a in asked.answers] == [None, "the process ended with code 139"] * 2
    assert asked.peak_mb is None


def test_one_that_is_not_there_says_what_to_do(tmp_path: Path) -> None:
    gone = tmp_path / "python"
    gone.write_text(f"#!/bin/sh\necho 'x is not installed; do this' >&2\nexit {UNUSABLE}\n")
    gone.chmod(0o755)
    with pytest.raises(UsageError, match="x is not installed; do this"):
        about("sleepecg", gone)
    assert not installed("sleepecg", gone)
    with pytest.raises(UsageError, match="leadwire cannot be opened"):
        ask(OURS, [HEART], HERE, bundle="/nowhere")


def test_ours_finds_every_beat_of_a_long_recording_once() -> None:
    waves = regular_waves(rr_s=0.8, seconds=47.0)
    (answer,) = ask(OUR_BEATS, [(ecg_of(waves, 250.0, 47.0), 250.0)], HERE, bundle=str(DEFAULT)).answers
    known = [(w.onset_s + w.offset_s) / 2 for w in waves if w.kind == 1]
    assert answer.marks["R"] == pytest.approx(known, abs=0.01)


@pytest.mark.parametrize("name", [n for n in EVERY if n not in (OURS, OUR_BEATS)])
def test_every_peer_that_is_there_hears_a_heart_that_none_can_miss(name: str) -> None:
    if not installed(name):
        pytest.skip(f"needs {EVERY[name].package}: make peers")
    rate = 250.0  # for which the matched filter has a template
    seconds = 40.0 if name in BEATS_BY else 10.0
    mv = ecg_of(regular_waves(rr_s=0.85, seconds=seconds), rate, seconds)
    mv = mv + np.random.default_rng(3).normal(0, 0.005, len(mv))
    (answer,) = ask(name, [(mv, rate)]).answers
    assert answer.failed is None
    assert measures(answer, seconds)["hr_bpm"] == pytest.approx(60 / 0.85, rel=0.05)
    assert set(answer.marks) <= set(BEATS)


def test_intervals_are_medians_of_beats_that_lie_inside() -> None:
    r = np.array([0.6, 1.6, 2.6, 3.6, 9.4])
    marks = {
        "R": r,
        "P onset": r - np.array([0.3, 0.16, 0.18, 0.16, 0.16]),  # the first is outside
        "QRS onset": r - 0.04,
        "QRS offset": np.array([0.65, np.nan, 2.65, np.nan, 9.6]),  # one too few, and one outside
        "T offset": r + np.array([0.3, 0.32, 0.34, 0.36, 0.3]),  # the last is outside
    }
    found = measures(Answer(marks, None, None, 1.0, 1.0), 10.0)
    assert found["hr_bpm"] == pytest.approx(60 * 4 / 8.8)
    assert found["pr_ms"] == pytest.approx(120)
    assert found["qrs_ms"] is None
    assert found["qt_ms"] == pytest.approx(370)
    numbers = Answer({}, {"hr_bpm": 71.0, "pr_ms": None}, None, 1.0, 1.0)
    assert measures(numbers, 10.0) == {"hr_bpm": 71.0, "pr_ms": None, "qrs_ms": None, "qt_ms": None}


def test_segments_become_beats_by_their_neighbours() -> None:
    waves = [("T", 0.1, 0.2), ("P", 0.6, 0.7), ("P", 0.8, 0.9), ("QRS", 1.0, 1.1), ("T", 1.3, 1.5), ("T", 1.6, 1.7)]
    waves += [("QRS", 2.0, 2.1), ("QRS", 3.0, 3.1), ("T", 3.3, 3.4)]
    found = _beats_of(waves)
    assert np.array_equal(found["P onset"], [0.8, np.nan, np.nan], equal_nan=True)
    assert np.array_equal(found["T offset"], [1.5, np.nan, 3.4], equal_nan=True)
    assert found["R"] == pytest.approx([1.05, 2.05, 3.05])


def test_a_list_that_leaves_beats_out_is_given_to_the_beats_that_it_is_of() -> None:
    peaks = np.array([1.0, 1.9, 2.8])
    assert np.array_equal(_of_beats(np.array([0.82, 2.61]), peaks, "P onset"), [0.82, np.nan, 2.61], equal_nan=True)
    assert np.array_equal(_of_beats(np.array([1.3, 3.2]), peaks, "T offset"), [1.3, np.nan, 3.2], equal_nan=True)
    assert all(point in _REACH_S or point.split()[0] in _REACH_S for point in BEATS if point not in ("R", "QRS peak"))


def test_an_install_is_counted_with_all_that_it_needs() -> None:
    assert closure(("numpy",)) == ["numpy"]
    more = closure(("jsonschema",))
    assert {"jsonschema", "referencing", "attrs"} <= set(more)
    assert "pytest" not in more
    assert size_bytes("numpy") > 10e6
    assert about(OURS, HERE)["install_mb"] > size_bytes("numpy") / 1e6
    assert all(peer.installs for peer in PEERS.values())
