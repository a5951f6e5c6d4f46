"""The server on a real socket: what is served, to whom, and what becomes of a client that is too slow."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from typing import Any

import pytest

from benchmarks.dashboard.attacks import attack
from benchmarks.dashboard.raw import CLOSE, RawSocket, exchange, request, status_of
from edge_runtime.dashboard import Dashboard, DashboardOptions
from edge_runtime.dashboard.application import MOST_CLIENTS, Client, Pace, pages
from edge_runtime.dashboard.feed import Feed
from edge_runtime.dashboard.words import RHYTHMS, STATES, WHYS
from edge_runtime.errors import UsageError
from edge_runtime.report import STATES as ALL_STATES
from edge_runtime.report import schema
from tests.edge_runtime.dashboard.fakes import Absent, FakePast, dashboard, report, samples

TOKEN = "a-token-of-some-length"
DAY = "start=2026-11-20T00:00:00Z&end=2026-11-21T00:00:00Z&bucket_s=3600"


def fetch(port: int, target: str, **headers: str) -> tuple[int | None, str, bytes]:
    answer = exchange(port, request(port, target, headers={k.replace("_", "-"): v for k, v in headers.items()}))
    head, _, body = answer.partition(b"\r\n\r\n")
    return status_of(answer), head.decode("latin-1").lower(), body


def next_message(socket: RawSocket) -> dict[str, Any]:
    frame = socket.receive()
    assert frame is not None
    said = json.loads(frame[1])
    assert isinstance(said, dict)
    return said


def until(socket: RawSocket, key: str) -> dict[str, Any]:
    """The first message whose only source has that; those before it are passed over."""
    while True:
        live = next_message(socket).get("live", {}).get("0", {})
        if key in live:
            return dict(live)


def test_every_page_is_served_with_the_headers_that_keep_others_out() -> None:
    shown = dashboard()
    try:
        for name, (body, kind) in pages().items():
            status, head, served = fetch(shown.port, "/" if name == "index.html" else f"/{name}")
            assert (status, served) == (200, body)
            assert f"content-type: {kind}" in head
            assert "default-src 'none'" in head and "unsafe" not in head and "nosniff" in head
            assert "server:" not in head
    finally:
        shown.close()


def test_the_pages_hold_no_inline_script_or_style_and_nothing_from_elsewhere() -> None:
    found = pages()
    assert {"index.html", "login.html", "style.css", "app.js", "icon.svg"} <= set(found)
    for name, (body, _) in found.items():
        text = body.decode()
        assert "http://" not in text.replace("http://www.w3.org/2000/svg", "") and "https://" not in text, name
        assert "innerHTML" not in text and "eval(" not in text, name
        if name.endswith(".html"):
            assert " style=" not in text and " onclick=" not in text and "<style" not in text
            assert text.count("<script") == text.count('<script type="module" src=')


def test_whoever_connects_gets_the_last_seconds_at_once_and_then_what_comes() -> None:
    shown = dashboard()
    try:
        watch = shown.watch("bed")
        watch(samples(0, 3000))
        shown.write(report(12.0))
        with RawSocket(shown.port) as socket:
            hello = next_message(socket)
            assert hello["hello"]["notice"].startswith("Research use only") and hello["keeps"] is False
            socket.send(b'{"watch":[0]}')
            told = until(socket, "trace")
            assert len(told["trace"]["uv"]) == 3000 and told["report"]["qt_ms"]["value"] == 380.0
            watch(samples(3000, 25))
            assert until(socket, "trace")["trace"]["at"] == 3000
            shown.write(report(13.0, "lead_off"))
            assert until(socket, "report")["report"]["hr_bpm"]["value"] is None
    finally:
        shown.close()


def test_what_should_be_refused_is() -> None:
    shown = Dashboard(DashboardOptions(port=0, token=TOKEN))
    try:
        for name, surface in attack(shown.port, TOKEN).items():
            assert surface.tried >= 10 and surface.let_through == [], name
            assert surface.refused == surface.tried, name
    finally:
        shown.close()


def test_the_token_opens_everything_by_header_and_by_cookie() -> None:
    shown = dashboard(token=TOKEN)
    try:
        assert fetch(shown.port, "/")[0] == 303 and fetch(shown.port, "/app.js")[0] == 401
        assert fetch(shown.port, "/login.html")[0] == 200
        assert fetch(shown.port, "/", Authorization=f"Bearer {TOKEN}")[0] == 200
        own = {"Origin": f"http://127.0.0.1:{shown.port}", "Content-Type": "application/x-www-form-urlencoded"}
        answer = exchange(shown.port, request(shown.port, "/login", "POST", own, f"token={TOKEN}".encode())).decode()
        (line,) = (line for line in answer.splitlines() if line.lower().startswith("set-cookie:"))
        assert "httponly" in line.lower() and "samesite=strict" in line.lower() and TOKEN not in line
        cookie = line.split(":", 1)[1].split(";")[0].strip()
        assert fetch(shown.port, "/", Cookie=cookie)[0] == 200
        with RawSocket(shown.port, {"Cookie": cookie}) as socket:
            assert socket.status == 101
    finally:
        shown.close()


def test_there_is_an_end_to_clients_and_the_last_one_is_told_so() -> None:
    shown = dashboard()
    sockets = [RawSocket(shown.port) for _ in range(MOST_CLIENTS)]
    try:
        assert all("hello" in next_message(socket) for socket in sockets)
        with RawSocket(shown.port) as one_more:
            assert one_more.closed_with() == 1013
        sockets.pop().__exit__()
    finally:
        for socket in sockets:
            socket.__exit__()
        shown.close()


def test_the_past_is_asked_of_the_store_and_of_nothing_else() -> None:
    past = FakePast("bed")
    shown = dashboard(past)
    try:
        status, _, body = fetch(shown.port, "/past/days?source=bed")
        assert (status, json.loads(body)["days"]) == (200, ["2026-11-19", "2026-11-20"])
        status, _, body = fetch(shown.port, f"/past/stretch?source=bed&{DAY}")
        told = json.loads(body)
        assert status == 200 and len(told["trend"]) == 23 and told["burden"]["af_s"] == 1800.0
        assert past.asked[-1] == ("trend", "bed", "2026-11-20T00:00:00.000Z", "2026-11-21T00:00:00.000Z", 3600.0)
    finally:
        shown.close()


@pytest.mark.parametrize(("past", "why"), [(None, "without a store"), (Absent(), "there is no store")])
def test_without_a_store_the_answer_says_so(past: Absent | None, why: str) -> None:
    shown = dashboard(past)
    try:
        status, _, body = fetch(shown.port, f"/past/stretch?source=bed&{DAY}")
        assert status == 503 and why in json.loads(body)["error"]
    finally:
        shown.close()


def test_a_port_that_is_taken_is_one_line() -> None:
    shown = dashboard()
    try:
        with pytest.raises(UsageError, match="choose another port"):
            dashboard(port=shown.port)
    finally:
        shown.close()


def test_a_closed_dashboard_lets_its_port_go_and_says_goodbye() -> None:
    shown = dashboard()
    with RawSocket(shown.port) as socket:
        next_message(socket)
        shown.close()
        assert socket.closed_with() == 1012
    again = dashboard(port=shown.port)
    again.close()


def test_nothing_of_it_is_imported_before_it_is_asked_for() -> None:
    code = (
        "import sys, edge_runtime.dashboard, edge_runtime.cli\n"
        "print([m for m in ('starlette', 'uvicorn', 'websockets') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_without_the_extra_it_is_named() -> None:
    code = (
        "import sys\nsys.modules['uvicorn'] = None\n"
        "from edge_runtime.dashboard import Dashboard, DashboardOptions\n"
        "try:\n    Dashboard(DashboardOptions(port=0))\nexcept Exception as e:\n    print(type(e).__name__, e)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("UsageError --dashboard needs uvicorn: pip install 'leadwire[dashboard]'")


def test_every_state_and_reason_has_words() -> None:
    assert set(STATES) == set(ALL_STATES)
    whys = schema()["$defs"]["value"]["properties"]["why"]["enum"]
    assert set(whys) - {None} <= set(WHYS)
    labels = schema()["$defs"]["rhythm"]["properties"]["label"]["enum"]
    assert {*labels, "uncertain", *ALL_STATES} - {None} <= set(RHYTHMS)


class Deaf:
    """A WebSocket whose other end says nothing; `stuck`: and takes nothing either."""

    def __init__(self, stuck: bool) -> None:
        self.sent: list[str] = []
        self.code: int | None = None
        self._stuck = stuck

    async def send_text(self, text: str) -> None:
        self.sent.append(text)
        if self._stuck:
            await asyncio.Event().wait()

    async def receive(self) -> dict[str, Any]:
        await asyncio.Event().wait()
        return {}

    async def close(self, code: int, reason: str) -> None:
        self.code = code


def test_a_client_that_shows_nothing_is_sent_no_more_than_a_little_and_then_let_go() -> None:
    feed, deaf = Feed(), Deaf(stuck=False)
    watch = feed.watch("bed")
    watch(samples(0, 10))
    pace = Pace(turn_s=0.0, heartbeat_s=0.0, most_unseen=7, hopeless_s=0.05)
    asyncio.run(Client(deaf, feed, False, pace).serve())  # type: ignore[arg-type]
    assert len(deaf.sent) == 7
    assert deaf.code == 1013


def test_a_client_that_takes_nothing_is_let_go() -> None:
    deaf = Deaf(stuck=True)
    asyncio.run(Client(deaf, Feed(), False, Pace(hopeless_s=0.05)).serve())  # type: ignore[arg-type]
    assert (len(deaf.sent), deaf.code) == (1, 1013)


def test_a_ping_is_answered() -> None:
    shown = dashboard()
    try:
        with RawSocket(shown.port) as socket:
            socket.send(b"there?", 9)
            while (frame := socket.receive()) is not None and frame[0] != 10:
                assert frame[0] != CLOSE
            assert frame == (10, b"there?")
    finally:
        shown.close()
