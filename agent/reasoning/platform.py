"""The platform beside the question: where the parts live that what was seen hangs on and that may not have been read yet, and
what of it people hold on purpose."""

import re
from collections.abc import Collection

from agent.checks.accelerators import extended_requests
from agent.checks.callers import log_troubles
from agent.checks.controlplane import not_acted_upon
from agent.checks.dns import dns_troubles
from agent.checks.policies import API_SERVER
from agent.checks.rights import refusals
from agent.checks.scheduling import unplaced
from agent.checks.webhooks import called_in_vain
from agent.domain.objects import Ref
from agent.signals.masking import safe
from agent.topology import Topology
from agent.topology.calls import service_of
from agent.topology.dns import SPACES
from agent.topology.extensions import held, is_custom
from agent.topology.fields import condition, items, name_of, text
from agent.topology.references import ROUTES

_ACCELERATORS = re.compile(r"gpu|nvidia|amd|intel-device|device-plugin|(?:^|-)dra(?:-|$)|neuron|habana|accelerator|^kube-system$")
AT_MOST = 3
_NETWORK = re.compile(r"^kube-system$|cilium|calico|flannel")


def namespaces_beyond(topology: Topology, objects: Collection[Ref] = ()) -> tuple[str, ...]:
    """Namespaces that exist, were not read, and that configuration in view refers to (of `objects` and what they need, where
    there are any), or where the parts of the platform live that what was seen hangs on."""
    existing = {name_of(one) for one in topology.of_kind("Namespace")}
    asked = {topology.unit(one) for one in objects}
    needed = asked | {need for one in asked for need in topology.depends_on(one)}
    found = set()
    for holder, addresses in topology.addresses.items():
        if asked and holder not in needed:
            continue
        for address in addresses:
            service = service_of(address.host, holder.namespace)
            if service is not None and service.namespace in existing and not topology.knows_namespace(service.namespace):
                found.add(service.namespace)
    return tuple(sorted(found | platform_namespaces(topology, existing)))


def platform_namespaces(topology: Topology, existing: Collection[str]) -> set[str]:
    """Namespaces, among those that exist, of device plugins and drivers when pods wait for devices, of the network's agents when
    nodes say that these are not ready, and of what the control plane, DNS, webhooks and rights that failed live in."""
    wanted = {name for name in _asked_in_vain(topology) if name in existing}
    if any(extended_requests(one.spec) or items(one.spec, "resourceClaims") for one in unplaced(topology)):
        wanted |= {name for name in existing if _ACCELERATORS.search(name)}
    taints = [text(taint, "key") for node in topology.of_kind("Node") for taint in items(node, "spec", "taints")]
    sandboxes = any(one.reason == "FailedCreatePodSandBox" for events in topology.events.values() for one in events)
    if "node.cilium.io/agent-not-ready" in taints or sandboxes:
        wanted |= {name for name in existing if _NETWORK.search(name)}
    return {name for name in wanted if not topology.knows_namespace(name)}


def _asked_in_vain(topology: Topology) -> set[str]:
    """Where those live that were asked and gave no answer, whatever was read of them."""
    found: set[str] = set()
    if dns_troubles(topology):
        found |= set(SPACES)
    if any(topology.host(trouble.host, unit.namespace) == API_SERVER for unit, trouble, _ in log_troubles(topology)):
        found |= {API_SERVER.namespace, SPACES[0]}
    if any(one.said is None for one in unplaced(topology)) or any(True for _ in not_acted_upon(topology)):
        found.add(SPACES[0])  # the leases of scheduler and controller manager
    found |= {hook.service.namespace for hook in called_in_vain(topology) if hook.service is not None}
    for api in topology.of_kind("APIService"):
        if text(condition(api, "Available"), "status") == "False":
            found.add(text(api, "spec", "service", "namespace"))
    found |= {one.request.namespace for one in refusals(topology)}
    routes = [one for kind in ROUTES for one in topology.of_kind(kind)]
    found |= {text(parent, "namespace") for route in routes for parent in items(route, "spec", "parentRefs")}
    return found - {""}


def held_on_purpose(topology: Topology, namespaces: Collection[str]) -> list[str]:
    """A sentence on custom resources that people have suspended, paused or switched off: no fault, and worth knowing."""
    found = [
        f"{ref} ({safe(why, limit=120)})"
        for ref, manifest in sorted(topology.objects.items())
        if is_custom(manifest) and (not namespaces or ref.namespace in namespaces)
        for why in [held(manifest)]
        if why
    ]
    more = f" and {len(found) - AT_MOST} more" if len(found) > AT_MOST else ""
    return [f"Held on purpose, which is no fault: {', '.join(found[:AT_MOST])}{more}."] if found else []
