"""What containers and nodes use just now, as the metrics API says it: one look, and no course over time. It shows that CPU is
used up to the limit; that memory is high shows nothing by itself."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from agent.domain.objects import Ref
from agent.topology import Topology, pod_spec_of
from agent.topology.fields import at, items, mapping, name_of, namespace_of, text, time_at
from agent.topology.quantities import quantity

FULL = 0.95  # of what may be used


@dataclass(frozen=True, slots=True, kw_only=True)
class Use:
    """`share` of the container's CPU limit or the node's allocatable CPU; `words` are a line of the metrics API's answer."""

    about: Ref
    container: str
    share: float
    words: str
    at: datetime | None


def containers_at_limit(topology: Topology) -> Iterator[tuple[Ref, Use]]:
    """(workload, use) of containers that use all the CPU that they may, by name."""
    for one in sorted(topology.of_kind("PodMetrics"), key=lambda one: (namespace_of(one), name_of(one))):
        pod = Ref("Pod", namespace_of(one), name_of(one))
        limits = {
            text(box, "name"): at(box, "resources", "limits", "cpu")
            for box in items(pod_spec_of(topology.objects.get(pod, {})), "containers")
        }
        for box in items(one, "containers"):
            name = text(box, "name")
            share = _share(at(box, "usage", "cpu"), limits.get(name))
            if share >= FULL:
                words = f"container {name} uses {share:.0%} of its CPU limit of {limits[name]}"
                yield topology.unit(pod), Use(about=pod, container=name, share=share, words=words, at=time_at(one, "timestamp"))


def nodes_at_limit(topology: Topology) -> Iterator[Use]:
    for one in sorted(topology.of_kind("NodeMetrics"), key=name_of):
        node = Ref("Node", "", name_of(one))
        cpu = at(topology.objects.get(node, {}), "status", "allocatable", "cpu")
        share = _share(mapping(one, "usage").get("cpu"), cpu)
        if share >= FULL:
            words = f"uses {share:.0%} of the CPU that it can allocate"
            yield Use(about=node, container="", share=share, words=words, at=time_at(one, "timestamp"))


def _share(used: object, bound: object) -> float:
    most = quantity(bound)
    return (quantity(used) or 0.0) / most if most else 0.0
