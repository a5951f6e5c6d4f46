"""Who may see the dashboard: the names it answers to, the pages that may ask it, and the token. Pure.

Loopback needs no token, yet every page in the browser beside it can reach it: so a Host that is not ours (a rebound DNS
name) is refused, and so is another site's Origin. A token is compared in constant time and stays in a cookie.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import os
import re
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from edge_runtime.errors import UsageError

TOKEN_VARIABLE = "LEADWIRE_DASHBOARD_TOKEN"
_TOKEN = re.compile(r"[!-~]{16,256}")
_HOST = re.compile(r"(?:\[(?P<address>[0-9a-f:.]{2,45})\]|(?P<name>[a-z0-9._-]{1,253}))(?::[0-9]{1,5})?")
_MAKE_ONE = "python3 -c 'import secrets; print(secrets.token_urlsafe(24))' makes one"


@dataclass(frozen=True)
class DashboardOptions:
    """Where it listens, and with what token. names: by which it is called beside its address, as behind a proxy."""

    host: str = "127.0.0.1"
    port: int = 8080
    token: str | None = field(default=None, repr=False)
    names: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.token is not None and not _TOKEN.fullmatch(self.token):
            raise UsageError(f"the dashboard's token needs 16 to 256 characters, and no blank among them: {_MAKE_ONE}")
        if self.token is None and not _is_loopback(self.host):
            raise UsageError(
                f"--dashboard {self.host}:{self.port}: without a token it is shown on this machine only (127.0.0.1); "
                f"give --dashboard-token FILE or {TOKEN_VARIABLE} ({_MAKE_ONE})"
            )

    @classmethod
    def of(
        cls,
        where: str,
        token_file: Path | None = None,
        environment: Mapping[str, str] = os.environ,
        names: tuple[str, ...] = (),
    ) -> DashboardOptions:
        """where: `[HOST:]PORT`. The token is the file's first line, else the variable's. Raises UsageError."""
        host, _, port = where.rpartition(":")
        host = host.removeprefix("[").removesuffix("]") or "127.0.0.1"
        if not (port.isascii() and port.isdigit() and len(port) <= 5 and int(port) < 65536):
            raise UsageError(f"--dashboard {where}: give [HOST:]PORT, such as 8080 or 192.168.1.5:8080")
        return cls(host, int(port), _token(token_file, environment), names)


def _token(file: Path | None, environment: Mapping[str, str]) -> str | None:
    if file is None:
        return environment.get(TOKEN_VARIABLE) or None
    try:
        with file.open(encoding="utf-8") as lines:
            return lines.readline(4096).strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not text"
        raise UsageError(f"--dashboard-token {file}: cannot be read ({reason}); {_MAKE_ONE}") from error


class Access:
    """The checks of one dashboard."""

    def __init__(self, options: DashboardOptions) -> None:
        self._token = options.token
        self._loopback = _is_loopback(options.host)
        machine = socket.gethostname().lower()
        own = () if self._loopback else (options.host, machine, f"{machine}.local")
        self._names = {"localhost", *own, *(name.lower() for name in options.names)}
        # Cookies know no ports: two dashboards of one host keep theirs apart by name.
        self.cookie_name = f"leadwire-{options.port}"
        self._secret = options.token.encode() if options.token else b""

    @property
    def guarded(self) -> bool:
        return self._token is not None

    @property
    def cookie(self) -> str:
        """What a browser is given instead of the token: it outlives a restart, and says nothing of the token."""
        return hmac.new(self._secret, b"leadwire dashboard cookie", hashlib.sha256).hexdigest()

    def knows_host(self, host: str | None) -> bool:
        """Against DNS rebinding, which needs a name that is the attacker's: an address or a name of ours is let in."""
        name = _name_of(host)
        if name is None:
            return False
        try:
            address = ipaddress.ip_address(name)
        except ValueError:
            return name in self._names
        return address.is_loopback or not self._loopback

    def knows_origin(self, origin: str | None, host: str | None) -> bool:
        """The page that asks is our own: browsers always say on a WebSocket and a form which one that is."""
        if not origin or not host:
            return False
        try:
            parts = urlsplit(origin)
        except ValueError:
            return False
        return parts.scheme in ("http", "https") and parts.netloc.lower() == host.lower() and not parts.path

    def is_token(self, said: str) -> bool:
        return self.guarded and hmac.compare_digest(said.encode("utf-8", "replace"), self._secret)

    def admits(self, cookie: str | None, authorization: str | None) -> bool:
        """By the cookie, or by `Authorization: Bearer TOKEN`."""
        if not self.guarded:
            return True
        scheme, _, said = (authorization or "").partition(" ")
        by_header = scheme.lower() == "bearer" and self.is_token(said.strip())
        return by_header or hmac.compare_digest((cookie or "").encode("utf-8", "replace"), self.cookie.encode())


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def _name_of(host: str | None) -> str | None:
    """Of a Host header, without its port."""
    found = _HOST.fullmatch(host.lower()) if host else None
    return (found["address"] or found["name"].rstrip(".")) if found else None


def security_headers(host: str) -> dict[str, str]:
    """Of every answer. host: a Host that was checked; older browsers do not take a WebSocket for 'self'."""
    return {
        "content-security-policy": (
            "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
            f"connect-src 'self' ws://{host} wss://{host}; "
            "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
        ),
        "x-content-type-options": "nosniff",
        "x-frame-options": "DENY",
        "referrer-policy": "same-origin",  # with no-referrer a form's Origin would be null
        "cross-origin-opener-policy": "same-origin",
        "cross-origin-resource-policy": "same-origin",
        "permissions-policy": "camera=(), microphone=(), geolocation=()",
        "cache-control": "no-store",
    }
