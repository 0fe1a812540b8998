"""What set the investigation off: an alert or a question, and the time it is about."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """One alert of an Alertmanager notification (webhook v4 or API v2)."""

    name: str
    labels: Mapping[str, str]
    annotations: Mapping[str, str] = field(default_factory=dict)
    fingerprint: str = ""
    starts_at: datetime | None = None
    ends_at: datetime | None = None  # once it is resolved
    resolved: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """The time asked about, aware UTC. `end` is the cluster's own "now" where it could be read."""

    start: datetime
    end: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Incident:
    """One thing to look into. Either `question` or `alerts` is set. `asked_by` is a person's name, or empty. `look_only`: nothing
    is proposed for it, and so nothing is changed; the remedy is told as a suggestion."""

    id: str
    cluster: str
    opened_at: datetime
    question: str = ""
    alerts: tuple[Alert, ...] = ()
    asked_by: str = ""
    group_key: str = ""  # Alertmanager's groupKey: the same group again joins this incident
    look_only: bool = False
