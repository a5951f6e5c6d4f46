"""What a process listens on, as the kernel has it."""

from __future__ import annotations

import socket
import struct
from ipaddress import ip_address
from pathlib import Path

_LISTENS = "0A"
_UNCONNECTED = "07"  # of UDP: whoever sends is heard
_TABLES = {"tcp": _LISTENS, "tcp6": _LISTENS, "udp": _UNCONNECTED, "udp6": _UNCONNECTED}


def listening(pid: int) -> list[dict[str, str | int | bool]]:
    """Each socket of it that anybody may come to: protocol, address, port, and whether that is this machine's alone."""
    own = set()
    for link in Path(f"/proc/{pid}/fd").iterdir():
        try:
            name = str(link.readlink())
        except OSError:  # closed meanwhile
            continue
        if name.startswith("socket:["):
            own.add(name[8:-1])
    found: list[dict[str, str | int | bool]] = []
    for protocol, state in _TABLES.items():
        table = Path(f"/proc/{pid}/net/{protocol}")
        for line in table.read_text().splitlines()[1:] if table.exists() else ():
            fields = line.split()
            if fields[3] != state or fields[9] not in own:
                continue
            digits, port = fields[1].split(":")
            address = ip_address(_address(digits))
            found.append(
                {"protocol": protocol, "address": str(address), "port": int(port, 16), "loopback": address.is_loopback}
            )
    return found


def _address(digits: str) -> str:
    """The kernel writes it in words of its own byte order."""
    words = struct.pack(f"={len(digits) // 8}I", *(int(digits[i : i + 8], 16) for i in range(0, len(digits), 8)))
    return socket.inet_ntop(socket.AF_INET if len(words) == 4 else socket.AF_INET6, words)
