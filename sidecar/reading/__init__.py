"""The read gateway: what may be read through the sidecar, and what is taken out on the way. Knows no policy and no lease."""

from sidecar.reading.gateway import Gateway, Reading
from sidecar.reading.permitted import MAX_WATCH_SECONDS, Forbidden
from sidecar.reading.rules import ReadingRules, rules_from
from sidecar.reading.runs import ReadBudget, Runs
from sidecar.reading.shapes import Mask
from sidecar.reading.streams import MOST_STREAMS, Streams

__all__ = [
    "MAX_WATCH_SECONDS",
    "MOST_STREAMS",
    "Forbidden",
    "Gateway",
    "Mask",
    "ReadBudget",
    "Reading",
    "ReadingRules",
    "Runs",
    "Streams",
    "rules_from",
]
