"""What pods and nodes use just now, as the metrics API says (metrics.k8s.io, by metrics-server): rows as of `kubectl top`. Pure.

An API of its own server, which a cluster may not have: a cluster without one has a gap there and no error.
"""

from collections.abc import Iterator, Sequence

from pydantic import Field

from agent.domain.objects import Manifest
from agent.ports.cluster import Observed
from agent.ports.toolset import Arguments, Sighting
from agent.toolsets.kinds import Resource
from agent.toolsets.object_questions import SPACE
from agent.topology import Topology
from agent.topology.fields import items, kind_of, mapping, name_of, namespace_of, text
from agent.topology.quantities import quantity

POD_USAGE = Resource("metrics.k8s.io/v1beta1", "PodMetrics", "pods")
NODE_USAGE = Resource("metrics.k8s.io/v1beta1", "NodeMetrics", "nodes", namespaced=False)
MOST_ROWS = 200
MIB = 1024 * 1024


class Top(Arguments):
    namespace: str = Field("", description="empty: those that were read", pattern=SPACE)
    nodes: bool = Field(False, description="of nodes instead of pods")


def asked_for(namespaces: Sequence[str]) -> list[tuple[Resource, str]]:
    """What is listed: the nodes, and the pods of these namespaces (none: of all)."""
    return [(NODE_USAGE, ""), *((POD_USAGE, one) for one in namespaces or ("",))]


def sighting(asked: Top, seen: Observed, topology: Topology) -> Sighting:
    """The most memory first, beside what is allowed (containers) or there (nodes)."""
    kind = "NodeMetrics" if asked.nodes else "PodMetrics"
    found = [one for one in seen.objects if kind_of(one) == kind]
    rows = [row for one in found for row in (_node(one, topology) if asked.nodes else _pod(one, topology))]
    where = f" in {asked.namespace}" if asked.namespace and not asked.nodes else ""
    source = f"kubernetes: top {'nodes' if asked.nodes else 'pods'}{where}"
    if not rows:
        why = "; ".join(dict.fromkeys(gap.why for gap in seen.gaps if gap.what.startswith(kind)))
        told = f"the metrics API gives none ({why})" if why else "the metrics API knows none there"
        return Sighting(source=source, missing=f"{told}; where there is a Prometheus, its series say the same")
    rows.sort(key=lambda row: -row[0])
    more = [f"... and {len(rows) - MOST_ROWS} more"] if len(rows) > MOST_ROWS else []
    return Sighting(source=source, text="\n".join([*(line for _, line in rows[:MOST_ROWS]), *more]))


def _pod(one: Manifest, topology: Topology) -> Iterator[tuple[float, str]]:
    pods = topology.in_namespace("Pod", namespace_of(one))
    pod = next((other for other in pods if name_of(other) == name_of(one)), None)
    specs = {text(box, "name"): mapping(box, "resources", "limits") for box in items(pod, "spec", "containers")}
    for box in items(one, "containers"):
        usage, name = mapping(box, "usage"), text(box, "name")
        memory, words = _words(usage, specs.get(name, {}), "limit")
        yield memory, f"Pod {namespace_of(one)}/{name_of(one)} container {name}: {words} at {text(one, 'timestamp')}"


def _node(one: Manifest, topology: Topology) -> Iterator[tuple[float, str]]:
    node = next((other for other in topology.of_kind("Node") if name_of(other) == name_of(one)), None)
    memory, words = _words(mapping(one, "usage"), mapping(node, "status", "allocatable"), "allocatable")
    yield memory, f"Node {name_of(one)}: {words} at {text(one, 'timestamp')}"


def _words(usage: Manifest, bound: Manifest, called: str) -> tuple[float, str]:
    """Bytes in use, and the line's words."""
    cpu, memory = quantity(usage.get("cpu")) or 0.0, quantity(usage.get("memory")) or 0.0
    most_cpu, most_memory = quantity(bound.get("cpu")), quantity(bound.get("memory"))
    of_cpu = f" ({cpu / most_cpu:.0%} of its {called} {bound['cpu']})" if most_cpu else f" (no {called})"
    of_memory = f" ({memory / most_memory:.0%} of its {called} {bound['memory']})" if most_memory else f" (no {called})"
    return memory, f"cpu {cpu * 1000:.0f}m{of_cpu}, memory {memory / MIB:.0f}Mi{of_memory}"
