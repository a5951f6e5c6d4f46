"""The broker that the tests need, where it is installed."""

from __future__ import annotations

import pytest

from benchmarks.runtime.broker import MOSQUITTO, Listener, Mosquitto, wait_for

__all__ = ["MOSQUITTO", "Listener", "Mosquitto", "needs_mosquitto", "wait_for"]

needs_mosquitto = pytest.mark.skipif(MOSQUITTO is None, reason="needs Mosquitto (apt install mosquitto)")
