"""What other sources are asked about, once a first diagnosis is there: the workloads in question and what they need. Pure."""

import re
from collections.abc import Iterable
from dataclasses import replace

from agent.domain.finding import Diagnosis
from agent.domain.incident import Incident, Window
from agent.domain.objects import Ref
from agent.domain.testimony import Matter, Suspect
from agent.ports.cluster import Observed
from agent.reasoning.questions import understand
from agent.topology import Topology, build
from agent.topology.fields import name_of, text
from agent.topology.graph import Edge
from agent.topology.pods import is_ready
from agent.topology.traced import names_of

MOST_UNITS, MOST_SERVICES, MOST_GONE, MOST_SUSPECTS = 30, 8, 10, 4
_RUNNING = ("Deployment", "StatefulSet", "DaemonSet", "Job", "CronJob", "Pod")
_NEEDED = (*_RUNNING, "Service", "Node", "PersistentVolumeClaim")
_OF_CALLS = frozenset(
    {"service-degraded", "service-dragged", "calls-failing", "external-dependency-failing", "connection-pool-exhausted"}
)
_SPEAKS_OF_CALLS = re.compile(r"latenc|slow|error ?rate|5xx|timeout|timed out|unavailab|apdex|\bslo\b|failing requests", re.I)


def neighbourhood(
    incident: Incident, diagnosis: Diagnosis, observed: Observed, window: Window, *, measured: bool = False
) -> Matter | None:
    """None where there is nothing to ask: what was wanted to be known is no matter of faults or changes."""
    only_changes = diagnosis.answer is not None and diagnosis.answer.intent == "changed"
    if diagnosis.outcome not in ("fault", "unknown", "healthy") and not only_changes:
        return None
    topology = build(observed.now, observed.objects)
    ill = _ill(diagnosis, topology)
    asked = [topology.unit_of_name(ref) for ref in diagnosis.about if ref.kind != "Namespace"]
    near = [one for one in dict.fromkeys((*asked, *ill)) if one in topology.objects]
    calls = diagnosis.outcome == "unknown" or _is_about_calls(incident, diagnosis)
    if not near and calls:
        near = _entered(topology, _spaces(diagnosis))
    needed = sorted({need for one in near for need in topology.depends_on(one) if need.kind in _NEEDED})
    units = tuple(dict.fromkeys((*near, *needed)))[:MOST_UNITS]
    return Matter(
        window=window,
        namespaces=tuple(sorted({one.namespace for one in units if one.namespace} | _spaces(diagnosis))),
        units=units,
        services=_services(near, topology),
        gone=tuple(sorted(_gone(ill, topology)))[:MOST_GONE],
        measured=measured,
        is_open=diagnosis.outcome == "unknown",
        is_about_calls=calls,
        only_changes=only_changes,
        suspects=() if only_changes else _suspects(diagnosis, near, topology),
    )


def _suspects(diagnosis: Diagnosis, near: Iterable[Ref], topology: Topology) -> tuple[Suspect, ...]:
    """The causes; where none is known, what is in trouble or was asked about."""
    if not diagnosis.causes:
        return tuple(_suspect(one, (one,), topology) for one in list(dict.fromkeys(near))[:MOST_SUSPECTS])
    return tuple(
        replace(
            _suspect(found.subject, (found.subject, *found.affects), topology),
            finding=found.id,
            cause=found.cause,
            state=found.state,
            params=found.params,
        )
        for found in (cause.finding for cause in diagnosis.causes[:MOST_SUSPECTS])
    )


def _suspect(about: Ref, suffering: Iterable[Ref], topology: Topology) -> Suspect:
    """With the workload that it is or hits, and of its pods the first that is not ready."""
    units = [topology.unit_of_name(one) for one in suffering]
    unit = next((one for one in units if one.kind in _RUNNING), None)
    pods = sorted(topology.pods_of(unit), key=lambda one: (is_ready(one), name_of(one))) if unit is not None else []
    node = about.name if about.kind == "Node" else text(pods[0], "spec", "nodeName") if pods else ""
    return Suspect(
        about=about,
        namespace=about.namespace or (unit.namespace if unit is not None else ""),
        workload=unit.name if unit is not None else "",
        pod=name_of(pods[0]) if pods else "",
        node=node,
    )


def _ill(diagnosis: Diagnosis, topology: Topology) -> list[Ref]:
    found = [ref for cause in diagnosis.causes for ref in (cause.finding.subject, *cause.finding.affects)]
    if diagnosis.outcome == "unknown":
        found += diagnosis.victims
    return list(dict.fromkeys(topology.unit_of_name(ref) for ref in found))


def _spaces(diagnosis: Diagnosis) -> set[str]:
    return {ref.name if ref.kind == "Namespace" else ref.namespace for ref in diagnosis.about} - {""}


def _entered(topology: Topology, spaces: set[str]) -> list[Ref]:
    """Where no object is in question: workloads that requests come in to from outside, else those that Services stand before."""
    fronts = [ref for ref in topology.objects if ref.kind == "Service" and ref.namespace in spaces]
    routed = {edge.target for edges in topology.edges.values() for edge in edges if edge.relation == "routes-to"}
    chosen = sorted(ref for ref in fronts if ref in routed) or sorted(fronts)
    behind = [edge.target for ref in chosen for edge in topology.edges.get(ref, ()) if edge.relation == "selects"]
    return list(dict.fromkeys(behind))[:MOST_SERVICES]


def _services(near: Iterable[Ref], topology: Topology) -> tuple[str, ...]:
    """Of those in question, else, where none is named, of those that Services stand before."""
    running: list[Ref] = []
    for one in near:
        behind: tuple[Edge, ...] = tuple(topology.edges.get(one, ()))
        running += [one] if one.kind in _RUNNING else [edge.target for edge in behind if edge.relation == "selects"]
    named = dict.fromkeys(name for unit in dict.fromkeys(running) for name in names_of(topology, unit))
    return tuple(named)[: MOST_SERVICES * 2]


def _gone(ill: Iterable[Ref], topology: Topology) -> set[Ref]:
    """Pods that events still speak of and that are no more."""
    units = {one for one in ill if one.kind in _RUNNING and one in topology.objects}
    return {
        about
        for about in topology.events
        if about.kind == "Pod" and about not in topology.objects and topology.unit_of_name(about) in units
    }


def _is_about_calls(incident: Incident, diagnosis: Diagnosis) -> bool:
    if any(cause.finding.cause in _OF_CALLS for cause in diagnosis.causes):
        return True
    said = understand(incident.question, incident.opened_at)
    if incident.question and set(said.symptoms) & {"slow", "unreachable"}:
        return True
    words = (f"{alert.name} {' '.join(alert.annotations.values())}" for alert in incident.alerts)
    return any(_SPEAKS_OF_CALLS.search(one[:2000]) for one in words)
