"""Pods that find no room: too little capacity, and what only the scheduler's own words tell."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from agent.checks.registry import check, quote_field
from agent.checks.scheduling import pods_said, unplaced
from agent.domain.finding import Finding
from agent.topology import Topology
from agent.topology.fields import at, items, name_of
from agent.topology.pods import requested
from agent.topology.quantities import quantity, spoken


@check("insufficient-cpu", weight=0.9)
def not_enough_cpu(topology: Topology) -> Iterator[Finding]:
    yield from _short_of(topology, "cpu", "insufficient-cpu")


@check("insufficient-memory", weight=0.9)
def not_enough_memory(topology: Topology) -> Iterator[Finding]:
    yield from _short_of(topology, "memory", "insufficient-memory")


def _short_of(topology: Topology, resource: str, cause: str) -> Iterator[Finding]:
    for one in unplaced(topology):
        if f"Insufficient {resource}" not in one.words:
            continue
        wanted = requested(one.spec, resource)
        sizes = [
            (quantity(at(node, "status", "allocatable", resource)) or 0.0, name_of(node)) for node in topology.of_kind("Node")
        ]
        largest, name = max(sizes, default=(0.0, ""))
        asks = next((str(value) for value in _requests(one.spec, resource)), spoken(wanted))
        never = wanted > largest > 0
        have = spoken(largest, asks)
        more = f", more than any node can ever offer (the largest, {name}, has {have})" if never else ", more than is free now"
        nodes = f"the only node ({name})" if len(sizes) == 1 else f"all {len(sizes)} nodes"
        yield Finding(
            cause=cause,
            subject=one.unit,
            since=one.since,
            affects=one.refs,
            params={"requested": asks, "largest_node": have, "never_fits": never, "resource": resource},
            quotes=(*one.quotes, quote_field(one.unit, "spec", f"requests.{resource}: {asks}")),
            statement=f"{pods_said(one)} request {asks} {'CPUs' if resource == 'cpu' else 'of memory'} each{more}, so the"
            f" scheduler reports"
            f" Insufficient {resource} on {nodes}.",
        )


def _requests(spec: Mapping[str, Any], resource: str) -> Iterator[Any]:
    for container in items(spec, "containers"):
        value = at(container, "resources", "requests", resource) or at(container, "resources", "limits", resource)
        if value is not None:
            yield value


_OTHERS = re.compile(r"Insufficient ([a-z][a-z0-9-]*)(?![a-z0-9-]*[./][a-z]|[a-z0-9-])")
_OTHER: tuple[tuple[str, str, str], ...] = (
    ("volume-zone-conflict", "volume node affinity conflict", "their volume lies in another zone than every node that would fit"),
    ("volume-zone-conflict", "PersistentVolume's node affinity", "their volume cannot be used on any node that would fit"),
    ("volume-zone-conflict", "no available volume zone", "their volume lies in another zone than every node that would fit"),
    ("volume-unbindable", "find available persistent volumes to bind", "no PersistentVolume that is free fits their claim"),
    ("volume-unbindable", "did not have enough free storage", "no node has the storage left that their claim asks for"),
    ("volume-unbindable", "bound to non-existent", "their claim is bound to a PersistentVolume that does not exist"),
    ("volume-unbindable", "ReadWriteOncePod", "another pod uses their claim, which one pod at a time may use (ReadWriteOncePod)"),
    ("node-pod-limit", "Too many pods", "every node has as many pods as it may have"),
    ("volume-attach-limit", "exceed max volume count", "every node has as many volumes attached as it may have"),
    ("topology-spread", "topology spread constraints", "the topology spread constraints leave no place"),
    ("pod-affinity", "didn't match pod affinity rules", "no node runs the pods that they require beside them"),
)


@check("volume-zone-conflict", weight=0.85)
@check("node-pod-limit", weight=0.85)
@check("volume-attach-limit", weight=0.85)
@check("volume-unbindable", weight=0.85)
@check("topology-spread", weight=0.85)
@check("pod-affinity", weight=0.85)
def said_otherwise(topology: Topology) -> Iterator[Finding]:
    """What only the scheduler's own words tell."""
    for one in unplaced(topology):
        for cause, needle, meaning in _OTHER:
            if needle in one.words:
                yield Finding(
                    cause=cause,
                    subject=one.unit,
                    since=one.since,
                    affects=one.refs,
                    quotes=one.quotes,
                    statement=f"{pods_said(one)} cannot be scheduled: {meaning} ({needle}).",
                )


@check("insufficient-extended-resource", weight=0.88)
def short_of_devices(topology: Topology) -> Iterator[Finding]:
    """ "Insufficient nvidia.com/gpu" and the like; allocatable 0 under a larger capacity points at the device plugin."""
    for one in unplaced(topology):
        for resource in dict.fromkeys(re.findall(r"Insufficient ([a-z0-9.-]+/[A-Za-z0-9._-]+)", one.words)):
            totals = [quantity(at(node, "status", "allocatable", resource)) or 0.0 for node in topology.of_kind("Node")]
            owned = [quantity(at(node, "status", "capacity", resource)) or 0.0 for node in topology.of_kind("Node")]
            lost = sum(owned) > sum(totals)
            why = "its device plugin has withdrawn devices" if lost else f"the nodes offer {int(sum(totals))} in all"
            yield Finding(
                cause="insufficient-extended-resource",
                subject=one.unit,
                since=one.since,
                affects=one.refs,
                quotes=one.quotes,
                params={"resource": resource, "device_plugin_lost": lost},
                statement=f"{pods_said(one)} cannot be scheduled: Insufficient {resource}; {why}.",
            )


@check("insufficient-node-resource", weight=0.88)
def short_of_others(topology: Topology) -> Iterator[Finding]:
    """ "Insufficient ephemeral-storage", "Insufficient hugepages-2Mi": what nodes have beside CPU and memory."""
    for one in unplaced(topology):
        for resource in dict.fromkeys(_OTHERS.findall(one.words)):
            if resource in ("cpu", "memory"):
                continue
            sizes = [quantity(at(node, "status", "allocatable", resource)) or 0.0 for node in topology.of_kind("Node")]
            asks = next((str(value) for value in _requests(one.spec, resource)), spoken(requested(one.spec, resource)))
            never = requested(one.spec, resource) > max(sizes, default=0.0)
            nobody = (
                "which no node has at all" if not any(sizes) else "more than any node can ever offer" if never else "none is left"
            )
            yield Finding(
                cause="insufficient-node-resource",
                subject=one.unit,
                since=one.since,
                affects=one.refs,
                params={"resource": resource, "requested": asks, "never_fits": never},
                quotes=(*one.quotes, quote_field(one.unit, "spec", f"requests.{resource}: {asks}")),
                statement=f"{pods_said(one)} cannot be scheduled: they ask for {asks} of {resource}, and {nobody}"
                f" (Insufficient {resource}).",
            )
