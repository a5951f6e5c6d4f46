from __future__ import annotations

import numpy as np
import pytest

from firmware_bridge.boards import BOARDS, Board
from firmware_bridge.frames import Info
from firmware_bridge.handshake import Handshake
from firmware_bridge.simulator import Conversation, Wearable
from tests.firmware_bridge.boards import TABLE

INFO = Info(1, 250, 1, 1_000_000, 0, 12, 5, 0, 0, "simulated", "t", "I")


def conversation(board: Board) -> Conversation:
    return Conversation(Wearable(np.ones(80, np.int32), INFO if board.name == "native" else board))


@pytest.mark.parametrize("board", [*TABLE, BOARDS["native"]], ids=lambda b: b.name)
def test_host_and_device_come_to_terms(board: Board) -> None:
    host, device = Handshake(board), conversation(board)
    say, now = host.begin(0.0), 0.0
    for _ in range(5):
        now += 0.1
        say = host.hear(device.answer(say, now), now)
    assert device.streaming
    assert host.complete


def test_a_board_that_was_still_starting_is_asked_again() -> None:
    host, device = Handshake(BOARDS["chords-uno-r3"]), conversation(BOARDS["chords-uno-r3"])
    assert host.begin(0.0) == b"WHORU\n"  # and nobody hears it
    assert host.hear(b"", 1.0) == b""
    assert host.hear(b"", 2.0) == b"START\n", "older firmware does not say who it is"
    say = host.hear(b"", 3.0)
    assert say == b"WHORU\n"
    assert host.hear(device.answer(say, 3.1), 3.1) == b"START\n"


def test_a_board_that_streams_is_left_alone_until_it_is_silent() -> None:
    host = Handshake(BOARDS["chords-uno-r3"])
    host.begin(0.0)
    assert host.hear(b"UNO-R3\n", 0.2) == b"START\n"
    assert [host.hear(b"\xc7\x7c", 0.3 + i) for i in range(100)] == [b""] * 100
    assert host.hear(b"", 104.0) == b""
    assert host.hear(b"", 104.4) == b"WHORU\n"


def test_an_answer_without_an_end_is_bounded() -> None:
    host = Handshake(BOARDS["cyton"])
    host.begin(0.0)
    for _ in range(100):
        host.hear(b"x" * 1000, 0.1)
    assert len(host._heard) <= 4096
    assert not host.complete
