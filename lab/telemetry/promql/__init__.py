"""A subset of PromQL: what runbooks and dashboards ask of a cluster, with Prometheus's words for what it cannot do."""

from lab.telemetry.promql.evaluation import Evaluator, ExecutionError
from lab.telemetry.promql.parsing import ParseError, parse

__all__ = ["Evaluator", "ExecutionError", "ParseError", "parse"]
