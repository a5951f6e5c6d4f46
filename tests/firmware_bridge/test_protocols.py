"""Every board of the table: its golden bytes in both directions, and what any chunking, damage and hostility may do."""

from __future__ import annotations

import json
import random
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firmware_bridge.boards import BOARDS, Board
from firmware_bridge.frames import Sent, to_millivolts
from firmware_bridge.protocols import ENCODERS, PARSERS
from tests.firmware_bridge.boards import TABLE, counts_of, fed, parser_of, plain, stream

FOLDER = Path(__file__).parent.parent / "golden"
each_board = pytest.mark.parametrize("board", TABLE, ids=lambda b: b.name)
counted = pytest.mark.parametrize("board", [b for b in TABLE if parser_of(b).sequence_bits], ids=lambda b: b.name)


def golden(board: Board) -> list[dict]:
    return json.loads((FOLDER / f"{board.name}.json").read_text())


def test_every_board_has_its_golden_file() -> None:
    assert {path.stem for path in FOLDER.glob("*.json")} == set(BOARDS)


@each_board
def test_golden_bytes_decode(board: Board) -> None:
    vectors = golden(board)
    parser = parser_of(board)
    frames = fed(parser, b"".join(bytes.fromhex(v["hex"]) for v in vectors))
    wanted = [(v["sequence"], v["device_time_us"], v["counts"], v["lead_off"]) for v in vectors]
    assert [plain(frame) for frame in frames] == wanted
    assert parser.statistics.good == len(vectors)


@each_board
def test_golden_frames_encode(board: Board) -> None:
    encoder = ENCODERS[board.protocol](board)
    both_ways = [v for v in golden(board) if not v.get("decode_only")]
    assert both_ways
    for v in both_ways:
        time_us = v["device_time_us"] or 0
        if v["name"].startswith("milliseconds beyond"):  # the device's own clock goes on where ours has wrapped
            time_us += 1 << 32
        counts = np.array(v["counts"], np.int32)
        sent = Sent(v["sequence"] or 0, time_us, counts, v["lead_off"])
        assert encoder.encode(sent).hex(" ") == v["hex"], v["name"]


def some_counts(board: Board, n: int, seed: int) -> list[int]:
    """With the ends of the range among them, which look most like something else."""
    r, (low, high) = random.Random(seed), board.count_range
    return [r.choice([low, high, board.zero_count or 0, r.randint(low, high)]) for _ in range(n)]


@each_board
@settings(max_examples=25)
@given(seed=st.integers(0, 2**32), cuts=st.lists(st.integers(1, 90), max_size=60), first=st.integers(0, 600))
def test_what_was_quantized_arrives_to_the_bit_under_any_chunking(
    board: Board, seed: int, cuts: list[int], first: int
) -> None:
    counts = some_counts(board, 64, seed)
    frames = fed(parser_of(board), b"".join(stream(board, counts, first)), cuts)
    assert counts_of(frames) == counts
    assert board.picovolts_per_count is not None
    assert board.zero_count is not None
    mv = np.concatenate([to_millivolts(f.counts, board.picovolts_per_count, board.zero_count) for f in frames])
    sent = to_millivolts(np.array(counts), board.picovolts_per_count, board.zero_count)
    assert np.array_equal(mv, sent)


@each_board
@settings(max_examples=25)
@given(
    seed=st.integers(0, 2**32),
    cuts=st.lists(st.integers(1, 90), max_size=60),
    damage=st.lists(st.tuples(st.integers(0, 2000), st.binary(max_size=6)), max_size=6),
)
def test_any_chunking_gives_the_same_frames_and_statistics(
    board: Board, seed: int, cuts: list[int], damage: list[tuple[int, bytes]]
) -> None:
    data = bytearray(b"".join(stream(board, some_counts(board, 64, seed))))
    for place, what in damage:
        at = place % len(data)
        data[at : at + len(what) // 2] = what
    whole, pieces = parser_of(board), parser_of(board)
    assert [plain(f) for f in fed(whole, bytes(data))] == [plain(f) for f in fed(pieces, bytes(data), cuts)]
    assert whole.statistics == pieces.statistics
    whole.reset()
    pieces.reset()
    assert whole.statistics == pieces.statistics


@each_board
@settings(max_examples=25)
@given(st.lists(st.binary(max_size=300), max_size=12))
def test_no_bytes_make_it_raise_or_grow(board: Board, chunks: list[bytes]) -> None:
    parser = PARSERS[board.protocol](board)
    for chunk in chunks:
        for frame in parser.feed(chunk, 0.0):
            assert frame.counts.dtype == np.int32
            assert len(frame.counts) == board.samples_per_frame
    assert len(parser._pending) < 600  # type: ignore[attr-defined]


@each_board
def test_a_million_random_bytes_leave_nothing_behind(board: Board) -> None:
    parser, r = PARSERS[board.protocol](board), np.random.default_rng(7)
    for _ in range(250):
        parser.feed(r.integers(0, 256, 4000, np.uint8).tobytes(), 0.0)
        assert len(parser._pending) < 600  # type: ignore[attr-defined]
    share = parser.statistics.good / 1e6
    assert share < (1e-4 if board.protocol != "ascii" else 1e-3), "noise must not look like an ECG"


@each_board
@settings(max_examples=25)
@given(garbage=st.binary(min_size=1, max_size=40), place=st.integers(8, 40), seed=st.integers(0, 2**32))
def test_garbage_between_frames_costs_none(board: Board, garbage: bytes, place: int, seed: int) -> None:
    """Unless it begins or ends a frame itself. A number in it may be a number, and where four bits of CRC and four of
    counter happen to agree, what is as long as a frame is one."""
    counts = some_counts(board, 64 * board.samples_per_frame, seed)
    frames = stream(board, counts)
    text = board.protocol == "ascii"
    noise = garbage.replace(b"\n", b" ") + b"\n" if text else bytes(b & 0x3F | 0x20 for b in garbage)
    got = [f.counts.tolist() for f in fed(parser_of(board), b"".join([*frames[:place], noise, *frames[place:]]))]
    sent = [counts[i : i + board.samples_per_frame] for i in range(0, len(counts), board.samples_per_frame)]
    weak = board.protocol == "bitalino"
    assert len(got) - len(sent) <= (1 if text else len(noise) // len(frames[0]) if weak else 0)
    if len(got) == len(sent) and not weak:
        assert got == sent
    else:
        assert len(got) > len(sent) or (weak and len(sent) - len(got) <= 2)


@counted
@pytest.mark.parametrize("lost", [1, 2, 5])
def test_a_loss_costs_only_what_was_lost(board: Board, lost: int) -> None:
    counts = some_counts(board, 64 * board.samples_per_frame, 3)
    frames = stream(board, counts)
    parser = parser_of(board)
    got = fed(parser, b"".join(frames[:20] + frames[20 + lost :]))
    wrap = 1 << parser.sequence_bits
    assert [f.sequence for f in got] == [i % wrap for i in [*range(20), *range(20 + lost, 64)]]
    assert parser.statistics.resynchronised_bytes == 0


@pytest.mark.parametrize("name", ["cyton", "chords-uno-r3", "bitalino", "bitalino-6"])
def test_a_damaged_counter_is_a_damaged_frame_and_no_loss_of_a_hundred(name: str) -> None:
    board = BOARDS[name]
    frames = stream(board, some_counts(board, 40, 5))
    at = {"cyton": 1, "chords-uno-r3": 2}.get(name, len(frames[0]) - 1)
    bad = bytearray(frames[10])
    bad[at] ^= 0x80
    parser = parser_of(board)
    got = fed(parser, b"".join([*frames[:10], bytes(bad), *frames[11:]]))
    assert len(got) == 39
    assert parser.statistics.malformed + parser.statistics.bad_checksum == 1
    assert parser.statistics.resynchronised_bytes == len(bad)


def test_the_counter_of_bitalino_and_its_crc_are_those_of_the_text() -> None:
    """x^4 + x + 1 divides the whole frame, its own four bits in place."""

    def remainder(value: int) -> int:
        for bit in range(value.bit_length() - 1, 3, -1):
            if value >> bit & 1:
                value ^= 0b10011 << bit - 4
        return value

    for frame in stream(BOARDS["bitalino-6"], some_counts(BOARDS["bitalino-6"], 50, 1)):
        assert remainder(int.from_bytes(frame, "big") & ~0x0F) == frame[-1] & 0x0F


# ---- what only some protocols have -----------------------------------------------------------------------------------


def test_a_packet_that_was_begun_is_dropped_after_half_a_second_of_silence() -> None:
    board = BOARDS["healthypi-v4"]
    one, two = stream(board, [1, 2])
    parser = parser_of(board)
    assert parser.feed(one[:9], 10.0) == []
    assert counts_of(parser.feed(two, 10.6)) == [2]
    assert (parser.statistics.partial, parser.statistics.resynchronised_bytes) == (1, 9)
    assert counts_of(parser.feed(one[:9], 11.0) + parser.feed(one[9:], 11.4)) == [1]


def test_another_packet_type_is_counted_and_not_read_as_an_ecg() -> None:
    parser = parser_of(BOARDS["healthypi-5-zephyr"])
    assert parser.feed(b"\x0a\xfa" + (19).to_bytes(2, "little") + b"\x04" + bytes(19) + b"\0\x0b", 0.0) == []
    assert parser.statistics.unknown_type == 1
    assert parser.statistics.resynchronised_bytes == 0


@pytest.mark.parametrize("length", [0, 300, 8193, 65535])
def test_a_length_that_no_board_sends_is_refused_at_once(length: int) -> None:
    board = BOARDS["max30001"]
    parser = parser_of(board)
    head = b"\x0a\xfa" + length.to_bytes(2, "little") + b"\x02"
    assert counts_of(parser.feed(head + b"".join(stream(board, [5, 6])), 0.0)) == [5, 6]
    assert (parser.statistics.malformed, parser.statistics.resynchronised_bytes) == (1, 5)


def test_a_banner_comes_before_the_samples_of_many_boards() -> None:
    for board in TABLE:
        parser = PARSERS[board.protocol](board)
        banner = b"OpenBCI V3 8-16 channel\r\nOn Board ADS1299 Device ID: 0x3E\r\nFirmware: v3.1.2\r\n$$$\n"
        assert counts_of(fed(parser, banner + b"".join(stream(board, [3] * 32)))) == [3] * 32, board.name


def test_the_first_line_may_have_lost_its_beginning() -> None:
    parser = PARSERS["ascii"](BOARDS["ad8232"])
    assert counts_of(parser.feed(b"12\r\n512\r\n", 0.0)) == [512]
    assert parser.statistics.partial == 1
    parser.reset()
    assert counts_of(parser.feed(b"5\r\n513\r\n5", 0.0)) == [513]
    parser.reset()
    assert parser.statistics.partial == 3


@pytest.mark.parametrize("line", [b"1024", b"-1", b"5 12", b"5.5", b"12345678901", b"LO+ ON", b"512,", b"\xff\xfe"])
def test_a_line_that_is_no_sample_is_malformed(line: bytes) -> None:
    parser = parser_of(BOARDS["ad8232"])
    assert parser.feed(line + b"\r\n", 0.0) == []
    assert parser.statistics.malformed == 1


def test_a_line_without_an_end_is_bounded_and_skipped_to_its_end() -> None:
    parser = parser_of(BOARDS["ad8232"])
    for _ in range(100):
        assert parser.feed(b"7" * 100, 0.0) == []
    assert counts_of(parser.feed(b"\n8\n", 0.0)) == [8]
    assert parser.statistics.resynchronised_bytes == 100 * 100 + 2  # the end of the very first line was one, too
