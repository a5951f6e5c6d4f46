"""Inputs that nobody means well with: bundles, records and configs as files, requests and packets as bytes. Each maker
gives endlessly many, the named ones first, and then mutations of a good one."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from copy import deepcopy
from pathlib import Path
from random import Random
from typing import Any

import numpy as np

from benchmarks.wire.fuzz import mutated
from edge_runtime.bundle import DEFAULT, MANIFEST, ONNX, TFLITE

Attempts = Iterator[tuple[str, Path]]  # what is tried, and the file or folder that it is

ODD_WORDS = (
    "", "-1", "0", "1e999", "nan", "inf", "-0.0", "9" * 40, "2147483648", "../../../etc/passwd", "/etc/passwd", "~",
    "\x00", "%s%n", "x" * 5000, "1e-320", "0x10", "٣", "1_000", "//", "(", "1(2", "1/mV", "212x9:9+9", "16+99999999",
    "; rm -rf /", "${HOME}", "{0.__class__}", "\u202e", "1e6", "4294967296/3", "-360",
)  # fmt: skip
_ODD_VALUES: tuple[Any, ...] = (
    None, True, [], {}, "", "x", "../../etc/passwd", -1, 0, 1, 2**63, 1e308, -1e308, 1e-320, float("nan"),
    float("inf"), [[]], [None], {"a": {}}, "9" * 400, [0] * 4000, "a" * 4000, [1, 2], ["I"], "\ud800",
)  # fmt: skip
_GIANT = 30_000_000  # bytes
_DEEP = 200_000


def replaced_word(text: str, random: Random) -> str:
    """One of its words is another."""
    lines = text.split("\n")
    at = random.randrange(len(lines))
    mark = "," if "," in lines[at] else " "
    words = lines[at].split(mark)
    words[random.randrange(len(words))] = random.choice(ODD_WORDS)
    lines[at] = mark.join(words)
    return "\n".join(lines)


def replaced_value(tree: Any, random: Random) -> Any:
    """The same tree, with another value, or one less, at one place in it."""
    tree = deepcopy(tree)
    node = tree
    while True:
        keys = list(node) if isinstance(node, dict) else list(range(len(node)))
        key = random.choice(keys)
        if isinstance(node[key], (dict, list)) and node[key] and random.random() < 0.85:
            node = node[key]
            continue
        if random.random() < 0.15:
            del node[key]
        else:
            node[key] = random.choice(_ODD_VALUES)
        return tree


# ---- files -----------------------------------------------------------------------------------------------------------


def records(folder: Path, random: Random) -> Attempts:
    """WFDB of format 16 and 212, and CSV, of ten seconds."""
    mv = np.sin(np.arange(2500) / 8.0)
    counts = np.round(mv * 200).astype("<i2")
    heads = {
        "16": "hostile 1 250 2500\nhostile.dat 16 200/mV 16 0 0 0 0 I\n",
        "212": "hostile 2 250 2500\nhostile.dat 212 200 12 0 0 0 0 I\nhostile.dat 212 200 12 0 0 0 0 II\n",
    }
    data = {"16": counts.tobytes(), "212": bytes(random.randrange(256) for _ in range(7500))}
    table = "time_s,I\n" + "".join(f"{i / 250:.3f},{v:.3f}\n" for i, v in enumerate(mv))
    header, dat, text = folder / "hostile.hea", folder / "hostile.dat", folder / "hostile.csv"
    outside = folder.parent / "outside.dat"
    outside.write_bytes(data["16"])
    while True:
        form = random.choice(("16", "212"))
        dat.unlink(missing_ok=True)
        header.write_text(heads[form])
        dat.write_bytes(data[form])
        what = random.randrange(6)
        if what == 0:
            header.write_text(replaced_word(heads[form], random), errors="replace")
            yield "a word of the header", header
        elif what == 1:
            header.write_bytes(mutated(heads[form].encode(), random, random.randrange(1, 6)))
            yield "bytes of the header", header
        elif what == 2:
            dat.write_bytes(data[form][: random.randrange(len(data[form]))])
            yield "samples cut short", header
        elif what == 3:
            header.write_text(heads[form].replace("hostile.dat", random.choice(("../outside.dat", str(outside), ".."))))
            yield "samples elsewhere", header
        elif what == 4:
            text.write_text(replaced_word(table, random), errors="replace")
            yield "a cell of the table", text
        else:
            text.write_bytes(mutated(table.encode(), random, random.randrange(1, 30)))
            yield "bytes of the table", text


def bundles(folder: Path, random: Random) -> Attempts:
    """The default bundle, which is damaged or lies."""
    whole = {name: (DEFAULT / name).read_bytes() for name in (MANIFEST, TFLITE, ONNX)}
    manifest = json.loads(whole[MANIFEST])
    bundle = folder / "bundle"

    def fresh() -> None:
        shutil.rmtree(bundle, ignore_errors=True)
        bundle.mkdir()
        for name, content in whole.items():
            (bundle / name).write_bytes(content)

    fresh()
    for name, text in (
        ("deep", b"[" * _DEEP), ("deep", b'{"format":' * _DEEP), ("giant", b'{"format": "' + b"x" * _GIANT + b'"}'),
        ("giant", b"[" + b"0," * (_GIANT // 4) + b"0]"), ("giant", b'{"format": 2, "card": ' + b"9" * 100_000 + b"}"),
        ("empty", b""), ("no text", b"\xff\xfe\x00"),
    ):  # fmt: skip
        (bundle / MANIFEST).write_bytes(text)
        yield name, bundle
    fresh()
    for name in ("../../../etc/passwd", "/etc/passwd", "..", "", "\0", "model.tflite/../../x", "x" * 5000):
        (bundle / MANIFEST).write_text(json.dumps({**manifest, "files": {name: {"sha256": "0" * 64}}}))
        yield "files elsewhere", bundle
    while True:
        fresh()
        what = random.randrange(8)
        net = random.choice((TFLITE, ONNX))
        if what == 0:
            content = bytearray(whole[net])
            content[random.randrange(len(content))] ^= 1 << random.randrange(8)
            (bundle / net).write_bytes(bytes(content))
            yield "a bit of a net", bundle
        elif what == 1:
            (bundle / net).write_bytes(whole[net][: random.randrange(len(whole[net]))])
            yield "a net cut short", bundle
        elif what == 2:
            (bundle / MANIFEST).write_bytes(mutated(whole[MANIFEST], random, random.randrange(1, 8)))
            yield "bytes of the manifest", bundle
        else:
            (bundle / MANIFEST).write_text(json.dumps(replaced_value(manifest, random)))
            yield "a value of the manifest", bundle


_CONFIG = """bundle = "b"
backend = "onnxruntime"
record = "kept"
[[device]]
port = "/dev/null"
board = "native"
name = "bed 1"
lead = "I"
[[device]]
port = "/dev/zero"
[store]
path = "ward.db"
keep_days = 365
[dashboard]
where = "8080"
names = ["ward"]
[mqtt]
url = "mqtt://127.0.0.1"
node = "ward"
[csv]
path = "ward.csv"
"""


def configs(folder: Path, random: Random) -> Attempts:
    path = folder / "hostile.toml"
    named: tuple[tuple[str, bytes], ...] = (
        ("deep", b"a = " + b"[" * 50_000), ("deep", b"a = " + b"{a=" * 50_000), ("giant", b"a = '" + b"x" * _GIANT),
        ("giant", b"a = " + b"9" * 100_000), ("no text", b"\xff\xfe"), ("empty", b""), ("deep", b"[" + b"a." * 50_000),
        ("a name", _CONFIG.replace("bed 1", "../../etc").encode()),
        ("a name", _CONFIG.replace("bed 1", "#/+").encode()),
    )  # fmt: skip
    for name, text in named:
        path.write_bytes(text)
        yield name, path
    while True:
        what = random.randrange(3)
        if what == 0:
            path.write_bytes(mutated(_CONFIG.encode(), random, random.randrange(1, 12)))
            yield "bytes", path
        elif what == 1:
            lines = _CONFIG.splitlines()
            at = random.randrange(len(lines))
            key = lines[at].partition("=")[0]
            odd = ("1", "-1", "nan", "inf", "[]", "{}", '""', "true", "1979-05-27", '"\\u0000"', "[[1]]", '"../.."')
            lines[at] = f"{key} = {random.choice(odd)}"
            path.write_text("\n".join(lines))
            yield "a value", path
        else:
            lines = _CONFIG.splitlines()
            random.shuffle(lines)
            path.write_text("\n".join(lines))
            yield "lines in disorder", path


FILES: dict[str, Callable[[Path, Random], Attempts]] = {"record": records, "bundle": bundles, "config": configs}


# ---- bytes -----------------------------------------------------------------------------------------------------------


def requests(port: int, random: Random) -> Iterator[bytes]:
    good = (
        f"GET /past/stretch?source=bed&start=2026-11-20T00:00:00Z&end=2026-11-21T00:00:00Z&bucket_s=60 HTTP/1.1\r\n"
        f"Host: 127.0.0.1:{port}\r\nCookie: leadwire-{port}=abc\r\nAccept: */*\r\nConnection: close\r\n\r\n"
    ).encode()
    form = f"POST /login HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nOrigin: http://127.0.0.1:{port}\r\n".encode()
    form += (
        b"Connection: close\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 9\r\n\r\ntoken=abc"
    )
    while True:
        yield mutated(random.choice((good, form)), random, random.randrange(1, 8))


def frames(random: Random) -> Iterator[bytes]:
    """Of a WebSocket, from a client."""

    def frame(payload: bytes) -> bytes:
        return bytes([0x81, 0x80 | len(payload)]) + b"\0\0\0\0" + payload

    while True:
        yield mutated(frame(b'{"watch":[0]}') + frame(b'{"seen":1}'), random, random.randrange(1, 6))


_CONNACK = b"\x20\x09\x00\x00\x06\x21\x00\x14\x22\x00\x0a"
_PACKETS = (
    _CONNACK,
    _CONNACK + b"\x30\x0b\x00\x05a/b/c\x00hey",  # PUBLISH, which nobody has asked for
    _CONNACK + b"\x40\x04\x00\x01\x10\x00",  # PUBACK
    _CONNACK + b"\xe0\x02\x8b\x00",  # DISCONNECT
    _CONNACK + b"\x32\x14\x00\x05../..\x00\x01\x00" + b"x" * 10,
    _CONNACK + b"\xd0\x00" * 5,
    _CONNACK + b"\x90\x04\x00\x01\x00\x00",
    b"\x20\x02\x00\x05",
)


def packets(random: Random) -> Iterator[bytes]:
    """Of an MQTT broker."""
    yield from (
        b"", b"\x00" * 100, b"\xff" * 100, b"\x20\xff\xff\xff\x7f", b"\x20\xff\xff\xff\xff\xff",
        b"HTTP/1.1 400\r\n\r\n",
        _CONNACK + b"\x30\xff\xff\xff\x7f" + b"x" * 100_000, _CONNACK + _CONNACK, b"\xf0\x00", _CONNACK + b"\x10\x00",
    )  # fmt: skip
    while True:
        yield mutated(random.choice(_PACKETS), random, random.randrange(1, 4))
