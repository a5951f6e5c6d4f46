"""What the tests of all boards share."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from firmware_bridge.boards import BOARDS, Board
from firmware_bridge.frames import Frame, Sent
from firmware_bridge.protocols import ENCODERS, PARSERS, Parser

TABLE = [board for board in BOARDS.values() if board.protocol != "native"]
ANY_CHUNKS = [1, 2, 3, 5, 7, 11, 13, 16, 27, 33, 34, 64]


def parser_of(board: Board) -> Parser:
    """One that stands at the beginning of a line, where the protocol has lines."""
    parser = PARSERS[board.protocol](board)
    if board.protocol == "ascii":
        parser.feed(b"\n", 0.0)
    return parser


def stream(board: Board, counts: Sequence[int], first_sequence: int = 0, off: Iterable[int] = ()) -> list[bytes]:
    """Frames of these counts, the last one left out where it would not be full; off: frames whose leads are off."""
    import numpy as np

    encoder, size, rate = ENCODERS[board.protocol](board), board.samples_per_frame, board.sampling_rate_hz or 250.0
    values, leads_off = np.asarray(counts, np.int32), set(off)
    return [
        encoder.encode(
            Sent(first_sequence + i, round(i * size * 1e6 / rate), values[i * size : (i + 1) * size], i in leads_off)
        )
        for i in range(len(values) // size)
    ]


def fed(parser: Parser, data: bytes, cuts: Iterable[int] = ()) -> list[Frame]:
    """Feed in pieces of these sizes, then the rest."""
    frames, at = [], 0
    for cut in cuts:
        frames += parser.feed(data[at : at + cut], 0.0)
        at += cut
    return frames + parser.feed(data[at:], 0.0)


def plain(frame: Frame) -> tuple:
    return frame.sequence, frame.device_time_us, frame.counts.tolist(), frame.lead_off


def counts_of(frames: Iterable[Frame]) -> list[int]:
    return [count for frame in frames for count in frame.counts.tolist()]
