"""What is the incident about? Must not read more of the cluster than its namespaces."""

from dataclasses import dataclass

from agent.domain.incident import Incident
from agent.ports import ClusterReader, Gap, Reasoner


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """Namespaces to read, and what could not be seen on the way."""

    namespaces: tuple[str, ...]
    gaps: tuple[Gap, ...] = ()


async def intake(incident: Incident, *, reader: ClusterReader, reasoner: Reasoner) -> Scope:
    """Raises ClusterUnreachable. Namespaces that an alert names count even where listing them all is not allowed."""
    seen = await reader.namespaces()
    known = tuple(str(found["metadata"]["name"]) for found in seen.objects if found.get("kind", "Namespace") == "Namespace")
    named = tuple(dict.fromkeys(alert.labels["namespace"] for alert in incident.alerts if alert.labels.get("namespace")))
    chosen = reasoner.namespaces_of(incident, known or named)
    return Scope(namespaces=tuple(chosen) or named or known, gaps=seen.gaps)
