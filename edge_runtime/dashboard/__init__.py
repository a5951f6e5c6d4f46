"""The dashboard: one page that shows what is measured now, and what was. `leadwire run --dashboard`."""

from edge_runtime.dashboard.access import DashboardOptions
from edge_runtime.dashboard.server import Dashboard

__all__ = ["Dashboard", "DashboardOptions"]
