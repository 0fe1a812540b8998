"""Connections that leave the cluster: failing for many at once, whatever they want to reach, and towards names that Cilium's
policy allows and its proxy has not learned."""

import fnmatch
import re
from collections.abc import Iterator, Mapping
from typing import Any

from agent.checks.callers import log_troubles
from agent.checks.outside import is_outside
from agent.checks.policies import source_end
from agent.checks.registry import check, earliest, quote_field
from agent.domain.finding import Finding
from agent.domain.objects import Ref
from agent.signals.logs import started_lately
from agent.signals.readings import growth
from agent.topology import Topology
from agent.topology.cilium import rules_for
from agent.topology.fields import items, text

HOSTS, CALLERS = 3, 2  # that fail at once, from which it is the way out and not who is called
# Counters of NAT gateways and load balancers as exporters of clouds name them; "port allocation" is AWS' ErrorPortAllocation.
_NO_PORTS = re.compile(
    r"(?:(?:^|_)s?nat_(?:\w*_)?(?:port_allocation|fail|drop|exhaust)|error_?port_?allocation)\w*",  # not desti-nat-ion_failures
    re.I,
)


@check("outbound-connections-failing", weight=0.66)
def the_way_out_fails(topology: Topology) -> Iterator[Finding]:
    """Several workloads time out towards several hosts outside, and inside the cluster nobody does: ports of the one outgoing
    address are used up (SNAT), a NAT gateway or a firewall."""
    found = [one for one in log_troubles(topology) if started_lately(one[1].last, topology.now) and one[0] in topology.objects]
    outside = [one for one in found if one[1].kind == "timeout" and is_outside(topology, one[1].host, one[0])]
    inside = [one for one in found if topology.host(one[1].host, one[0].namespace) in topology.objects]
    hosts = sorted({trouble.host for _, trouble, _ in outside})
    counts: dict[Ref, int] = {}
    for unit, trouble, _ in outside:
        counts[unit] = counts.get(unit, 0) + trouble.count
    units = tuple(sorted(counts, key=lambda unit: (-counts[unit], unit)))  # who is hit most comes first
    counted = sorted({one.name for one in topology.series if _NO_PORTS.search(one.name) and growth(one) > 0})
    if inside or not units or not (counted or (len(hosts) >= HOSTS and len(units) >= CALLERS)):
        return
    why = f"; {counted[0]} rises: no port of the outgoing address is free (SNAT)" if counted else ""
    yield Finding(
        cause="outbound-connections-failing",
        subject=units[0],
        affects=units[1:],
        since=earliest(*(trouble.first.at for _, trouble, _ in outside)),
        params={"hosts": [*hosts[:10]], "counter": counted[0] if counted else "", "ports_exhausted": bool(counted)},
        quotes=(
            *(quote for _, _, quote in outside[:3]),
            *(quote_field(units[0], "metrics", f"{name} rises") for name in counted[:1]),
        ),
        weight=0.85 if counted else None,
        statement=f"Connections out of the cluster fail, whoever is called: {', '.join(map(str, units[:4]))} time out towards"
        f" {', '.join(hosts[:4])}, while connections inside the cluster are well{why}.",
    )


@check("cilium-name-not-learned", weight=0.86)
def name_not_learned(topology: Topology) -> Iterator[Finding]:
    """A policy allows a name (toFQDNs), connections to it time out, and no rule lets Cilium read the DNS answers (rules.dns on
    port 53), or the answers come from a node-local cache that its proxy does not see."""
    seen: set[Ref] = set()
    for unit, trouble, quote in log_troubles(topology):
        if trouble.kind != "timeout" or unit not in topology.objects or not is_outside(topology, trouble.host, unit):
            continue
        rules = [
            (policy, entry) for policy, rule in rules_for(topology, source_end(topology, unit)) for entry in items(rule, "egress")
        ]
        naming = [policy for policy, entry in rules if _names(entry, trouble.host)]
        if not naming or naming[0] in seen:
            continue
        reads = any(items(port, "rules", "dns") for _, entry in rules for port in items(entry, "toPorts"))
        cache = any(
            "node-local-dns" in ref.name or "nodelocaldns" in ref.name for ref in topology.objects if ref.kind == "DaemonSet"
        )
        if reads and not cache:
            continue
        seen.add(naming[0])
        why = (
            "the answers come from a node-local DNS cache, past Cilium's proxy"
            if reads
            else "none of its rules lets Cilium read DNS answers (rules.dns on port 53)"
        )
        yield Finding(
            cause="cilium-name-not-learned",
            subject=naming[0],
            affects=(unit,),
            since=trouble.first.at,
            params={"host": trouble.host, "reads_dns": reads, "node_local_cache": cache},
            quotes=(quote, quote_field(naming[0], "spec.egress", f"toFQDNs allows {trouble.host}; {why}")),
            statement=f"{naming[0]} allows {unit} to reach {trouble.host} by its name, and the connections time out: {why}, so it"
            " does not know which addresses the name has, and drops them.",
        )


def _names(entry: Mapping[str, Any], host: str) -> bool:
    return any(
        text(one, "matchName").rstrip(".") == host
        or (text(one, "matchPattern") and fnmatch.fnmatchcase(host, text(one, "matchPattern")))
        for one in items(entry, "toFQDNs")
    )
