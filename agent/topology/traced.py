"""Traced requests on the graph: which workload a span is of, whom it called, and so who calls whom. Names that fit two
workloads fit none. Pure."""

from collections.abc import Iterator, Mapping

from agent.domain.objects import Ref
from agent.domain.testimony import Journey, Span
from agent.topology.fields import name_of, ref_of
from agent.topology.graph import Topology

_WORKLOADS = ("Deployment", "StatefulSet", "DaemonSet", "CronJob", "Job")
_Names = Mapping[tuple[str, str], Ref]


def unit_of_span(topology: Topology, span: Span) -> Ref | None:
    """The workload whose work it is: by its pod, by the workload that its resource names, else by its service's name."""
    if span.pod and span.namespace:
        pod = Ref("Pod", span.namespace, span.pod)
        unit = topology.unit_of_name(pod)
        if unit in topology.objects:
            return unit
    if span.workload:
        found = _names(topology).get((span.namespace, span.workload.lower()))
        if found is not None:
            return found
    return unit_of_service(topology, span.service, span.namespace)


def unit_of_service(topology: Topology, service: str, namespace: str = "") -> Ref | None:
    """What a service's name means: name, name.namespace (as Istio writes it), or namespace/name."""
    names, said = _names(topology), service.lower()
    found = names.get((namespace, said))
    if found is not None:
        return found
    name, _, space = said.partition(".")
    if space:
        return names.get((space.partition(".")[0], name))
    space, slash, name = said.partition("/")
    return names.get((space, name)) if slash else None


def names_of(topology: Topology, unit: Ref) -> tuple[str, ...]:
    """Under which a unit may trace: its own name, that of Services in front of it, and both with the namespace behind."""
    fronts = [
        edge.source.name
        for edges in topology.edges.values()
        for edge in edges
        if edge.target == unit and edge.relation == "selects" and edge.source.kind == "Service"
    ]
    names = dict.fromkeys([unit.name, *sorted(fronts)])
    return (*names, *(f"{name}.{unit.namespace}" for name in names if unit.namespace))


def callee(topology: Topology, span: Span, caller: Ref) -> Ref | None:
    """Whom a call went to, by the host that it names: the one workload behind a Service, else the Service, pod or node."""
    found = topology.host(span.peer, caller.namespace) if span.peer else None
    if found is None or found not in topology.objects:
        return None
    if found.kind != "Service":
        return topology.unit(found)
    units = {topology.unit(ref_of(pod)) for pod in topology.selected_by(topology.objects[found])}
    return next(iter(units)) if len(units) == 1 else found


def calls(topology: Topology, journeys: tuple[Journey, ...]) -> Iterator[tuple[Ref, Ref]]:
    """(caller, called) of every call in the journeys whose both ends are known."""
    for journey in journeys:
        units = {span.id: unit_of_span(topology, span) for span in journey.spans}
        for span in journey.spans:
            unit, parent = units[span.id], units.get(span.parent)
            if unit is None:
                continue
            if parent is not None and parent != unit:
                yield parent, unit
            other = callee(topology, span, unit) if span.is_call else None
            if other is not None and other != unit:
                yield unit, other


def _names(topology: Topology) -> _Names:
    """(namespace, name) -> workload, and ("", name) where one namespace only has it; worked out once a topology."""
    known: dict[tuple[str, str], Ref] | None = topology.derived.get("traced-names")
    if known is not None:
        return known
    known = {}
    for kind in reversed(_WORKLOADS):
        known.update(
            {(ref_of(one).namespace, name_of(one).lower()): topology.unit(ref_of(one)) for one in topology.of_kind(kind)}
        )
    for service in topology.of_kind("Service"):
        units = {topology.unit(ref_of(pod)) for pod in topology.selected_by(service)}
        if len(units) == 1:
            known.setdefault((ref_of(service).namespace, name_of(service).lower()), next(iter(units)))
    anywhere: dict[str, set[Ref]] = {}
    for (_, name), unit in known.items():
        anywhere.setdefault(name, set()).add(unit)
    known.update({("", name): next(iter(units)) for name, units in anywhere.items() if len(units) == 1})
    topology.derived["traced-names"] = known
    return known
