from __future__ import annotations

import itertools
import os
import threading
from pathlib import Path

import numpy as np
import pytest

from firmware_bridge.boards import BOARDS, Board
from firmware_bridge.clock import Samples
from firmware_bridge.faults import Faults
from firmware_bridge.frames import Info, to_millivolts
from firmware_bridge.link import Link, LinkEvent, PortError, explain
from firmware_bridge.receiver import Receiver
from firmware_bridge.simulator import Conversation, Wearable, play
from tests.firmware_bridge.boards import TABLE

INFO = Info(1, 250, 1, 1_000_000, 0, 12, 5, 0, 0, "simulated", "t", "I")


def test_the_ledger_is_exact() -> None:
    device = Wearable(np.arange(5000, dtype=np.int32), INFO, Faults.parse("drop=0.1,lead_off@2+1"), seed=4)
    receiver = Receiver(BOARDS["native"])
    samples = receiver.feed(device.describe(0.0), 0.0)
    for due_s, data in device.frames():
        if data:
            samples += receiver.feed(data, due_s)
    got = sum(len(s.millivolts) for s in samples)
    assert device.ledger.samples == 5000
    assert got == 5000 - device.ledger.dropped_samples
    assert receiver.clock.statistics.lost_frames <= device.ledger.dropped_frames
    assert 60 < device.ledger.dropped_frames < 140
    assert {s.index for s in samples if s.lead_off} <= set(range(500, 750))
    on = [s for s in samples if not s.lead_off]
    assert all(np.allclose(s.millivolts, 1e-3 * (s.index + np.arange(len(s.millivolts)))) for s in on)


def test_the_same_seed_does_the_same() -> None:
    def bytes_of(seed: int) -> list[bytes | None]:
        return [d for _, d in Wearable(np.zeros(2000, np.int32), INFO, Faults.parse("drop=0.2"), seed).frames()]

    assert bytes_of(1) == bytes_of(1) != bytes_of(2)


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ("drop", "fault 'drop': write drop=SHARE, from 0 to 1"),
        ("drop=2", "write drop=SHARE, from 0 to 1"),
        ("drop=nan", "write drop=SHARE"),
        ("drop=0.1;stall@1+1", "write drop=SHARE"),
        ("unplug@3", "write unplug@SECOND[+]SECONDS, from 0"),
        ("stall@-1+3", "write stall@SECOND[+]SECONDS, from 0"),
        ("stall=0.1", "write stall@"),
        ("stall@1+inf", "write stall@"),
        ("banner=1", "write banner and no more"),
        ("baud=0", "write baud=RATE, from 50 to"),
        ("fly@1+2", "fault 'fly@1[+]2': write lead_off@.*banner, drop=SHARE.*drift=PPM"),
        ("=1", "write lead_off@"),
        ("flip=1e-4,flip=1e-5", "flip is there already"),
    ],
)
def test_a_fault_that_is_not_understood_is_named(spec: str, says: str) -> None:
    with pytest.raises(ValueError, match=says) as error:
        Faults.parse(spec)
    assert "\n" not in str(error.value)


# ---- every other board -----------------------------------------------------------------------------------------------

each_board = pytest.mark.parametrize("board", TABLE, ids=lambda b: b.name)


def counts_for(board: Board, seconds: float, seed: int = 1) -> np.ndarray:
    """Anything that the board can say, but for the ends of its range, which would be clipped."""
    assert board.sampling_rate_hz
    low, high = board.count_range
    n = round(seconds * board.sampling_rate_hz / 8) * 8
    return np.random.default_rng(seed).integers(low + 1, high, n).astype(np.int32)


def received(device: Wearable, every_s: float = 0.016) -> tuple[Receiver, list[Samples]]:
    """What a host makes of it that reads every so often."""
    receiver, samples, waiting, read_s = Receiver(device.board), [], b"", every_s
    for due_s, data in device.frames():
        while due_s > read_s:
            samples += receiver.feed(waiting, read_s)
            waiting, read_s = b"", read_s + every_s
        waiting += data or b""
    samples += receiver.feed(waiting, read_s)
    return receiver, samples


@each_board
def test_what_a_board_was_given_arrives_to_the_bit(board: Board) -> None:
    counts = counts_for(board, 9.0)
    assert board.picovolts_per_count is not None
    assert board.zero_count is not None
    receiver, samples = received(Wearable(counts, board))
    cut = receiver.parser.statistics.partial  # the first line of a text may have lost its beginning
    sent = to_millivolts(counts, board.picovolts_per_count, board.zero_count)[cut:]
    assert np.array_equal(np.concatenate([s.millivolts for s in samples]), sent)
    assert np.array_equal(np.concatenate([s.index + np.arange(len(s.millivolts)) for s in samples]), range(len(sent)))
    assert samples[0].sampling_rate_hz == pytest.approx(board.sampling_rate_hz, rel=0.005)
    assert not any(s.lead_off or s.clipped for s in samples)


@each_board
def test_every_sample_of_the_ledger_is_accounted_for(board: Board) -> None:
    device = Wearable(counts_for(board, 12.0), board, Faults.parse("drop=0.02"), seed=2)
    receiver, samples = received(device)
    receiver.clock.link_opened()  # lets go of what was held back until the rate is known
    parsed, clock, ledger = receiver.parser.statistics, receiver.clock.statistics, device.ledger
    got = sum(len(s.millivolts) for s in samples)
    assert ledger.dropped_frames > 0
    assert got + parsed.partial + clock.before_info == ledger.samples - ledger.dropped_samples
    assert parsed.bad_checksum == parsed.malformed == parsed.unknown_type == 0
    if receiver.parser.sequence_bits:
        assert clock.lost_samples == ledger.dropped_samples
        assert samples[-1].index + len(samples[-1].millivolts) == ledger.samples
    elif not board.tells_time:
        assert clock.lost_samples == 0, "nothing on this wire shows a single loss"


@each_board
def test_leads_that_are_off_look_as_on_the_board(board: Board) -> None:
    device = Wearable(counts_for(board, 21.0), board, Faults.parse("lead_off@7+7"))
    _, samples = received(device)
    off = [s for s in samples if s.lead_off]
    if board.lead_off:
        assert off
        assert not any(s.lead_off for s in samples[:5])
    else:
        assert not off
        assert any(s.clipped for s in samples), "all that it shows is an amplifier at its end"


@each_board
def test_a_device_streams_once_its_handshake_is_complete_and_until_it_is_told_to_stop(board: Board) -> None:
    talk = Conversation(Wearable(counts_for(board, 1.0), board))
    assert talk.streaming == (not board.handshake)
    for step in board.handshake:
        assert not talk.streaming
        said = talk.answer(b"\0" + step.send[:1], 0.0) + talk.answer(step.send[1:], 0.0)
        assert said == (board.name.encode() + step.until if step.until else b"")
    assert talk.streaming
    if board.handshake:
        talk.answer(board.farewell, 0.0)
        assert not talk.streaming


def test_a_wearable_that_describes_itself_needs_to_be_told_what_it_is() -> None:
    with pytest.raises(ValueError, match="needs an Info"):
        Wearable(np.zeros(5, np.int32), BOARDS["native"])


def poll_until(link: Link, kind: str) -> list[LinkEvent]:
    """Every event up to the first of a kind. The test's time-out ends a wait for one that never comes."""
    events: list[LinkEvent] = []
    while not events or events[-1].kind != kind:
        event = link.poll()
        if event:
            events.append(event)
    return events


def test_unplugged_and_back_on_a_real_pty(tmp_path: Path) -> None:
    device = Wearable(np.arange(7500, dtype=np.int32) % 1000, INFO, Faults.parse("unplug@4+4"))
    ready = threading.Event()
    player = threading.Thread(target=play, args=(device, tmp_path / "port", 6.0, ready.set), daemon=True)
    player.start()
    ready.wait()
    link, receiver = Link(str(tmp_path / "port"), BOARDS["native"]), Receiver(BOARDS["native"])
    events = [link.open(), *poll_until(link, "lost"), *poll_until(link, "opened"), *poll_until(link, "lost")]
    player.join()
    link.close()
    samples = []
    for event in events:
        if event.kind == "opened":
            receiver.opened()
        samples += receiver.feed(event.data, event.arrival_s) if event.kind == "data" else []
    assert [e.kind for e in events if e.kind != "data"] == ["opened", "lost", "opened", "lost"]
    indices = [s.index for s in samples]
    assert indices[0] == 0
    assert indices == sorted(indices)
    gaps = [b.index - a.index - len(a.millivolts) for a, b in itertools.pairwise(samples)]
    assert max(gaps) >= 4 * 250, "the gap is as long as the device's own clock says"
    assert receiver.clock.statistics.lost_samples == 0, "what was missed while unplugged was not lost on the wire"


@pytest.mark.parametrize("name", ["ad8232-esp32", "ads1292r", "bitalino", "chords-uno-r3", "cyton"])
def test_a_board_is_asked_and_streams_on_a_real_pty(name: str, tmp_path: Path) -> None:
    board = BOARDS[name]
    device = Wearable(counts_for(board, 4.0), board)
    ready = threading.Event()
    player = threading.Thread(target=play, args=(device, tmp_path / "port", 10.0, ready.set), daemon=True)
    player.start()
    ready.wait()
    link, receiver = Link(str(tmp_path / "port"), board), Receiver(board)
    for event in [link.open(), *poll_until(link, "lost")]:
        receiver.feed(event.data, event.arrival_s)
    player.join()
    link.close()
    good = receiver.parser.statistics.good
    assert good > 0
    if not device.ledger.overrun_bytes:  # a host that is too busy to read loses some, and the ledger says so
        assert device.ledger.frames - 2 <= good <= device.ledger.frames


def test_a_board_is_told_to_stop_when_its_port_is_closed() -> None:
    master, slave = os.openpty()
    link = Link(os.ttyname(slave), BOARDS["cyton"])
    link.open()
    link.close()
    said = b""
    while len(said) < 2:  # a tty gives what it has; the test's time-out ends a wait for what never comes
        said += os.read(master, 100)
    assert said == b"vs"
    os.close(master)
    os.close(slave)


def test_a_port_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(PortError, match="no such port; is the device plugged in"):
        Link(str(tmp_path / "none"), BOARDS["native"]).open()


def test_a_file_is_no_port(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("x")
    with pytest.raises(PortError, match="no serial port"):
        Link(str(path), BOARDS["native"]).open()


def test_a_port_that_another_has_open() -> None:
    master, slave = os.openpty()
    path = os.ttyname(slave)
    first = Link(path, BOARDS["native"])
    first.open()
    with pytest.raises(PortError, match="another program has it open"):
        Link(path, BOARDS["native"]).open()
    first.close()
    os.close(master)
    os.close(slave)


def test_no_permission_names_the_group() -> None:
    assert "usermod -aG dialout" in explain("/dev/ttyUSB0", PermissionError(13, "Permission denied"))


def test_a_file_in_the_way_of_the_link_is_left_alone(tmp_path: Path) -> None:
    precious = tmp_path / "precious.txt"
    precious.write_text("x")
    with pytest.raises(FileExistsError, match="no link"):
        play(Wearable(np.zeros(10, np.int32), INFO), precious)
    assert precious.read_text() == "x"
