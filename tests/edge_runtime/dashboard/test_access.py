"""Who may see it: hosts, origins, tokens; and what may be asked."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_runtime.dashboard.access import TOKEN_VARIABLE, Access, DashboardOptions
from edge_runtime.dashboard.asked import Refused, Seen, Watch, message_of, stretch_of
from edge_runtime.dashboard.limits import Allowance, Throttle
from edge_runtime.errors import UsageError

TOKEN = "a-token-of-some-length"


@pytest.mark.parametrize(
    ("where", "host", "port"),
    [
        ("8080", "127.0.0.1", 8080),
        ("localhost:1", "localhost", 1),
        ("[::1]:80", "::1", 80),
        ("127.0.0.2:9", "127.0.0.2", 9),
    ],
)
def test_where_it_listens(where: str, host: str, port: int) -> None:
    options = DashboardOptions.of(where, None, {})
    assert (options.host, options.port, options.token) == (host, port, None)


@pytest.mark.parametrize(
    "where", ["", ":", "x", "1.2.3.4", "127.0.0.1:", "127.0.0.1:70000", "8080:", "-1", "\u0663", "99999999"]
)
def test_what_is_no_port_is_refused_with_an_example(where: str) -> None:
    with pytest.raises(UsageError, match="HOST:"):
        DashboardOptions.of(where, None, {})


@pytest.mark.parametrize("where", ["0.0.0.0:80", "192.168.1.5:80", "[::]:80", "pi.local:80"])
def test_elsewhere_only_with_a_token(where: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--dashboard-token"):
        DashboardOptions.of(where, None, {})
    assert DashboardOptions.of(where, None, {TOKEN_VARIABLE: TOKEN}).token == TOKEN
    (tmp_path / "token").write_text(f"{TOKEN}\n")
    assert DashboardOptions.of(where, tmp_path / "token", {}).token == TOKEN


@pytest.mark.parametrize("token", ["short", "", "a b" * 10, "x" * 257, "\u00e9" * 20])
def test_a_token_that_is_none_is_refused(token: str, tmp_path: Path) -> None:
    (tmp_path / "token").write_text(token)
    with pytest.raises(UsageError, match="16 to 256"):
        DashboardOptions.of("8080", tmp_path / "token", {})


def test_a_token_that_cannot_be_read_is_one_line_and_never_shown(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="No such file"):
        DashboardOptions.of("8080", tmp_path / "none", {})
    (tmp_path / "token").write_bytes(b"\xff" * 30)
    with pytest.raises(UsageError, match="not text"):
        DashboardOptions.of("8080", tmp_path / "token", {})
    assert TOKEN not in repr(DashboardOptions(token=TOKEN))


def test_on_loopback_only_names_of_loopback() -> None:
    access = Access(DashboardOptions(names=("Bedside.example",)))
    for host in (
        "localhost",
        "localhost:1",
        "127.0.0.1:8080",
        "[::1]:8080",
        "127.9.9.9",
        "LOCALHOST.",
        "bedside.example",
    ):
        assert access.knows_host(host), host
    for host in (
        "192.168.1.5",
        "evil.example",
        "localhost.evil.example",
        "",
        None,
        "a b",
        "[::1%25x;y]",
        "127.0.0.1:x",
        "1.1.1.1",
    ):
        assert not access.knows_host(host), host


def test_elsewhere_an_address_is_never_a_rebound_name() -> None:
    access = Access(DashboardOptions("0.0.0.0", token=TOKEN))
    assert access.knows_host("192.168.1.5:8080") and access.knows_host("[fe80::1]")
    assert not access.knows_host("evil.example")


@given(st.text(max_size=60))
def test_no_host_or_origin_or_token_raises(text: str) -> None:
    access = Access(DashboardOptions(token=TOKEN))
    assert access.knows_host(text) in (True, False)
    assert access.knows_origin(text, "localhost") == (text.lower() in ("http://localhost", "https://localhost"))
    assert access.admits(text, None) == (text == access.cookie)
    assert access.admits(None, f"Bearer {text}") == (text.strip() == TOKEN)


def test_the_cookie_admits_and_is_not_the_token() -> None:
    access, again = (Access(DashboardOptions(token=TOKEN)) for _ in range(2))
    other = Access(DashboardOptions(token=TOKEN + "x"))
    assert access.admits(again.cookie, None), "it outlives a restart"
    assert not access.admits(other.cookie, None)
    assert TOKEN not in access.cookie
    assert access.admits(None, f"Bearer {TOKEN}") and not access.admits(TOKEN, None)
    assert Access(DashboardOptions()).admits(None, None)


@given(st.text(max_size=200))
def test_a_message_is_one_of_two_or_refused(text: str) -> None:
    try:
        assert isinstance(message_of(text), Watch | Seen)
    except Refused as refused:
        assert refused.code in (1007, 1008)


def test_the_two_messages() -> None:
    assert message_of('{"watch":[3,0,3]}') == Watch((3, 0))
    assert message_of('{"seen":7}') == Seen(7)


def test_a_stretch_is_put_as_reports_put_their_times() -> None:
    asked = stretch_of(
        {"source": "bed", "start": "2026-11-20T01:00:00+01:00", "end": "2026-11-20T06:00:00Z", "bucket_s": "60"}
    )
    assert (asked.start_utc, asked.end_utc) == ("2026-11-20T00:00:00.000Z", "2026-11-20T06:00:00.000Z")


@given(st.dictionaries(st.sampled_from(["source", "start", "end", "bucket_s"]), st.text(max_size=40)))
def test_what_is_no_stretch_is_refused_in_words(query: dict[str, str]) -> None:
    try:
        assert stretch_of(query).source == query["source"]
    except ValueError as error:
        assert str(error)


def test_an_allowance_refills() -> None:
    allowance = Allowance(per_s=2.0, at_once=3.0, now_s=0.0)
    assert [allowance.take(0.0) for _ in range(4)] == [True, True, True, False]
    assert allowance.take(0.5) and not allowance.take(0.6)


def test_wrong_tokens_are_counted_by_address_and_the_addresses_are_bounded() -> None:
    throttle = Throttle(per_s=0.1, at_once=2.0)
    for _ in range(2):
        assert not throttle.blocks("here", 0.0)
        throttle.wrong("here", 0.0)
    assert throttle.blocks("here", 0.0) and not throttle.blocks("there", 0.0)
    assert not throttle.blocks("here", 10.0)
    for i in range(5000):
        throttle.wrong(str(i), 10.0)
    assert len(throttle._addresses) == 1024
