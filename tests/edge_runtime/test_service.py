"""`leadwire service` on a root that is a folder: what it would do, what it does, again, and undone."""

from __future__ import annotations

import configparser
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from edge_runtime import service
from edge_runtime.errors import UsageError
from edge_runtime.service import CONFIG_FILE, UNIT_FILE, apply, describe, out_of_reach, plan, remove, unit
from firmware_bridge.ports import RULES_FILE, UDEV_RULES

COMMAND = ["/opt/leadwire/bin/leadwire"]
WARD = '[[device]]\nport = "/dev/serial/by-id/a"\n[out]\npath = "reports.jsonl"\n'
ALL = (CONFIG_FILE, RULES_FILE, UNIT_FILE)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "root/etc").mkdir(parents=True)
    (tmp_path / "root/etc/group").write_text("root:x:0:\ndialout:x:20:pi\nplugdev:x:46:pi\n")
    return tmp_path / "root"


@pytest.fixture
def config(tmp_path: Path) -> Path:
    (tmp_path / "ward.toml").write_text(WARD)
    return tmp_path / "ward.toml"


class Doing:
    """Runs nothing and keeps what it was asked to; `fails`: whose first word gives a status of 1."""

    def __init__(self, fails: str = "") -> None:
        self.commands: list[str] = []
        self.fails = fails

    def __call__(self, command: Sequence[str]) -> int:
        self.commands.append(" ".join(command))
        return int(command[0] == self.fails)


def there(root: Path) -> dict[str, str]:
    return {name: (root / name[1:]).read_text() for name in ALL if (root / name[1:]).exists()}


def directives(text: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for key, value in (line.split("=", 1) for line in text.splitlines() if "=" in line and line[0] not in "#["):
        found.setdefault(key, []).append(value)
    return found


def test_it_is_printed_and_nothing_is_done(root: Path, config: Path) -> None:
    said = "\n".join(describe(plan(config, root, COMMAND), root))
    assert there(root) == {}
    for name in ALL:
        assert f"# {root}{name}\n" in said
    assert "ExecStart=/opt/leadwire/bin/leadwire run --config ${CREDENTIALS_DIRECTORY}/leadwire.toml" in said
    assert "systemctl enable leadwire.service\nsystemctl restart leadwire.service" in said
    assert WARD in said


def test_it_is_done_once_however_often_and_undone(root: Path, config: Path) -> None:
    doing = Doing()
    first = list(apply(plan(config, root, COMMAND), root, doing))
    assert [line for line in first if line.startswith("wrote")] == [f"wrote {root}{name}" for name in ALL]
    whole = there(root)
    assert whole[CONFIG_FILE] == WARD
    assert whole[RULES_FILE] == UDEV_RULES
    assert (root / CONFIG_FILE[1:]).stat().st_mode & 0o777 == 0o600, "a broker's password may be in it"
    assert doing.commands[0] == "systemctl daemon-reload"
    assert doing.commands[-1] == "systemctl restart leadwire.service"

    again = Doing()
    assert "all files are as they should be" in list(apply(plan(None, root, COMMAND), root, again))
    assert again.commands == ["systemctl enable --now leadwire.service"], "what runs is not started anew"
    assert there(root) == whole

    config.write_text(WARD.replace("/a", "/b"))
    changed = list(apply(plan(config, root, COMMAND), root, Doing()))
    assert [line for line in changed if line.startswith("wrote")] == [f"wrote {root}{CONFIG_FILE}"]

    undone = Doing()
    said = list(remove(root, undone))
    assert undone.commands[0] == "systemctl disable --now leadwire.service"
    assert set(there(root)) == {CONFIG_FILE}, "the config is the user's"
    assert f"kept {root}{CONFIG_FILE}" in said
    assert "there is no service" in list(remove(root, Doing()))


def test_a_command_that_fails_stops_it_and_does_not_stop_its_removal(root: Path, config: Path) -> None:
    with pytest.raises(UsageError, match="`systemctl daemon-reload` failed with 1"):
        list(apply(plan(config, root, COMMAND), root, Doing("systemctl")))
    list(remove(root, Doing("systemctl")))
    assert set(there(root)) == {CONFIG_FILE}


def test_a_config_that_could_not_be_run_is_refused_before_anything_is_done(root: Path, config: Path) -> None:
    with pytest.raises(UsageError, match=r"no .*leadwire\.toml yet; give one with --config"):
        plan(None, root, COMMAND)
    config.write_text(WARD + "[storr]\n")
    with pytest.raises(UsageError, match="unknown key 'storr'"):
        plan(config, root, COMMAND)
    assert there(root) == {}


def test_it_belongs_to_the_groups_that_this_system_has(root: Path, config: Path) -> None:
    def groups() -> list[str] | None:
        return directives(plan(config, root, COMMAND).files[-1].content).get("SupplementaryGroups")

    assert groups() == ["dialout plugdev"]
    (root / "etc/group").write_text("uucp:x:14:\n")
    assert groups() == ["uucp"]
    (root / "etc/group").unlink()
    assert groups() is None, "systemd starts nothing for a group that there is not"


def test_a_program_that_a_services_user_cannot_read_is_named(tmp_path: Path) -> None:
    assert out_of_reach("/usr/bin/env") is None
    program = tmp_path / "home" / "leadwire"
    program.parent.mkdir(mode=0o700)
    program.touch(mode=0o755)
    hidden = out_of_reach("/usr/bin/env", str(program))
    assert hidden is not None and hidden in program.parents, "or one above it: pytest's folders are not everybody's"
    assert not hidden.stat().st_mode & 0o001
    assert "ProtectHome=yes" in unit(COMMAND, 1, (), at_home=False)
    assert "ProtectHome=read-only" in unit(COMMAND, 1, (), at_home=True)


@pytest.mark.parametrize(
    "word", ["/opt/lead wire/bin/x", "/opt/100%/x", '/opt/"x"', "/opt/$HOME/x", "/opt/back\\slash/x"]
)
def test_a_path_of_any_letters_is_one_word_to_systemd(word: str) -> None:
    line = directives(unit([word], 1, (), False))["ExecStart"][0].removesuffix(
        " run --config ${CREDENTIALS_DIRECTORY}/leadwire.toml"
    )
    if line.startswith('"'):
        line = line[1:-1].replace('\\"', '"')
    assert line.replace("\\\\", "\\").replace("%%", "%").replace("$$", "$") == word


def test_more_devices_get_more_room() -> None:
    one, many = (directives(unit(COMMAND, n, (), False)) for n in (1, 300))
    for key in ("MemoryMax", "TasksMax", "LimitNOFILE"):
        assert int(many[key][0].rstrip("M")) > int(one[key][0].rstrip("M"))
    assert int(many["LimitNOFILE"][0]) >= 300 * 5 + 64, "pyserial has five a port"


def test_it_may_do_what_it_needs_and_no_more() -> None:
    said = directives(unit(COMMAND, 1, ("dialout",), False))
    assert len(said["DeviceAllow"]) == len(service._SERIAL_MAJORS)
    for key, value in {
        "Type": "notify",
        "Restart": "on-failure",
        "ProtectSystem": "strict",
        "NoNewPrivileges": "yes",
        "CapabilityBoundingSet": "",
        "StateDirectory": "leadwire",
        "DynamicUser": "yes",
    }.items():
        assert said[key] == [value]
    parser = configparser.ConfigParser(strict=False, interpolation=None)
    parser.read_string(unit(COMMAND, 1, ("dialout",), False))
    assert parser.sections() == ["Unit", "Service", "Install"]


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="needs systemd-analyze (apt install systemd)")
def test_systemd_finds_nothing_to_complain_of(tmp_path: Path) -> None:
    program = shutil.which("true") or "/bin/true"
    (tmp_path / "leadwire.service").write_text(unit([program], 2, ("dialout",), False))
    verify = ["systemd-analyze", "verify", "--man=no", str(tmp_path / "leadwire.service")]
    done = subprocess.run(verify, capture_output=True, text=True, check=False)
    assert (done.returncode, [line for line in done.stderr.splitlines() if "leadwire" in line]) == (0, [])
    rate = ["systemd-analyze", "security", "--offline=true", "--threshold=20", str(tmp_path / "leadwire.service")]
    done = subprocess.run(rate, capture_output=True, text=True, check=False)
    assert done.returncode == 0, "an exposure of 2.0 at most: " + done.stdout[-300:]


def test_the_command_prints_does_and_undoes(root: Path, config: Path) -> None:
    def leadwire(*words: str | Path) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "edge_runtime.cli", "service", "--root", str(root), *map(str, words)]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    assert "[Service]" in leadwire("--config", config).stdout
    assert there(root) == {}
    done = leadwire("--config", config, "--apply")
    assert (done.returncode, set(there(root))) == (0, set(ALL))
    assert "not run, since the root is another: systemctl restart leadwire.service" in done.stdout
    assert "all files are as they should be" in leadwire("--apply").stdout
    assert leadwire("--remove").returncode == 0
    assert set(there(root)) == {CONFIG_FILE}
    missing = leadwire("--config", root / "none.toml")
    assert (missing.returncode, missing.stderr.count("\n")) == (2, 1)
    assert "cannot be read" in missing.stderr
