from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from cobs import cobs
from hypothesis import given
from hypothesis import strategies as st

from firmware_bridge.frames import Frame, Info
from firmware_bridge.protocols import native

GOLDEN = json.loads((Path(__file__).parent.parent / "golden" / "native.json").read_text())
INFO = Info(7, 360, 1, 5_000_000, 1024, 11, 8, 50, 400, "board", "1.0", "MLII")


def decode(data: bytes) -> list[Frame]:
    return native.NativeParser().feed(data, 0.0)


def plain(frame: Frame) -> dict:
    """A frame as the golden file has it."""
    out: dict = {"sequence": frame.sequence, "device_time_us": frame.device_time_us}
    if frame.command:
        return {**out, "command": frame.command}
    if frame.info:
        return {**out, "info": vars(frame.info)}
    flags = ("lead_off", "clipped", "overrun", "low_battery")
    return {**out, "counts": frame.counts.tolist(), "flags": [f for f in flags if getattr(frame, f)]}


@pytest.mark.parametrize("vector", GOLDEN, ids=lambda v: v["name"])
def test_golden_bytes_decode(vector: dict) -> None:
    (frame,) = decode(bytes.fromhex(vector["hex"]))
    assert plain(frame) == vector["frame"]


@pytest.mark.parametrize("vector", GOLDEN, ids=lambda v: v["name"])
def test_golden_frames_encode(vector: dict) -> None:
    f = vector["frame"]
    if "command" in f:
        encoded = native.encode_command(f["command"])
    elif "info" in f:
        encoded = native.encode_info(f["sequence"], f["device_time_us"], Info(**f["info"]))
    else:
        bits = {"lead_off": 1, "clipped": 2, "overrun": 4, "low_battery": 8}
        flags = sum(bits[name] for name in f["flags"])
        encoded = native.encode_samples(f["sequence"], f["device_time_us"], f["counts"], flags)
    assert encoded.hex() == vector["hex"]


def test_crc_has_the_published_check_value() -> None:
    assert native.crc16(b"123456789") == 0x29B1


@given(st.binary(max_size=1200))
def test_cobs_is_the_one_that_others_use(data: bytes) -> None:
    assert native.cobs_encode(data) == cobs.encode(data)
    assert native.cobs_decode(native.cobs_encode(data)) == data


@pytest.mark.parametrize("length", [253, 254, 255, 508, 509])
@pytest.mark.parametrize("fill", [0, 1])
def test_cobs_at_its_block_length(length: int, fill: int) -> None:
    data = bytes([fill]) * length
    assert native.cobs_encode(data) == cobs.encode(data)


counts = st.lists(st.integers(-(1 << 23), (1 << 23) - 1), min_size=1, max_size=255)


@given(st.integers(0, 0xFFFF), st.integers(0, 0xFFFFFFFF), counts, st.integers(0, 15))
def test_samples_survive_the_wire(sequence: int, time_us: int, values: list[int], flags: int) -> None:
    (frame,) = decode(native.encode_samples(sequence, time_us, values, flags))
    assert (frame.sequence, frame.device_time_us, frame.counts.tolist()) == (sequence, time_us, values)
    assert [frame.lead_off, frame.clipped, frame.overrun, frame.low_battery] == [bool(flags >> i & 1) for i in range(4)]


def test_too_many_or_too_large_samples_are_refused() -> None:
    for bad in ([], [0] * 256, [1 << 23]):
        with pytest.raises(ValueError, match="1 to 255"):
            native.encode_samples(0, 0, bad)


@given(st.lists(st.integers(1, 40), max_size=60), st.integers(0, 200))
def test_any_chunking_gives_the_same_frames(cuts: list[int], garbage: int) -> None:
    stream = bytes(range(1, 1 + garbage % 100)) + b"\0"
    stream += b"".join(native.encode_samples(i, i * 4000, [i, -i, 300]) for i in range(20))
    at_once, parser = native.NativeParser(), native.NativeParser()
    whole = at_once.feed(stream, 0.0)
    pieces, at = [], 0
    for cut in cuts:
        pieces += parser.feed(stream[at : at + cut], 0.0)
        at += cut
    pieces += parser.feed(stream[at:], 0.0)
    assert [plain(f) for f in pieces] == [plain(f) for f in whole]
    assert parser.statistics == at_once.statistics
    assert len(whole) == 20


@given(st.lists(st.binary(max_size=400), max_size=12))
def test_no_bytes_make_it_raise_or_grow(chunks: list[bytes]) -> None:
    parser = native.NativeParser()
    for chunk in chunks:
        for frame in parser.feed(chunk, 0.0):
            assert frame.counts.dtype == np.int32
    parser.feed(b"\x05" * 5000, 0.0)
    assert len(parser._pending) <= native.LONGEST_FRAME


def test_a_damaged_frame_is_dropped_whole_and_counted() -> None:
    frames = [native.encode_samples(i, i * 4000, [i + 1, 2, 3]) for i in range(5)]
    bad = bytearray(frames[2])
    bad[6] ^= 0x10
    parser = native.NativeParser()
    got = parser.feed(b"".join([*frames[:2], bytes(bad), *frames[3:]]), 0.0)
    assert [f.sequence for f in got] == [0, 1, 3, 4]
    assert parser.statistics.bad_checksum + parser.statistics.resynchronised_bytes > 0


def test_a_damaged_delimiter_costs_its_two_neighbours() -> None:
    frames = [native.encode_samples(i, i * 4000, [i + 1, 2, 3]) for i in range(5)]
    stream = bytearray(b"".join(frames))
    stream[len(frames[0]) + len(frames[1]) - 1] = 7
    assert [f.sequence for f in decode(bytes(stream))] == [0, 3, 4]


def test_an_info_without_its_strings_is_malformed() -> None:
    body = native.cobs_decode(native.encode_info(1, 2, INFO)[:-1])
    assert body is not None
    cut = body[: native._HEADER.size + native._INFO.size + 3]
    parser = native.NativeParser()
    frame = native.cobs_encode(cut + native.crc16(cut).to_bytes(2, "little")) + b"\0"
    assert parser.feed(frame, 0.0) == []
    assert parser.statistics.malformed == 1


@given(st.lists(st.integers(1, 900), max_size=8))
def test_what_is_too_long_is_skipped_to_its_delimiter_in_any_chunks(cuts: list[int]) -> None:
    stream = b"\x05" * 1300 + native.encode_samples(1, 0, [1]) + native.encode_samples(2, 4000, [2])
    parser, got, at = native.NativeParser(), [], 0
    for cut in [*cuts, len(stream)]:
        got += parser.feed(stream[at : at + cut], 0.0)
        at += cut
    assert [f.sequence for f in got] == [2]
