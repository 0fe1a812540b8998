"""NetworkPolicies evaluated against both ends and the port: does policy let this connection through, and which one does not.

Pure; knows no check. Follows the networking.k8s.io/v1 semantics: a pod is isolated for a direction by any policy that selects it
for that direction; rules of all policies add up; egress of the source and ingress of the target must both allow; replies are
allowed. Whether the cluster's network enforces policies at all, and the policies of other engines (Cilium, Calico), are not seen
here. A pod's own address within an ipBlock counts as allowed (engines differ).
"""

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from agent.domain.objects import Manifest, Ref
from agent.topology.fields import at, items, kind_of, labels_of, mapping, namespace_of, number, ref_of, text
from agent.topology.graph import Topology
from agent.topology.references import pod_spec_of
from agent.topology.selectors import matches, requirement_text

NAME_LABEL = "kubernetes.io/metadata.name"  # every namespace carries its own name under it
Direction = Literal["egress", "ingress"]


@dataclass(frozen=True, slots=True, kw_only=True)
class End:
    """One end of a connection as policies see it: a pod (labels, namespace, ports by name), or an address of the outside.

    `namespace_labels` is None when the namespace itself was not seen: then only its name is known.
    """

    ref: Ref | None = None
    namespace: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    namespace_labels: Mapping[str, str] | None = None
    addresses: tuple[str, ...] = ()
    ports: tuple[tuple[str, str, int], ...] = ()  # (name, protocol, number)
    host_network: bool = False

    @property
    def is_pod(self) -> bool:
        return bool(self.namespace) and not self.host_network

    def __str__(self) -> str:
        return str(self.ref) if self.ref is not None else ", ".join(self.addresses) or "the outside"


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """Why one policy does not let it through. `lack`: nothing is allowed at all, the other end is not among the peers, or the
    port is not among the ports of the rule that has the peer. `rule` and `peer` are indexes of what comes nearest (-1: none)."""

    policy: Ref
    lack: Literal["denies-all", "peer", "port"]
    words: str
    rule: int = -1
    peer: int = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """`direction` is the side that refuses (the egress of the source or the ingress of the target), "" when none does.
    `refusals`: every policy that isolates that side, nearest to allowing it first. unknown: it hangs on what was not seen."""

    answer: Literal["allowed", "refused", "unknown"]
    direction: Direction | Literal[""] = ""
    refusals: tuple[Refusal, ...] = ()
    allowed_by: tuple[Ref, ...] = ()

    @property
    def explanation(self) -> str:
        if self.answer == "refused":
            return "; ".join(f"{one.policy} {one.words}" for one in self.refusals)
        if self.answer == "unknown":
            return "it hangs on labels of a namespace, or on policies, that were not seen"
        by = ", ".join(map(str, self.allowed_by))
        return f"allowed by {by}" if by else "no policy isolates either end"


def end_of(topology: Topology, manifest: Manifest) -> End:
    """A pod, or a workload as its next pod would be."""
    namespace = namespace_of(manifest)
    is_pod = kind_of(manifest) == "Pod"
    spec = pod_spec_of(manifest)
    labels = labels_of(manifest) if is_pod else mapping(manifest, "spec", "template", "metadata", "labels")
    addresses = [text(one, "ip") for one in items(manifest, "status", "podIPs")] or [text(manifest, "status", "podIP")]
    ports = [
        (text(port, "name"), text(port, "protocol") or "TCP", number(port, "containerPort"))
        for container in items(spec, "containers")
        for port in items(container, "ports")
    ]
    return End(
        ref=ref_of(manifest),
        namespace=namespace,
        labels=labels,
        namespace_labels=namespace_labels(topology, namespace),
        addresses=tuple(one for one in addresses if one) if is_pod else (),
        ports=tuple(ports),
        host_network=at(spec, "hostNetwork") is True,
    )


def namespace_labels(topology: Topology, namespace: str) -> Mapping[str, str] | None:
    seen = topology.get("Namespace", "", namespace)
    return {NAME_LABEL: namespace, **labels_of(seen)} if seen is not None else None


def outside(address: str = "") -> End:
    """Something that is no pod: an address, or (without one) a name whose address is not known."""
    return End(addresses=(address,) if address else ())


def allows(topology: Topology, source: End, target: End, port: int, protocol: str = "TCP") -> Verdict:
    """Whether policies let `source` open a connection to `port` of `target` (the port of the pod, not of a Service)."""
    if source.ref is not None and source.ref == target.ref:
        return Verdict(answer="allowed")
    allowed: list[Ref] = []
    doubt = not topology.saw("NetworkPolicy")
    sides: tuple[tuple[Direction, End, End], ...] = (("egress", source, target), ("ingress", target, source))
    for direction, own, other in sides:
        isolating = policies_for(topology, own, direction) if own.is_pod else []
        if not isolating:
            continue
        judged = [_judge(policy, direction, other, target, port, protocol) for policy in isolating]
        by = [ref_of(policy) for policy, one in zip(isolating, judged, strict=True) if one is True]
        if by:
            allowed += by
        elif any(one is None for one in judged):
            doubt = True
        else:
            refusals = sorted((one for one in judged if isinstance(one, Refusal)), key=_distance)
            return Verdict(answer="refused", direction=direction, refusals=tuple(refusals))
    return Verdict(answer="unknown" if doubt else "allowed", allowed_by=tuple(dict.fromkeys(allowed)))


def policies_for(topology: Topology, end: End, direction: Direction) -> list[Manifest]:
    """Policies that select the pod for the direction, which isolates it."""
    return [
        one
        for one in topology.in_namespace("NetworkPolicy", end.namespace)
        if text(one, "apiVersion").startswith("networking.k8s.io/") and direction in directions(one) and selects(one, end.labels)
    ]


def selects(policy: Manifest, labels: Mapping[str, str]) -> bool:
    """spec.podSelector; an absent one is empty and selects every pod of the namespace."""
    return matches(at(policy, "spec", "podSelector") or {}, labels)


def directions(policy: Manifest) -> tuple[Direction, ...]:
    """spec.policyTypes; without it always Ingress, and Egress where there are egress rules."""
    said = items(policy, "spec", "policyTypes")
    if not said:
        return ("ingress", "egress") if items(policy, "spec", "egress") else ("ingress",)
    wanted: tuple[Direction, ...] = ("ingress", "egress")
    return tuple(one for one in wanted if one.capitalize() in said)


def _judge(policy: Manifest, direction: Direction, other: End, target: End, port: int, protocol: str) -> bool | Refusal | None:
    """True: a rule allows it. None: whether one does was not seen. Else why not."""
    ref, rules = ref_of(policy), items(policy, "spec", direction)
    wrong_port: list[Refusal] = []
    wrong_peer: list[Refusal] = []
    doubt = False
    for index, rule in enumerate(rules):
        peers = items(rule, "from" if direction == "ingress" else "to")
        met = [_meets(one, other, ref.namespace) for one in peers] if peers else [True]
        fits = _port_fits(rule, target, port, protocol)
        if True in met and fits:
            return True
        if None in met and fits:
            doubt = True
        elif True in met:
            words = f"allows {_peer_word(direction)} {other} {_ports_text(rule)} only, not port {port}/{protocol}"
            wrong_port.append(Refusal(policy=ref, lack="port", words=words, rule=index, peer=met.index(True) if peers else -1))
        elif fits:
            said = " or ".join(_peer_text(one) for one in peers)
            has = f", and {other} {_has(other)}" if other.is_pod else ""
            words = f"allows {_peer_word(direction)} {said} only{has}"
            wrong_peer.append(Refusal(policy=ref, lack="peer", words=words, rule=index, peer=_nearest_peer(peers, other, ref)))
    if doubt:
        return None
    if wrong_port or wrong_peer:
        return (wrong_port or wrong_peer)[0]
    what = f"{'egress' if direction == 'egress' else 'ingress'}"
    if not rules:
        return Refusal(policy=ref, lack="denies-all", words=f"isolates its pods and allows no {what} at all")
    return Refusal(policy=ref, lack="denies-all", words=f"has no {what} rule for {other} on port {port}/{protocol}")


def _peer_word(direction: Direction) -> str:
    return "connections to" if direction == "egress" else "connections from"


def _meets(peer: Any, other: End, own_namespace: str) -> bool | None:
    block = mapping(peer, "ipBlock")
    if block:
        if not other.addresses:  # an address that is not known: only "everything" surely holds it
            return True if text(block, "cidr") in ("0.0.0.0/0", "::/0") and not items(block, "except") else None
        return any(_within(block, address) for address in other.addresses)
    if not other.is_pod:
        return False  # a pod on its node's network is the node to everybody else
    spaces, pods = at(peer, "namespaceSelector"), at(peer, "podSelector")
    if spaces is None and pods is None:
        return False
    if pods is not None and not matches(pods, other.labels):
        return False
    if spaces is None:
        return other.namespace == own_namespace
    if other.namespace_labels is not None:
        return matches(spaces, other.namespace_labels)
    known = matches(spaces, {NAME_LABEL: other.namespace})
    asked = {*mapping(spaces, "matchLabels"), *(text(one, "key") for one in items(spaces, "matchExpressions"))}
    return known if asked <= {NAME_LABEL} else None


def _within(block: Mapping[str, Any], address: str) -> bool:
    try:
        found = ipaddress.ip_address(address)
        inside = found in ipaddress.ip_network(text(block, "cidr"), strict=False)
        return inside and not any(found in ipaddress.ip_network(str(one), strict=False) for one in items(block, "except"))
    except ValueError:
        return False


def _port_fits(rule: Any, target: End, port: int, protocol: str) -> bool:
    ports = items(rule, "ports")
    return not ports or any(_one_port(one, target, port, protocol) for one in ports)


def _one_port(wanted: Any, target: End, port: int, protocol: str) -> bool:
    if (text(wanted, "protocol") or "TCP") != protocol:
        return False
    value, last = at(wanted, "port"), number(wanted, "endPort")
    if value is None:
        return True
    if isinstance(value, str) and not value.isdigit():
        return (value, protocol, port) in target.ports
    first = int(value) if isinstance(value, int | str) else -1
    return first <= port <= (last or first)


def _nearest_peer(peers: list[Any], other: End, policy: Ref) -> int:
    """The peer whose selectors miss the other end by least."""

    def misses(peer: Any) -> int:
        wanted = mapping(peer, "podSelector", "matchLabels")
        wrong = sum(1 for key, value in wanted.items() if other.labels.get(key) != value)
        spaces = mapping(peer, "namespaceSelector", "matchLabels")
        labels = other.namespace_labels or {NAME_LABEL: other.namespace}
        wrong += sum(1 for key, value in spaces.items() if labels.get(key) != value)
        elsewhere = at(peer, "namespaceSelector") is None and other.namespace != policy.namespace
        return wrong + (1 if elsewhere else 0) + (10 if mapping(peer, "ipBlock") else 0)

    return min(range(len(peers)), key=lambda index: (misses(peers[index]), index), default=-1)


def _distance(one: Refusal) -> tuple[int, Ref]:
    return (("port", "peer", "denies-all").index(one.lack), one.policy)


def _has(end: End) -> str:
    labels = ", ".join(f"{key}={value}" for key, value in sorted(end.labels.items()) if key != "pod-template-hash")
    return f"has {labels or 'no labels'} in namespace {end.namespace}"


def _peer_text(peer: Any) -> str:
    block = mapping(peer, "ipBlock")
    if block:
        return f"addresses in {text(block, 'cidr')}"
    pods, spaces = at(peer, "podSelector"), at(peer, "namespaceSelector")
    said = f"pods with {requirement_text(pods)}" if pods else "all pods"
    if spaces is None:
        return f"{said} of its own namespace"
    return f"{said} of namespaces with {requirement_text(spaces)}" if spaces else f"{said} of all namespaces"


def _ports_text(rule: Any) -> str:
    return "on port " + ", ".join(_port_words(one) for one in items(rule, "ports"))


def _port_words(one: Any) -> str:
    last = number(one, "endPort")
    return f"{at(one, 'port') or 'any'}{f'-{last}' if last else ''}/{text(one, 'protocol') or 'TCP'}"
