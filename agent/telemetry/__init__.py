"""What an operator sees of the agent itself: traces, logs, and the ports watched for both. Knows no stage and no adapter."""

from agent.telemetry.logs import heard, log_as_json
from agent.telemetry.opening import traces
from agent.telemetry.watching import WatchedGovernance, WatchedMetrics, WatchedModel, WatchedReader, watched

__all__ = ["WatchedGovernance", "WatchedMetrics", "WatchedModel", "WatchedReader", "heard", "log_as_json", "traces", "watched"]
