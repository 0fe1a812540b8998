"""What an operator sees of the sidecar itself: the log, and spans that join the agent's trace of a run."""

from sidecar.telemetry.logs import Correlated, configure_log, told_by
from sidecar.telemetry.opening import Tracing, open_tracing

__all__ = ["Correlated", "Tracing", "configure_log", "open_tracing", "told_by"]
