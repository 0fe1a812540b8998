"""Connections that policy refuses: a caller's own failed calls, held against the NetworkPolicies of both ends and the port."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from difflib import SequenceMatcher
from typing import Any

from agent.checks.callers import log_troubles
from agent.checks.registry import check, earliest, quote_field
from agent.domain.finding import Finding, Quote
from agent.domain.objects import Manifest, Ref
from agent.signals.connections import ConnectionTrouble
from agent.topology import Topology
from agent.topology.dns import allows_dns, cluster_dns, resolver_of
from agent.topology.fields import at, created_at, field_writes, items, labels_of, mapping, number, ref_of, text
from agent.topology.pods import is_ready
from agent.topology.policies import End, Refusal, Verdict, allows, end_of, outside, selects
from agent.topology.references import pod_spec_of
from agent.topology.workloads import CONTROLLED, live_pods
from sidecar.contract import Json

_ADDRESS = re.compile(r"^[\d.]+$|:")
API_SERVER = Ref("Service", "default", "kubernetes")
_DNS_RULE: dict[str, Json] = {
    "to": [
        {
            "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "kube-system"}},
            "podSelector": {"matchLabels": {"k8s-app": "kube-dns"}},
        }
    ],
    "ports": [{"protocol": "UDP", "port": 53}, {"protocol": "TCP", "port": 53}],
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Blocked:
    """A call that failed and that policy refuses. `target` is what the caller wanted to reach, `port` that of the pod."""

    unit: Ref
    target: str
    serving: Ref | None
    port: int
    protocol: str
    trouble: ConnectionTrouble
    quote: Quote
    verdict: Verdict

    @property
    def nearest(self) -> Refusal:
        return self.verdict.refusals[0]


@check("networkpolicy-blocks", weight=0.94)
def call_refused(topology: Topology) -> Iterator[Finding]:
    """A workload whose connections fail, towards pods that are ready, through policies that do not let them through."""
    found: dict[Ref, list[Blocked]] = {}
    for unit, trouble, quote in log_troubles(topology):
        if trouble.kind not in ("timeout", "refused", "reset") or unit not in topology.objects:
            continue
        blocked = _blocked(topology, unit, trouble, quote)
        if blocked is not None:
            found.setdefault(blocked.nearest.policy, []).append(blocked)
    for policy, ones in sorted(found.items()):
        yield _finding(topology, policy, ones)


def _blocked(topology: Topology, unit: Ref, trouble: ConnectionTrouble, quote: Quote) -> Blocked | None:
    source = source_end(topology, unit)
    answers = []
    for end, port, serving in targets(topology, trouble, unit.namespace):
        verdict = allows(topology, source, end, port)
        if verdict.answer != "refused":
            return None  # one way that is open is enough for this not to be the reason
        answers.append((end, port, serving, verdict))
    if not answers:
        return None
    end, port, serving, verdict = answers[0]
    return Blocked(
        unit=unit, target=str(serving or trouble.host), serving=serving, port=port, protocol="TCP", trouble=trouble,
        quote=quote, verdict=verdict,
    )  # fmt: skip


def source_end(topology: Topology, unit: Ref) -> End:
    pods = live_pods(topology, unit) if unit.kind != "Pod" else []
    return end_of(topology, pods[0] if pods else topology.objects[unit])


def targets(topology: Topology, trouble: ConnectionTrouble, namespace: str) -> Iterator[tuple[End, int, Ref | None]]:
    """What stands behind the host that could not be reached: (end, port there, workload). Nothing for what is down itself."""
    host = topology.host(trouble.host, namespace)
    if host == API_SERVER:
        yield from _api_server(topology)
        return
    manifest = topology.objects.get(host) if host is not None else None
    if host is None:
        address = trouble.host if _ADDRESS.search(trouble.host) else ""
        if trouble.port and trouble.kind == "timeout":
            yield outside(address), trouble.port, None
    elif manifest is not None and host.kind == "Pod" and trouble.port and is_ready(manifest):
        yield end_of(topology, manifest), trouble.port, topology.unit(host)
    elif manifest is not None and host.kind == "Service":
        for pod in topology.selected_by(manifest):
            port = pod_port(manifest, pod, trouble.port) if is_ready(pod) else 0
            declared = [number for _, number in end_ports(pod)]
            if port and (not declared or port in declared):  # where nobody listens, a policy is not what is wrong
                yield end_of(topology, pod), port, topology.unit(ref_of(pod))


def _api_server(topology: Topology) -> Iterator[tuple[End, int, Ref | None]]:
    """The API server by its endpoints, or (where they were not read) as any address on its usual ports."""
    service = topology.objects.get(API_SERVER)
    known = [
        (str(address), number(port, "port"))
        for one in topology.in_namespace("EndpointSlice", "default")
        if labels_of(one).get("kubernetes.io/service-name") == "kubernetes"
        for endpoint in items(one, "endpoints")
        for address in items(endpoint, "addresses")
        for port in items(one, "ports")
    ]
    if text(service, "spec", "clusterIP"):
        known.append((text(service, "spec", "clusterIP"), 443))
    for address, port in known or [("", 443), ("", 6443)]:
        yield outside(address), port, API_SERVER


def pod_port(service: Manifest, pod: Manifest, port: int) -> int:
    """The port of the pod that a Service's port leads to (0: none does). Without a port the Service's first one."""
    ports = [one for one in items(service, "spec", "ports") if not port or number(one, "port") == port]
    for one in ports[:1]:
        target = at(one, "targetPort") or number(one, "port")
        if isinstance(target, int):
            return target
        if isinstance(target, str) and target.isdigit():
            return int(target)
        declared = end_ports(pod)
        return next((found for name, found in declared if name == target), 0)
    return 0


def end_ports(pod: Manifest) -> list[tuple[str, int]]:
    boxes = items(pod_spec_of(pod), "containers")
    return [(text(port, "name"), number(port, "containerPort")) for box in boxes for port in items(box, "ports")]


def _finding(topology: Topology, policy: Ref, ones: list[Blocked]) -> Finding:
    first = ones[0]
    written, begun = written_at(topology, policy), earliest(*(one.trouble.first.at for one in ones))
    units = tuple(dict.fromkeys(one.unit for one in ones))
    who = ", ".join(map(str, units))
    way = "out of" if first.verdict.direction == "egress" else "into"
    side = f"{first.unit if first.verdict.direction == 'egress' else first.target}"
    others = [one.policy for one in first.verdict.refusals[1:]]
    also = f" (nor does {', '.join(map(str, others[:2]))})" if others else ""
    return Finding(
        cause="networkpolicy-blocks",
        subject=policy,
        affects=tuple(dict.fromkeys((*units, *(one.serving for one in ones if one.serving is not None)))),
        since=written if written is not None and (begun is None or written <= begun) else begun,
        params=_params(topology, first),
        quotes=(
            *(one.quote for one in ones[:2]),
            quote_field(policy, f"spec.{first.verdict.direction}", first.nearest.words, written),
        ),
        statement=f"{who} cannot connect to {first.target} on port {first.port}/{first.protocol} ({first.trouble.kind}):"
        f" {policy} does not let it {way} {side}{also}; it {first.nearest.words}.",
    )


def _params(topology: Topology, one: Blocked) -> dict[str, Json]:
    params: dict[str, Json] = {
        "direction": one.verdict.direction,
        "lack": one.nearest.lack,
        "port": one.port,
        "protocol": one.protocol,
        "caller": str(one.unit),
        "target": one.target,
        "policies": [str(refusal.policy) for refusal in one.verdict.refusals],
    }
    slip = _slip(topology, one)
    if slip:
        params["suggestion"] = slip
    return params


def _slip(topology: Topology, one: Blocked) -> str:
    """The smallest change that would let the call through, in words, where what was meant can be told."""
    refusal, direction = one.nearest, one.verdict.direction
    rule = at(topology.objects[refusal.policy], "spec", direction, refusal.rule) if refusal.rule >= 0 else None
    if refusal.lack == "port":
        return f"add port {one.port}/{one.protocol} to spec.{direction}[{refusal.rule}].ports (policies speak of the pods' ports)"
    peer = at(rule, "from" if direction == "ingress" else "to", refusal.peer) if refusal.peer >= 0 else None
    other = one.unit if direction == "ingress" else one.serving
    manifest = topology.objects.get(other) if other is not None else None
    if peer is None or manifest is None:
        return ""
    labels = labels_of(manifest) if manifest.get("kind") == "Pod" else mapping(manifest, "spec", "template", "metadata", "labels")
    wrong = {key: value for key, value in mapping(peer, "podSelector", "matchLabels").items() if labels.get(key) != value}
    if len(wrong) == 1:
        key, value = next(iter(wrong.items()))
        return (
            f"spec.{direction}[{refusal.rule}] asks for {key}={value}, the pods of {other} have {key}={labels.get(key, '(none)')}"
        )
    if at(peer, "namespaceSelector") is None and other is not None and other.namespace != refusal.policy.namespace:
        space = refusal.policy.namespace
        return f"a podSelector alone means pods of namespace {space}; add a namespaceSelector for {other.namespace}"
    return ""


def written_at(topology: Topology, policy: Ref) -> datetime | None:
    manifest = topology.objects.get(policy, {})
    return max((when for _, when, fields in field_writes(manifest) if "f:spec" in fields), default=None) or created_at(manifest)


@check("networkpolicy-blocks-dns", weight=0.96)
def names_refused(topology: Topology) -> Iterator[Finding]:
    """A workload that cannot resolve names, and whose egress policies let no DNS through: the forgotten rule for port 53."""
    found: dict[Ref, list[tuple[Ref, ConnectionTrouble, Quote, Verdict]]] = {}
    for unit, trouble, quote in log_troubles(topology):
        if trouble.kind != "dns" or unit not in topology.objects:
            continue
        if resolver_of(topology, pod_spec_of(topology.objects[unit])) != "cluster":
            continue
        verdict = allows_dns(topology, source_end(topology, unit))
        if verdict.answer == "refused":
            found.setdefault(verdict.refusals[0].policy, []).append((unit, trouble, quote, verdict))
    for policy, ones in sorted(found.items()):
        units = tuple(dict.fromkeys(unit for unit, _, _, _ in ones))
        hosts = ", ".join(dict.fromkeys(trouble.host for _, trouble, _, _ in ones))
        verdict = ones[0][3]
        written, begun = written_at(topology, policy), earliest(*(trouble.first.at for _, trouble, _, _ in ones))
        rules = items(topology.objects[policy], "spec", "egress")
        service = cluster_dns(topology)
        to = str(ref_of(service)) if service is not None else "the cluster's DNS"
        yield Finding(
            cause="networkpolicy-blocks-dns",
            subject=policy,
            affects=units,
            since=written if written is not None and (begun is None or written <= begun) else begun,
            params={"direction": verdict.direction, "hosts": hosts, "suggested_egress": [*_json(rules), _DNS_RULE]},
            quotes=(
                *(quote for _, _, quote, _ in ones[:2]),
                quote_field(policy, f"spec.{verdict.direction}", verdict.refusals[0].words, written),
            ),
            statement=f"{', '.join(map(str, units))} cannot resolve names ({hosts}): {policy} does not let"
            f" {'its' if len(units) == 1 else 'their'} pods reach {to} on port 53/UDP"
            f" ({'egress' if verdict.direction == 'egress' else 'ingress of the DNS pods'}); it {verdict.refusals[0].words}.",
        )


def _json(rules: list[Any]) -> list[Json]:
    return [dict(one) for one in rules if isinstance(one, dict)]


@check("networkpolicy-selects-nothing", weight=0.6)
def slip_in_selector(topology: Topology) -> Iterator[Finding]:
    """A policy that selects no pod and no workload, and differs from one by a single label value with a slip in it."""
    for policy in topology.of_kind("NetworkPolicy"):
        ref, wanted = ref_of(policy), mapping(policy, "spec", "podSelector", "matchLabels")
        templates = {
            ref_of(one): mapping(one, "spec", "template", "metadata", "labels")
            for kind in (*CONTROLLED, "Job")
            for one in topology.in_namespace(kind, ref.namespace)
        }
        pods = [labels_of(pod) for pod in topology.pods_in.get(ref.namespace, ())]
        if not wanted or any(selects(policy, labels) for labels in (*pods, *templates.values())):
            continue
        for workload, labels in sorted(templates.items()):
            wrong = {key: value for key, value in wanted.items() if labels.get(key) != value}
            key, value = next(iter(wrong.items())) if len(wrong) == 1 else ("", "")
            if key in labels and 0.75 <= SequenceMatcher(None, str(value), labels[key]).ratio() < 1:
                yield Finding(
                    cause="networkpolicy-selects-nothing",
                    subject=ref,
                    since=written_at(topology, ref),
                    params={"suggested_labels": {**wanted, key: labels[key]}, "workload": str(workload)},
                    quotes=(
                        quote_field(ref, "spec.podSelector", f"{key}={value}"),
                        quote_field(workload, "pod labels", f"{key}={labels[key]}"),
                    ),
                    statement=f"{ref} selects no pod: it asks for {key}={value}, the pods of {workload} have {key}={labels[key]},"
                    " so it protects and allows nothing.",
                )
                break
