"""A real Mosquitto on the loopback, and somebody who listens to it."""

from __future__ import annotations

import json
import os
import queue
import shutil
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

MOSQUITTO = shutil.which("mosquitto", path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin")


def wait_for(done: Callable[[], bool], seconds: float = 90.0, doing: Callable[[], object] = lambda: None) -> None:
    """Until it is so, doing something meanwhile; the deadline is for what will never be."""
    end = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < end, "it did not come about"
        doing()
        time.sleep(0.02)


class Mosquitto:
    """lines: of its configuration. On a port that was free."""

    def __init__(self, folder: Path, *lines: str) -> None:
        self.folder = folder
        with socket.create_server(("127.0.0.1", 0)) as probe:
            self.port = probe.getsockname()[1]
        own = [f"listener {self.port} 127.0.0.1", "persistence true", f"persistence_location {folder}/"]
        own += ["autosave_on_changes true", "autosave_interval 1", "user root", "max_queued_messages 100000"]
        if not any(line.startswith("allow_anonymous") for line in lines):
            own.append("allow_anonymous true")
        (folder / "mosquitto.conf").write_text("\n".join([*own, *lines]) + "\n")
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        assert MOSQUITTO
        self._process = subprocess.Popen(
            [MOSQUITTO, "-c", str(self.folder / "mosquitto.conf")], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )

        def answers() -> bool:
            assert self._process and self._process.poll() is None, "mosquitto has ended"
            try:
                socket.create_connection(("127.0.0.1", self.port), 1.0).close()
            except OSError:
                return False
            return True

        wait_for(answers)

    def stop(self) -> None:
        process, self._process = self._process, None
        if process:
            process.terminate()
            process.wait()


class Listener:
    """Keeps what it hears, across restarts of the broker."""

    def __init__(self, port: int, topics: str = "#") -> None:
        from paho.mqtt.client import Client, MQTTv5
        from paho.mqtt.enums import CallbackAPIVersion
        from paho.mqtt.packettypes import PacketTypes
        from paho.mqtt.properties import Properties

        kept = Properties(PacketTypes.CONNECT)
        kept.SessionExpiryInterval = 3600
        self._heard: queue.SimpleQueue[tuple[str, str, bool]] = queue.SimpleQueue()
        self.messages: list[tuple[str, str, bool]] = []
        self.ready = False
        self._client = Client(CallbackAPIVersion.VERSION2, "listener", protocol=MQTTv5)
        self._client.reconnect_delay_set(1, 1)
        self._client.on_connect = lambda client, *_: client.subscribe(topics, qos=1)
        self._client.on_subscribe = lambda *_: self._now_ready()
        self._client.on_message = lambda c, d, m: self._heard.put((m.topic, m.payload.decode(), bool(m.retain)))
        self._client.connect("127.0.0.1", port, clean_start=False, properties=kept)
        self._client.loop_start()
        wait_for(lambda: self.ready)

    def _now_ready(self) -> None:
        self.ready = True

    def of(self, kind: str) -> list[Any]:
        """The payloads of topics that end so."""
        while not self._heard.empty():
            self.messages.append(self._heard.get())
        return [json.loads(payload) for topic, payload, _ in self.messages if topic.endswith(f"/{kind}")]

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()
