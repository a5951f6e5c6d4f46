"""HTTP and WebSocket by hand, over a plain socket: so that what no library would send can be sent."""

from __future__ import annotations

import base64
import os
import socket
import struct
from collections.abc import Mapping
from contextlib import suppress

_WAIT_S = 10.0
TEXT, BINARY, CLOSE = 1, 2, 8


def exchange(port: int, request: bytes) -> bytes:
    """What comes back until the other side closes, or the beginning of it."""
    said = b""
    with socket.create_connection(("127.0.0.1", port), _WAIT_S) as connection:
        with suppress(ConnectionError, TimeoutError):
            connection.sendall(request)
        with suppress(ConnectionError, TimeoutError):
            while data := connection.recv(65536):
                said += data
    return said


def request(
    port: int, target: str, method: str = "GET", headers: Mapping[str, str] | None = None, body: bytes = b""
) -> bytes:
    """The bytes of a request; `headers` come over the usual ones, and an empty one takes its usual one away."""
    usual = {"Host": f"127.0.0.1:{port}", "Connection": "close", "Content-Length": str(len(body)) if body else ""}
    lines = [f"{k}: {v}" for k, v in {**usual, **(headers or {})}.items() if v]
    return "\r\n".join((f"{method} {target} HTTP/1.1", *lines, "", "")).encode("latin-1") + body


def status_of(answer: bytes) -> int | None:
    """None where there was no answer: the connection was closed."""
    parts = answer.split(b" ", 2)
    return int(parts[1]) if len(parts) > 2 and parts[1].isdigit() else None


class RawSocket:
    """A WebSocket without manners. `status`: of the handshake, 101 where it was accepted."""

    def __init__(self, port: int, headers: Mapping[str, str] | None = None) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), _WAIT_S)
        usual = {
            "Connection": "Upgrade",
            "Upgrade": "websocket",
            "Sec-WebSocket-Version": "13",
            "Sec-WebSocket-Key": base64.b64encode(os.urandom(16)).decode(),
            "Origin": f"http://127.0.0.1:{port}",
        }
        self._socket.sendall(request(port, "/live", headers={**usual, **(headers or {})}))
        self._buffer = b""
        while b"\r\n\r\n" not in self._buffer and self._more():
            pass
        head, _, self._buffer = self._buffer.partition(b"\r\n\r\n")
        self.status = status_of(head)

    def __enter__(self) -> RawSocket:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def send(self, payload: bytes, opcode: int = TEXT, final: bool = True, masked: bool = True, bits: int = 0) -> None:
        head = bytes([(0x80 if final else 0) | bits | opcode])
        flag = 0x80 if masked else 0
        size = len(payload)
        head += (
            bytes([flag | size])
            if size < 126
            else bytes([flag | 126]) + struct.pack("!H", size)
            if size < 65536
            else bytes([flag | 127]) + struct.pack("!Q", size)
        )
        self.send_bytes(head + (b"\0\0\0\0" if masked else b"") + payload)

    def send_bytes(self, data: bytes) -> None:
        with suppress(ConnectionError):  # it has been closed already; what it said before can be read
            self._socket.sendall(data)

    def say_no_more(self, wait_s: float) -> None:
        """And wait for an answer no longer than this."""
        self._socket.settimeout(wait_s)
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_WR)

    def receive(self) -> tuple[int, bytes] | None:
        """The next frame: opcode and payload; None at the end."""
        while len(self._buffer) < 2 or len(self._buffer) < self._size():
            if not self._more():
                return None
        size, start = self._size(), self._start()
        opcode, payload = self._buffer[0] & 15, self._buffer[start:size]
        self._buffer = self._buffer[size:]
        return opcode, payload

    def closed_with(self) -> int | None:
        """The code of the close frame that comes; None where the connection just ends."""
        while (frame := self.receive()) is not None:
            if frame[0] == CLOSE:
                return int.from_bytes(frame[1][:2], "big")
        return None

    def _start(self) -> int:
        return {126: 4, 127: 10}.get(self._buffer[1] & 127, 2)

    def _size(self) -> int:
        start, short = self._start(), self._buffer[1] & 127
        return start + (short if short < 126 else int.from_bytes(self._buffer[2:start], "big"))

    def _more(self) -> bool:
        try:
            data = self._socket.recv(65536)
        except (ConnectionError, TimeoutError):
            return False
        self._buffer += data
        return bool(data)
