"""What should be refused, tried: every attempt has the outcomes that are right for it, and both are counted."""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from benchmarks.dashboard.raw import BINARY, RawSocket, exchange, request, status_of
from edge_runtime.dashboard import Dashboard, DashboardOptions

_CLOSED = None  # without an answer
_BAD_HOSTS = (
    "evil.example", "evil.example:80", "localhost.evil.example", "127.0.0.1.evil.example", "localhost@evil.example",
    "192.168.1.20", "10.0.0.1:8080", "[fe80::1]", "[2001:db8::1]:80", "localhost/..", "localhost;script-src", "*", "",
)  # fmt: skip
_BAD_ORIGINS = ("", "null", "http://evil.example", "https://127.0.0.1", "http://127.0.0.1", "file://", "http://[", "x")
_SECRET = "bundles/default/model.json"
_TRAVERSALS = (
    "../access.py", "..%2faccess.py", "..%252faccess.py", "%2e%2e/access.py", "..\\access.py", "..%5caccess.py",
    "....//access.py", "static/../access.py", "./static/app.js", "static/app.js", "app.js/", "app.js/..", "app.js%00",
    "%00", "//etc/passwd", "/../../../../etc/passwd", "etc/passwd", "..;/access.py", "index.html", "__init__.py",
    "file:///etc/passwd", "C:/Windows/win.ini", f"../../{_SECRET}", "..%2f..%2f" + _SECRET, "App.js", "~root",
)  # fmt: skip
_DAY = {"source": "bed", "start": "2026-11-20T00:00:00Z", "end": "2026-11-21T00:00:00Z", "bucket_s": "180"}
_BAD_QUESTIONS: tuple[dict[str, str], ...] = (
    {}, {"source": "bed"}, {**_DAY, "source": ""}, {**_DAY, "source": "x" * 4000}, {**_DAY, "start": "now"},
    {**_DAY, "start": "2026-11-20T00:00:00"}, {**_DAY, "end": "2026-11-19T00:00:00Z"}, {**_DAY, "bucket_s": "0"},
    {**_DAY, "end": "2036-01-01T00:00:00Z"}, {**_DAY, "bucket_s": "nan"}, {**_DAY, "bucket_s": "-1"},
    {**_DAY, "bucket_s": "1e-9"}, {**_DAY, "bucket_s": "inf"}, {**_DAY, "bucket_s": "; DROP TABLE report"},
    {**_DAY, "bucket_s": "1"}, {**_DAY, "start": "9" * 5000}, {**_DAY, "start": "0001-01-01T00:00:00+23:59"},
)  # fmt: skip
_BAD_MESSAGES: tuple[tuple[str, bytes, int], ...] = (
    *(("not JSON", text, 1007) for text in (b"", b"{", b"nonsense", b"{'watch':[0]}", b"[" * 1000, b'{"watch":[0]}}')),
    *(
        ("no such message", text, 1008)
        for text in (
            b"null", b"[]", b"0", b"{}", b'{"watch":0}', b'{"watch":["0"]}', b'{"watch":[-1]}', b'{"watch":[1e9]}',
            b'{"watch":[true]}', b'{"watch":[0],"more":1}', b'{"watch":[99999999999999999999]}', b'{"seen":-1}',
            b'{"seen":true}', b'{"seen":1e400}', b'{"seen":NaN}', b'{"seen":999999}', b'{"run":"rm"}', b'"watch"',
            b'{"watch":[' + b",".join(str(i).encode() for i in range(200)) + b"]}",
        )
    ),
    ("no UTF-8", b'{"seen":\xff}', 1007),
    *(("too large", b" " * size, 1009) for size in (1025, 65536, 1 << 20)),
)  # fmt: skip


@dataclass
class Surface:
    """tried and refused: attempts; refused is what had one of its right outcomes. outcomes: how often each came."""

    tried: int = 0
    refused: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    let_through: list[str] = field(default_factory=list)

    def book(self, what: str, outcome: int | None, right: tuple[int | None, ...]) -> None:
        self.tried += 1
        self.refused += outcome in right
        self.outcomes["closed" if outcome is None else str(outcome)] += 1
        if outcome not in right:
            self.let_through.append(f"{what[:80]}: {outcome}")

    def to_dict(self) -> dict[str, Any]:
        return {
            "tried": self.tried,
            "refused": self.refused,
            "outcomes": dict(sorted(self.outcomes.items())),
            "let_through": self.let_through,
        }


def attack(port: int, token: str) -> dict[str, Surface]:
    """port: of a dashboard on 127.0.0.1 with that token, which nobody has tried a wrong one at yet."""
    good = {"Authorization": f"Bearer {token}"}
    found = {
        "Host": _hosts(port, good),
        "paths": _paths(port, good),
        "methods": _methods(port, good),
        "requests": _requests(port),
        "queries": _queries(port, good),
        "handshakes": _handshakes(port, good),
        "messages": _messages(port, good),
        "tokens": _tokens(port, token),
    }
    with RawSocket(port, {"Cookie": cookie_of(port, token)}) as socket:  # and who may, still can
        if socket.status != 101 or socket.receive() is None:
            raise RuntimeError("after all that the dashboard does not answer any more")
    return found


def measure(folder: Path) -> dict[str, dict[str, Any]]:
    """The same of a dashboard of its own. folder: without a store in it."""
    token = secrets.token_urlsafe(24)
    dashboard = Dashboard(DashboardOptions(port=0, token=token), folder / "none.db")
    try:
        return {name: surface.to_dict() for name, surface in attack(dashboard.port, token).items()}
    finally:
        dashboard.close()


def _ask(
    port: int, target: str, method: str = "GET", headers: Mapping[str, str] | None = None, body: bytes = b""
) -> int | None:
    return status_of(exchange(port, request(port, target, method, headers, body)))


def _hosts(port: int, good: Mapping[str, str]) -> Surface:
    surface = Surface()
    for host in _BAD_HOSTS:
        for target in ("/", "/app.js", "/past/days?source=bed", "/login.html"):
            surface.book(f"{host} {target}", _ask(port, target, headers={**good, "Host": host}), (421, 400))
        with RawSocket(port, {**good, "Host": host, "Origin": f"http://{host}"}) as socket:
            surface.book(f"{host} WebSocket", socket.status, (403, 400))
    return surface


def _paths(port: int, good: Mapping[str, str]) -> Surface:
    surface = Surface()
    for path in _TRAVERSALS:
        answer = exchange(port, request(port, f"/{path}", headers=good))
        surface.book(path, status_of(answer), (404, 400))
        if b"import " in answer or b"root:" in answer:
            surface.let_through.append(f"{path}: a file's content")
    return surface


def _methods(port: int, good: Mapping[str, str]) -> Surface:
    surface = Surface()
    for method in ("POST", "PUT", "DELETE", "PATCH", "TRACE", "CONNECT", "OPTIONS", "PROPFIND", "X" * 100):
        for target in ("/", "/app.js", "/past/stretch"):
            surface.book(f"{method} {target}", _ask(port, target, method, good), (405, 400))
    surface.book("GET /login", _ask(port, "/login", headers=good), (405,))
    return surface


def _requests(port: int) -> Surface:
    """Which are none, or too large."""
    surface = Surface()
    head = f"GET / HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n"
    for text in (
        "nonsense\r\n\r\n", "GET / HTTP/9.9\r\nConnection: close\r\n\r\n", "GET /\r\n\r\n",
        "\0\0\0\0\r\n\r\n", "GET / HTTP/1.1\r\n\r\n",
        head + "Content-Length: -1\r\n\r\n", head + "Content-Length: 1e9\r\n\r\n", head + "No colon\r\n\r\n",
        head + "Content-Length: 5\r\nContent-Length: 6\r\n\r\n", head + "Host: localhost\r\n\r\n",
        head + "Transfer-Encoding: gzip\r\n\r\n", head + f"X: {'y' * 70000}\r\n\r\n",
        f"GET /{'a' * 70000} HTTP/1.1\r\n\r\n",
        head + "X: 1\r\n" * 20000 + "\r\n", head + "\x01: 1\r\n\r\n", head + "X : 1\r\n\r\n",
    ):  # fmt: skip
        status = status_of(exchange(port, text.encode("latin-1")))
        surface.book(text, status, (_CLOSED, 400, 421, 431, 501, 303))  # 303: taken for a stranger's, who is to log in
    form, own = {"Content-Type": "application/x-www-form-urlencoded"}, {"Origin": f"http://127.0.0.1:{port}"}
    for size in (2049, 65536, 1 << 20):
        surface.book(
            f"a form of {size}", _ask(port, "/login", "POST", {**form, **own}, b"token=" + b"a" * size), (413, _CLOSED)
        )
    for origin in _BAD_ORIGINS:
        surface.book(
            f"a form from {origin}", _ask(port, "/login", "POST", {**form, "Origin": origin}, b"token=x"), (403,)
        )
    for target in ("/app.js", "/past/days?source=bed"):
        surface.book(f"{target} for another site", _ask(port, target, headers={"Sec-Fetch-Site": "cross-site"}), (403,))
    return surface


def _queries(port: int, good: Mapping[str, str]) -> Surface:
    surface = Surface()
    for query in _BAD_QUESTIONS:
        surface.book(str(query), _ask(port, f"/past/stretch?{urlencode(query)}", headers=good), (400,))
    for text in ("source=%ff%fe", "source=a%00b", "&&&=&=", "source=" + "%41" * 3000):
        # A name that is merely unknown is asked of the store, which is not there, or has nothing of it.
        surface.book(text, _ask(port, f"/past/days?{text}", headers=good), (200, 400, 503))
    return surface


def _handshakes(port: int, good: Mapping[str, str]) -> Surface:
    surface = Surface()
    for origin in _BAD_ORIGINS:
        with RawSocket(port, {**good, "Origin": origin}) as socket:
            surface.book(f"from {origin}", socket.status, (403,))
    for headers in ({"Sec-WebSocket-Version": "8"}, {"Sec-WebSocket-Key": "short"}, {"Sec-Fetch-Site": "cross-site"}):
        with RawSocket(port, {**good, **headers}) as socket:
            surface.book(str(headers), socket.status, (400, 403, 426))
    return surface


def _messages(port: int, good: Mapping[str, str]) -> Surface:
    surface = Surface()
    for _, payload, code in _BAD_MESSAGES:
        with RawSocket(port, good) as socket:
            socket.send(payload)
            surface.book(repr(payload), socket.closed_with(), (code,))
    for what, code, send in _bad_frames():
        with RawSocket(port, good) as socket:
            send(socket)
            surface.book(what, socket.closed_with(), (code,))
    return surface


def _bad_frames() -> Iterator[tuple[str, int, Any]]:
    yield "binary", 1003, lambda s: s.send(b"\0" * 8, BINARY)
    yield "unmasked", 1002, lambda s: s.send(b"{}", masked=False)
    yield "a reserved opcode", 1002, lambda s: s.send(b"{}", 3)
    yield "a reserved bit", 1002, lambda s: s.send(b"{}", bits=0x40)
    yield "a continuation of nothing", 1002, lambda s: s.send(b"{}", 0)
    yield "a long control frame", 1002, lambda s: s.send(b"a" * 200, 9)
    yield "a claim of 2**62 bytes", 1009, lambda s: s.send_bytes(b"\x81\xff" + (1 << 62).to_bytes(8, "big") + b"\0" * 4)
    yield "large in pieces", 1009, lambda s: [s.send(b" " * 600, i == 0, final=False) for i in range(4)]
    yield "two hundred at once", 1008, lambda s: [s.send(b'{"watch":[0]}') for _ in range(200)]


def _tokens(port: int, token: str) -> Surface:
    """Last, since after some of them this address has to wait: 429."""
    surface = Surface()
    wrong = [
        "",
        " ",
        "null",
        token[:-1],
        token + "x",
        token.swapcase(),
        token[::-1],
        "a" * 5000,
        "\xe9" * 24,
        "' OR 1=1",
    ]
    wrong += [secrets.token_urlsafe(24) for _ in range(20)]
    name = cookie_of(port, token).partition("=")[0]
    for said in wrong:
        for target in ("/app.js", "/past/days?source=bed"):
            surface.book(f"cookie {said}", _ask(port, target, headers={"Cookie": f"{name}={said}"}), (401,))
        with RawSocket(port, {"Cookie": f"{name}={said}"}) as socket:
            surface.book(f"cookie {said}", socket.status, (403,))
    surface.book("in the URL", _ask(port, f"/app.js?token={token}"), (401,))
    surface.book("as a cookie", _ask(port, "/app.js", headers={"Cookie": f"{name}={token}"}), (401,))
    for said in wrong:
        surface.book(f"header {said}", _ask(port, "/app.js", headers={"Authorization": f"Bearer {said}"}), (401, 429))
    own = {"Origin": f"http://127.0.0.1:{port}", "Content-Type": "application/x-www-form-urlencoded"}
    for said in wrong:
        answer = exchange(port, request(port, "/login", "POST", own, urlencode({"token": said})[:2000].encode()))
        refused = b"set-cookie" not in answer.lower()
        surface.book(f"form {said}", status_of(answer) if refused else 200, (303, 429))
    return surface


def cookie_of(port: int, token: str) -> str:
    from edge_runtime.dashboard.access import Access

    access = Access(DashboardOptions(port=port, token=token))
    return f"{access.cookie_name}={access.cookie}"
