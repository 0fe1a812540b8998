"""The further questions of a page, answered from what was read: each tool is a pure function of the topology, and says in a few
lines what settles the question, or why it cannot."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta

from agent.domain.finding import Finding
from agent.domain.objects import ContainerLog, Manifest, Ref
from agent.domain.runbook import Ask, Lookup, Page
from agent.runbooks import others
from agent.signals.changes import changes
from agent.signals.masking import safe
from agent.topology import Happening, Topology
from agent.topology.fields import at, items, labels_of, mapping, name_of, number, ref_of, text
from agent.topology.pods import phase
from agent.topology.workloads import revisions

MOST_LINES, MOST_LOGS = 8, 5
_KIND_LABELS = {
    "pod": "Pod", "deployment": "Deployment", "statefulset": "StatefulSet", "daemonset": "DaemonSet", "job_name": "Job",
    "horizontalpodautoscaler": "HorizontalPodAutoscaler", "persistentvolumeclaim": "PersistentVolumeClaim", "service": "Service",
    "poddisruptionbudget": "PodDisruptionBudget", "resourcequota": "ResourceQuota", "node": "Node",
}  # fmt: skip
_READS = {
    "metrics": "metrics", "logs": "logs", "previous_logs": "logs", "events": "Event", "endpoints": "EndpointSlice",
    "alerts": "alerts", "traces": "traces", "top": "PodMetrics",
}  # fmt: skip
Tool = Callable[[Ref, Topology], Iterator[str]]


def about_finding(page: Page, finding: Finding, topology: Topology) -> tuple[Lookup, ...]:
    """Every question of the page, about the finding's subject or what it affects."""
    units = [topology.unit(one) for one in finding.affects]
    affected = next((one for one in units if one != finding.subject), finding.subject)
    return tuple(_asked(page, ask, affected if "{affected}" in ask.target else finding.subject, topology) for ask in page.asks)


def about_alert(page: Page, labels: Mapping[str, str], topology: Topology) -> tuple[Lookup, ...]:
    """Every question of the page, about the object that the alert's labels name; without one about the whole of what was read."""
    return tuple(_asked(page, ask, _named(labels, topology), topology) for ask in page.asks)


def _named(labels: Mapping[str, str], topology: Topology) -> Ref:
    for label, kind in _KIND_LABELS.items():
        if labels.get(label):
            namespace = "" if kind == "Node" else labels.get("namespace", "")
            return topology.unit_of_name(Ref(kind, namespace, labels[label]))
    return Ref("Namespace", "", labels.get("namespace", ""))


def _asked(page: Page, ask: Ask, about: Ref, topology: Topology) -> Lookup:
    unseen = topology.unseen.get(_READS.get(ask.tool, ""), "")
    lines = [safe(line, limit=300) for line in _TOOLS[ask.tool](about, topology)][:MOST_LINES]
    missing = "" if lines else unseen or f"nothing was read that says it ({ask.tool.replace('_', ' ')} of {about})"
    return Lookup(page=page.path, tool=ask.tool, about=about, settles=ask.settles, text="\n".join(lines), missing=missing)


# The tools. ---------------------------------------------------------------------------------------------------------------


def rollout_history(about: Ref, topology: Topology) -> Iterator[str]:
    """Revisions of a Deployment, newest first; of other workloads their ControllerRevisions."""
    unit = topology.unit(about)
    for one in revisions(topology, unit):
        images = ", ".join(one.images)
        yield f"revision {one.number} of {_when(one.created)}: {images}, {one.ready} ready"
    kept = [one for one in topology.in_namespace("ControllerRevision", unit.namespace) if _is_owned(one, unit)]
    for revision in sorted(kept, key=lambda one: -number(one, "revision")):
        yield f"revision {number(revision, 'revision')} of {text(revision, 'metadata', 'creationTimestamp')}"


def describe(about: Ref, topology: Topology) -> Iterator[str]:
    manifest = topology.objects.get(about)
    if manifest is None:
        return
    status = mapping(manifest, "status")
    plain = [f"{key} {value}" for key, value in status.items() if isinstance(value, int | str) and key != "observedGeneration"]
    if plain:
        yield f"{about}: {', '.join(sorted(plain))}"
    for field in ("capacity", "allocatable", "hard", "used"):
        if mapping(status, field):
            yield f"{field}: {', '.join(f'{key} {value}' for key, value in sorted(mapping(status, field).items()))}"
    for one in items(manifest, "status", "conditions"):
        said = " ".join(part for part in (text(one, "reason"), text(one, "message")) if part)
        yield f"{text(one, 'type')}={text(one, 'status')} since {text(one, 'lastTransitionTime')} {said}".rstrip()


def events(about: Ref, topology: Topology) -> Iterator[str]:
    """Warnings first, then the latest."""
    unit = topology.unit(about)
    told = [*topology.events_of_unit(unit), *(topology.events_about(about) if about != unit else ())]
    told.sort(key=lambda one: (one.kind != "Warning", -(one.last.timestamp() if one.last else 0), one.reason, one.message))
    yield from dict.fromkeys(_event(one) for one in told)


def logs(about: Ref, topology: Topology) -> Iterator[str]:
    yield from _last_lines([log for log in topology.logs_of(topology.unit(about)) if not log.previous])


def previous_logs(about: Ref, topology: Topology) -> Iterator[str]:
    yield from _last_lines([log for log in topology.logs_of(topology.unit(about)) if log.previous])


def metrics(about: Ref, topology: Topology) -> Iterator[str]:
    """First and last value of each series of the object or its pods, those that moved most first."""
    names = {about.name, *(name_of(pod) for pod in topology.pods_of(topology.unit(about)))}
    rows = []
    for one in topology.series:
        named = next((value for value in one.labels.values() if value in names), "")
        if named and len(one.samples) > 1 and one.name:
            first, last = one.samples[0][1], one.samples[-1][1]
            moved = abs(last - first) / max(abs(first), abs(last), 1e-9)
            where = f"{named}/{one.labels['container']}" if one.labels.get("container") else named
            rows.append((-moved, f"{one.name} of {where}: {first:g} to {last:g} in {_span(one.samples)} min"))
    yield from (words for _, words in sorted(rows))


def what_changed(about: Ref, topology: Topology) -> Iterator[str]:
    """What people and tools changed within a day on it or on what it depends on, newest first."""
    unit = topology.unit(about)
    near = {unit, about, *topology.depends_on(unit)} if about.kind != "Namespace" else None
    for one in changes(topology, within=timedelta(days=1)):
        if near is None or topology.unit(one.about) in near:
            yield f"{one.at:%Y-%m-%d %H:%M:%S}Z {one.about}: {one.what}, by {one.who}"


def endpoints(about: Ref, topology: Topology) -> Iterator[str]:
    """Addresses behind a Service, or behind the Services that select a workload."""
    selecting = [one for one in topology.in_namespace("Service", about.namespace) if _selects(one, about, topology)]
    for service in sorted({about.name, *map(name_of, selecting)} if about.kind == "Service" else set(map(name_of, selecting))):
        for one in topology.in_namespace("EndpointSlice", about.namespace):
            if labels_of(one).get("kubernetes.io/service-name") == service:
                entries = items(one, "endpoints")
                ready = sum(at(entry, "conditions", "ready") is not False for entry in entries)
                ports = ", ".join(str(number(port, "port")) for port in items(one, "ports")) or "no port"
                yield f"Service {service}: {ready} of {len(entries)} endpoints ready, on {ports}"


def dependents(about: Ref, topology: Topology) -> Iterator[str]:
    for one in sorted(topology.dependents_of(about)):
        yield f"{one} needs {about}"


def listed(about: Ref, topology: Topology) -> Iterator[str]:
    """Pods of it, on it or selected by it; without an object the nodes."""
    if about.kind == "Node":
        pods = [pod for pod in topology.of_kind("Pod") if text(pod, "spec", "nodeName") == about.name]
    elif about.kind in ("Service", "PodDisruptionBudget"):
        pods = [pod for pod in topology.pods_in.get(about.namespace, ()) if _is_edge(about, ref_of(pod), topology)]
    else:
        pods = topology.pods_of(topology.unit(about))
    yield from (_pod(pod) for pod in sorted(pods, key=name_of))
    if not pods and about.kind in ("Namespace", "Node"):
        for node in sorted(topology.of_kind("Node"), key=name_of):
            ready = next(
                (text(one, "status") for one in items(node, "status", "conditions") if text(one, "type") == "Ready"), "Unknown"
            )
            version = text(node, "status", "nodeInfo", "kubeletVersion")
            yield f"Node {name_of(node)}: ready {ready}, {version or 'version not known'}"


_TOOLS: Mapping[str, Tool] = {
    "rollout_history": rollout_history,
    "describe": describe,
    "events": events,
    "logs": logs,
    "previous_logs": previous_logs,
    "metrics": metrics,
    "changes": what_changed,
    "endpoints": endpoints,
    "dependents": dependents,
    "list": listed,
    "alerts": others.alerts,
    "traces": others.traces,
    "brought": others.brought,
    "top": others.top,
}


def _is_owned(one: Manifest, unit: Ref) -> bool:
    owners = items(one, "metadata", "ownerReferences")
    return any((text(owner, "kind"), text(owner, "name")) == (unit.kind, unit.name) for owner in owners)


def _selects(service: Manifest, about: Ref, topology: Topology) -> bool:
    return any(topology.unit(ref_of(pod)) == topology.unit(about) for pod in topology.selected_by(service))


def _is_edge(source: Ref, pod: Ref, topology: Topology) -> bool:
    return any(topology.unit(edge.target) == topology.unit(pod) for edge in topology.edges.get(source, ()))


def _event(one: Happening) -> str:
    times = f" (x{one.count})" if one.count > 1 else ""
    return f"{_when(one.last)} {one.kind} {one.reason} on {one.about}: {one.message}{times}"


def _last_lines(found: Sequence[ContainerLog]) -> Iterator[str]:
    for log in sorted(found, key=lambda one: (one.pod, one.container))[:3]:
        lines = [line for line in log.text.splitlines() if line.strip()]
        yield from (f"{log.pod}/{log.container}: {line}" for line in lines[-MOST_LOGS:])


def _pod(pod: Manifest) -> str:
    boxes = items(pod, "status", "containerStatuses")
    ready = sum(at(one, "ready") is True for one in boxes)
    restarts = sum(number(one, "restartCount") for one in boxes)
    where = text(pod, "spec", "nodeName") or "no node"
    return f"{ref_of(pod)}: {phase(pod)}, {ready} of {len(boxes)} ready, {restarts} restarts, on {where}"


def _when(at_: datetime | None) -> str:
    return f"{at_:%Y-%m-%d %H:%M:%S}Z" if at_ is not None else "a time not known"


def _span(samples: Sequence[tuple[float, float]]) -> int:
    return round((samples[-1][0] - samples[0][0]) / 60)
