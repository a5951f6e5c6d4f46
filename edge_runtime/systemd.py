"""What systemd is told: that we are ready, how it goes, that we live, and that we stop. No library is needed for it.

Protocol: https://www.freedesktop.org/software/systemd/man/latest/sd_notify.html
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Mapping

_STATUS_EVERY_S = 10.0
_FED_A_TIME = 4  # times in the watchdog's time
_STUCK_SHARE = 0.5  # of the watchdog's time, after which a thread that does not come round is not fed for


class Manager:
    """The one that has started us, or nobody: then nothing is sent. address: of its datagram socket; watchdog_s: within
    which it wants to hear from us, None where it does not care.
    """

    def __init__(
        self,
        address: str | None = None,
        watchdog_s: float | None = None,
        tell: Callable[[str], None] = lambda message: None,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._address, self._watchdog_s, self._tell, self._now = address, watchdog_s, tell, now
        self._every_s = _STATUS_EVERY_S if watchdog_s is None else min(_STATUS_EVERY_S, watchdog_s / _FED_A_TIME)
        self._next_s = float("-inf")
        self._ready, self._stuck = False, list[str]()

    @classmethod
    def of(cls, environment: Mapping[str, str], tell: Callable[[str], None]) -> Manager:
        """As the environment says; a watchdog that is meant for another process is none of ours."""
        for_us = environment.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        micros = environment.get("WATCHDOG_USEC", "")
        watchdog_s = int(micros) * 1e-6 if for_us and micros.isdecimal() and int(micros) else None
        return cls(environment.get("NOTIFY_SOCKET") or None, watchdog_s, tell)

    def look(self, stuck: Callable[[float], list[str]], status: Callable[[], str]) -> None:
        """Called all the time. stuck: names the threads that have not come round for so many seconds."""
        now = self._now()
        if self._address is None or now < self._next_s:
            return
        self._next_s = now + self._every_s
        fields = [f"STATUS={status()}"]
        if not self._ready:
            self._ready = True
            fields.append("READY=1")
        if self._watchdog_s is not None:
            names = stuck(self._watchdog_s * _STUCK_SHARE)
            if names and names != self._stuck:
                self._tell(f"{', '.join(names)}: stuck; the watchdog is not fed")
            self._stuck = names
            if names:
                fields[0] = f"STATUS=stuck: {', '.join(names)}"
            else:
                fields.append("WATCHDOG=1")
        self._send(fields)

    def stopping(self) -> None:
        """What is left is being written: that may take its time, and is no reason to be shot."""
        self._send(["STOPPING=1", "STATUS=finishing what has arrived", "WATCHDOG=1"])

    def _send(self, fields: list[str]) -> None:
        if self._address is None:
            return
        address = "\0" + self._address[1:] if self._address.startswith("@") else self._address
        message = "\n".join(field.replace("\n", " ") for field in fields)
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as opened:
            opened.setblocking(False)
            try:
                opened.sendto(message.encode(), address)
            except OSError as error:  # a manager that does not listen is no reason to stop measuring
                self._tell(f"systemd does not listen ({error.strerror})")
                self._address = None if not isinstance(error, BlockingIOError) else self._address
