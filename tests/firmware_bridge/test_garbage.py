"""Garbage costs at most the frames it touches. What it touches, protocol by protocol, holds whatever the garbage is:

    native, text   the frame that it falls into, and the one right behind it: their delimiter tells where they end
    OpenView       besides, whatever begins within the longest packet behind its last byte: it may begin a packet itself
    Cyton, Chords, BITalino   besides, whatever begins within a frame's length behind it: it may begin a frame itself

The last two need that nothing in the good bytes looks like a beginning but the beginnings, which no protocol without a
checksum can promise: such streams are chosen here.
"""

from __future__ import annotations

from random import Random

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from firmware_bridge.boards import BOARDS, Board
from firmware_bridge.frames import Frame, Sent
from firmware_bridge.protocols import ENCODERS, PARSERS
from firmware_bridge.protocols.fixed import FixedFrames
from firmware_bridge.protocols.openview import LONGEST_PAYLOAD
from tests.firmware_bridge.boards import parser_of

NAMES = (
    *("native", "ad8232", "ad8232-csv", "healthypi-v4", "ads1292r"),
    *("heartypatch", "cyton", "chords-uno-r3", "bitalino", "bitalino-6"),
)
FRAMES = 40
LEAD_IN = 4  # frames before which nothing is damaged: a stream without a checksum has to be understood first


def reach_of(board: Board) -> int:
    """Bytes behind the garbage's last one in which a frame may begin that it costs."""
    if board.protocol in ("native", "ascii"):
        return 1
    if board.protocol == "openview":
        return 5 + LONGEST_PAYLOAD + 2
    parser = PARSERS[board.protocol](board)
    assert isinstance(parser, FixedFrames)
    return parser.length


def unambiguous(board: Board, seed: int) -> list[bytes]:
    """Frames whose bytes look like a frame nowhere else; as many more at the end as a packet may swallow."""
    random, encoder, parser = Random(seed), ENCODERS[board.protocol](board), PARSERS[board.protocol](board)
    low, high = (-30000, 30000) if board.protocol == "native" else board.count_range
    size = 4 if board.protocol == "native" else board.samples_per_frame
    frames: list[bytes] = []
    tail = 2 + 300 // 10
    while len(frames) < FRAMES + tail:
        counts = np.array([random.randint(low, high) for _ in range(size)], np.int32)
        frame = encoder.encode(Sent(len(frames), len(frames) * 4000, counts))
        if board.protocol == "openview" and b"\x0a\xfa" in frame[1:]:
            continue
        if isinstance(parser, FixedFrames) and frames:
            both = bytearray(frames[-1] + frame)
            if any(parser.counter(both, at) is not None for at in range(1, parser.length)):
                if random.random() < 0.02:  # the frame before leaves no choice
                    frames.pop()
                continue
        frames.append(frame)
    return frames


STREAMS = {name: unambiguous(BOARDS[name], 1) for name in NAMES}


def key(frame: Frame) -> tuple:
    return frame.sequence, frame.device_time_us, tuple(frame.counts.tolist()), frame.lead_off


def decoded(board: Board, data: bytes) -> list[tuple]:
    return [key(frame) for frame in parser_of(board).feed(data, 0.0)]


def contains(found: list[tuple], wanted: list[tuple]) -> bool:
    """All of them, in their order; others may stand between."""
    rest = iter(found)
    return all(any(one == other for other in rest) for one in wanted)


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=25, deadline=None)
@given(
    garbage=st.one_of(st.binary(max_size=400), st.lists(st.integers(0, 90)).map(bytes)),
    place=st.integers(0, 10_000),
    length=st.integers(0, 60),
    copied=st.integers(0, 10_000),
)
@example(garbage=b"", place=0, length=1, copied=0)
@example(garbage=b"\x0a\xfa\x00\x01\x02", place=77, length=0, copied=3)
def test_garbage_costs_at_most_the_frames_it_touches(
    name: str, garbage: bytes, place: int, length: int, copied: int
) -> None:
    """It stands in the place of `length` bytes (none: it is put in), and ends like a piece of the stream itself."""
    board, frames = BOARDS[name], STREAMS[name]
    starts = np.cumsum([0, *(len(frame) for frame in frames)])
    data = b"".join(frames)
    low, high = int(starts[LEAD_IN]), int(starts[FRAMES - 8])
    begin = low + place % (high - low)
    end = min(begin + length, high)
    at = copied % len(data)
    noise = garbage + data[at : at + len(garbage) % 50]
    every = list(zip(decoded(board, data), starts, starts[1:], strict=False))
    assert len(every) == len(frames)
    behind = end + reach_of(board)
    wanted = [frame for frame, start, stop in every if stop <= begin or start >= behind]
    assert contains(decoded(board, data[:begin] + noise + data[end:]), wanted)
