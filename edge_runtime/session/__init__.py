"""The shell around the monitors, which owns the threads: one for all ports, one for all monitors and the net, and one
for each sink. What is between them is bounded.
"""

from edge_runtime.session.lead import Lead
from edge_runtime.session.session import Session, SessionStatistics, room_for

__all__ = ["Lead", "Session", "SessionStatistics", "room_for"]
