"""What Cilium's and Hubble's metrics say of the data plane: drops by reason, full maps, nodes and clusters out of reach."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from itertools import pairwise

from agent.checks.registry import check, quote_field
from agent.domain.finding import Finding
from agent.domain.objects import Ref, Series
from agent.topology import Topology
from agent.topology.fields import name_of

# Drop reasons as Cilium names them (lower case), and the cause they belong to; all others are told as plain drops.
_REASONS = {
    "authentication required": "cilium-mutual-auth-drops",
    "ct: map insertion failed": "cilium-map-full",
    "ct map insertion failed": "cilium-map-full",
    "map insertion failed": "cilium-map-full",
    "no mapping for nat masquerade": "cilium-map-full",
}
# Reasons that any cluster has some of; and those that only repeat what a policy wants.
_ORDINARY = (
    "invalid source ip",
    "unsupported l3 protocol",
    "unsupported protocol for nat masquerade",
    "icmp",
    "stale or unroutable ip",
)
_BY_POLICY = ("policy denied",)
_MEANING = {
    "service backend not found": "a Service without a backend in the agent's view",
    "stale or unroutable ip": "packets to an address that no pod has any more",
    "no egress gateway found": "an egress gateway policy whose gateway is gone",
    "policy denied": "no policy allows it",
    "policy denied by denylist": "a deny rule forbids it",
    "authentication required": "mutual authentication is wanted and not there",
    "fragmentation needed": "packets too large for the path",
}
TRICKLE = 1.0  # packets a second that are no finding
FLOOD = 50.0  # packets a second from which on an ordinary reason is one


def _agent(topology: Topology, series: Series) -> Ref:
    """The agent's workload, or its node, or (when neither is in view) the DaemonSet by its usual name."""
    namespace, pod = series.labels.get("namespace", "kube-system"), series.labels.get("pod", "")
    unit = topology.unit_of_name(Ref("Pod", namespace, pod)) if pod else Ref("DaemonSet", namespace, "cilium")
    if unit.kind != "Pod":
        return unit
    node = series.labels.get("node") or series.labels.get("instance", "").partition(":")[0]
    return (
        Ref("Node", "", node)
        if node in {name_of(one) for one in topology.of_kind("Node")}
        else Ref("DaemonSet", namespace, "cilium")
    )


def _rate(series: Series) -> float:
    """Per second, over the last ten samples; a counter that began anew counts from zero."""
    last = series.samples[-10:]
    steps = [max(new - old, 0) if new >= old else new for (_, old), (_, new) in pairwise(last)]
    span = last[-1][0] - last[0][0] if len(last) > 1 else 0
    return sum(steps) / span if span > 0 else 0.0


def _middle(series: Series) -> float:
    last = sorted(value for _, value in series.samples[-10:])
    return last[len(last) // 2] if last else 0.0


def _since(series: Series, wrong: Callable[[float], bool]) -> datetime | None:
    """The first sample of the last stretch that is wrong throughout."""
    begun = None
    for when, value in reversed(series.samples):
        if not wrong(value):
            break
        begun = when
    return datetime.fromtimestamp(begun, UTC) if begun is not None else None


@check("cilium-mutual-auth-drops", weight=0.85)
@check("cilium-map-full", weight=0.88)
@check("cilium-drops", weight=0.5)
def drops(topology: Topology) -> Iterator[Finding]:
    """cilium_drop_count_total by reason: more than a trickle now. A refusal by policy is told by the policy's own check."""
    by_reason: dict[tuple[str, str], tuple[float, str, Series]] = {}
    for series in topology.series:
        encrypted = series.name == "cilium_ipsec_xfrm_error"
        if (series.name != "cilium_drop_count_total" and not encrypted) or len(series.samples) < 3:
            continue
        rate = _rate(series)
        reason = f"IPsec {series.labels.get('error', '')}".strip() if encrypted else series.labels.get("reason", "unknown")
        key = (reason.lower(), series.labels.get("direction", ""))
        if rate > TRICKLE and (key not in by_reason or by_reason[key][0] < rate):
            by_reason[key] = (rate, reason, series)
    for (reason, direction), (rate, said, series) in sorted(by_reason.items(), key=lambda one: one[0]):
        cause = _REASONS.get(reason, "cilium-drops")
        if reason.startswith(_BY_POLICY) or (cause == "cilium-drops" and reason.startswith(_ORDINARY) and rate < FLOOD):
            continue
        where = series.labels.get("node") or series.labels.get("pod") or series.labels.get("instance", "")
        meaning = f" ({_MEANING[reason]})" if reason in _MEANING else ""
        subject = _agent(topology, series)
        yield Finding(
            cause=cause,
            subject=subject,
            params={"reason": reason, "direction": direction.lower(), "per_second": round(rate, 1)},
            quotes=(quote_field(subject, "metrics", f'{series.name}{{reason="{said}"}} {rate:.1f}/s'),),
            statement=f"Cilium drops {rate:.1f} packets a second{f' on {where}' if where else ''}: {said}{meaning}.",
        )


@check("cilium-map-full", weight=0.88)
def maps(topology: Topology) -> Iterator[Finding]:
    """cilium_bpf_map_pressure above 0.9: new connections or identities soon find no room."""
    for series in topology.series:
        full = _middle(series) if series.name == "cilium_bpf_map_pressure" else 0.0
        if full <= 0.9:
            continue
        subject, name = _agent(topology, series), series.labels.get("map_name", "a map")
        yield Finding(
            cause="cilium-map-full",
            subject=subject,
            since=_since(series, lambda value: value > 0.9),
            params={"map": name, "pressure": round(full, 2)},
            quotes=(quote_field(subject, "metrics", f'cilium_bpf_map_pressure{{map_name="{name}"}} {full:.2f}'),),
            statement=f"The BPF map {name} of Cilium is {full:.0%} full, so new entries soon fail.",
        )


@check("cilium-nodes-unreachable", weight=0.85)
def nodes_unreachable(topology: Topology) -> Iterator[Finding]:
    """cilium_unreachable_nodes above 0 in most of the last samples: agents do not reach each other's nodes."""
    for series in topology.series:
        count = _middle(series) if series.name in ("cilium_unreachable_nodes", "cilium_unreachable_health_endpoints") else 0.0
        if count < 1:
            continue
        subject = _agent(topology, series)
        what = "nodes" if series.name == "cilium_unreachable_nodes" else "health endpoints"
        yield Finding(
            cause="cilium-nodes-unreachable",
            subject=subject,
            since=_since(series, lambda value: value >= 1),
            params={"count": round(count), "what": what},
            quotes=(quote_field(subject, "metrics", f"{series.name} {count:.0f}"),),
            statement=f"A Cilium agent ({series.labels.get('node') or series.labels.get('pod') or 'of one node'}) does not reach"
            f" {count:.0f} {what}: traffic between nodes is broken or blocked.",
        )


@check("clustermesh-remote-not-ready", weight=0.88)
def remote_cluster(topology: Topology) -> Iterator[Finding]:
    """cilium_clustermesh_remote_cluster_readiness_status 0: Services of that cluster are stale here."""
    worst: dict[str, Series] = {}
    for series in topology.series:
        if series.name == "cilium_clustermesh_remote_cluster_readiness_status" and series.samples and _middle(series) == 0:
            worst.setdefault(series.labels.get("target_cluster", "a remote cluster"), series)
    for cluster, series in sorted(worst.items()):
        subject = _agent(topology, series)
        yield Finding(
            cause="clustermesh-remote-not-ready",
            subject=subject,
            since=_since(series, lambda value: value == 0),
            params={"cluster": cluster},
            quotes=(quote_field(subject, "metrics", f'{series.name}{{target_cluster="{cluster}"}} 0'),),
            statement=f"The cluster mesh has lost {cluster}: its Services and identities are stale here.",
        )


@check("hubble-loses-events", weight=0.3)
def flows_lost(topology: Topology) -> Iterator[Finding]:
    """hubble_lost_events_total rising: what flows say is incomplete. Nothing is broken for users."""
    lost = [(rate, series) for series in topology.series if series.name == "hubble_lost_events_total" and len(series.samples) > 2
            for rate in [_rate(series)] if rate > TRICKLE]  # fmt: skip
    if lost:
        rate, series = max(lost, key=lambda one: (one[0], sorted(one[1].labels.items())))
        subject = _agent(topology, series)
        yield Finding(
            cause="hubble-loses-events",
            subject=subject,
            params={"per_second": round(rate, 1)},
            quotes=(quote_field(subject, "metrics", f"hubble_lost_events_total {rate:.1f}/s"),),
            statement=f"Hubble loses {rate:.1f} events a second, so its flows are incomplete evidence.",
        )
