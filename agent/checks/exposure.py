"""How Services and pods are reached: load balancers that never come, traffic that stays on a node without pods, slices that do
not list the pods that are ready, readiness gates that nobody sets, hosts that two Ingresses claim."""

from collections.abc import Iterator
from datetime import timedelta

from agent.checks.callers import log_troubles
from agent.checks.registry import check, earliest, quote_event, quote_field
from agent.domain.finding import Finding
from agent.domain.objects import Manifest, Ref
from agent.topology import Topology
from agent.topology.fields import (
    annotations_of,
    at,
    condition,
    created_at,
    items,
    labels_of,
    mapping,
    name_of,
    ref_of,
    text,
    time_at,
)
from agent.topology.pods import is_ready
from agent.topology.workloads import live_pods

PATIENCE = timedelta(minutes=5)  # clouds take minutes to make a load balancer
SETTLES = timedelta(minutes=2)


@check("load-balancer-pending", weight=0.9)
def no_address(topology: Topology) -> Iterator[Finding]:
    """A Service of type LoadBalancer that has had no address for minutes: the cloud refuses it, or nobody makes any."""
    for service in topology.of_kind("Service"):
        ref, made = ref_of(service), created_at(service)
        if text(service, "spec", "type") != "LoadBalancer" or items(service, "status", "loadBalancer", "ingress"):
            continue
        if at(service, "metadata", "deletionTimestamp") is not None or items(service, "spec", "externalIPs"):
            continue
        told = [
            one for one in topology.events_about(ref) if one.kind != "Normal" and "LoadBalancer" in f"{one.reason}{one.message}"
        ]
        if made is None or (topology.now - made < PATIENCE and not told):
            continue
        said = " ".join(told[-1].message.split())[:300].rstrip(". ") if told else ""
        why = said or "no controller has made one (no cloud provider or load balancer implementation acts on it)"
        yield Finding(
            cause="load-balancer-pending",
            subject=ref,
            since=earliest(*(one.first for one in told)) or made,
            params={"class": text(service, "spec", "loadBalancerClass"), "told": bool(told)},
            quotes=tuple(quote_event(one) for one in told[-2:]) or (quote_field(ref, "status", "loadBalancer: {} (no ingress)"),),
            statement=f"{ref} is of type LoadBalancer and has no address, so nobody reaches it from outside: {why}.",
        )


@check("traffic-policy-local", weight=0.93)
def stays_on_the_node(topology: Topology) -> Iterator[Finding]:
    """internalTrafficPolicy Local: a caller whose node runs no ready pod of the Service gets no answer."""
    for unit, trouble, quote in log_troubles(topology):
        host = topology.host(trouble.host, unit.namespace)
        service = topology.objects.get(host) if host is not None and host.kind == "Service" else None
        if service is None or host is None or text(service, "spec", "internalTrafficPolicy") != "Local":
            continue
        serving = {text(pod, "spec", "nodeName") for pod in topology.selected_by(service) if is_ready(pod)}
        nodes = {text(pod, "spec", "nodeName") for pod in live_pods(topology, unit)} - {""}
        bare = sorted(nodes - serving)
        if not serving or not bare or trouble.kind not in ("timeout", "refused"):
            continue
        yield Finding(
            cause="traffic-policy-local",
            subject=host,
            affects=(unit,),
            since=trouble.first.at,
            params={"nodes": [*bare], "policy": "internalTrafficPolicy"},
            quotes=(quote, quote_field(host, "spec", "internalTrafficPolicy: Local")),
            statement=f"{host} keeps traffic on the caller's node (internalTrafficPolicy: Local), and no ready pod of it runs on"
            f" {', '.join(bare[:4])}, so calls of {unit} from there fail.",
        )


_EXCLUDED = ("node.kubernetes.io/exclude-from-external-load-balancers", "alpha.service-controller.kubernetes.io/exclude-balancer")


@check("traffic-policy-local", weight=0.9)
def outside_meets_no_pod(topology: Topology) -> Iterator[Finding]:
    """externalTrafficPolicy Local: a load balancer sends only to nodes with a ready pod, and all those are left out of it; or a
    caller names a node's port where no ready pod runs. Some nodes without a pod are by design: their health check says no."""
    for service in topology.of_kind("Service"):
        ref = ref_of(service)
        if text(service, "spec", "externalTrafficPolicy") != "Local":
            continue
        serving = {text(pod, "spec", "nodeName") for pod in topology.selected_by(service) if is_ready(pod)} - {""}
        nodes = {name_of(one): one for one in topology.of_kind("Node")}
        left_out = sorted(name for name in serving if any(label in labels_of(nodes.get(name, {})) for label in _EXCLUDED))
        to_pods = any(value == "ip" for key, value in annotations_of(service).items() if key.endswith("target-type"))
        to_pods |= at(service, "spec", "allocateLoadBalancerNodePorts") is False
        if text(service, "spec", "type") == "LoadBalancer" and not to_pods and serving and len(left_out) == len(serving):
            yield Finding(
                cause="traffic-policy-local",
                subject=ref,
                params={"nodes": [*left_out], "policy": "externalTrafficPolicy"},
                quotes=(
                    quote_field(ref, "spec", "externalTrafficPolicy: Local"),
                    *(quote_field(Ref("Node", "", name), "metadata.labels", _EXCLUDED[0]) for name in left_out[:2]),
                ),
                statement=f"{ref} hands traffic from outside only to pods on the node where it arrives (externalTrafficPolicy:"
                f" Local), and all nodes that run a ready pod of it ({', '.join(left_out[:4])}) are excluded from load balancers,"
                " so nobody gets through.",
            )
            continue
        yield from _by_node_port(topology, service, serving)


def _by_node_port(topology: Topology, service: Manifest, serving: set[str]) -> Iterator[Finding]:
    ref = ref_of(service)
    ports = {at(one, "nodePort") for one in items(service, "spec", "ports")}
    for unit, trouble, quote in log_troubles(topology) if serving else ():
        node = topology.host(trouble.host, unit.namespace)
        named = Ref("Node", "", trouble.host) if Ref("Node", "", trouble.host) in topology.objects else node
        if named is None or named.kind != "Node" or trouble.port not in ports or named.name in serving:
            continue
        if trouble.kind in ("timeout", "refused", "reset"):
            yield Finding(
                cause="traffic-policy-local",
                subject=ref,
                affects=(unit,),
                since=trouble.first.at,
                params={"nodes": [named.name], "policy": "externalTrafficPolicy"},
                quotes=(quote, quote_field(ref, "spec", "externalTrafficPolicy: Local")),
                statement=f"{unit} calls port {trouble.port} of {named}, where no ready pod of {ref} runs, and {ref} keeps"
                " traffic from outside on the node where it arrives (externalTrafficPolicy: Local), so it is dropped.",
            )


@check("endpoints-stale", weight=0.9)
def not_listed(topology: Topology) -> Iterator[Finding]:
    """Ready pods that the Service selects and none of its EndpointSlices lists: whoever writes slices is down or behind."""
    slices: dict[Ref, list[Manifest]] = {}
    for one in topology.of_kind("EndpointSlice"):
        name = labels_of(one).get("kubernetes.io/service-name", "")
        slices.setdefault(Ref("Service", text(one, "metadata", "namespace"), name), []).append(one)
    for service in topology.of_kind("Service"):
        ref = ref_of(service)
        known = [one for one in slices.get(ref, ()) if text(one, "addressType") in ("", "IPv4", "IPv6")]
        if not known or text(service, "spec", "type") == "ExternalName":
            continue
        listed = {
            address
            for one in known
            for end in items(one, "endpoints")
            for address in items(end, "addresses")
            if isinstance(address, str)
        }
        addressed = [pod for pod in topology.selected_by(service) if text(pod, "status", "podIP")]
        if all(text(pod, "status", "podIP") in listed for pod in addressed):
            continue
        pods = [pod for pod in addressed if _ready_for(topology, pod)]
        own = {text(pod, "status", "podIP") for pod in pods}
        others = {text(one, "ip") for pod in pods for one in items(pod, "status", "podIPs")}
        missing = sorted(own - listed)
        if not pods or len(missing) < len(own) or listed & others:
            continue
        has = ", ".join(sorted(listed)[:4]) or "none"
        yield Finding(
            cause="endpoints-stale",
            subject=ref,
            since=earliest(*(time_at(condition(pod, "Ready"), "lastTransitionTime") for pod in pods)),
            params={"pods": len(pods)},
            quotes=(
                quote_field(ref_of(known[0]), "endpoints", f"addresses: {has}"),
                quote_field(ref_of(pods[0]), "status", f"podIP: {missing[0]}, Ready"),
            ),
            statement=f"{ref} selects {len(pods)} ready pod{'s' if len(pods) > 1 else ''} ({', '.join(missing[:3])}), and its"
            f" EndpointSlices list {has}: the controller that writes them is down or far behind, and callers reach nobody"
            " or pods that are gone.",
        )


def _ready_for(topology: Topology, pod: Manifest) -> bool:
    since = time_at(condition(pod, "Ready"), "lastTransitionTime") if is_ready(pod) else None
    return since is not None and topology.now - since > SETTLES and at(pod, "metadata", "deletionTimestamp") is None


@check("readiness-gate-unmet", weight=0.88)
def gate_not_set(topology: Topology) -> Iterator[Finding]:
    """ContainersReady, and Ready=False ReadinessGatesNotReady: a controller (load balancer, mesh) has not said yes."""
    for unit, pods in sorted(topology.pods_by_owner.items()):
        held = []
        for pod in pods:
            said = condition(pod, "Ready")
            since = time_at(said, "lastTransitionTime")
            if text(said, "reason") == "ReadinessGatesNotReady" and since is not None and topology.now - since > SETTLES:
                held.append((pod, since))
        if not held:
            continue
        pod, since = min(held, key=lambda one: (one[1], ref_of(one[0])))
        gates = [text(one, "conditionType") for one in items(pod, "spec", "readinessGates")]
        unmet = [one for one in gates if text(condition(pod, one), "status") != "True"] or gates
        words = "; ".join(text(condition(pod, one), "message") or f"{one} was never set" for one in unmet)
        yield Finding(
            cause="readiness-gate-unmet",
            subject=unit,
            since=since,
            affects=tuple(ref_of(one) for one, _ in held[:5]),
            params={"gates": [*unmet]},
            quotes=(quote_field(ref_of(pod), "status.conditions", f"Ready=False ReadinessGatesNotReady: {words}"),),
            statement=f"{len(held)} pod{'s' if len(held) > 1 else ''} of {unit} run with all containers ready and stay unready,"
            f" because readiness gate {', '.join(unmet)} is not met ({words[:200]}): the controller that sets it does not act.",
        )


@check("ingress-host-conflict", weight=0.6)
def host_twice(topology: Topology) -> Iterator[Finding]:
    """Two Ingresses of one class that claim the same host and path with different backends: one of them is not served."""
    claimed: dict[tuple[str, str, str], list[tuple[Ref, str]]] = {}
    for ingress in topology.of_kind("Ingress"):
        ref, of = ref_of(ingress), text(ingress, "spec", "ingressClassName")
        canary = any("canary" in key for key in mapping(ingress, "metadata", "annotations"))
        for rule in items(ingress, "spec", "rules") if not canary else ():
            for path in items(rule, "http", "paths"):
                name = f"{ref.namespace}/{text(path, 'backend', 'service', 'name')}"
                claimed.setdefault((of, text(rule, "host"), text(path, "path") or "/"), []).append((ref, name))
    for (_, host, path), ones in sorted(claimed.items()):
        holders = sorted({ref for ref, _ in ones}, key=lambda ref: (str(created_at(topology.objects[ref])), ref))
        if len(holders) < 2 or len({name for _, name in ones}) < 2:
            continue
        first, later = holders[0], holders[-1]
        yield Finding(
            cause="ingress-host-conflict",
            subject=later,
            affects=(first,),
            since=created_at(topology.objects[later]),
            params={"host": host, "path": path},
            quotes=tuple(quote_field(ref, "spec.rules", f"{host}{path} -> {name}") for ref, name in ones[:3]),
            statement=f"{first} and {later} both claim {host or 'every host'}{path} for different Services, so only one of them"
            " is served (the older one with most controllers).",
        )
