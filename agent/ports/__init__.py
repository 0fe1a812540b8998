"""What the stages need of the world, as protocols. Adapters live above; fakes live in tests/fakes."""

from agent.ports.alerts import AlertBook, Silences
from agent.ports.clock import Clock
from agent.ports.cluster import ClusterReader, Gap, Observed
from agent.ports.governance import Governance
from agent.ports.metrics import Metrics
from agent.ports.reasoner import Reasoner
from agent.ports.runbooks import Candidate, Guidance, Runbooks
from agent.ports.sessions import SessionStore
from agent.ports.store import EventLog, RunEvent, RunRow, RunStore

__all__ = [
    "AlertBook",
    "Candidate",
    "Clock",
    "ClusterReader",
    "EventLog",
    "Gap",
    "Governance",
    "Guidance",
    "Metrics",
    "Observed",
    "Reasoner",
    "RunEvent",
    "RunRow",
    "RunStore",
    "Runbooks",
    "SessionStore",
    "Silences",
]
