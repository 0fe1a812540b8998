"""Where the parts of the platform live that what was seen hangs on, and that may not have been read yet: names only."""

import re
from collections.abc import Collection

from agent.checks.accelerators import extended_requests
from agent.checks.scheduling import unplaced
from agent.topology import Topology
from agent.topology.fields import items, text

_ACCELERATORS = re.compile(r"gpu|nvidia|amd|intel-device|device-plugin|(?:^|-)dra(?:-|$)|neuron|habana|accelerator|^kube-system$")
_NETWORK = re.compile(r"^kube-system$|cilium")


def platform_namespaces(topology: Topology, existing: Collection[str]) -> set[str]:
    """Namespaces, among those that exist, of device plugins and drivers when pods wait for devices, and of the network's agents
    when nodes say that these are not ready."""
    wanted: set[str] = set()
    if any(extended_requests(one.spec) or items(one.spec, "resourceClaims") for one in unplaced(topology)):
        wanted |= {name for name in existing if _ACCELERATORS.search(name)}
    taints = [text(taint, "key") for node in topology.of_kind("Node") for taint in items(node, "spec", "taints")]
    if "node.cilium.io/agent-not-ready" in taints:
        wanted |= {name for name in existing if _NETWORK.search(name)}
    return {name for name in wanted if not topology.knows_namespace(name)}
