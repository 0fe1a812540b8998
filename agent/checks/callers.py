"""Who calls whom: workloads whose configuration names a Service, and connections that failed by the callers' own logs."""

from collections.abc import Mapping

from agent.checks.registry import quote_log
from agent.domain.finding import Quote
from agent.domain.objects import Ref
from agent.signals.connections import ConnectionTrouble, connection_troubles
from agent.signals.searching import index_of
from agent.topology import Topology

# what the API server asks on everybody's behalf calls a Service as a workload does
_ASKING = ("ValidatingWebhookConfiguration", "MutatingWebhookConfiguration", "APIService", "CustomResourceDefinition")


def callers_of(topology: Topology, service: Ref) -> tuple[Ref, ...]:
    """Workloads whose configuration or logs name the Service."""
    found = set(_configured_callers(topology).get(service, ()))
    for unit, trouble, _ in log_troubles(topology):
        if topology.host(trouble.host, unit.namespace) == service:
            found.add(unit)
    return tuple(sorted(found))


def _configured_callers(topology: Topology) -> Mapping[Ref, list[Ref]]:
    """Who calls each Service by its configuration, worked out once a topology."""
    known: dict[Ref, list[Ref]] | None = topology.derived.get("configured-callers")
    if known is None:
        known = topology.derived["configured-callers"] = {}
        for edges in topology.edges.values():
            for edge in edges:
                if edge.relation == "calls" or (edge.relation == "routes-to" and edge.source.kind in _ASKING):
                    known.setdefault(edge.target, []).append(edge.source)
    return known


def log_troubles(topology: Topology) -> list[tuple[Ref, ConnectionTrouble, Quote]]:
    """(workload, failed connections, quote) of every log in view, found once for a topology."""
    known: list[tuple[Ref, ConnectionTrouble, Quote]] | None = topology.derived.get("log-troubles")
    if known is not None:
        return known
    found: dict[tuple[Ref, str, int], tuple[Ref, ConnectionTrouble, Quote]] = {}
    for pod, logs in topology.logs.items():
        unit = topology.unit_of_name(pod)
        for log in logs:
            for trouble in connection_troubles(index_of(topology, log)):
                quote = quote_log(pod, log.container, trouble.last.text, trouble.last.at, previous=log.previous)
                key = (unit, trouble.host, trouble.port)
                if key not in found or found[key][1].count < trouble.count:
                    found[key] = (unit, trouble, quote)
    result = [found[key] for key in sorted(found)]
    topology.derived["log-troubles"] = result
    return result
