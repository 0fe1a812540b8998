"""What nodes' own metrics tell before their conditions do: a runtime that answers late, a clock that is off, lookups of names
that get lost."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from agent.checks.dns import dns_pods, dns_troubles
from agent.checks.loaded import node_of, nodes_of
from agent.checks.registry import check, quote_field
from agent.domain.finding import Finding
from agent.domain.objects import Ref, Series
from agent.signals.logs import started_lately
from agent.signals.readings import LATELY, growth, last, named, quantile
from agent.topology import Topology
from agent.topology.fields import text
from agent.topology.pods import is_ready
from agent.topology.workloads import live_pods

RELIST = 3.0  # seconds of the 99th percentile; a relist is due each second, and after 180 the kubelet calls itself not ready
OFF = 0.5  # seconds; NodeClockSkewDetected of the node mixin warns at 0.05
DROPPED = 10  # failed insertions in ten minutes from which it is more than chance
APART = 5.0  # seconds between the node's clock and that of whoever scraped it, beyond what a scrape takes


@check("pleg-slow", weight=0.8)
def lists_slowly(topology: Topology) -> Iterator[Finding]:
    """kubelet_pleg_relist_duration_seconds: the kubelet asks its runtime what runs, and waits seconds for the answer."""
    by_node: dict[Ref, list[Series]] = {}
    for one in named(topology.series, "kubelet_pleg_relist_duration_seconds_bucket"):
        node = node_of(topology, one)
        if node is not None:
            by_node.setdefault(node, []).append(one)
    for node, buckets in sorted(by_node.items()):
        took = quantile(buckets, 0.99)
        if took is None or took < RELIST:
            continue
        words = f"the slowest hundredth of relists took {took:.1f} s or more in the last ten minutes"
        yield Finding(
            cause="pleg-slow",
            subject=node,
            since=topology.now - timedelta(seconds=LATELY),
            params={"p99_seconds": round(took, 2)},
            quotes=(quote_field(node, "kubelet_pleg_relist_duration_seconds", words),),
            statement=f"The container runtime of {node} answers slowly: {words} (PLEG), so pods on it start and turn ready late,"
            " and the node will call itself not ready if it goes on.",
        )


@check("node-clock-off", weight=0.8)
def clock_is_off(topology: Topology) -> Iterator[Finding]:
    """A clock half a second from true time (node_timex_offset_seconds), or seconds from that of whoever scraped it."""
    found = nodes_of(topology, ("node_timex_offset_seconds", "node_timex_sync_status", "node_time_seconds"))
    for node, known in sorted(found.items()):
        offset = max(
            (abs(value) for one in known["node_timex_offset_seconds"] for value in [last(one)] if value is not None), default=0.0
        )
        apart = max((abs(value - when) for one in known["node_time_seconds"] for when, value in one.samples[-1:]), default=0.0)
        if offset < OFF and apart < APART:
            continue
        far = [when for one in known["node_timex_offset_seconds"] for when, value in one.samples if abs(value) >= OFF]
        synced = all(last(one) == 1 for one in known["node_timex_sync_status"])
        words = f"{max(offset, apart):.1f} s from {'true time' if offset >= OFF else 'the clock of the monitoring'}"
        yield Finding(
            cause="node-clock-off",
            subject=node,
            since=datetime.fromtimestamp(min(far), UTC) if far else None,
            params={"seconds": round(max(offset, apart), 3), "synchronised": synced},
            quotes=(quote_field(node, "node_timex_offset_seconds / node_time_seconds", words),),
            statement=f"The clock of {node} is {words}{'' if synced else ', and is not synchronised'}: certificates and tokens"
            " that are valid elsewhere are not yet, or no longer, valid there.",
        )


@check("dns-lookups-dropped", weight=0.72)
def lookups_are_dropped(topology: Topology) -> Iterator[Finding]:
    """node_nf_conntrack_stat_insert_failed rises while names of Services that exist do not resolve in time and the cluster's DNS
    is well: two lookups at once from one socket race for one entry of the connection table, and one of them is dropped."""
    if any(not is_ready(pod) for pod in dns_pods(topology)):
        return
    waits = [
        (unit, quote)
        for unit, trouble, quote in dns_troubles(topology)
        if started_lately(trouble.last, topology.now) and topology.host(trouble.host, unit.namespace) in topology.objects
    ]
    for node, known in sorted(nodes_of(topology, ("node_nf_conntrack_stat_insert_failed",)).items()):
        dropped = sum(growth(one) for one in known["node_nf_conntrack_stat_insert_failed"])
        there = [
            (unit, quote)
            for unit, quote in waits
            if any(text(pod, "spec", "nodeName") == node.name for pod in live_pods(topology, unit))
        ]
        if dropped < DROPPED or not there:
            continue
        units = tuple(dict.fromkeys(unit for unit, _ in there))
        words = f"{dropped:.0f} insertions into the connection table failed in ten minutes"
        yield Finding(
            cause="dns-lookups-dropped",
            subject=node,
            affects=units,
            params={"dropped": int(dropped)},
            quotes=(quote_field(node, "node_nf_conntrack_stat_insert_failed", words), *(quote for _, quote in there[:2])),
            statement=f"Lookups of names are dropped now and then on {node} ({words}), so {', '.join(map(str, units[:3]))} wait"
            " seconds for names that exist: A and AAAA lookups sent at once race for one entry of the table.",
        )
