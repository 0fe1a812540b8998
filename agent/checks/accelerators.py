"""Accelerators given out by device plugins: resources that nobody offers, plugins that fail, devices withdrawn, MIG."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from agent.checks.containers import rollback_params
from agent.checks.registry import check, quote_event, quote_field
from agent.checks.scheduling import Unplaced, pods_said, unplaced
from agent.domain.finding import Finding, Quote
from agent.domain.objects import Manifest, Ref
from agent.topology import Topology
from agent.topology.fields import at, items, labels_of, mapping, name_of, number, ref_of, text
from agent.topology.pods import container_states, is_ready
from agent.topology.quantities import quantity
from agent.topology.workloads import rollback

_EXTENDED = re.compile(r"^(?!kubernetes\.io/|requests\.|limits\.)[a-z0-9][-a-z0-9.]*/[A-Za-z0-9._-]+$")
_PLUGIN = re.compile(r"device-?plugin|gpu-plugin|gpu-operator|neuron-monitor-plugin|sriov-device", re.I)
# Labels by which a node says that an accelerator of the vendor is built in: node feature discovery, clouds, operators.
_BUILT_IN: Mapping[str, tuple[tuple[str, str], ...]] = {
    "nvidia.com": (
        ("nvidia.com/gpu.present", "true"),
        ("feature.node.kubernetes.io/pci-10de.present", "true"),
        ("kubernetes.azure.com/accelerator", "nvidia"),
        ("cloud.google.com/gke-accelerator", "nvidia"),
        ("k8s.amazonaws.com/accelerator", "nvidia"),
        ("accelerator", "nvidia"),
        ("karpenter.k8s.aws/instance-gpu-manufacturer", "nvidia"),
    ),
    "amd.com": (("feature.node.kubernetes.io/amd-gpu", "true"), ("amd.com/gpu.device-id", "")),
    "gpu.intel.com": (("intel.feature.node.kubernetes.io/gpu", "true"),),
    "google.com": (("cloud.google.com/gke-tpu-accelerator", ""),),
    "aws.amazon.com": (("karpenter.k8s.aws/instance-accelerator-manufacturer", "aws"),),
}


def extended_requests(spec: Mapping[str, Any]) -> list[str]:
    """Extended resources (nvidia.com/gpu ...) that a pod asks for."""
    found: dict[str, None] = {}
    for box in [*items(spec, "containers"), *items(spec, "initContainers")]:
        for field in ("limits", "requests"):
            found.update(dict.fromkeys(name for name in mapping(box, "resources", field) if _EXTENDED.match(name)))
    return list(found)


def offered(node: Manifest, resource: str, *, field: str = "allocatable") -> float:
    return quantity(at(node, "status", field, resource)) or 0.0


def has_built_in(node: Manifest, resource: str) -> bool:
    """Whether the node's labels say that it has such a device, whatever its status offers."""
    labels = labels_of(node)
    wanted = _BUILT_IN.get(resource.partition("/")[0], ())
    return any(key in labels and str(labels[key]).lower().startswith(value) for key, value in wanted)


def plugins(topology: Topology, resource: str) -> list[Manifest]:
    """DaemonSets that look like the resource's device plugin, by name and image."""
    vendor = resource.partition("/")[0].split(".")[-2] if "." in resource.partition("/")[0] else resource.partition("/")[0]
    found = []
    for one in topology.of_kind("DaemonSet"):
        images = " ".join(text(box, "image") for box in items(one, "spec", "template", "spec", "containers"))
        words = f"{name_of(one)} {images}".lower()
        if _PLUGIN.search(words) and (vendor in words or ("nvidia" not in words and "amd" not in words and "intel" not in words)):
            found.append(one)
    return found


def _ailing(topology: Topology, plugin: Manifest, nodes: list[Manifest]) -> tuple[list[Manifest], list[Quote]]:
    """The plugin's pods on these nodes that are not ready, and what is said of them."""
    names = {name_of(one) for one in nodes}
    pods = [pod for pod in topology.pods_of(ref_of(plugin)) if text(pod, "spec", "nodeName") in names and not is_ready(pod)]
    quotes = []
    for pod in pods[:2]:
        for one in container_states(pod):
            if not one.ready:
                said = one.waiting or one.end_reason or "not ready"
                quotes.append(quote_field(one.pod, f"status of container {one.name}", f"{said} {one.waiting_message}"[:200]))
        quotes += [quote_event(event) for event in topology.events_about(ref_of(pod)) if event.kind == "Warning"][-1:]
    return pods, quotes


@check("device-plugin-unhealthy", weight=0.95)
@check("device-plugin-missing", weight=0.94)
@check("extended-resource-not-offered", weight=0.95)
def nobody_offers(topology: Topology) -> Iterator[Finding]:
    """Why the extended resource that pods wait for is not there: no plugin, a plugin that fails, or another resource name."""
    for one in unplaced(topology):
        for resource in extended_requests(one.spec):
            if one.words and f"Insufficient {resource}" not in one.words:
                continue
            found = _why(topology, one, resource)
            if found is not None:
                yield found


def _why(topology: Topology, one: Unplaced, resource: str) -> Finding | None:
    nodes = topology.of_kind("Node")
    bearing = [node for node in nodes if has_built_in(node, resource) or offered(node, resource, field="capacity") > 0]
    lacking = [node for node in bearing if offered(node, resource) < max(offered(node, resource, field="capacity"), 1)]
    for plugin in plugins(topology, resource) if lacking else ():
        ref = ref_of(plugin)
        pods, quotes = _ailing(topology, plugin, lacking)
        absent = number(plugin, "status", "desiredNumberScheduled") == 0
        if not pods and not absent:
            continue
        where = ", ".join(name_of(node) for node in lacking[:4])
        state = "has no pod on any node (desired 0)" if absent else f"does not run properly on {where}"
        return Finding(
            cause="device-plugin-unhealthy",
            subject=ref,
            since=one.since,
            affects=(one.unit, *(ref_of(node) for node in lacking)),
            params={"resource": resource, "nodes": [name_of(node) for node in lacking[:20]], "selects_no_node": absent},
            quotes=(*quotes, *one.quotes),
            statement=f"The device plugin {ref} {state}, so {where} {'offers' if len(lacking) == 1 else 'offer'} no {resource}"
            f" and {pods_said(one)} cannot be placed.",
        )
    if any(offered(node, resource, field="capacity") > 0 for node in nodes):
        return None  # there are some: too few, or in use
    if bearing:
        return _no_plugin(one, resource, bearing)
    return _another_name(topology, one, resource, nodes)


def _no_plugin(one: Unplaced, resource: str, bearing: list[Manifest]) -> Finding:
    where = ", ".join(name_of(node) for node in bearing[:4])
    return Finding(
        cause="device-plugin-missing",
        subject=one.unit,
        since=one.since,
        affects=one.refs,
        params={"resource": resource, "nodes": [name_of(node) for node in bearing[:20]]},
        quotes=(*one.quotes, quote_field(ref_of(bearing[0]), "status.capacity", f"no {resource}")),
        statement=f"{pods_said(one)} ask for {resource}, and {where} {'has' if len(bearing) == 1 else 'have'} the"
        f" hardware by label"
        f" but {'offers' if len(bearing) == 1 else 'offer'} none: no device plugin has registered {resource} there.",
    )


def _another_name(topology: Topology, one: Unplaced, resource: str, nodes: list[Manifest]) -> Finding | None:
    vendor = resource.partition("/")[0]
    others = sorted(
        {
            name
            for node in nodes
            for name in mapping(node, "status", "allocatable")
            if name.startswith(f"{vendor}/") and offered(node, name) > 0
        }
    )
    if not others:
        return None
    back = rollback(topology, one.unit, one.since)
    return Finding(
        cause="extended-resource-not-offered",
        subject=one.unit,
        since=one.since,
        affects=one.refs,
        params={"resource": resource, "offered": [*others], **rollback_params(back)},
        quotes=one.quotes,
        statement=f"{pods_said(one)} ask for {resource}, which no node offers under that name; the nodes offer"
        f" {', '.join(others[:6])}.",
    )


@check("devices-withdrawn", weight=0.9)
def fewer_than_built_in(topology: Topology) -> Iterator[Finding]:
    """allocatable below capacity for an extended resource: the plugin reports devices as unhealthy, or has gone away."""
    for node in topology.of_kind("Node"):
        for resource in mapping(node, "status", "capacity"):
            have, own = offered(node, resource), offered(node, resource, field="capacity")
            if not _EXTENDED.match(resource) or resource.startswith("hugepages") or have >= own:
                continue
            ref = ref_of(node)
            waiting = tuple(one.unit for one in unplaced(topology) if resource in extended_requests(one.spec))
            yield Finding(
                cause="devices-withdrawn",
                subject=ref,
                affects=waiting,
                params={"resource": resource, "allocatable": have, "capacity": own, "node": ref.name},
                quotes=(quote_field(ref, "status", f"{resource}: capacity {int(own)}, allocatable {int(have)}"),),
                statement=f"{ref} offers {int(have)} of its {int(own)} {resource}: its device plugin reports"
                f" {int(own - have)} as unhealthy, or has gone away.",
            )


@check("mig-config-failed", weight=0.95)
def partitioning_failed(topology: Topology) -> Iterator[Finding]:
    """nvidia.com/mig.config.state=failed: the MIG manager could not partition the GPUs as the node's label asks."""
    for node in topology.of_kind("Node"):
        labels, ref = labels_of(node), ref_of(node)
        if labels.get("nvidia.com/mig.config.state") != "failed":
            continue
        wanted = labels.get("nvidia.com/mig.config", "")
        waiting = tuple(
            one.unit for one in unplaced(topology) if any(name.startswith("nvidia.com/") for name in extended_requests(one.spec))
        )
        yield Finding(
            cause="mig-config-failed",
            subject=ref,
            affects=waiting,
            params={"config": wanted, "node": ref.name},
            quotes=(quote_field(ref, "metadata.labels", f"nvidia.com/mig.config={wanted}, nvidia.com/mig.config.state=failed"),),
            statement=f"The GPUs of {ref} could not be partitioned as {wanted or 'its label asks'}"
            f" (mig.config.state=failed), so the"
            " resources that the partitioning would offer are missing.",
        )


def gpu_pods(topology: Topology, node: Ref) -> list[Ref]:
    """Workloads on the node that were given an accelerator."""
    units = {
        topology.unit(ref_of(pod))
        for pod in topology.of_kind("Pod")
        if text(pod, "spec", "nodeName") == node.name and extended_requests(mapping(pod, "spec"))
    }
    return sorted(units)
