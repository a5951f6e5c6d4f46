"""Ports as this machine has them: by which name a device comes back, who may open it, and the udev rule for both."""

from __future__ import annotations

import grp
import os
import pwd
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

# The device's own name first; two that have no serial number share that, and are told apart by the socket they are in.
STABLE_NAMES = (Path("/dev/serial/by-id"), Path("/dev/serial/by-path"))
RULES_FILE = "/etc/udev/rules.d/70-leadwire.rules"
INSTALL_RULES = f"leadwire doctor --udev | sudo tee {RULES_FILE} && sudo udevadm control --reload"
_USUAL_GROUP = "dialout"

# `:=` because distributions differ in the group (dialout, plugdev, uucp), and a file that is read later would win.
UDEV_RULES = f"""\
# Leadwire: wearables on USB serial ports. To install it:
#   {INSTALL_RULES}
# and plug the device in again.
ACTION=="remove", GOTO="leadwire_end"
# An FTDI adapter keeps what it has for 16 ms; 1 ms makes samples come one by one.
SUBSYSTEM=="usb-serial", DRIVERS=="ftdi_sio", ATTR{{latency_timer}}="1"
# Whoever is in {_USUAL_GROUP}, a service too, may open the port; so may whoever sits at this machine.
SUBSYSTEM=="tty", ENV{{ID_BUS}}=="usb", GROUP:="{_USUAL_GROUP}", MODE:="0660", TAG+="uaccess"
# One name for one device, whatever its number is: /dev/leadwire/VENDOR_MODEL_SERIAL
SUBSYSTEM=="tty", ENV{{ID_BUS}}=="usb", ENV{{ID_SERIAL_SHORT}}=="?*", SYMLINK+="leadwire/$env{{ID_SERIAL}}"
LABEL="leadwire_end"
"""


@dataclass(frozen=True)
class Access:
    """Who may open a port. group_may: its group may read and write. listed: the user is a member by /etc/group;
    held: this process is, which it becomes when its user logs in.
    """

    group: str
    group_may: bool
    listed: bool
    held: bool


def access_to(port: str | Path) -> Access:
    """As the system says now; the usual answer for a port that cannot be looked at."""
    try:
        found = Path(port).stat()
        group, members = grp.getgrgid(found.st_gid).gr_name, grp.getgrgid(found.st_gid).gr_mem
    except (KeyError, OSError):
        return Access(_USUAL_GROUP, group_may=True, listed=False, held=False)
    both = stat.S_IRGRP | stat.S_IWGRP
    return Access(
        group,
        group_may=found.st_mode & both == both,
        listed=_user() in members,
        held=found.st_gid in (os.getegid(), *os.getgroups()),
    )


def _user() -> str | None:
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return None


def way_in(access: Access) -> str:
    """What a user has to do who may not open a port."""
    if access.held or not access.group_may or access.group == "root":  # nobody should join root for a sensor
        return f"its group ({access.group}) is of no help here; a rule is: {INSTALL_RULES}; then plug it in again"
    if access.listed:
        return f"you have joined its group ({access.group}) since you logged in: log out and in again"
    return f"join the group that owns it: sudo usermod -aG {access.group} $USER, then log out and in again"


def by_id(port: str, folders: Sequence[Path] = STABLE_NAMES) -> str:
    """The name under which this device comes back, whatever its number is then; `port` where it has no such name."""
    target = Path(port).resolve()
    links = (link for folder in folders for link in sorted(folder.glob("*")))
    return next((str(link) for link in links if link.resolve() == target), port)
