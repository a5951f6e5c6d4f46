"""The host's side of a board's handshake. Pure: told what was heard and when, it says what to send."""

from __future__ import annotations

from firmware_bridge.boards import Board, Step

_ANSWER_S = 2.0  # a board that was asked and does not answer goes on without: firmware differs
_ASK_AGAIN_S = 1.0  # a board that resets when its port is opened misses the first words
_ASK_SILENT_S = 5.0  # one that had been streaming was perhaps started again
_LONGEST_ANSWER = 4096


class Handshake:
    """Steps in their order, each with its answer awaited; again from the first while nothing comes of it."""

    def __init__(self, board: Board) -> None:
        self._steps = board.handshake
        self._left: list[Step] = []
        self._until = b""
        self._heard = b""
        self._deadline_s = 0.0

    @property
    def complete(self) -> bool:
        """Everything was said: what comes now are samples."""
        return not self._left and not self._until

    def begin(self, now_s: float) -> bytes:
        """From the first step; to be sent."""
        self._left = list(self._steps)
        return self._go_on(now_s)

    def hear(self, data: bytes, now_s: float) -> bytes:
        """What to send now that this was heard, which may be nothing, on either side."""
        if self._until:
            self._heard = (self._heard + data)[-_LONGEST_ANSWER:]
            return self._go_on(now_s) if self._until in self._heard or now_s >= self._deadline_s else b""
        if data:
            self._deadline_s = now_s + _ASK_SILENT_S
        elif self._steps and now_s >= self._deadline_s:
            return self.begin(now_s)
        return b""

    def _go_on(self, now_s: float) -> bytes:
        send, self._until, self._heard = b"", b"", b""
        while self._left and not self._until:
            step = self._left.pop(0)
            send += step.send
            self._until = step.until
        self._deadline_s = now_s + (_ANSWER_S if self._until else _ASK_AGAIN_S)
        return send
