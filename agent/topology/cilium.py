"""Cilium's own policies evaluated for L3 and L4: labels, entities, address blocks and ports, of both ends.

Pure; knows no check. What is not evaluated counts as "may be allowed": L7 rules, names (toFQDNs), groups, authentication and
what identities Cilium has really given. CiliumNetworkPolicy and CiliumClusterwideNetworkPolicy; Kubernetes' own policies add
to what is allowed. Semantics: docs.cilium.io, policy language.
"""

import ipaddress
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from agent.domain.objects import Manifest, Ref
from agent.topology.extensions import group_of
from agent.topology.fields import at, counted, items, mapping, namespace_of, number, ref_of, text
from agent.topology.graph import Topology
from agent.topology.policies import Direction, End, allows, policies_for
from agent.topology.selectors import matches, requirement_text

KINDS = ("CiliumNetworkPolicy", "CiliumClusterwideNetworkPolicy")
_NAMESPACE = "io.kubernetes.pod.namespace"
_OF_NAMESPACE = "io.cilium.k8s.namespace.labels."
_UNKNOWN_KEYS = ("io.cilium.k8s.policy.", "reserved:")
_FROM = {"ingress": "from", "egress": "to"}


@dataclass(frozen=True, slots=True, kw_only=True)
class CiliumRefusal:
    """One policy that keeps a connection from happening. `denies`: a deny rule says so; else nothing of what it (and others
    that select this end) allows fits."""

    policy: Ref
    direction: Direction
    denies: bool
    words: str


def refusal(topology: Topology, source: End, target: End, port: int, protocol: str = "TCP") -> CiliumRefusal | None:
    """Why Cilium's policies let no connection from `source` to `port` of `target` through; None when they do, or when that
    hangs on what is not evaluated here."""
    sides: tuple[tuple[Direction, End, End], ...] = (("egress", source, target), ("ingress", target, source))
    for direction, own, other in sides:
        rules = list(_selecting(topology, own)) if own.is_pod else []
        for policy, rule in rules:
            for entry in items(rule, f"{direction}Deny"):
                if _fits(topology, policy, direction, entry, other, target, port, protocol) is True:
                    words = f"denies {_said(direction, entry)} for {requirement_text(_plain(mapping(rule, 'endpointSelector')))}"
                    return CiliumRefusal(policy=ref_of(policy), direction=direction, denies=True, words=words)
        isolating = [(policy, rule) for policy, rule in rules if _isolates(rule, direction)]
        judged = [
            _fits(topology, policy, direction, entry, other, target, port, protocol)
            for policy, rule in rules
            for entry in items(rule, direction)
        ]
        if not isolating or any(one is not False for one in judged):
            continue
        plain = policies_for(topology, own, direction)
        if plain and allows(topology, source, target, port, protocol).answer != "refused":
            continue  # a NetworkPolicy allows it, and what either kind allows is allowed
        policy, rule = isolating[0]
        return CiliumRefusal(policy=ref_of(policy), direction=direction, denies=False, words=_lack(direction, rule, other, port))
    return None


def rules_for(topology: Topology, end: End) -> list[tuple[Ref, Mapping[str, Any]]]:
    """(policy, rule) of every Cilium policy that selects the pod."""
    return [(ref_of(policy), rule) for policy, rule in _selecting(topology, end)]


def _selecting(topology: Topology, end: End) -> Iterator[tuple[Manifest, Mapping[str, Any]]]:
    """(policy, rule) of all that select the pod."""
    for policy in topology.of_kind(*KINDS):
        if group_of(policy) != "cilium.io" or (namespace_of(policy) and namespace_of(policy) != end.namespace):
            continue
        for rule in [mapping(policy, "spec"), *items(policy, "specs")]:
            if isinstance(rule, Mapping) and "endpointSelector" in rule and _selected(at(rule, "endpointSelector"), end) is True:
                yield policy, rule


def _isolates(rule: Mapping[str, Any], direction: Direction) -> bool:
    """Whether the rule makes everything else of that direction forbidden."""
    if at(rule, "enableDefaultDeny", direction) is False:
        return False
    return isinstance(rule.get(direction), list) or isinstance(rule.get(f"{direction}Deny"), list)


def _plain(selector: Mapping[str, Any]) -> dict[str, Any]:
    """A selector without the prefixes of label sources (k8s:, any:)."""
    labels = {_key(key): value for key, value in mapping(selector, "matchLabels").items()}
    expressions = [
        {**one, "key": _key(text(one, "key"))} for one in items(selector, "matchExpressions") if isinstance(one, Mapping)
    ]
    return {"matchLabels": labels, "matchExpressions": expressions}


def _key(key: str) -> str:
    for prefix in ("k8s:", "any:", "k8s.", "any."):
        if key.startswith(prefix):
            return key[len(prefix) :]
    return key


def _selected(selector: Any, end: End, *, home: str = "") -> bool | None:
    """Whether a selector means this pod. `home`: the namespace that it is bound to unless it names one itself."""
    if not isinstance(selector, Mapping):
        return False
    plain = _plain(selector)
    keys = [*plain["matchLabels"], *(one["key"] for one in plain["matchExpressions"])]
    if any(key.startswith(_UNKNOWN_KEYS) for key in keys):
        return None
    if any(key.startswith(_OF_NAMESPACE) for key in keys) and end.namespace_labels is None:
        return None
    if home and not any(key == _NAMESPACE or key.startswith(_OF_NAMESPACE) for key in keys) and home != end.namespace:
        return False
    spaces = {f"{_OF_NAMESPACE}{key}": value for key, value in (end.namespace_labels or {}).items()}
    return matches(plain, {**end.labels, _NAMESPACE: end.namespace, **spaces})


def _fits(
    topology: Topology,
    policy: Manifest,
    direction: Direction,
    entry: Any,
    other: End,
    target: End,
    port: int,
    protocol: str,
) -> bool | None:
    """Whether one entry of a rule means this connection; None when that cannot be said."""
    if not isinstance(entry, Mapping) or not entry:
        return False
    ports = _port_fits(entry, target, port, protocol)
    if ports is False:
        return False
    peers = _peer_fits(topology, policy, direction, entry, other)
    return False if peers is False else None if peers is None or ports is None else True


def _peer_fits(topology: Topology, policy: Manifest, direction: Direction, entry: Mapping[str, Any], other: End) -> bool | None:
    side, home, answers = _FROM[direction], namespace_of(policy), list[bool | None]()
    named = False
    for field in (f"{side}Endpoints", f"{side}Entities", f"{side}CIDR", f"{side}CIDRSet"):
        if field not in entry:
            continue
        named = True
        for one in items(entry, field):
            if field.endswith("Endpoints"):
                answers.append(_selected(one, other, home=home) if other.is_pod else False)
            elif field.endswith("Entities"):
                answers.append(_is_entity(str(one), other))
            else:
                answers.append(_within(one, other))
    unseen = [field for field in ("FQDNs", "Services", "Groups", "Nodes", "Requires") if f"{side}{field}" in entry]
    if unseen:
        named = True
        # names and Services lead out of the cluster, unless the other end is a pod of ours
        answers.append(None if not other.is_pod or unseen != ["FQDNs"] else False)
    if not named:
        return True  # only ports are said: from and to everywhere
    if any(one is True for one in answers):
        return True
    return None if any(one is None for one in answers) else False


def _is_entity(entity: str, other: End) -> bool | None:
    if entity == "all":
        return True
    if other.host_network:
        return True if entity in ("cluster", "host", "remote-node") else None
    if other.is_pod:
        return entity == "cluster"
    return (
        True
        if entity == "world"
        else None
        if entity in ("cluster", "host", "remote-node", "kube-apiserver", "ingress")
        else False
    )


def _within(block: Any, other: End) -> bool | None:
    """An address of the outside within a CIDR. Address blocks never mean pods of the cluster."""
    if other.is_pod:
        return False
    cidr = block if isinstance(block, str) else text(block, "cidr")
    if not other.addresses or not cidr:
        return None
    try:
        network, excepted = (
            ipaddress.ip_network(cidr, strict=False),
            [ipaddress.ip_network(one) for one in items(block, "except")],
        )
        found = [ipaddress.ip_address(one) for one in other.addresses]
    except ValueError:
        return None
    return any(one in network and not any(one in hole for hole in excepted) for one in found)


def _port_fits(entry: Mapping[str, Any], target: End, port: int, protocol: str) -> bool | None:
    """toPorts of an entry (the ports of the target, whichever the direction); L7 rules beside them are not looked at."""
    if "icmps" in entry and "toPorts" not in entry:
        return False
    if "toPorts" not in entry:
        return True
    for group in items(entry, "toPorts"):
        wanted = items(group, "ports")
        if not wanted:
            return True
        for one in wanted:
            if (text(one, "protocol") or "ANY") not in ("ANY", protocol):
                continue
            value, last = text(one, "port") or str(number(one, "port")), number(one, "endPort")
            if value == "0" or value == str(port) or ((first := counted(value)) is not None and last and first <= port <= last):
                return True
            if any(name == value and found == port for name, _, found in target.ports):
                return True
    return False


def _said(direction: Direction, entry: Mapping[str, Any]) -> str:
    """What an entry says, as people would."""
    side, parts = _FROM[direction], list[str]()
    parts += [requirement_text(_plain(one)) or "every pod" for one in items(entry, f"{side}Endpoints")]
    parts += [str(one) for one in items(entry, f"{side}Entities")]
    parts += [
        one if isinstance(one, str) else text(one, "cidr") for field in ("CIDR", "CIDRSet") for one in items(entry, side + field)
    ]
    parts += [f"{text(one, 'matchName') or text(one, 'matchPattern')}" for one in items(entry, f"{side}FQDNs")]
    ports = [
        f"{text(one, 'port')}/{text(one, 'protocol') or 'ANY'}"
        for group in items(entry, "toPorts")
        for one in items(group, "ports")
    ]
    return f"{side} {' or '.join(parts) or 'everywhere'}{f' on {chr(44).join(ports)}' if ports else ''}"


def _lack(direction: Direction, rule: Mapping[str, Any], other: End, port: int) -> str:
    entries = [_said(direction, entry) for entry in items(rule, direction) if isinstance(entry, Mapping) and entry]
    allowed = f"allows {direction} only {'; '.join(entries[:3])}" if entries else f"allows no {direction} at all"
    return f"{allowed}, and not {_FROM[direction]} {other}{f' on port {port}' if port else ''}"
