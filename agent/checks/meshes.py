"""Istio: routes to subsets that do not exist or have no pods, callers without a sidecar where mutual TLS is demanded, callers
that an authorization policy leaves out. What only callers can tell counts where one complains of it."""

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

from agent.checks.callers import log_troubles
from agent.checks.complaints import complaints
from agent.checks.registry import check, quote_field, quote_log
from agent.domain.finding import Finding, Quote
from agent.domain.objects import Manifest, Ref
from agent.topology import Topology
from agent.topology.extensions import group_of
from agent.topology.fields import (
    annotations_of,
    at,
    created_at,
    field_writes,
    items,
    labels_of,
    mapping,
    namespace_of,
    ref_of,
    text,
)
from agent.topology.pods import container_states
from agent.topology.selectors import matches_labels
from agent.topology.workloads import live_pods

_SYSTEM = "istio-system"  # what is written there holds for the whole mesh
SLACK = timedelta(minutes=3)


def _of(topology: Topology, kind: str, group: str) -> list[Manifest]:
    return [one for one in topology.of_kind(kind) if group_of(one) == group]


@check("mesh-subset-missing", weight=0.94)
def routes_to_no_subset(topology: Topology) -> Iterator[Finding]:
    """A VirtualService sends to a subset that no DestinationRule defines, or whose labels no pod bears: 503, no healthy
    upstream."""
    rules = _of(topology, "DestinationRule", "networking.istio.io")
    for manifest in _of(topology, "VirtualService", "networking.istio.io"):
        space = namespace_of(manifest)
        for where, destination in _destinations(manifest):
            host, subset = text(destination, "host"), text(destination, "subset")
            service = topology.host(host, space)
            if not subset or service is None or service not in topology.objects:
                continue
            mine = [one for one in rules if topology.host(text(one, "spec", "host"), namespace_of(one)) == service]
            defined = {text(one, "name"): (rule, one) for rule in mine for one in items(rule, "spec", "subsets")}
            if subset in defined and _pods(topology, service, mapping(defined[subset][1], "labels")):
                continue
            ref = ref_of(manifest)
            if subset in defined:
                holder, labels = ref_of(defined[subset][0]), mapping(defined[subset][1], "labels")
                words = ", ".join(f"{key}={value}" for key, value in labels.items())
                why = f"{holder} defines it by {words}, which no pod of {service} bears"
            else:
                holder, why = (
                    ref,
                    f"no DestinationRule of {service.name} defines it (there are: {', '.join(sorted(defined)) or 'none'})",
                )
            yield Finding(
                cause="mesh-subset-missing",
                subject=holder,
                since=_written(manifest),
                affects=(service, *(unit for unit, _ in _complain(topology, service))),
                params={"subset": subset, "subsets": [*sorted(defined)], "virtual_service": ref.name},
                quotes=(quote_field(ref, where, f"destination {host}, subset {subset}"), *_quotes(topology, service)),
                statement=f"{ref} sends what is for {service.name} to subset {subset}, and {why}: the mesh answers 503 (no"
                " healthy upstream).",
            )
            break


def _destinations(manifest: Manifest) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Of routes that every request may take; those for certain headers are a tester's, most often."""
    for field in ("http", "tcp", "tls"):
        for number, route in enumerate(items(manifest, "spec", field)):
            chosen = items(route, "match")
            if chosen and all(mapping(one, "headers") for one in chosen):
                continue
            for one in items(route, "route"):
                if at(one, "weight") != 0:
                    yield f"spec.{field}[{number}].route", mapping(one, "destination")


def _pods(topology: Topology, service: Ref, labels: Mapping[str, Any]) -> list[Manifest]:
    return [pod for pod in topology.selected_by(topology.objects[service]) if matches_labels(labels, labels_of(pod))]


@check("mesh-mtls-required", weight=0.93)
def demands_mutual_tls(topology: Topology) -> Iterator[Finding]:
    """PeerAuthentication STRICT holds for the pods called, and a caller whose pods have no sidecar is cut off."""
    strict = [
        one for one in _of(topology, "PeerAuthentication", "security.istio.io") if text(one, "spec", "mtls", "mode") == "STRICT"
    ]
    for unit, trouble, quote in log_troubles(topology) if strict else ():
        if trouble.kind not in ("reset", "timeout", "refused", "tls") or _has_sidecar(topology, unit):
            continue
        service = topology.host(trouble.host, unit.namespace) or _by_address(topology, trouble.host)
        pods = topology.selected_by(topology.objects[service]) if service is not None and service in topology.objects else []
        if service is None or not pods or not all(_in_mesh(pod) for pod in pods):
            continue
        held = next((one for one in strict if _holds_for(one, pods[0])), None)
        if held is None:
            continue
        ref = ref_of(held)
        yield Finding(
            cause="mesh-mtls-required",
            subject=ref,
            since=_written(held),
            affects=(unit, service),
            params={"caller": str(unit), "service": service.name},
            quotes=(quote_field(ref, "spec.mtls", "mode: STRICT"), quote),
            statement=f"{ref} demands mutual TLS of whoever calls {service.name}, and the pods of {unit} have no sidecar that"
            f" speaks it, so their connections are cut off ({trouble.kind}).",
        )


def _in_mesh(pod: Manifest) -> bool:
    named = {one.name for one in container_states(pod)}
    return "istio-proxy" in named or "sidecar.istio.io/status" in annotations_of(pod) or _is_ambient(pod)


def _is_ambient(pod: Manifest) -> bool:
    return annotations_of(pod).get("ambient.istio.io/redirection") == "enabled"


def _has_sidecar(topology: Topology, unit: Ref) -> bool:
    pods = live_pods(topology, unit)
    return not pods or any(_in_mesh(pod) for pod in pods)


def _holds_for(policy: Manifest, pod: Manifest) -> bool:
    space = namespace_of(policy)
    labels = mapping(policy, "spec", "selector", "matchLabels")
    return space in (_SYSTEM, namespace_of(pod)) and matches_labels(labels, labels_of(pod))


def _by_address(topology: Topology, address: str) -> Ref | None:
    return next((ref_of(one) for one in topology.of_kind("Service") if text(one, "spec", "clusterIP") == address), None)


@check("mesh-policy-denies", weight=0.92)
def leaves_a_caller_out(topology: Topology) -> Iterator[Finding]:
    """A caller is told "RBAC: access denied" (Envoy's words) by what an AuthorizationPolicy guards."""
    policies = _of(topology, "AuthorizationPolicy", "security.istio.io")
    for unit, quote in _denied(topology) if policies else ():
        needs = [one for one in topology.depends_on(unit) if one.kind == "Service" and one in topology.objects]
        named = [one for one in needs if one.name in quote.text] or needs
        for service in sorted(named):
            pods = topology.selected_by(topology.objects[service])
            guards = [one for one in policies if pods and _holds_for(one, pods[0]) and not _lets_in(topology, one, unit)]
            if not guards:
                continue
            guard = max(guards, key=lambda one: (_written(one) or topology.now, str(ref_of(one))))
            ref = ref_of(guard)
            allowed = ", ".join(_principals(guard)) or "nobody"
            yield Finding(
                cause="mesh-policy-denies",
                subject=ref,
                since=_written(guard),
                affects=(unit, service),
                params={"caller": str(unit), "service": service.name, "allowed": allowed},
                quotes=(quote_field(ref, "spec", f"{text(guard, 'spec', 'action') or 'ALLOW'} from {allowed}"), quote),
                statement=f"{ref} guards {service.name} and does not let {unit} in (it lets in: {allowed}): the mesh answers 403,"
                " RBAC: access denied.",
            )
            break


def _denied(topology: Topology) -> Iterator[tuple[Ref, Quote]]:
    for unit, one in complaints(topology).items():
        line = next((line for line in (one.account.origin, one.account.last) if "rbac: access denied" in line.text.lower()), None)
        if line is not None:
            yield unit, quote_log(one.pod, one.log.container, line.text, line.at)


def _principals(policy: Manifest) -> list[str]:
    sources = [mapping(entry, "source") for rule in items(policy, "spec", "rules") for entry in items(rule, "from")]
    return [str(one) for source in sources for field in ("principals", "namespaces") for one in items(source, field)]


def _lets_in(topology: Topology, policy: Manifest, unit: Ref) -> bool:
    """Whether an ALLOW policy has a rule for the caller's identity or namespace; a DENY that names neither lets it in."""
    action, named = text(policy, "spec", "action") or "ALLOW", _principals(policy)
    accounts = {text(pod, "spec", "serviceAccountName") or "default" for pod in live_pods(topology, unit)}
    own = {f"ns/{unit.namespace}/sa/{one}" for one in accounts}
    rules = items(policy, "spec", "rules")
    open_to_all = any(not items(rule, "from") for rule in rules)
    hit = open_to_all or any(one in ("*", unit.namespace) or any(one.endswith(mine) for mine in own) for one in named)
    return hit if action == "ALLOW" else not hit


def _complain(topology: Topology, service: Ref) -> Iterator[tuple[Ref, Quote]]:
    """Workloads that need the Service and whose logs are in trouble with it."""
    for unit, one in complaints(topology).items():
        if service in topology.depends_on(unit) and service.name in one.account.origin.text:
            yield unit, quote_log(one.pod, one.log.container, one.account.origin.text, one.account.origin.at)


def _quotes(topology: Topology, service: Ref) -> list[Quote]:
    return [quote for _, quote in _complain(topology, service)][:1]


def _written(manifest: Manifest) -> datetime | None:
    wrote = [when for _, when, fields in field_writes(manifest) if at(fields, "f:spec") is not None]
    return max(wrote, default=None) or created_at(manifest)
