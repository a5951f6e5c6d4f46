"""The asyncio shell: pages from a fixed table, a WebSocket for what is live, JSON for what is past."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from importlib import resources
from typing import Any, TypeVar
from urllib.parse import parse_qs

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from starlette.websockets import WebSocket, WebSocketDisconnect

from edge_runtime.dashboard.access import Access, security_headers
from edge_runtime.dashboard.asked import (
    POLICY,
    TRY_LATER,
    UNSUPPORTED,
    Refused,
    Seen,
    message_of,
    source_of,
    stretch_of,
)
from edge_runtime.dashboard.feed import Cursor, Feed
from edge_runtime.dashboard.limits import Allowance, Throttle
from edge_runtime.dashboard.past import Archive, Unavailable
from edge_runtime.dashboard.words import words

MOST_CLIENTS = 16
_T = TypeVar("_T")
_LONGEST_FORM = 2048
_WRONG_TOKENS = (0.1, 10.0)  # a second, and at once, from one address


@dataclass(frozen=True)
class Pace:
    """How a client is told what is new: so often, and at least so often; with at most so many messages that it has not
    yet shown, so that what it shows is never much older because of us; and never again once it has shown none for so
    long."""

    turn_s: float = 1 / 15
    heartbeat_s: float = 1.0
    most_unseen: int = 30
    hopeless_s: float = 15.0


_TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
_DOORS = ("/", "/login.html")  # where a link from elsewhere may lead
_FREE = ("/login", "/login.html", "/login.js", "/style.css", "/icon.svg")  # what is needed to show a token


def pages() -> dict[str, tuple[bytes, str]]:
    """Every file that there is, read once: no path of a request is ever looked up on a disk."""
    folder = resources.files("edge_runtime.dashboard").joinpath("static")
    found = {}
    for file in folder.iterdir():
        kind = _TYPES.get("." + file.name.rpartition(".")[2])
        if kind:
            found[file.name] = (file.read_bytes(), f"{kind}; charset=utf-8")
    return found


def application(feed: Feed, access: Access, archive: Archive | None) -> ASGIApp:
    """archive: None where nothing is kept."""
    files = pages()
    throttle = Throttle(*_WRONG_TOKENS)
    clients: set[WebSocket] = set()

    def page(name: str) -> Callable[[Request], Awaitable[Response]]:
        body, kind = files[name]

        async def send(request: Request) -> Response:
            return Response(body, media_type=kind)

        return send

    async def login(request: Request) -> Response:
        headers, address, now = request.headers, _address(request.scope), time.monotonic()
        if throttle.blocks(address, now):
            return _too_many()
        if not access.knows_origin(headers.get("origin"), headers.get("host")):
            return PlainTextResponse("This form is for the dashboard's own page.\n", 403)
        said = await _form(request)
        if said is None:
            return PlainTextResponse("That is more than a token.\n", 413)
        if access.is_token(said.get("token", [""])[0].strip()):
            answer = RedirectResponse("/", 303)
            answer.set_cookie(
                access.cookie_name,
                access.cookie,
                max_age=30 * 86400,
                httponly=True,
                samesite="strict",
                secure=request.url.scheme == "https",
            )
            return answer
        throttle.wrong(address, now)
        return RedirectResponse("/login.html?wrong", 303)

    async def past_days(request: Request) -> Response:
        return await _answer(archive, request, source_of, Archive.days)

    async def past_stretch(request: Request) -> Response:
        return await _answer(archive, request, stretch_of, Archive.stretch)

    async def live(socket: WebSocket) -> None:
        if not access.knows_origin(socket.headers.get("origin"), socket.headers.get("host")):
            await socket.close(POLICY)  # before it was accepted: 403
            return
        await socket.accept()
        if len(clients) >= MOST_CLIENTS:
            await socket.close(TRY_LATER, "too many clients")
            return
        clients.add(socket)
        try:
            await Client(socket, feed, keeps=archive is not None).serve()
        finally:
            clients.discard(socket)

    routes = [
        Route("/", page("index.html")),
        *(Route(f"/{name}", page(name)) for name in files if name != "index.html"),
        Route("/login", login, methods=["POST"]),
        Route("/past/days", past_days),
        Route("/past/stretch", past_stretch),
        WebSocketRoute("/live", live),
    ]
    app = Starlette(routes=routes)
    app.router.redirect_slashes = False
    return _Guard(app, access, throttle)


class _Guard:
    """In front of everything: Host, token, and the headers of every answer."""

    def __init__(self, app: ASGIApp, access: Access, throttle: Throttle) -> None:
        self._app, self._access, self._throttle = app, access, throttle

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            return
        headers = {key.decode("latin-1"): value.decode("latin-1") for key, value in scope["headers"]}
        host = headers.get("host")
        refusal = self._refusal(scope, headers)
        safe = security_headers(host if refusal is None or refusal.status_code != 421 else "localhost") if host else {}

        async def guarded(message: Message) -> None:
            if message["type"] in ("http.response.start", "websocket.http.response.start"):
                message["headers"] = [
                    *message.get("headers", ()),
                    *((key.encode(), value.encode()) for key, value in safe.items()),
                ]
            await send(message)

        if refusal is None:
            await self._app(scope, receive, guarded)
        elif scope["type"] == "http":
            await refusal(scope, receive, guarded)
        else:
            await receive()
            await send({"type": "websocket.close", "code": POLICY})  # before it was accepted: 403

    def _refusal(self, scope: Scope, headers: dict[str, str]) -> Response | None:
        access, path = self._access, scope["path"]
        if not access.knows_host(headers.get("host")):
            return PlainTextResponse("This dashboard does not go by that name: ask for it by its address.\n", 421)
        if headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none") and path not in _DOORS:
            return PlainTextResponse("Only the dashboard's own page may ask.\n", 403)
        authorization, address, now = headers.get("authorization"), _address(scope), time.monotonic()
        if authorization and self._throttle.blocks(address, now):
            return _too_many()
        if path in _FREE or access.admits(_cookie(headers, access.cookie_name), authorization):
            return None
        if authorization:
            self._throttle.wrong(address, now)
        if path == "/":
            return RedirectResponse("/login.html", 303)
        return PlainTextResponse("A token is needed.\n", 401, {"www-authenticate": "Bearer"})


class Client:
    """One WebSocket: told what is new, as fast as it shows it."""

    def __init__(self, socket: WebSocket, feed: Feed, keeps: bool, pace: Pace = Pace()) -> None:
        self._socket, self._feed, self._keeps, self._pace = socket, feed, keeps, pace
        self._cursor = Cursor()
        self._sent = self._seen = 0
        self._seen_s = time.monotonic()

    async def serve(self) -> None:
        teller = asyncio.create_task(self._tell())
        listener = asyncio.create_task(self._listen())
        tasks = (teller, listener)
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            errors = await asyncio.gather(*tasks, return_exceptions=True)
        for error in errors:
            if isinstance(error, Refused):
                with contextlib.suppress(RuntimeError, OSError, TimeoutError):  # it is gone already
                    async with asyncio.timeout(self._pace.heartbeat_s):
                        await self._socket.close(error.code, str(error))
            elif not isinstance(error, (WebSocketDisconnect, asyncio.CancelledError, RuntimeError, OSError)):
                raise error or AssertionError("neither of them ends by itself")

    async def _tell(self) -> None:
        """Raises Refused for a client that is too slow for too long."""
        await self._send({"hello": words(), "keeps": self._keeps})
        told_s = 0.0
        while True:
            now = time.monotonic()
            if self._sent - self._seen < self._pace.most_unseen:
                news = self._feed.news(self._cursor, now)
                if news or now - told_s >= self._pace.heartbeat_s:
                    told_s = now
                    await self._send(news)
            if self._sent > self._seen and now - self._seen_s > self._pace.hopeless_s:
                raise Refused(TRY_LATER, "too slow")
            await asyncio.sleep(self._pace.turn_s)

    async def _send(self, news: dict[str, object]) -> None:
        self._sent += 1
        text = json.dumps(
            {"n": self._sent, "now_s": round(time.monotonic(), 3), **news}, separators=(",", ":"), allow_nan=False
        )
        try:
            async with asyncio.timeout(self._pace.hopeless_s):  # wait_for of Python 3.11 may swallow a cancellation
                await self._socket.send_text(text)
        except TimeoutError:
            raise Refused(TRY_LATER, "too slow") from None

    async def _listen(self) -> None:
        """Raises Refused for what is no message of ours."""
        allowance = Allowance(per_s=20, at_once=60, now_s=time.monotonic())
        while True:
            received = await self._socket.receive()
            if received["type"] == "websocket.disconnect":
                raise WebSocketDisconnect
            text = received.get("text")
            if text is None:
                raise Refused(UNSUPPORTED, "text only")
            now = time.monotonic()
            if not allowance.take(now):
                raise Refused(POLICY, "too many messages")
            said = message_of(text)
            if isinstance(said, Seen):
                if not self._seen <= said.number <= self._sent:
                    raise Refused(POLICY, "no such message")
                self._seen, self._seen_s = said.number, now
            else:
                self._cursor.watch(said.sources)


async def _form(request: Request) -> dict[str, list[str]] | None:
    """None where it is too long."""
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > _LONGEST_FORM:
            return None
    return parse_qs(body.decode("utf-8", "replace"), max_num_fields=4) if body.count(b"&") < 4 else {}


async def _answer(
    archive: Archive | None,
    request: Request,
    asked_by: Callable[[Mapping[str, str]], _T],
    ask: Callable[[Archive, _T], Awaitable[dict[str, Any]]],
) -> Response:
    try:
        asked = asked_by(request.query_params)
        if archive is None:
            raise Unavailable("nothing is kept: this process runs without a store")
        return JSONResponse(await ask(archive, asked))
    except ValueError as error:
        return JSONResponse({"error": str(error)}, 400)
    except Unavailable as error:
        return JSONResponse({"error": str(error)}, 503)


def _address(scope: Scope) -> str:
    client = scope.get("client")
    return str(client[0]) if client else ""


def _too_many() -> Response:
    return PlainTextResponse("Too many wrong tokens; wait a minute.\n", 429, {"retry-after": "60"})


def _cookie(headers: dict[str, str], name: str) -> str | None:
    for part in headers.get("cookie", "")[:8192].split(";"):
        key, _, value = part.strip().partition("=")
        if key == name:
            return value
    return None
