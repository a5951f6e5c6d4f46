"""Which MQTT broker, and who we are to it: from options to a paho client."""

from __future__ import annotations

import os
import socket
import sys
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote, urlsplit

from edge_runtime.errors import UsageError

if TYPE_CHECKING:
    import ssl

    from paho.mqtt.client import Client

PASSWORD = "LEADWIRE_MQTT_PASSWORD"
STATUS = "status"
MOST_IN_FLIGHT = 16  # below paho's own limit of 20: it never has to queue
_PORTS = {"mqtt": 1883, "mqtts": 8883}
_KEEPALIVE_S, _CONNECT_S = 30, 5.0
_LONGEST_PREFIX = 256  # bytes


@dataclass(frozen=True)
class MqttOptions:
    """url: mqtt://[USER@]HOST[:PORT][/PREFIX], or mqtts:// for TLS; the password is in password_file or in the
    environment (LEADWIRE_MQTT_PASSWORD), never here, where every list of processes shows it. node: this device's level
    in the topics and its client id (default: the host's name, and a client id of its own). ca: whom to trust, as PEM
    (default: whom the system does); cert, key: who we are, where the broker wants to know.
    """

    url: str
    node: str | None = None
    password_file: Path | None = None
    ca: Path | None = None
    cert: Path | None = None
    key: Path | None = None


@dataclass(frozen=True)
class Broker:
    host: str
    port: int
    tls: ssl.SSLContext | None
    user: str | None
    password: str | None = field(repr=False)
    prefix: str  # of all topics of this node

    @property
    def name(self) -> str:
        return f"{self.host}:{self.port}"

    @property
    def is_private(self) -> bool:
        """What goes there is seen by nobody on the way."""
        return self.tls is not None or self.host in ("localhost", "::1") or self.host.startswith("127.")


@dataclass(frozen=True)
class Connected:
    """most_in_flight: messages that the broker wants to be given before it has taken one; largest: bytes of one."""

    most_in_flight: int
    largest: int | None


@dataclass(frozen=True)
class Away:
    why: str


@dataclass(frozen=True)
class Taken:
    """A message's number, and why the broker would not have it."""

    number: int
    refusal: str | None


Heard = Connected | Away | Taken


def level(name: str) -> str:
    """A name as one level of a topic: `/`, `+`, `#` and the like are percent-encoded, so that any name is one."""
    return quote(name.encode("utf-8", "backslashreplace"), safe="") or "-"


def broker_of(options: MqttOptions) -> Broker:
    try:
        url = urlsplit(options.url)
        host, port = url.hostname or "", url.port
        host.encode("idna")
    except ValueError as error:  # of an odd port, or an odd host
        raise UsageError(f"--mqtt: no such host or port can be ({error}); give mqtts://HOST:PORT") from error
    if url.scheme not in _PORTS or not host or url.query or url.fragment:
        raise UsageError("--mqtt: give mqtt://HOST or mqtts://HOST, with a USER@, a :PORT and a /PREFIX if need be")
    if url.password is not None:
        raise UsageError(f"--mqtt: no password in the URL, where others see it: use password_file or {PASSWORD}")
    if url.scheme == "mqtt" and (options.ca or options.cert or options.key):
        raise UsageError("--mqtt: certificates are for mqtts://")
    prefix = unquote(url.path).strip("/") or "leadwire"
    bad = [c for c in prefix if c in "+#\0" or not c.isprintable()]
    if bad or prefix.startswith("$") or len(prefix.encode()) > _LONGEST_PREFIX:
        raise UsageError(f"--mqtt: topics cannot begin with {prefix!r}; leave out +, #, $ and oddities")
    node = options.node if options.node is not None else socket.gethostname()
    if not node or len(level(node)) > _LONGEST_PREFIX:
        raise UsageError("--mqtt: node should be a short name")
    tls = _tls_of(options) if url.scheme == "mqtts" else None
    user = None if url.username is None else unquote(url.username)
    return Broker(host, port or _PORTS[url.scheme], tls, user, _password(options), f"{prefix}/{level(node)}")


def _password(options: MqttOptions) -> str | None:
    if options.password_file is None:
        return os.environ.get(PASSWORD)
    try:
        return options.password_file.read_text("utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{options.password_file}: no password can be read ({error})") from error


def _tls_of(options: MqttOptions) -> ssl.SSLContext:
    import ssl  # not for every run

    try:
        context = ssl.create_default_context(cafile=options.ca)
        if options.cert:
            context.load_cert_chain(options.cert, options.key, password=lambda: b"")  # never ask at the terminal
        return context
    except (OSError, ValueError) as error:  # ssl.SSLError is the former
        raise UsageError(f"--mqtt: the certificates cannot be used ({error})") from error


def client_of(broker: Broker, node: str | None, hear: Callable[[Heard], None]) -> Client:
    """Its `loop_start` connects, and connects again whenever it has to.

    hear: called in paho's thread, now and then under paho's locks: it must not wait for anything.
    """
    from paho.mqtt.client import Client, MQTTv5
    from paho.mqtt.enums import CallbackAPIVersion

    name = level(node) if node else f"leadwire-{uuid.uuid4().hex[:12]}"
    client = Client(CallbackAPIVersion.VERSION2, name, protocol=MQTTv5)
    client.connect_timeout = _CONNECT_S
    client.reconnect_delay_set(1, 30)
    if broker.user is not None:
        client.username_pw_set(broker.user, broker.password)
    if broker.tls is not None:
        client.tls_set_context(broker.tls)
    client.will_set(f"{broker.prefix}/{STATUS}", '{"state":"offline","utc":null}', qos=1, retain=True)

    def on_connect(client: Client, data: Any, flags: Any, reason: Any, properties: Any) -> None:
        if reason.is_failure:
            hear(Away(f"the broker refuses us ({reason})"))
        else:
            most = getattr(properties, "ReceiveMaximum", MOST_IN_FLIGHT)
            hear(Connected(most, getattr(properties, "MaximumPacketSize", None)))

    def on_connect_fail(client: Client, data: Any) -> None:
        error = sys.exc_info()[1]  # paho calls this where it has caught it
        hear(Away(f"no broker ({(isinstance(error, OSError) and error.strerror) or error})"))

    def on_disconnect(client: Client, data: Any, flags: Any, reason: Any, properties: Any) -> None:
        hear(Away(f"the connection is lost ({reason})"))

    def on_publish(client: Client, data: Any, number: int, reason: Any, properties: Any) -> None:
        hear(Taken(number, str(reason) if reason.is_failure else None))

    client.on_connect, client.on_connect_fail = on_connect, on_connect_fail
    client.on_disconnect, client.on_publish = on_disconnect, on_publish
    client.connect_async(broker.host, broker.port, _KEEPALIVE_S, clean_start=True)
    return client
