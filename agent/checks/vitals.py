"""What nodes' own metrics tell before their conditions do: a runtime that answers late, a clock that is off, networks whose
packets do not fit."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from agent.checks.callers import log_troubles
from agent.checks.dns import dns_pods, dns_troubles
from agent.checks.loaded import node_of, nodes_of
from agent.checks.registry import check, quote_field
from agent.checks.told import credible, sayings
from agent.domain.finding import Finding, Quote
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
_PHYSICAL = re.compile(r"^(?:eth|ens|enp|eno|em|bond|wl)\w*$")
# What a tunnel adds to each packet, by the names that network plugins give their devices. (Cilium's devices keep 1500 and set the
# size by route: nothing can be read from them.)
_TUNNELS = (
    (re.compile(r"^(?:flannel\.|vxlan)"), 50),
    (re.compile(r"^genev?e?"), 50),
    (re.compile(r"^tunl"), 20),
    (re.compile(r"^wg|^wireguard"), 60),
)
_TOO_BIG = re.compile(r"message too long|EMSGSIZE|fragmentation needed|frag(?:mentation)? needed|packet too big|path MTU", re.I)


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


@check("network-mtu-mismatch", weight=0.78)
def packets_do_not_fit(topology: Topology) -> Iterator[Finding]:
    """A tunnel whose packets are larger than what carries them, where connections hang; or somebody says so."""
    told = credible(sayings(topology, _TOO_BIG, ("message too long", "emsgsize", "needed", "too big", "mtu")))
    hanging = [
        (unit, quote)
        for unit, trouble, quote in log_troubles(topology)
        if trouble.kind in ("timeout", "tls", "reset") and trouble.count >= 3 and started_lately(trouble.last, topology.now)
    ]
    suffers = tuple(dict.fromkeys([*(unit for unit, _ in hanging), *(one.unit for one in told)]))
    if not suffers:
        return
    for node, known in sorted(nodes_of(topology, ("node_network_mtu_bytes",)).items()):
        sizes = {one.labels.get("device", ""): last(one) or 0.0 for one in known["node_network_mtu_bytes"]}
        below = min((size for device, size in sizes.items() if _PHYSICAL.match(device) and size), default=0.0)
        over = [
            (device, size, add)
            for device, size in sorted(sizes.items())
            for pattern, add in _TUNNELS
            if pattern.match(device) and size + add > below > 0
        ]
        if over:
            device, size, add = over[0]
            words = (
                f"{device} has an MTU of {size:.0f}, its packets need {add} bytes more, and what carries them takes {below:.0f}"
            )
            yield _mtu(node, words, suffers, [quote for _, quote in hanging[:2]])
            return
    if told:
        words = " ".join(told[0].words.split())[:200]
        yield _mtu(told[0].unit, words, suffers, [one.quote for one in told[:2]])


def _mtu(subject: Ref, words: str, suffers: tuple[Ref, ...], quotes: list[Quote]) -> Finding:
    where = f" on {subject}" if subject.kind == "Node" else ""
    return Finding(
        cause="network-mtu-mismatch",
        subject=subject,
        affects=tuple(one for one in suffers if one != subject),
        quotes=(quote_field(subject, "network", words), *quotes),
        statement=f"Large packets do not get through{where} while small ones do: {words}. So connections stand, and hang"
        f" with the first large answer ({', '.join(map(str, suffers[:3]))}).",
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
