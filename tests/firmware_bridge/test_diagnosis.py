from __future__ import annotations

import random

import pytest

from firmware_bridge.boards import BOARDS, Board
from firmware_bridge.diagnosis import Doubt, suggest
from firmware_bridge.receiver import Receiver
from tests.firmware_bridge.boards import TABLE, stream


def bytes_of(board: Board, frames: int = 120) -> bytes:
    r, (low, high) = random.Random(3), board.count_range
    middle = board.zero_count or 0
    near = [max(low, min(high, middle + r.randint(-300, 300))) for _ in range(frames * board.samples_per_frame)]
    return b"".join(stream(board, near))


@pytest.mark.parametrize("board", TABLE, ids=lambda b: b.name)
def test_the_board_that_speaks_is_among_those_suggested(board: Board) -> None:
    found = suggest(bytes_of(board))
    assert board.name in found
    assert {BOARDS[name].protocol for name in found} == {board.protocol}


def test_noise_and_text_suggest_nothing() -> None:
    assert suggest(random.Random(1).randbytes(8000)) == ()
    assert suggest(b"Initialising the chip ...\r\n" * 200) == ()
    assert suggest(b"") == ()


def doubted(name: str, data: bytes) -> str | None:
    receiver = Receiver(BOARDS[name])
    receiver.opened()
    assert receiver.says(10.0) is None
    receiver.feed(data, 10.5)
    assert receiver.says(12.0) is None, "too early to say"
    said = receiver.says(13.1)
    assert receiver.says(20.0) is None, "once a link"
    return said


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "silent"),
        (b"\x00" * 9, "silent"),
        (bytes_of(BOARDS["bitalino"]), "wrong board"),
        (bytes_of(BOARDS["healthypi-5-zephyr"]), "--board healthypi-5-zephyr"),
        (b"Failed to read ID, please make sure all the pins are connected\r\n" * 9, "Failed to read ID"),
        (random.Random(2).randbytes(4000), "wrong baud rate"),
    ],
)
def test_silent_wrong_baud_and_wrong_board_are_told_apart(data: bytes, message: str) -> None:
    said = doubted("cyton", data)
    assert said is not None
    assert message in said


def test_what_makes_sense_is_not_doubted() -> None:
    assert doubted("cyton", bytes_of(BOARDS["cyton"])) is None


def test_a_text_of_which_most_is_unparsable_is_doubted() -> None:
    lines = b"\r\n".join([b"512", *(random.Random(4).randbytes(6).replace(b"\n", b"") for _ in range(900))])
    assert "wrong baud rate" in (doubted("ad8232", lines) or "")


def test_what_it_keeps_is_bounded() -> None:
    board = BOARDS["cyton"]
    doubt = Doubt(board, Receiver(board).parser.statistics)
    for _ in range(100):
        doubt.heard(bytes(1000))
    assert len(doubt._data) <= 8192


def test_a_rate_that_is_not_the_declared_one_is_said_once() -> None:
    receiver = Receiver(BOARDS["ad8232-esp32"])
    for i, line in enumerate(stream(BOARDS["ad8232-esp32"], [2000] * 2400)):
        receiver.feed(line, i / 190.0)
    assert receiver.says(13.0) == "ad8232-esp32 says 500 Hz and sends 190.0: the measured rate is used"
    assert receiver.says(14.0) is None
