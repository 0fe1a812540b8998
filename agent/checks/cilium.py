"""Cilium: connections that its policies refuse, policies that it does not accept, agents that do not run, identities missing."""

import re
from collections.abc import Iterator
from datetime import datetime, timedelta

from agent.checks.applications import told
from agent.checks.callers import log_troubles
from agent.checks.policies import source_end, targets
from agent.checks.registry import check, earliest, quote_condition, quote_event, quote_field
from agent.domain.finding import Finding, Quote
from agent.domain.objects import Manifest, Ref
from agent.signals.connections import ConnectionTrouble
from agent.topology import Topology
from agent.topology.cilium import KINDS, CiliumRefusal, refusal
from agent.topology.extensions import group_of
from agent.topology.fields import condition, created_at, field_writes, items, labels_of, mapping, name_of, ref_of, text, time_at
from agent.topology.pods import container_states, is_ready, unready_since

_NO_IDENTITY = re.compile(
    r"no identity issued|(?:x509[- ]?)?svid[^\n]{0,40}(?:expired|not available)|failed to attest|no such registration entry"
    r"|workload is not authorized[^\n]{0,40}(?:svid|spiffe)",
    re.I,
)
SETTLES = timedelta(minutes=3)


@check("cilium-policy-blocks", weight=0.94)
def call_refused(topology: Topology) -> Iterator[Finding]:
    """A workload whose connections time out, towards what is ready, through Cilium policies that let none through."""
    found: dict[Ref, list[tuple[Ref, str, Ref | None, CiliumRefusal, ConnectionTrouble, Quote]]] = {}
    for unit, trouble, quote in log_troubles(topology) if topology.of_kind(*KINDS) else ():
        if trouble.kind != "timeout" or unit not in topology.objects:
            continue
        source, refused, reached = source_end(topology, unit), None, None
        for end, port, serving in targets(topology, trouble, unit.namespace):
            refused = refusal(topology, source, end, port)
            if refused is None:
                break  # one way that is open is enough for this not to be the reason
            reached = serving
        if refused is not None:
            entry = (unit, str(reached or trouble.host), reached, refused, trouble, quote)
            found.setdefault(refused.policy, []).append(entry)
    for policy, ones in sorted(found.items()):
        unit, target, _, refused, trouble, _ = ones[0]
        written = _written(topology.objects[policy])
        begun = earliest(*(one[4].first.at for one in ones))
        units = tuple(dict.fromkeys(one[0] for one in ones))
        way = "out of" if refused.direction == "egress" else "into"
        side = unit if refused.direction == "egress" else target
        yield Finding(
            cause="cilium-policy-blocks",
            subject=policy,
            since=written if written is not None and (begun is None or written <= begun) else begun,
            affects=tuple(dict.fromkeys((*units, *(one[2] for one in ones if one[2] is not None)))),
            params={"direction": refused.direction, "denies": refused.denies, "port": trouble.port, "target": target},
            quotes=(quote_field(policy, "spec", refused.words, written), *(one[5] for one in ones[:2])),
            statement=f"{policy} lets no connection of {', '.join(map(str, units))} to {target}"
            f"{f':{trouble.port}' if trouble.port else ''} {way} {side}: it {refused.words}; the calls time out.",
        )


def _written(policy: Manifest) -> datetime | None:
    return max((when for _, when, fields in field_writes(policy) if mapping(fields, "f:spec")), default=created_at(policy))


@check("cilium-policy-invalid", weight=0.9)
def not_accepted(topology: Topology) -> Iterator[Finding]:
    """Valid=False: Cilium does not take the policy, so it neither allows nor denies anything."""
    for policy in topology.of_kind(*KINDS):
        said, ref = condition(policy, "Valid"), ref_of(policy)
        errors = [text(one, "error") for one in mapping(policy, "status", "nodes").values() if text(one, "error")]
        if group_of(policy) != "cilium.io" or (text(said, "status") != "False" and not errors):
            continue
        words = text(said, "message") or (errors[0] if errors else text(said, "reason"))
        yield Finding(
            cause="cilium-policy-invalid",
            subject=ref,
            since=time_at(said, "lastTransitionTime"),
            quotes=tuple(quote_condition(policy, "Valid")) or (quote_field(ref, "status.nodes", errors[0]),),
            statement=f"Cilium does not accept {ref}, so it has no effect: {words[:300].rstrip('.')}.",
        )


def agents(topology: Topology) -> list[Manifest]:
    """Pods of the Cilium agent."""
    return [pod for pod in topology.of_kind("Pod") if labels_of(pod).get("k8s-app") == "cilium"]


@check("cilium-agent-not-ready", weight=0.93)
def agent_down(topology: Topology) -> Iterator[Finding]:
    """An agent that is not ready, or the taint node.cilium.io/agent-not-ready that stays: no new pod gets a network there."""
    by_node: dict[str, Manifest] = {text(pod, "spec", "nodeName"): pod for pod in agents(topology)}
    for node in topology.of_kind("Node"):
        name, ref = name_of(node), ref_of(node)
        taint = next((one for one in items(node, "spec", "taints") if text(one, "key") == "node.cilium.io/agent-not-ready"), None)
        pod = by_node.get(name)
        since = unready_since(pod) if pod is not None else None
        down = pod is not None and not is_ready(pod) and (since is None or topology.now - since >= SETTLES)
        begun = time_at(taint, "timeAdded") or created_at(node)
        tainted = taint is not None and (begun is None or topology.now - begun >= SETTLES)
        if text(condition(node, "Ready"), "status") == "Unknown" or not (down or tainted):
            continue
        subject = topology.unit(ref_of(pod)) if pod is not None else ref
        states = (
            [f"{one.name} {one.waiting or one.end_reason or 'not ready'}" for one in container_states(pod) if not one.ready]
            if pod
            else []
        )
        events = [one for one in topology.events_about(ref_of(pod)) if one.kind == "Warning"] if pod is not None else []
        marks = f"the node bears the taint {text(taint, 'key')}" if tainted else ""
        yield Finding(
            cause="cilium-agent-not-ready",
            subject=subject,
            since=since or begun,
            affects=(ref, *_on(topology, name)),
            params={"node": name, "pod": f"Pod/{ref_of(pod).namespace}/{name_of(pod)}" if pod is not None else ""},
            quotes=(
                *(quote_condition(pod, "Ready") if pod is not None and down else ()),
                *((quote_field(ref, "spec.taints", text(taint, "key"), begun),) if tainted else ()),
                *(quote_event(one) for one in events[-1:]),
            ),
            statement=f"The Cilium agent on {ref} does not run properly"
            f" ({', '.join([*states[:2], *([marks] if marks else [])]) or 'not ready'}), so pods there get no network or"
            f" keep a stale one.",
        )


def _on(topology: Topology, node: str) -> tuple[Ref, ...]:
    """Workloads with a pod on the node that is not ready."""
    pods = [pod for pod in topology.of_kind("Pod") if text(pod, "spec", "nodeName") == node and not is_ready(pod)]
    return tuple(sorted({topology.unit(ref_of(pod)) for pod in pods if labels_of(pod).get("k8s-app") != "cilium"}))


@check("spire-identity-missing", weight=0.85)
def no_identity(topology: Topology) -> Iterator[Finding]:
    """SPIRE gives no identity: no registration entry, a node that is not attested, an SVID that ran out."""
    for one in told(topology, _NO_IDENTITY, ("identity issued", "svid", "attest", "registration entry")):
        yield Finding(
            cause="spire-identity-missing",
            subject=one.unit,
            since=one.first.at,
            quotes=one.quotes[-1:],
            params={"count": one.count},
            statement=f"{one.unit} gets no SPIFFE identity: {one.last.text.strip()[:300]}.",
        )
