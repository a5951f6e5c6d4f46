"""Each parser under hostile bytes, and how fast it is on good ones.

Half of the bytes are random, half a valid stream with bits flipped, bytes lost, put in and repeated, in pieces of any
size. Throughput is of the valid stream, in processor time of one Python thread, so that a busy machine measures the
same; a device can send at most a tenth of its baud in bytes a second.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from random import Random
from typing import Any

import numpy as np

from benchmarks.wire.soak import resident_bytes
from firmware_bridge.boards import BOARDS, Board
from firmware_bridge.frames import Sent
from firmware_bridge.protocols import ENCODERS, PARSERS

TIMES_BAUD = 20  # what a parser has to keep up with
NATIVE_BAUD = 921_600  # the fastest that a native device is likely to have
_BLOCK = 1 << 16
_READ = 4096  # bytes of one read while throughput is measured
_MUTATIONS_A_BLOCK = 400
_NATIVE_SAMPLES = 4


def baud_of(board: Board) -> int:
    return NATIVE_BAUD if board.protocol == "native" else board.baud


def valid_stream(board: Board, size: int, seed: int) -> bytes:
    """At least `size` bytes of what the board sends, of any counts."""
    random, encoder = np.random.default_rng(seed), ENCODERS[board.protocol](board)
    native = board.protocol == "native"
    low, high = (-(1 << 15), (1 << 15) - 1) if native else board.count_range
    n, rate = (_NATIVE_SAMPLES, 250.0) if native else (board.samples_per_frame, board.sampling_rate_hz or 250.0)
    out, frame = bytearray(), 0
    while len(out) < size:
        counts = random.integers(low, high + 1, n).astype(np.int32)
        out += encoder.encode(Sent(frame, round(frame * n * 1e6 / rate), counts))
        frame += 1
    return bytes(out)


def mutated(data: bytes, random: Random, changes: int) -> bytes:
    """Flipped bits, and stretches that are lost, new, or there twice."""
    out = bytearray(data)
    for _ in range(changes):
        out = out or bytearray(1)
        at, some = random.randrange(len(out)), random.randrange(1, 40)
        match random.randrange(4):
            case 0:
                out[at] ^= 1 << random.randrange(8)
            case 1:
                del out[at : at + some]
            case 2:
                out[at:at] = random.randbytes(some)
            case _:
                out[at:at] = out[max(0, at - some) : at]
    return bytes(out)


def hostile(board: Board, size: int, seed: int) -> Iterator[bytes]:
    """Pieces that sum to about `size` bytes: random and mutated blocks in turn, cut anywhere."""
    random = Random(f"{board.name} {seed}")
    valid = valid_stream(board, _BLOCK, seed)
    done = 0
    while done < size:
        block = random.randbytes(min(_BLOCK, size - done))
        if done // _BLOCK % 2:
            block = mutated(valid, random, _MUTATIONS_A_BLOCK)[: size - done]
        at = 0
        while at < len(block):
            cut = random.choice((1, 7, 64, 512, _READ))
            yield block[at : at + cut]
            at += cut
        done += len(block)


def _fuzzed(board: Board, size: int, seed: int) -> dict[str, Any]:
    parser = PARSERS[board.protocol](board)
    for piece in hostile(board, min(size, 4 * _BLOCK), seed):  # whatever it needs once
        parser.feed(piece, 0.0)
    parser.reset()
    before, frames, most = resident_bytes(), 0, 0
    for number, piece in enumerate(hostile(board, size, seed + 1)):
        frames += len(parser.feed(piece, number * 1e-3))
        if number % 1000 == 0:
            most = max(most, resident_bytes())
    return {"bytes": size, "frames": frames, "grown_bytes": max(0, max(most, resident_bytes()) - before)}


def _throughput(board: Board, size: int, seed: int) -> dict[str, Any]:
    parser, data = PARSERS[board.protocol](board), valid_stream(board, min(size, 1 << 20), seed)
    began, done = time.thread_time(), 0
    while done < size:
        for at in range(0, len(data), _READ):
            parser.feed(data[at : at + _READ], done * 1e-4)
        done += len(data)
    bytes_a_second = done / (time.thread_time() - began)
    return {"bytes_a_second": round(bytes_a_second), "times_baud": bytes_a_second / (baud_of(board) / 10)}


def measure(full: bool, boards: list[str] | None = None, size: int | None = None) -> dict[str, Any]:
    """By board; raises whatever a parser raises, since none may."""
    size = size or (10_000_000 if full else 300_000)
    found = {}
    for name in boards or BOARDS:
        board = BOARDS[name]
        found[name] = {"baud": baud_of(board), **_fuzzed(board, size, 1), **_throughput(board, size, 2)}
    return {"target_times_baud": TIMES_BAUD, "boards": found}
