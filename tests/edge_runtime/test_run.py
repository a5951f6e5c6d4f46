"""What a run is asked for: a config's devices and sinks, and that nothing in it is ignored."""

from __future__ import annotations

import argparse
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest

from edge_runtime.errors import UsageError
from edge_runtime.outputs import ROWS, Around, add_flags, open_sinks, sections_of
from edge_runtime.run import Device, options_from, options_in

WARD = """
record = "kept"
[[device]]
port = "/dev/serial/by-id/a"
board = "ad8232"
name = "bed 1"
lead = "I"
[[device]]
port = "/dev/serial/by-id/b"
[out]
path = "ward.jsonl"
"""


def test_a_config_is_devices_and_a_section_a_sink(tmp_path: Path) -> None:
    (tmp_path / "ward.toml").write_text(WARD)
    options = options_in(tmp_path / "ward.toml", {"out": {"path": "other.jsonl"}}, seconds=3.0)
    assert options.devices == (Device("/dev/serial/by-id/a", "ad8232", "bed 1", "I"), Device("/dev/serial/by-id/b"))
    assert [device.source for device in options.devices] == ["bed 1", "/dev/serial/by-id/b"]
    assert options.record == Path("kept")
    assert options.sinks["out"].path == "other.jsonl", "a flag takes the place of what the file says"
    assert (options.waits, options.seconds) == (True, 3.0)


def test_flags_are_sections() -> None:
    parser = argparse.ArgumentParser()
    add_flags(parser)
    assert sections_of(parser.parse_args([])) == {}
    assert sections_of(parser.parse_args(["--out", "x"])) == {"out": {"path": "x"}}
    for row in ROWS:
        known = {field.name for field in fields(row.options())}
        assert {flag.field for flag in row.flags} <= known, row.name
        assert row.flags[0].name == f"--{row.name}"


def of(**values: Any) -> dict[str, Any]:
    return {"device": [{"port": "/dev/a"}], **values}


BAD: dict[str, dict[str, Any]] = {
    "unknown key 'devices'; known are device, bundle, backend, record, out, csv, store": {"devices": []},
    "no device; give each one a": {"device": []},
    "key 'device.port' is missing": {"device": [{}]},
    "'device' must be a list": {"device": {"port": "/dev/a"}},
    "'device' must be a table": {"device": ["/dev/a"]},
    "'device.port' must be str, not 3": {"device": [{"port": 3}]},
    "no board 'cray'; there are native": {"device": [{"port": "/dev/a", "board": "cray"}]},
    "two devices have the port '/dev/a'": {"device": [{"port": "/dev/a", "name": "x"}, {"port": "/dev/a"}]},
    "two devices have the name 'x'": {"device": [{"port": "/dev/a", "name": "x"}, {"port": "/dev/b", "name": "x"}]},
    "the name '../x' should be": {"device": [{"port": "/dev/a", "name": "../x"}]},
    "the name 'a/b' should be": {"device": [{"port": "/dev/a", "name": "a/b"}]},
    "the name '' should be": {"device": [{"port": "/dev/a", "name": ""}]},
    r"the name 'a\\nb' should be": {"device": [{"port": "/dev/a", "name": "a\nb"}]},
    "unknown key 'out.file'; known are path": of(out={"file": "x"}),
    "'out' must be a table": of(out="x"),
    "unknown key 'store.keep'; known are path, keep_days": of(store={"keep": 1}),
    "key 'mqtt.url' is missing": of(mqtt={}),
    "'dashboard.names' must be a list": of(dashboard={"names": "x"}),
    "'bundle' must be a path, not 1": of(bundle=1),
    "'record' must be a path, not True": of(record=True),
}


@pytest.mark.parametrize("message", BAD)
def test_what_a_config_should_not_hold_is_named(message: str) -> None:
    with pytest.raises(UsageError, match=message) as caught:
        options_from(BAD[message], "ward.toml")
    assert "\n" not in str(caught.value)


def around(**options: Any) -> Around:
    return Around(print, ("a", "b"), 10, options, lambda watch: None)


def test_each_sink_that_needs_an_extra_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    for row in ROWS:
        if row.extra is not None:

            def missing(options: Any, around: Around) -> Any:
                raise ImportError("none", name="what_is_missing")

            monkeypatch.setattr("edge_runtime.outputs.ROWS", (replace(row, open=missing),))
            with pytest.raises(UsageError, match=rf"--{row.name} needs what_is_missing: pip install 'leadwire\[\w+\]'"):
                open_sinks({row.name: None}, around())


def test_a_store_is_there_without_being_asked_for_and_where_it_is_told_to(monkeypatch: pytest.MonkeyPatch) -> None:
    def file(**values: Any) -> Path | None:
        options = options_from(of(**values), "x").sinks
        return around(**options).store

    monkeypatch.setenv("XDG_DATA_HOME", "/data")
    assert file() == Path("/data/leadwire/leadwire.db")
    monkeypatch.delenv("XDG_DATA_HOME")
    monkeypatch.setenv("HOME", "/home/pi")
    assert file() == Path("/home/pi/.local/share/leadwire/leadwire.db")
    monkeypatch.setenv("STATE_DIRECTORY", "/var/lib/leadwire:/var/lib/other")
    assert file() == Path("/var/lib/leadwire/leadwire.db"), "a service"
    assert file(store={"path": "a.db"}) == Path("a.db")
    assert file(store={"keep_days": 7}) == Path("/var/lib/leadwire/leadwire.db")
    assert file(store={"path": "none"}) is None


def test_mqtt_needs_the_store() -> None:
    options = options_from(of(mqtt={"url": "mqtt://localhost"}, store={"path": "none"}), "x").sinks
    with pytest.raises(UsageError, match="--mqtt sends what is in the store"):
        open_sinks(options, around(**options))


def test_a_sink_that_cannot_be_opened_leaves_none_open(tmp_path: Path) -> None:
    options = options_from(
        of(store={"path": "none"}, out={"path": str(tmp_path / "x.jsonl")}, picture={"path": str(tmp_path / "x.png")}),
        "x",
    ).sinks
    with pytest.raises(UsageError, match="a picture is of one lead"):
        open_sinks(options, around(**options))
