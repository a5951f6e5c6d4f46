"""What damage the native frame lets through: by enumeration before COBS, and by trial on the wire.

A CRC is linear: damage passes if, and only if, the residuals of the bits that it turns sum to zero, whatever the frame
holds. So every error of one and two bits and every burst is decided from one residual a bit; the real parser is asked
about a sample of them. COBS is not linear: on the wire the real parser is asked about everything.
"""

from __future__ import annotations

from random import Random
from typing import Any

import numpy as np
from numpy.typing import NDArray

from firmware_bridge.frames import Frame
from firmware_bridge.protocols import native
from firmware_bridge.protocols.native import NativeParser

BURST_BITS = 16
FRAME_BYTES = (22, 777)  # four samples of 16 bits; the longest, 255 of 24 bits
BY_CHANCE = 2.0**-16
_SAMPLED = 2000
_BATCH = 1000
_HEADER_BYTES, _CRC_BYTES = 10, 2  # with flags and count


def body_of(size: int, random: Random, sequence: int = 0) -> bytes:
    """A SAMPLES frame of `size` bytes before COBS, of any counts."""
    payload = size - _HEADER_BYTES - _CRC_BYTES
    wide = payload // 2 > 255
    counts = [random.randrange(-(1 << 15), 1 << 15) for _ in range(payload // (3 if wide else 2))]
    if wide:
        counts[0] = 1 << 20
    body = native.cobs_decode(native.encode_samples(sequence, random.randrange(1 << 32), counts)[:-1])
    if body is None or len(body) != size:
        raise ValueError(f"no SAMPLES frame has {size} bytes")
    return body


def residuals(size: int) -> NDArray[np.uint16]:
    """(8 * size,) of each bit, in the order in which a UART sends them; by the parser's own arithmetic."""
    nothing = native.residual(bytes(size))
    out = np.zeros(8 * size, np.uint16)
    for bit in range(8 * size):
        one = bytearray(size)
        one[bit >> 3] = 1 << (bit & 7)
        out[bit] = native.residual(bytes(one)) ^ nothing
    return out


def passing_bursts(of_bits: NDArray[np.uint16], longest: int = BURST_BITS) -> tuple[int, list[list[int]]]:
    """How many bursts there are, and those that pass, as bit places: every pattern whose first and last bit are at most
    `longest` apart, one-bit errors among them."""
    total, passing = 0, []
    for first in range(len(of_bits)):
        sums = of_bits[first : first + 1]
        for bit in of_bits[first + 1 : first + longest]:
            sums = np.concatenate([sums, sums ^ bit])
        total += len(sums)
        for pattern in np.flatnonzero(sums == 0):
            passing.append([first, *(first + 1 + k for k in range(longest - 1) if pattern >> k & 1)])
    return total, passing


def _enumerated(size: int) -> dict[str, Any]:
    by_uart = residuals(size)
    by_crc = by_uart.reshape(-1, 8)[:, ::-1].ravel()  # high bit first, as the CRC is computed
    n = len(by_uart)
    _, same = np.unique(by_uart, return_counts=True)
    out: dict[str, Any] = {
        "frame_bytes": size,
        "one_bit": {"errors": n, "accepted": int(np.count_nonzero(by_uart == 0))},
        "two_bits": {"errors": n * (n - 1) // 2, "accepted": int((same * (same - 1) // 2).sum())},
    }
    for name, bits in (("bursts_low_bit_first", by_uart), ("bursts_high_bit_first", by_crc)):
        total, passing = passing_bursts(bits)
        out[name] = {"errors": total, "accepted": len(passing), "first_accepted": passing[:3]}
    return out


def _accepts(body: bytes) -> bool:
    frames = NativeParser().feed(native.cobs_encode(body) + b"\0", 0.0)
    return bool(frames)


def agreement(size: int, trials: int, seed: int = 1) -> dict[str, int]:
    """The real parser beside the residuals, on errors of 1 to 16 bits anywhere: how often they disagree on the CRC."""
    random, of_bits = Random(seed), residuals(size)
    disagree = passed = 0
    for _ in range(trials):
        body = bytearray(body_of(size, random))
        bits = random.sample(range(8 * size), random.randrange(1, 17))
        for bit in bits:
            body[bit >> 3] ^= 1 << (bit & 7)
        passes = not np.bitwise_xor.reduce(of_bits[bits])
        passed += bool(passes)
        disagree += _accepts(bytes(body)) and not passes  # a frame whose CRC holds may still be none, not the reverse
    return {"trials": trials, "passing_by_residual": passed, "accepted_against_it": disagree}


def _bits(data: bytearray, random: Random) -> None:
    for bit in random.sample(range(8 * len(data)), random.randrange(1, 17)):
        data[bit >> 3] ^= 1 << (bit & 7)


def _burst(data: bytearray, random: Random) -> None:
    first, inside = random.randrange(8 * len(data)), random.randrange(1, 1 << BURST_BITS)
    for k in range(BURST_BITS):
        if inside >> k & 1 and first + k < 8 * len(data):
            data[first + k >> 3] ^= 1 << (first + k & 7)


def _replaced(data: bytearray, random: Random) -> None:
    at = random.randrange(len(data))
    some = data[at : at + random.randrange(1, 9)]
    data[at : at + len(some)] = random.randbytes(len(some))


def _lost(data: bytearray, random: Random) -> None:
    at = random.randrange(len(data))
    del data[at : at + random.randrange(1, 9)]


def _inserted(data: bytearray, random: Random) -> None:
    data[(at := random.randrange(len(data))) : at] = random.randbytes(random.randrange(1, 9))


def _scrambled(data: bytearray, random: Random) -> None:
    """Nothing stays but the block lengths of COBS: what the CRC alone has to find."""
    body = native.cobs_decode(bytes(data[:-1])) or b""
    data[:] = native.cobs_encode(random.randbytes(len(body))) + b"\0"


CORRUPTIONS = {
    "1 to 16 bits": _bits,
    "a burst of up to 16 bits": _burst,
    "1 to 8 bytes replaced": _replaced,
    "1 to 8 bytes lost": _lost,
    "1 to 8 bytes put in": _inserted,
    "any bytes in valid COBS": _scrambled,
}


def _identity(frame: Frame) -> tuple[Any, ...]:
    flags = (frame.lead_off, frame.clipped, frame.overrun, frame.low_battery)
    return frame.sequence, frame.device_time_us, frame.counts.tobytes(), flags, frame.info, frame.command


def _on_the_wire(kind: str, trials: int, seed: int) -> dict[str, int]:
    """Damaged frames, one behind the other with a good one between: what the parser gives that nobody sent."""
    random, damage = Random(f"{kind} {seed}"), CORRUPTIONS[kind]
    bodies = [body_of(22, random, sequence) for sequence in range(256)]
    frames = [native.cobs_encode(body) + b"\0" for body in bodies]
    sent = {_identity(frame) for frame in NativeParser().feed(b"".join(frames), 0.0)}
    parser, accepted, done = NativeParser(), 0, 0
    while done < trials:
        out = bytearray()
        for _ in range(min(_BATCH, trials - done)):
            whole = random.choice(frames)
            hit = bytearray(whole)
            while hit == whole:
                damage(hit, random)
            out += hit + random.choice(frames)
            done += 1
        accepted += sum(_identity(frame) not in sent for frame in parser.feed(bytes(out), 0.0))
    return {"corruptions": trials, "accepted": accepted}


def _every_bit_on_the_wire(seed: int) -> dict[str, int]:
    random = Random(seed)
    tried = accepted = 0
    for size in (12 + 2, 22, 60):
        frame = native.cobs_encode(body_of(size, random)) + b"\0"
        (sent,) = (_identity(f) for f in NativeParser().feed(frame, 0.0))
        for bit in range(8 * len(frame)):
            hit = bytearray(frame)
            hit[bit >> 3] ^= 1 << (bit & 7)
            tried += 1
            accepted += sum(_identity(f) != sent for f in NativeParser().feed(bytes(hit) + b"\0", 0.0))
    return {"corruptions": tried, "accepted": accepted}


def measure(full: bool) -> dict[str, Any]:
    trials = (10_000_000 if full else 6_000) // len(CORRUPTIONS)
    sizes = FRAME_BYTES if full else FRAME_BYTES[:1]
    return {
        "by_chance": BY_CHANCE,
        "enumerated": [_enumerated(size) for size in sizes],
        "parser_beside_residuals": agreement(FRAME_BYTES[0], _SAMPLED if full else 200),
        "every_bit_on_the_wire": _every_bit_on_the_wire(1),
        "on_the_wire": {kind: _on_the_wire(kind, trials, 1) for kind in CORRUPTIONS},
    }
