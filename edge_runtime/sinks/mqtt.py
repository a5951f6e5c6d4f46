"""Reports and episodes to an MQTT 5 broker, by paho-mqtt, out of the store's outbox; topics in docs/store.md."""

from __future__ import annotations

import contextlib
import json
import queue
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from edge_runtime.report import Report
from edge_runtime.sinks.backlog import Unavailable
from edge_runtime.sinks.broker import (
    MOST_IN_FLIGHT,
    STATUS,
    Away,
    Connected,
    Heard,
    MqttOptions,
    Taken,
    broker_of,
    client_of,
    level,
)
from edge_runtime.sinks.outbox import Message, Outbox

_LATEST_EVERY_S, _STATUS_EVERY_S = 10.0, 60.0
_REFUSED_S = 60.0  # until the broker is asked again what it refused
_TAKE_OVER_EVERY_S = 5.0
_SAY_AGAIN_S = 600.0
_STAY_S, _STAY_EVERY_S = 0.25, 0.75  # how long a call may wait for the broker, and how soon again
_LAST_S, _LOOK_EVERY_S = 5.0, 0.02  # how long the end waits for it
_LONGEST_TOPIC = 65535  # bytes
_HEADER = 64  # bytes of a message beside its topic and its payload, at most
_NO_ROOM = 15  # paho's MQTT_ERR_QUEUE_SIZE: of all that publish says, the one that means it was not taken
_NEVER = float("-inf")


class Mqtt:
    """A sink beside the store: what it sends is what is in the store's outbox, so nothing is lost while the broker is
    away. What it is given itself it shows as each source's retained newest report.

    All is done in `write`, once a report, a quarter of the time at most: the network is paho's own thread's, and its
    callbacks only put what they hear into a queue. Raises UsageError where the options cannot be right, ImportError
    without paho-mqtt. unsent: messages that never will be.
    """

    def __init__(
        self,
        options: MqttOptions,
        store: Path,
        tell: Callable[[str], None],
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._broker = broker_of(options)
        self._heard: queue.SimpleQueue[Heard] = queue.SimpleQueue()
        self._client = client_of(self._broker, options.node, self._heard.put)
        self._outbox = Outbox(store)
        self._tell, self._now = tell, now
        self.unsent = 0
        self._connection: Connected | None = None
        self._flying: dict[int, int] = {}  # places in the outbox by message id
        self._taken: list[int] = []  # places whose message the broker has, and which are not removed yet
        self._is_ours, self._ask_s = False, _NEVER  # the outbox
        self._hold_s = self._status_s = self._stay_s = _NEVER
        self._latest: dict[str, tuple[tuple[str, str | None], float]] = {}  # of each source: what it said, and when
        self._said: dict[str, float] = {}
        self._complained = True
        if not self._broker.is_private:
            self._say("what is measured goes there unencrypted; mqtts:// would encrypt it")

    def write(self, report: Report) -> None:
        if self._sends():
            self._listen()
            if self._connection:
                self._show(report)
                self._show_status()
            self._send_for(_STAY_S if self._now() >= self._stay_s else 0.0)

    def close(self) -> None:
        """Sends for a few seconds more what there is to send, if the broker is there; the rest stays in the outbox."""
        if self._is_ours:
            self._listen()
            self._send_for(_LAST_S)
            if self._connection:
                self._publish(STATUS, _status("offline"))
            self._client.disconnect()
            self._client.loop_stop()  # waits for one that is just connecting: five seconds, and for a name server
        self._outbox.close()

    # ---- the connection ----------------------------------------------------------------------------------------------

    def _sends(self) -> bool:
        """Whether this is the one process that sends what is in the store."""
        if not self._is_ours and self._now() >= self._ask_s:
            self._ask_s = self._now() + _TAKE_OVER_EVERY_S
            try:
                self._is_ours = self._outbox.take_over()
            except Unavailable as error:
                self._say_unusable(error)
                return False
            if self._is_ours:
                self._client.loop_start()
            else:
                self._say("another process sends what is in the store, and this, too")
        return self._is_ours

    def _listen(self) -> None:
        """What paho's thread has heard meanwhile."""
        with contextlib.suppress(queue.Empty):
            while True:
                match self._heard.get_nowait():
                    case Connected() as connection:
                        self._connection = connection
                        self._latest.clear()
                        self._hold_s = self._status_s = _NEVER
                        if self._complained:
                            self._tell(f"{self._broker.name}: connected")
                        self._complained = False
                    case Away(why):
                        self._connection = None
                        self._complained |= self._say(f"{why}; reports wait in the store, and it is tried again")
                    case Taken(number, refusal):
                        self._answered(number, refusal)

    def _answered(self, number: int, refusal: str | None) -> None:
        place = self._flying.pop(number, None)
        if place is None:
            return  # a retained one
        if refusal is None:
            self._taken.append(place)
        else:
            self._hold_s = self._now() + _REFUSED_S
            self._say(f"refuses what it is sent ({refusal}); reports wait in the store, and it is asked every minute")

    def _say(self, message: str) -> bool:
        """Whether it was said: not twice in ten minutes, or a connection that comes and goes would say nothing else."""
        if self._now() - self._said.get(message, _NEVER) < _SAY_AGAIN_S:
            return False
        if len(self._said) >= 32:
            self._said.clear()
        self._said[message] = self._now()
        self._tell(f"{self._broker.name}: {message}")
        return True

    def _say_unusable(self, error: Unavailable) -> None:
        self._say(f"the store's outbox cannot be used ({error}); nothing is sent until it can")

    # ---- what is sent ------------------------------------------------------------------------------------------------

    def _publish(self, topic: str, payload: str) -> None:
        """Retained. One that is lost is followed by the next."""
        self._client.publish(f"{self._broker.prefix}/{topic}", payload, qos=0, retain=True)

    def _show(self, report: Report) -> None:
        said, at_s = self._latest.get(report.source, (None, _NEVER))
        says = (report.state, report.rhythm.label)
        payload = report.to_json()
        if (says != said or self._now() - at_s >= _LATEST_EVERY_S) and self._fits(report.source, "latest", payload):
            self._latest[report.source] = says, self._now()
            self._publish(f"{level(report.source)}/latest", payload)

    def _show_status(self) -> None:
        if self._now() - self._status_s >= _STATUS_EVERY_S:
            self._status_s = self._now()
            with contextlib.suppress(Unavailable):  # `_send` says it
                self._publish(STATUS, _status("online", waiting=self._outbox.waiting(), unsent=self.unsent))

    def _send_for(self, seconds: float) -> None:
        """Until there is nothing more to send, and so long at most: what has waited for hours goes in minutes."""
        end_s = self._now() + seconds
        while self._send() and self._now() < end_s:
            self._stay_s = end_s + _STAY_EVERY_S
            time.sleep(_LOOK_EVERY_S)
            self._listen()

    def _send(self) -> bool:
        """Whether there may be more to send."""
        try:
            if self._taken:
                self._outbox.remove(self._taken)
                self._taken.clear()
            if self._connection is None or self._now() < self._hold_s:
                return False
            messages = self._outbox.first(min(MOST_IN_FLIGHT, self._connection.most_in_flight))
        except Unavailable as error:
            self._say_unusable(error)
            return False
        flying = set(self._flying.values())
        for message in messages:
            if message.id not in flying and not self._launch(message):
                break
        return bool(messages)

    def _launch(self, message: Message) -> bool:
        """Whether it is on its way, or never will be."""
        if message.payload is None:
            self._give_up(message, "removed from the store before it could be sent")
        elif not self._fits(message.source, message.kind, message.payload):
            self._give_up(message, "larger than the broker takes")
        else:
            topic = f"{self._broker.prefix}/{level(message.source)}/{message.kind}"
            sent = self._client.publish(topic, message.payload, qos=1)
            if sent.rc == _NO_ROOM:
                return False
            self._flying[sent.mid] = message.id
        return True

    def _fits(self, source: str, kind: str, payload: str) -> bool:
        topic = len(f"{self._broker.prefix}/{level(source)}/{kind}".encode())
        largest = self._connection.largest if self._connection else None
        return topic <= _LONGEST_TOPIC and (largest is None or topic + len(payload.encode()) + _HEADER <= largest)

    def _give_up(self, message: Message, why: str) -> None:
        self.unsent += 1
        self._taken.append(message.id)
        self._say(f"a {message.kind} is {why}, and is not sent; such are counted")


def _status(state: str, **more: int) -> str:
    utc = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return json.dumps({"state": state, "utc": utc, **more}, separators=(",", ":"))
