"""Questions of a page that sources beside the cluster answer: what fires, how requests went, who brought what, what is used. From
what they told already; nothing is asked here."""

from collections.abc import Iterator

from agent.checks.traced import cleared, turns
from agent.domain.objects import Ref
from agent.signals import releases
from agent.topology import Topology
from agent.topology.fields import items, mapping, name_of, ref_of, text
from agent.topology.traced import unit_of_span


def alerts(about: Ref, topology: Topology) -> Iterator[str]:
    """Those that bear the name of the object, of a pod of it, or of what it needs; of a namespace all."""
    unit = topology.unit(about)
    near = {unit, about, *topology.depends_on(unit)}
    names = {one.name for one in near} | {name_of(pod) for one in near for pod in topology.pods_of(one)}
    for one in sorted(topology.testimony.alerts, key=lambda one: (one.starts_at or topology.now, one.name, one.fingerprint)):
        spaces = (one.labels.get("namespace", ""), one.labels.get("node", ""))
        if about.name in spaces if about.kind == "Namespace" else names & set(one.labels.values()):
            since = f" since {one.starts_at:%Y-%m-%d %H:%M:%S}Z" if one.starts_at else ""
            said = one.annotations.get("summary") or one.annotations.get("description") or ""
            yield f"{one.name}{since}{f': {said}' if said else ''}"


def traces(about: Ref, topology: Topology) -> Iterator[str]:
    """Requests that passed through it and went wrong, the last first; that they went well there, where they did."""
    unit = topology.unit(about)
    if unit in cleared(topology):
        yield cleared(topology)[unit]
    for one in reversed(turns(topology)):
        if unit in {unit_of_span(topology, span) for span in one.journey.spans}:
            yield f"{one.journey.source}: {one.words}"


def brought(about: Ref, topology: Topology) -> Iterator[str]:
    """What Helm, Argo CD, Flux and marks on the time line say of it, newest first."""
    unit = topology.unit(about)
    for when, ref, what, who, source in sorted(releases.told(topology), reverse=True):
        if ref in (unit, about) or (about.kind == "Namespace" and ref.namespace == about.name):
            yield f"{when:%Y-%m-%d %H:%M:%S}Z {ref}: {what}, by {who} ({source})"


def top(about: Ref, topology: Topology) -> Iterator[str]:
    """Use of its pods' containers just now, or of the node."""
    if about.kind == "Node":
        found = [one for one in topology.of_kind("NodeMetrics") if name_of(one) == about.name]
        yield from (f"{about}: {_use(mapping(one, 'usage'))} at {text(one, 'timestamp')}" for one in found)
        return
    pods = {ref_of(pod).name for pod in topology.pods_of(topology.unit(about))} | {about.name}
    for one in topology.in_namespace("PodMetrics", about.namespace):
        for box in items(one, "containers") if name_of(one) in pods else ():
            yield f"{name_of(one)}/{text(box, 'name')}: {_use(mapping(box, 'usage'))} at {text(one, 'timestamp')}"


def _use(usage: object) -> str:
    return f"cpu {text(usage, 'cpu')}, memory {text(usage, 'memory')}"
