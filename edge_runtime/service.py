"""`leadwire service`: what makes a run start with the machine and come back after a fault: a systemd unit, a udev rule
and a config. It is printed; `--apply` writes it and starts it, `--remove` takes it away again.

Directives: https://www.freedesktop.org/software/systemd/man/latest/systemd.exec.html
"""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from edge_runtime.errors import UsageError
from edge_runtime.run import options_in
from firmware_bridge.ports import RULES_FILE, UDEV_RULES

NAME = "leadwire"
UNIT_FILE = f"/etc/systemd/system/{NAME}.service"
CONFIG_FILE = f"/etc/{NAME}/{NAME}.toml"
DATA_FOLDER = f"/var/lib/{NAME}"
_CREDENTIAL = f"${{CREDENTIALS_DIRECTORY}}/{NAME}.toml"
_GROUPS = ("dialout", "plugdev", "uucp")  # who owns serial ports, by distribution
_HIDDEN = ("/home", "/root")  # what ProtectHome=true would hide, a virtual environment there included
# By number: a name is known to systemd only once its driver is loaded, which is when a device is first plugged in.
_SERIAL_MAJORS = {
    188: "USB adapters",
    166: "USB CDC",
    204: "a Pi's UART",
    4: "a PC's and a Pi's mini UART",
    216: "Bluetooth",
}
_MEMORY_MB, _MEMORY_A_DEVICE_MB = 256, 1
_TASKS, _TASKS_A_DEVICE = 64, 2
_FILES, _FILES_A_DEVICE = 256, 8


@dataclass(frozen=True)
class File:
    """path: on the machine, wherever the root is."""

    path: str
    content: str
    mode: int = 0o644

    def under(self, root: Path) -> Path:
        return root / self.path.lstrip("/")

    def is_there(self, root: Path) -> bool:
        try:
            return self.under(root).read_text() == self.content
        except (OSError, UnicodeDecodeError):
            return False


@dataclass(frozen=True)
class Plan:
    """Files, and the commands that make the system read them."""

    files: tuple[File, ...]
    commands: tuple[tuple[str, ...], ...]


_RELOAD = (
    ("systemctl", "daemon-reload"),
    ("udevadm", "control", "--reload"),
    ("udevadm", "trigger", "--subsystem-match=tty", "--action=add"),
)
_START = (("systemctl", "enable", f"{NAME}.service"), ("systemctl", "restart", f"{NAME}.service"))
_STOP = (("systemctl", "disable", "--now", f"{NAME}.service"),)

Do = Callable[[Sequence[str]], int]


def unit(command: Sequence[str], devices: int, groups: Sequence[str], at_home: bool) -> str:
    """The unit. command: this program, by its path; at_home: it lies under a home, which then has to be readable."""
    majors = "\n".join(f"# {what}\nDeviceAllow=char-{major} rw" for major, what in _SERIAL_MAJORS.items())
    return f"""\
[Unit]
Description=Leadwire: ECG from wearables on serial ports (research use only; not a medical device)
StartLimitIntervalSec=600
StartLimitBurst=10

[Service]
Type=notify
NotifyAccess=main
ExecStart={" ".join(_quoted(word) for word in command)} run --config {_CREDENTIAL}
Restart=on-failure
RestartSec=2
# It is fed only while every thread goes round.
WatchdogSec=60
# The config is root's to read, and is handed over.
LoadCredential={NAME}.toml:{CONFIG_FILE}
TimeoutStartSec=60
# What has arrived is still reported and written.
TimeoutStopSec=90
StateDirectory={NAME}
StateDirectoryMode=0750
WorkingDirectory=%S/{NAME}
Environment=OPENBLAS_NUM_THREADS=1 OMP_NUM_THREADS=1 MALLOC_ARENA_MAX=1
UMask=0027

# Nobody in particular, who may use serial ports and nothing else.
DynamicUser=yes
{f"SupplementaryGroups={' '.join(groups)}" if groups else "# no group owns serial ports here"}
DevicePolicy=closed
{majors}

ProtectSystem=strict
ProtectHome={"read-only" if at_home else "yes"}
ProtectProc=invisible
ProtectClock=yes
ProtectHostname=yes
ProtectKernelTunables=yes
ProtectKernelModules=yes
ProtectKernelLogs=yes
ProtectControlGroups=yes
PrivateTmp=yes
NoNewPrivileges=yes
CapabilityBoundingSet=
AmbientCapabilities=
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
LockPersonality=yes
MemoryDenyWriteExecute=yes
RemoveIPC=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallFilter=~@privileged @resources
SystemCallErrorNumber=EPERM

MemoryMax={_MEMORY_MB + _MEMORY_A_DEVICE_MB * devices}M
TasksMax={_TASKS + _TASKS_A_DEVICE * devices}
LimitNOFILE={_FILES + _FILES_A_DEVICE * devices}

[Install]
WantedBy=multi-user.target
"""


def _quoted(word: str) -> str:
    """As systemd reads a command line."""
    escaped = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$")
    return f'"{escaped}"' if any(c in word for c in " '\"\\;") else escaped


def program() -> list[str]:
    """This program, by its own path: a service has no other."""
    script = Path(sys.executable).with_name(NAME)
    return [str(script)] if script.exists() else [sys.executable, "-m", "edge_runtime.cli"]


def plan(config: Path | None, root: Path, command: Sequence[str]) -> Plan:
    """What a service needs. config: of the user's, to be put in its place; None for the one that is there.

    Raises UsageError for a config that could not be run, or where there is none.
    """
    place = File(CONFIG_FILE, "").under(root)
    source = place if config is None else config
    if config is None and not place.exists():
        raise UsageError(f"no {place} yet; give one with --config FILE (`leadwire run --help` shows one)")
    options = options_in(source, {})
    groups = [name for name in _GROUPS if name in _groups_of(root)]
    programs = Path(command[0]), Path(sys.executable).resolve()
    at_home = any(program.is_relative_to(hidden) for program in programs for hidden in _HIDDEN)
    return Plan(
        files=(
            File(CONFIG_FILE, source.read_text("utf-8"), 0o600),  # a broker's password may be in it
            File(RULES_FILE, UDEV_RULES),
            File(UNIT_FILE, unit(command, len(options.devices), groups, at_home)),
        ),
        commands=(*_RELOAD, *_START),
    )


def _groups_of(root: Path) -> set[str]:
    try:
        return {line.partition(":")[0] for line in (root / "etc/group").read_text().splitlines()}
    except OSError:
        return set()


def out_of_reach(*programs: str) -> Path | None:
    """What of them a service's user could not read, if there is such: a home of mode 700 is the usual one."""
    paths = [path for name in programs for path in (Path(name), Path(name).resolve())]
    for part in (part for path in paths for part in (*reversed(path.parents), path)):
        if not part.stat().st_mode & (stat.S_IXOTH if part.is_dir() else stat.S_IROTH):
            return part
    return None


def describe(made: Plan, root: Path) -> Iterator[str]:
    """What `apply` would do, line by line."""
    for file in made.files:
        yield f"# {file.under(root)}{' (is so already)' if file.is_there(root) else ''}"
        yield from file.content.splitlines()
        yield ""
    for command in made.commands:
        yield " ".join(command)


def apply(made: Plan, root: Path, do: Do | None) -> Iterator[str]:
    """Write what is not there yet and start it anew; where everything is as it should be, only see that it runs.

    do: runs a command and gives its exit status; None where the root is not this machine's. Raises UsageError.
    """
    changed = [file for file in made.files if not file.is_there(root)]
    for file in changed:
        path = file.under(root)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            part = path.with_name(f".{path.name}.part")
            part.touch(mode=0o600)  # before there is anything in it
            part.write_text(file.content, encoding="utf-8")
            part.chmod(file.mode)
            part.replace(path)
        except OSError as error:
            raise UsageError(f"{path}: cannot be written ({error.strerror}); is this with sudo?") from error
        yield f"wrote {path}"
    if not changed:
        yield "all files are as they should be"
    again = made.commands if changed else (("systemctl", "enable", "--now", f"{NAME}.service"),)
    yield from _do_all(again, do)


def remove(root: Path, do: Do | None) -> Iterator[str]:
    """Stop it, and take away the unit and the rule. The config and what was measured stay: they are the user's.

    Raises UsageError.
    """
    if File(UNIT_FILE, "").under(root).exists():
        yield from _do_all(_STOP, do, must=False)
    gone = []
    for name in (UNIT_FILE, RULES_FILE):
        path = File(name, "").under(root)
        try:
            path.unlink()
        except FileNotFoundError:
            continue
        except OSError as error:
            raise UsageError(f"{path}: cannot be removed ({error.strerror}); is this with sudo?") from error
        gone.append(path)
        yield f"removed {path}"
    if gone:
        yield from _do_all(_RELOAD[:2], do, must=False)
    else:
        yield "there is no service"
    for name in (CONFIG_FILE, DATA_FOLDER):
        if File(name, "").under(root).exists():
            yield f"kept {File(name, '').under(root)}"


def _do_all(commands: Sequence[Sequence[str]], do: Do | None, must: bool = True) -> Iterator[str]:
    """must: one that fails is an error; without it, it is said."""
    for command in commands:
        line = " ".join(command)
        if do is None:
            yield f"not run, since the root is another: {line}"
            continue
        yield line
        status = do(command)
        if status and must:
            raise UsageError(f"`{line}` failed with {status}; `journalctl -u {NAME}` may say why")
        if status:
            yield f"`{line}` failed with {status}; going on"


def do_here(command: Sequence[str]) -> int:
    """Run a command of this machine's; 127 where there is none such."""
    try:
        return subprocess.run(command, check=False, env={**os.environ, "SYSTEMD_COLORS": "0"}).returncode
    except OSError:
        return 127
