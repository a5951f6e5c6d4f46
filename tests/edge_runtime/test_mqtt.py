"""What the store holds gets to a broker: a real one, that goes away, comes back, and will not have everything."""

from __future__ import annotations

import gc
import queue
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from itertools import count
from pathlib import Path
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_runtime.errors import UsageError
from edge_runtime.report import Report
from edge_runtime.sinks.broker import PASSWORD, Connected, MqttOptions, Taken, broker_of, level
from edge_runtime.sinks.mqtt import Mqtt
from edge_runtime.sinks.store import Store
from tests.edge_runtime.broker import Listener, Mosquitto, needs_mosquitto, wait_for
from tests.edge_runtime.reports import episode, report

pytest.importorskip("paho.mqtt", reason="needs paho-mqtt (the extra mqtt)")


class Node:
    """A store and its sender, as a run has them."""

    def __init__(self, folder: Path, url: str, **more: object) -> None:
        self.told: list[str] = []
        self.path = folder / "store.db"
        self.store = Store.open(self.path, self.told.append, outbox=True)
        self.mqtt = Mqtt(MqttOptions(url, node="node 1", **more), self.path, self.told.append)  # type: ignore[arg-type]
        self.last = report(0)

    def write(self, *reports: Report) -> None:
        for self.last in reports:
            self.store.write(self.last)
            self.mqtt.write(self.last)

    def until(self, done: Callable[[], bool]) -> None:
        """As if seconds went by: the sender is called as often as reports come."""
        wait_for(done, doing=lambda: self.mqtt.write(self.last))

    def waiting(self) -> int:
        with closing(sqlite3.connect(self.path)) as connection:
            return int(connection.execute("SELECT count(*) FROM outbox").fetchone()[0])

    def close(self) -> None:
        self.store.close()
        self.mqtt.close()


@contextmanager
def broker(folder: Path, *lines: str) -> Iterator[Mosquitto]:
    folder.mkdir(exist_ok=True)
    mosquitto = Mosquitto(folder, *lines)
    mosquitto.start()
    try:
        yield mosquitto
    finally:
        mosquitto.stop()


@contextmanager
def listening(mosquitto: Mosquitto) -> Iterator[Listener]:
    listener = Listener(mosquitto.port)
    try:
        yield listener
    finally:
        listener.close()


@pytest.fixture
def mosquitto(tmp_path: Path) -> Iterator[Mosquitto]:
    with broker(tmp_path / "broker") as running:
        yield running


def url_of(mosquitto: Mosquitto, scheme: str = "mqtt", user: str = "") -> str:
    return f"{scheme}://{user}localhost:{mosquitto.port}/ward/east"


@needs_mosquitto
def test_reports_and_episodes_arrive_and_the_newest_stays(mosquitto: Mosquitto, tmp_path: Path) -> None:
    node = Node(tmp_path, url_of(mosquitto))
    af = [episode(0, "af", 0.0, 5.0 + i, open=i < 4) for i in range(5)]
    reports = [report(i, episodes=(af[i],)) for i in range(5)]
    with listening(mosquitto) as listener:
        node.write(*reports)
        node.until(lambda: len(listener.of("report")) == 5 and node.waiting() == 0)
        assert [p for topic, p, _ in listener.messages if topic.endswith("/report")] == [r.to_json() for r in reports]
        assert {topic for topic, _, _ in listener.messages} == {
            f"ward/east/node%201/{end}"
            for end in ("status", *(f"%2Fdev%2FttyUSB0/{kind}" for kind in ("report", "latest", "episode")))
        }
        told = listener.of("episode")
        assert len(told) == 2, "as it began, and as it ended"
        assert told[-1] == {
            "schema": 1,
            "source": "/dev/ttyUSB0",
            "session": "a1b2c3",
            **af[-1].to_dict(),
            "start_utc": "2026-11-21T19:59:50.000Z",
            "end_utc": "2026-11-21T19:59:59.000Z",
        }
        assert listener.of("status")[0]["state"] == "online"
        node.close()
        wait_for(lambda: listener.of("status")[-1]["state"] == "offline")
    with listening(mosquitto) as late:
        wait_for(lambda: len(late.of("latest")) == len(late.of("status")) == 1)
        assert {retained for _, _, retained in late.messages} == {True}
        assert late.of("status")[0]["state"] == "offline"
        assert late.of("report") == []
    assert node.told == [f"localhost:{mosquitto.port}: connected"]


@needs_mosquitto
def test_what_a_broker_that_is_not_there_was_to_get_waits_in_the_store(tmp_path: Path) -> None:
    (tmp_path / "broker").mkdir()
    mosquitto = Mosquitto(tmp_path / "broker")
    node = Node(tmp_path, url_of(mosquitto))
    node.write(*(report(i) for i in range(100)))
    node.until(lambda: len(node.told) == 1)
    assert "no broker (Connection refused)" in node.told[0]
    node.close()
    assert node.waiting() == 100
    again = Node(tmp_path, url_of(mosquitto))
    mosquitto.start()
    try:
        with listening(mosquitto) as listener:
            again.until(lambda: again.waiting() == 0)
            wait_for(lambda: len(listener.of("report")) == 100)
            assert [r["sequence"] for r in listener.of("report")] == list(range(100))
        again.close()
    finally:
        mosquitto.stop()


_SENDER = """
import sys, time
from itertools import count
from pathlib import Path
from edge_runtime.sinks.broker import MqttOptions
from edge_runtime.sinks.mqtt import Mqtt
from edge_runtime.sinks.store import Store
from tests.edge_runtime.reports import report
path, first = Path(sys.argv[1]), int(sys.argv[3])
tell = lambda message: print(message, file=sys.stderr, flush=True)
store = Store.open(path, tell, outbox=True)
mqtt = Mqtt(MqttOptions(sys.argv[2], node="node"), path, tell)
for i in range(first, 10**9):
    store.write(report(i))
    mqtt.write(report(i))
    print(i, flush=True)
    time.sleep(0.005)
"""


@needs_mosquitto
def test_a_broker_that_restarts_and_a_sender_that_is_killed_lose_nothing(mosquitto: Mosquitto, tmp_path: Path) -> None:
    url, path, written = url_of(mosquitto), tmp_path / "store.db", 0
    with listening(mosquitto) as listener:
        for steps in ((60, mosquitto.stop), (80, mosquitto.start), (60, mosquitto.stop), (60, mosquitto.start)):
            with subprocess.Popen(
                [sys.executable, "-c", _SENDER, str(path), url, str(written)], stdout=subprocess.PIPE, text=True
            ) as sender:
                assert sender.stdout
                for number in range(steps[0]):
                    sender.stdout.readline()
                    if number == steps[0] // 2:
                        steps[1]()
                sender.kill()
            with closing(sqlite3.connect(path)) as connection:
                written = connection.execute("SELECT count(*) FROM report").fetchone()[0]
        node = Node(tmp_path, url)
        node.until(lambda: node.waiting() == 0)
        wait_for(lambda: len({r["sequence"] for r in listener.of("report")}) == written)
        node.close()
        got = [r["sequence"] for r in listener.of("report")]
        assert set(got) == set(range(written))
        assert len(got) - written <= 16 * 5, "what was in flight when somebody died comes twice"


@needs_mosquitto
def test_the_broker_says_of_a_sender_that_was_killed_that_it_is_gone(mosquitto: Mosquitto, tmp_path: Path) -> None:
    with listening(mosquitto) as listener:
        with subprocess.Popen(
            [sys.executable, "-c", _SENDER, str(tmp_path / "store.db"), url_of(mosquitto), "0"],
            stdout=subprocess.DEVNULL,
        ) as sender:
            wait_for(lambda: [s["state"] for s in listener.of("status")] == ["online"])
            sender.kill()
        wait_for(lambda: [s["state"] for s in listener.of("status")] == ["online", "offline"])


# ---- who may ---------------------------------------------------------------------------------------------------------


def make_certificates(folder: Path) -> None:
    def openssl(*arguments: str) -> None:
        subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)

    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
    for name in ("ca", "stranger"):
        openssl("req", "-x509", *key, "-keyout", f"{name}.key", "-out", f"{name}.pem", "-subj", f"/CN={name}")
    openssl("req", *key, "-keyout", "server.key", "-out", "server.csr", "-subj", "/CN=localhost")
    (folder / "names").write_text("subjectAltName=DNS:localhost\n")
    signing = ("-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2", "-extfile", "names")
    openssl("x509", "-req", "-in", "server.csr", "-out", "server.pem", *signing)


@needs_mosquitto
@pytest.mark.filterwarnings("ignore::ResourceWarning")  # paho leaves a socket that fails its handshake to the collector
def test_over_tls_with_a_password(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "broker"
    folder.mkdir()
    make_certificates(folder)
    (folder / "users").write_text("bed:secret\n")
    subprocess.run(["mosquitto_passwd", "-U", str(folder / "users")], check=True, capture_output=True)
    (tmp_path / "password").write_text("secret\n")
    given_ = (f"certfile {folder}/server.pem", f"keyfile {folder}/server.key", f"password_file {folder}/users")
    with broker(folder, "allow_anonymous false", *given_) as mosquitto:
        url, ca = url_of(mosquitto, "mqtts", "bed@"), folder / "ca.pem"
        node = Node(tmp_path, url, ca=ca, password_file=tmp_path / "password")
        node.write(report(0))
        node.until(lambda: node.waiting() == 0)
        node.close()
        monkeypatch.setenv(PASSWORD, "secret")
        node = Node(tmp_path, url, ca=ca)
        node.write(report(1))
        node.until(lambda: node.waiting() == 0)
        node.close()
        monkeypatch.setenv(PASSWORD, "wrong")
        for options, complaint in (
            ({"ca": ca}, "refuses us (Not authorized)"),
            ({"ca": folder / "stranger.pem"}, "CERTIFICATE_VERIFY_FAILED"),
            ({}, "CERTIFICATE_VERIFY_FAILED"),
        ):
            node = Node(tmp_path, url, **options)
            node.write(report(2))
            node.until(lambda: bool(node.told))  # noqa: B023
            assert complaint in node.told[0]
            assert "secret" not in "".join(node.told) + repr(broker_of(MqttOptions(url)))
            node.close()
            assert node.waiting() >= 1
        gc.collect()


@needs_mosquitto
def test_what_a_broker_refuses_stays_in_the_outbox_and_is_said(tmp_path: Path) -> None:
    (tmp_path / "rights").write_text("topic readwrite another/#\n")
    with broker(tmp_path / "broker", f"acl_file {tmp_path}/rights") as mosquitto:
        node = Node(tmp_path, url_of(mosquitto))
        node.write(report(0), report(1))
        node.until(lambda: len(node.told) == 2)
        assert "refuses what it is sent (Not authorized)" in node.told[1]
        node.close()
        assert node.waiting() == 2


@needs_mosquitto
def test_what_is_larger_than_a_broker_takes_is_counted_and_holds_up_nothing(tmp_path: Path) -> None:
    with broker(tmp_path / "broker", "max_packet_size 2000") as mosquitto, listening(mosquitto) as listener:
        node = Node(tmp_path, url_of(mosquitto))
        node.write(report(0), report(1, bundle="b" * 2000), report(2))
        node.until(lambda: len(listener.of("report")) == 2 and node.waiting() == 0)
        assert [r["sequence"] for r in listener.of("report")] == [0, 2]
        assert node.mqtt.unsent == 1
        assert "larger than the broker takes" in node.told[1]
        node.close()


# ---- topics ----------------------------------------------------------------------------------------------------------


@given(st.text() | st.text(alphabet="+#/$\0.%-\udcff "))
def test_any_name_is_one_level_of_a_topic(name: str) -> None:
    one = level(name)
    assert one
    assert not set(one) & set("+#/$\0 ")
    assert one.isascii()
    assert unquote(one).encode() == name.encode("utf-8", "backslashreplace") or (name, one) == ("", "-")


@needs_mosquitto
def test_hostile_sources_are_sent_like_any_other(mosquitto: Mosquitto, tmp_path: Path) -> None:
    names = ["#", "+/+", "$SYS/broker", "a\0b", "ward/../status", "", "é" * 200, "\udcff", "x" * 30_000]
    with listening(mosquitto) as listener:
        node = Node(tmp_path, url_of(mosquitto))
        node.write(*(report(i, source=name) for i, name in enumerate(names)))
        node.until(lambda: node.waiting() == 0)
        wait_for(lambda: len(listener.of("report")) == len(names))
        assert {topic.count("/") for topic, _, _ in listener.messages if not topic.endswith("/status")} == {4}
        node.write(report(99, source="/" * 30_000))  # three bytes each: longer than a topic can be
        node.until(lambda: node.waiting() == 0)
        assert node.mqtt.unsent == 1
        node.close()


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("localhost", "give mqtt://HOST"),
        ("http://localhost", "give mqtt://HOST"),
        ("mqtt://", "give mqtt://HOST"),
        ("mqtt://localhost:99999", "no such host or port"),
        ("mqtt://localhost:x", "no such host or port"),
        ("mqtt://a..b", "no such host or port"),
        ("mqtt://user:secret@localhost", "no password in the URL"),
        ("mqtt://user:secret@localhost:x", "no such host or port"),
        ("mqtt://localhost?x=1", "give mqtt://HOST"),
        ("mqtt://localhost/ward/%2B", "topics cannot begin"),
        ("mqtt://localhost/ward/%23", "topics cannot begin"),
        ("mqtt://localhost/%24SYS", "topics cannot begin"),
        ("mqtt://localhost/a%00b", "topics cannot begin"),
        ("mqtt://localhost/" + "a" * 300, "topics cannot begin"),
    ],
)
def test_a_broker_that_cannot_be_meant_is_said(url: str, message: str) -> None:
    with pytest.raises(UsageError, match=message) as error:
        broker_of(MqttOptions(url))
    assert "secret" not in str(error.value)


def test_files_that_cannot_be_used_are_said(tmp_path: Path) -> None:
    for more in ({"ca": tmp_path / "none"}, {"password_file": tmp_path / "none"}, {"node": ""}, {"node": "n" * 999}):
        with pytest.raises(UsageError):
            broker_of(MqttOptions("mqtts://localhost", **more))  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="mqtts"):
        broker_of(MqttOptions("mqtt://localhost", ca=tmp_path / "none"))


# ---- without a network -----------------------------------------------------------------------------------------------


class Paper:
    """A broker's other end: keeps what is published, and answers when it is told to."""

    def __init__(self, hear: Callable[[object], None]) -> None:
        self.hear, self.sent = hear, list[tuple[str, str, int]]()

    def publish(self, topic: str, payload: str, qos: int, retain: bool = False) -> Paper:
        self.sent.append((topic, payload, qos))
        self.mid, self.rc = len(self.sent), 0
        return self

    def loop_start(self) -> None:
        self.hear(Connected(20, None))

    def disconnect(self) -> None:
        pass

    def loop_stop(self) -> None:
        pass

    def reports(self) -> list[int]:
        return [number for number, (topic, _, _) in enumerate(self.sent, 1) if topic.endswith("/report")]


def on_paper(folder: Path, told: list[str]) -> tuple[Store, Mqtt, Paper]:
    """Each look at the clock is a second."""
    store = Store.open(folder / "store.db", told.append, outbox=True)
    mqtt = Mqtt(MqttOptions("mqtt://localhost", node="n"), folder / "store.db", told.append, count(0.0).__next__)
    heard: queue.SimpleQueue = mqtt._heard
    mqtt._client = paper = Paper(heard.put)  # type: ignore[assignment]
    return store, mqtt, paper


def test_no_more_than_sixteen_are_on_their_way_and_what_was_taken_goes(tmp_path: Path) -> None:
    told: list[str] = []
    store, mqtt, paper = on_paper(tmp_path, told)
    for i in range(40):
        store.write(report(i))
    for _ in range(3):
        mqtt.write(report(39))
    assert len(paper.reports()) == 16
    for number in paper.reports()[:5]:
        paper.hear(Taken(number, None))
    paper.hear(Taken(777, None))
    mqtt.write(report(39))
    assert len(paper.reports()) == 21
    assert mqtt._outbox.waiting() == 35
    store.close()
    mqtt.close()


def test_a_store_that_is_locked_holds_up_the_sender_and_nobody_else(tmp_path: Path) -> None:
    told: list[str] = []
    store, mqtt, paper = on_paper(tmp_path, told)
    store.write(report(0))
    mqtt.write(report(0))
    with closing(sqlite3.connect(tmp_path / "store.db", isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        paper.hear(Taken(paper.reports()[0], None))
        mqtt.write(report(1))
        assert "outbox cannot be used (database is locked)" in told[-1]
        other.execute("ROLLBACK")
    mqtt.write(report(1))
    assert mqtt._outbox.waiting() == 0
    assert paper.reports() == paper.reports()[:1], "sent once"
    store.close()
    mqtt.close()


def test_of_two_processes_with_one_store_one_sends_for_both(tmp_path: Path) -> None:
    told: list[str] = []
    first_store, first, first_paper = on_paper(tmp_path, told)
    second_store, second, second_paper = on_paper(tmp_path, told)
    first_store.write(report(0))
    first.write(report(0))
    second_store.write(report(0, session="other", source="other"))
    second.write(report(0))
    assert second_paper.sent == []
    assert "another process sends" in told[-1]
    first.write(report(0))
    assert len(first_paper.reports()) == 2
    first.close()
    for _ in range(5):  # seconds
        second.write(report(0))
    assert len(second_paper.reports()) == 2, "what nobody said it had taken"
    for one in (first_store, second_store, second):
        one.close()
