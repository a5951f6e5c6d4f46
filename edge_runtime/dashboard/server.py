"""`Dashboard`: a sink of reports and a watcher of streams that shows them in a browser, on a thread of its own."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge_runtime.dashboard.access import Access, DashboardOptions
from edge_runtime.dashboard.asked import LONGEST_MESSAGE
from edge_runtime.dashboard.feed import Feed
from edge_runtime.dashboard.past import Archive, Past, open_history
from edge_runtime.errors import UsageError
from edge_runtime.report import Report
from firmware_bridge.clock import Samples

if TYPE_CHECKING:
    from uvicorn import Config

_MOST_CONNECTIONS = 64
_EACH_WITHIN_S = 15.0  # a connection that has asked for nothing new for so long is closed
_LONGEST_HEAD = 16384  # bytes of a request line and its headers
_SEND_BUFFER = 131072  # what the kernel holds for a client that does not read
_GIVEN_UP_MS = 20_000  # by the kernel, for what was sent and never acknowledged
_LAST_WORD_S = 1  # for closing


class Dashboard:
    """Listens as soon as it is made. Raises UsageError where it cannot.

    history: the store's file, of which the day view is drawn; None for none. tell: hears when it stops by mistake.
    """

    def __init__(
        self,
        options: DashboardOptions,
        history: Path | None = None,
        tell: Callable[[str], None] = lambda message: None,
        open_past: Callable[[Path], Past] = open_history,
    ) -> None:
        try:
            import uvicorn

            from edge_runtime.dashboard.application import application
        except ImportError as error:
            raise UsageError(f"--dashboard needs {error.name}: pip install 'leadwire[dashboard]'") from None
        self._feed, self._tell = Feed(), tell
        self._archive = Archive(partial(open_past, history)) if history else None
        self._listener = _listen(options)
        self.port: int = self._listener.getsockname()[1]
        host = f"[{options.host}]" if ":" in options.host else options.host
        self.url = f"http://{host}:{self.port}/"
        access = Access(replace(options, port=self.port))
        self._server = uvicorn.Server(_configuration(application(self._feed, access, self._archive)))
        self._thread = threading.Thread(target=self._serve, name="dashboard", daemon=True)
        self._thread.start()

    def watch(self, source: str) -> Callable[[Samples], None]:
        """For the stream of this source, as one of its watchers. Sources are shown in the order of these calls."""
        return self._feed.watch(source)

    def write(self, report: Report) -> None:
        self._feed.write(report)

    def close(self) -> None:
        self._server.should_exit = True
        self._thread.join(_LAST_WORD_S + 5)
        if self._archive:
            self._archive.close()
        self._listener.close()

    def _serve(self) -> None:
        try:
            asyncio.run(self._server.serve(sockets=[self._listener]))
        except Exception as error:
            self._tell(f"the dashboard has stopped ({type(error).__name__}: {error}); monitoring goes on without it")


def _listen(options: DashboardOptions) -> socket.socket:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            options.host, options.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
    except OSError as error:
        raise _cannot_listen(options, error) from error
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER)
        if hasattr(socket, "TCP_USER_TIMEOUT"):
            listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _GIVEN_UP_MS)
        listener.bind(address)
        listener.listen(_MOST_CONNECTIONS)
    except OSError as error:
        listener.close()
        raise _cannot_listen(options, error) from error
    return listener


def _cannot_listen(options: DashboardOptions, error: OSError) -> UsageError:
    return UsageError(
        f"--dashboard {options.host}:{options.port}: cannot listen ({error.strerror}); choose another port or address"
    )


def _configuration(app: Any) -> Config:
    from uvicorn import Config
    from uvicorn.protocols.http.h11_impl import H11Protocol
    from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

    class Bounded(H11Protocol):
        """Counts connections before they say anything, and does not wait forever for what they say."""

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            if len(self.connections) > _MOST_CONNECTIONS:
                transport.abort()
            else:
                self.loop.call_later(_EACH_WITHIN_S, self._hurry, None)

        def _hurry(self, before: Any) -> None:
            if self not in self.connections:  # it has become a WebSocket, or gone
                return
            if self.cycle is before:
                self.transport.abort()
            else:
                self.loop.call_later(_EACH_WITHIN_S, self._hurry, self.cycle)

    class Prompt(WebSocketsSansIOProtocol):
        """Does not wait forever for a handshake that came to nothing, and says nothing of bytes that are none of the
        protocol's: nobody's log is a client's to fill."""

        def data_received(self, data: bytes) -> None:
            try:
                super().data_received(data)
            except Exception:  # such as no UTF-8 behind a close, of which uvicorn makes a traceback
                self.transport.abort()

        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            super().connection_made(transport)
            self.loop.call_later(_EACH_WITHIN_S, self._hurry)

        def _hurry(self) -> None:
            if not self.handshake_complete and self in self.connections:
                self.transport.abort()

    return Config(
        app,
        http=Bounded,
        ws=Prompt,
        ws_max_size=LONGEST_MESSAGE,
        ws_per_message_deflate=False,  # small messages gain little, and nothing can be blown up
        ws_ping_interval=20.0,
        ws_ping_timeout=20.0,
        lifespan="off",
        log_config=None,
        log_level="critical",  # what a client does wrong is answered, and is nobody else's business
        access_log=False,
        server_header=False,
        proxy_headers=False,
        h11_max_incomplete_event_size=_LONGEST_HEAD,
        timeout_keep_alive=5,
        timeout_graceful_shutdown=_LAST_WORD_S,
    )
