"""Where pods ask for names: the cluster's DNS, the node's, or servers of their own; and whether policy lets them. Pure."""

from collections.abc import Iterator, Mapping
from typing import Any, Literal

from agent.domain.objects import Manifest, Ref
from agent.topology.fields import at, counted, items, labels_of, name_of, namespace_of, text
from agent.topology.graph import Topology
from agent.topology.policies import End, Verdict, allows, end_of, namespace_labels

SPACES = ("kube-system", "openshift-dns")
_NAMES = ("kube-dns", "coredns", "dns-default")
NODE_LOCAL = "169.254.20.10"  # the address that NodeLocal DNSCache listens on
Resolver = Literal["cluster", "node", "own"]


def cluster_dns(topology: Topology) -> Manifest | None:
    """The Service of the cluster's DNS: kube-dns, whatever program answers; distributions add their own prefix."""
    found = [
        one
        for space in SPACES
        for one in topology.in_namespace("Service", space)
        if labels_of(one).get("k8s-app") in _NAMES or name_of(one) in _NAMES or name_of(one).endswith("-coredns")
    ]
    return min(found, key=lambda one: (name_of(one) not in _NAMES, name_of(one)), default=None)


def dns_ends(topology: Topology) -> Iterator[End]:
    """The pods that answer DNS for the cluster; where they were not read, one with the label that they carry by custom. And the
    node's own cache, where there is one."""
    if any(labels_of(pod).get("k8s-app") == "node-local-dns" for pod in topology.pods_in.get("kube-system", ())):
        yield End(addresses=(NODE_LOCAL,), ports=(("dns", "UDP", 53),))
    service = cluster_dns(topology)
    pods = topology.selected_by(service) if service is not None else []
    if pods:
        yield from (end_of(topology, pod) for pod in pods[:3])
        return
    space = namespace_of(service) if service is not None else "kube-system"
    yield End(
        ref=Ref("Service", space, "kube-dns"),
        namespace=space,
        labels={"k8s-app": "kube-dns"},
        namespace_labels=namespace_labels(topology, space),
        ports=(("dns", "UDP", 53), ("dns-tcp", "TCP", 53)),
    )


def allows_dns(topology: Topology, source: End) -> Verdict:
    """Whether the pod may ask for names over UDP, as resolvers do first. One server that may be asked is enough."""
    verdicts = [allows(topology, source, one, _dns_port(one), "UDP") for one in dns_ends(topology)]
    return min(verdicts, key=lambda one: ("allowed", "unknown", "refused").index(one.answer))


def _dns_port(end: End) -> int:
    return next((found for name, protocol, found in end.ports if protocol == "UDP" and name.startswith("dns")), 53)


def resolver_of(topology: Topology, pod_spec: Mapping[str, Any]) -> Resolver:
    """Whom the pod asks: dnsPolicy ClusterFirst on the node's network falls back to the node's resolver (Kubernetes: "DNS for
    Services and Pods")."""
    policy = text(pod_spec, "dnsPolicy") or "ClusterFirst"
    if policy == "Default" or (policy == "ClusterFirst" and at(pod_spec, "hostNetwork") is True):
        return "node"
    servers = items(pod_spec, "dnsConfig", "nameservers")
    service = cluster_dns(topology)
    if policy == "None" and servers:
        ours = {text(service, "spec", "clusterIP"), NODE_LOCAL} if service is not None else {NODE_LOCAL}
        return "cluster" if ours & set(servers) else "own"
    return "cluster"


def ndots(pod_spec: Mapping[str, Any]) -> int:
    """From how many dots on a name is tried as it stands first; 5 in a cluster unless dnsConfig says otherwise."""
    for option in items(pod_spec, "dnsConfig", "options"):
        value = text(option, "value")
        if text(option, "name") == "ndots" and (dots := counted(value)) is not None:
            return dots
    return 5
