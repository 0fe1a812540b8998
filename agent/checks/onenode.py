"""Calls that fail from one node only, while the same workloads reach the same targets from other nodes."""

import re
from collections.abc import Iterator

from agent.checks.registry import check, earliest, quote_log
from agent.domain.finding import Finding, Quote
from agent.domain.objects import Ref
from agent.signals.connections import ConnectionTrouble, connection_troubles
from agent.signals.logs import started_lately
from agent.signals.searching import index_of
from agent.topology import Topology
from agent.topology.fields import ref_of, text
from agent.topology.pods import is_ready

Pair = tuple[Ref, str]  # a workload and the host that it calls
AT_LEAST = 2  # pairs that agree on one node


def _troubles(topology: Topology) -> dict[Pair, dict[str, tuple[Ref, ConnectionTrouble, Quote]]]:
    """Failed connections by (workload, host), and by node of the pod whose log says so."""
    found: dict[Pair, dict[str, tuple[Ref, ConnectionTrouble, Quote]]] = {}
    for pod, logs in topology.logs.items():
        node = text(topology.objects.get(pod), "spec", "nodeName")
        for log in logs if node else ():
            for one in connection_troubles(index_of(topology, log)):
                if one.kind in ("timeout", "refused", "reset") and one.count >= 3 and started_lately(one.last, topology.now):
                    quote = quote_log(pod, log.container, one.last.text, one.last.at, previous=log.previous)
                    found.setdefault((topology.unit_of_name(pod), one.host), {}).setdefault(node, (pod, one, quote))
    return found


_ROUTES = re.compile(r"^(?:kube-proxy|kube-router|cilium|calico-node|aws-node|antrea-agent|ovnkube|kindnet|flannel|kube-flannel)")


@check("node-traffic-failing", weight=0.8)
def fails_from_there(topology: Topology) -> Iterator[Finding]:
    """Several workloads fail from one node and not from others where they run too: kube-proxy or its replacement, a firewall, the
    machine's network."""
    accused: dict[str, list[tuple[Pair, ConnectionTrouble, Quote]]] = {}
    for pair, by_node in sorted(_troubles(topology).items()):
        logged = {text(pod, "spec", "nodeName") for pod in topology.pods_of(pair[0]) if topology.logs.get(ref_of(pod))}
        if len(by_node) == 1 and len(logged) > 1:
            ((node, (_, trouble, quote)),) = by_node.items()
            accused.setdefault(node, []).append((pair, trouble, quote))
    for node, ones in sorted(accused.items()):
        units = tuple(dict.fromkeys(pair[0] for pair, _, _ in ones))
        subject = Ref("Node", "", node)
        if len(units) < AT_LEAST or len(accused) > 1 or subject not in topology.objects:
            continue
        hosts = ", ".join(dict.fromkeys(pair[1] for pair, _, _ in ones))
        sick = _routers(topology, node)
        yield Finding(
            cause="node-traffic-failing",
            subject=subject,
            affects=units,
            since=earliest(*(trouble.first.at for _, trouble, _ in ones)),
            quotes=tuple(quote for _, _, quote in ones[:3]),
            params={"hosts": hosts, "pods": [str(one) for one in sick]},
            statement=f"Calls to {hosts} fail from pods on {node} only ({', '.join(map(str, units[:4]))}), while the same"
            " workloads reach them from other nodes: the node's own routing (kube-proxy or what replaces it) is at fault"
            f"{f'; {sick[0]} there is not ready' if sick else ''}.",
        )


def _routers(topology: Topology, node: str) -> list[Ref]:
    """Pods of the node that see to its routing and are not ready."""
    return [
        ref_of(pod)
        for pod in topology.of_kind("Pod")
        if text(pod, "spec", "nodeName") == node and _ROUTES.search(ref_of(pod).name) and not is_ready(pod)
    ]
