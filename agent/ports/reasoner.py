"""From what was seen to a diagnosis. The offline reasoner and, later, a model stand behind this one port."""

from typing import Protocol

from agent.domain.finding import Diagnosis
from agent.domain.incident import Incident
from agent.domain.objects import Series
from agent.ports.cluster import Observed


class Reasoner(Protocol):
    def namespaces_of(self, incident: Incident, known: tuple[str, ...]) -> tuple[str, ...]:
        """Which of the cluster's namespaces the incident is about; all of `known` when it does not say."""
        ...

    def diagnose(self, incident: Incident, observed: Observed, series: tuple[Series, ...]) -> Diagnosis: ...
