"""Connections that leave the cluster: failing for many at once, whatever they want to reach, for want of ports of their own, and
towards names that Cilium's policy allows and its proxy has not learned."""

import fnmatch
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

from agent.checks.callers import log_troubles
from agent.checks.loaded import node_of
from agent.checks.outside import is_outside
from agent.checks.policies import source_end
from agent.checks.registry import check, earliest, quote_field
from agent.checks.told import sayings
from agent.domain.finding import Finding
from agent.domain.objects import Ref, Series
from agent.signals.logs import started_lately
from agent.signals.readings import LATELY, growth, last
from agent.topology import Topology
from agent.topology.cilium import rules_for
from agent.topology.fields import items, text

HOSTS, CALLERS = 3, 2  # that fail at once, from which it is the way out and not who is called
# Counters of NAT gateways and load balancers as exporters of clouds name them; "port allocation" is AWS'
# ErrorPortAllocation; a metric of desti-nat-ions is none of theirs.
_NO_PORTS = re.compile(
    r"(?:(?:^|[_:])s?nat_?(?:gateway_)?(?:\w*_)?(?:port_?allocation|fail|drop|exhaust)|error_?port_?allocation)\w*",
    re.I,
)
_FAILED = re.compile(r"(?:^|_)snat_?connection_?count", re.I)  # Azure: by connection state, of which one is Failed
_USED = re.compile(r"used_?snat_?ports|(?:^|[_:])nat_(?:\w*_)?port_?usage", re.I)
_MOST = re.compile(r"allocated_?snat_?ports|(?:^|[_:])nat_(?:\w*_)?allocated_?ports", re.I)
_WAY_OUT = ("nat_gateway_id", "natgatewayid", "gateway_name", "loadbalancer", "resource_name", "resourcename", "router_id")
LONGEST = 200  # characters of a metric's name that are looked at
FULL = 0.98  # of the ports of an address in use
ALONE = 10.0  # failures in ten minutes that say something though nobody complains
# Towards IPv6 it is said by a pod that has no such address, and localhost is tried by IPv6 first.
_OWN_PORTS = re.compile(
    r"^(?!.*(?:localhost|::1\b|\[[0-9a-f]{0,4}:[0-9a-f:]{0,40}\])).*?\b(?:dial|connect)\w{0,10}\b.{0,200}?"
    r"(?:cannot assign requested address|EADDRNOTAVAIL|errno 99\b)",
    re.I,
)


@check("outbound-connections-failing", weight=0.66)
def the_way_out_fails(topology: Topology) -> Iterator[Finding]:
    """Several workloads time out towards several hosts outside, and inside the cluster nobody does: ports of the one outgoing
    address are used up (SNAT), a NAT gateway or a firewall. What the way out itself counts is enough without their logs."""
    found = [one for one in log_troubles(topology) if started_lately(one[1].last, topology.now) and one[0] in topology.objects]
    outside = [one for one in found if one[1].kind == "timeout" and is_outside(topology, one[1].host, one[0])]
    inside = [one for one in found if topology.host(one[1].host, one[0].namespace) in topology.objects]
    hosts = sorted({trouble.host for _, trouble, _ in outside})
    counts: dict[Ref, int] = {}
    for unit, trouble, _ in outside:
        counts[unit] = counts.get(unit, 0) + trouble.count
    units = tuple(sorted(counts, key=lambda unit: (-counts[unit], unit)))  # who is hit most comes first
    told = _ports_used_up(topology, least=1.0 if units else ALONE)
    if inside or not (told or (units and len(hosts) >= HOSTS and len(units) >= CALLERS)):
        return
    counter, where, begun = told or ("", None, None)
    why = f"{counter}: no port of the outgoing address is free (SNAT)" if told else ""
    who = (
        f"{', '.join(map(str, units[:4]))} time out towards {', '.join(hosts[:4])}, while connections inside the cluster are well"
    )
    ways = where if where is not None else Ref("NatGateway", "", "outbound")
    yield Finding(
        cause="outbound-connections-failing",
        subject=units[0] if units else ways,
        affects=units[1:],
        since=earliest(*(trouble.first.at for _, trouble, _ in outside), begun),
        params={"hosts": [*hosts[:10]], "counter": counter.partition(" ")[0], "ports_exhausted": bool(told)},
        quotes=(
            *(quote for _, _, quote in outside[:3]),
            *((quote_field(units[0] if units else ways, "metrics", f"{ways.name}: {counter}", begun),) if told else ()),
        ),
        weight=0.85 if told else None,
        statement="Connections out of the cluster fail, whoever is called: "
        + "; ".join(words for words in (who if units else "", why) if words)
        + ".",
    )


def _ports_used_up(topology: Topology, *, least: float) -> tuple[str, Ref | None, datetime | None] | None:
    """(what is counted, in words; the way out that counts it, as far as its labels name it; since when)."""
    used: dict[tuple[tuple[str, str], ...], Series] = {}
    most: dict[tuple[tuple[str, str], ...], Series] = {}
    for one in sorted(topology.series, key=lambda one: (one.name, sorted(one.labels.items()))):
        name = one.name[:LONGEST]
        failed = _FAILED.search(name) and "failed" in (value.lower() for value in one.labels.values())
        if (failed or _NO_PORTS.search(name)) and growth(one) >= least:
            return f"{one.name} rises", _way_out(topology, one), _first_rise(one)
        rest = tuple(sorted((key, value) for key, value in one.labels.items() if key != "__name__"))
        if _USED.search(name):
            used[rest] = one
        elif _MOST.search(name):
            most[rest] = one
    for rest in sorted(used.keys() & most.keys()):
        have, room = last(used[rest]), last(most[rest])
        if have is not None and room and have / room >= FULL:
            return f"{used[rest].name} is {have:.0f} of {room:.0f}", _way_out(topology, used[rest]), None
    return None


def _way_out(topology: Topology, one: Series) -> Ref | None:
    named = next((one.labels[label] for label in _WAY_OUT if one.labels.get(label)), "")
    return Ref("NatGateway", "", named[:120]) if named else node_of(topology, one)


def _first_rise(one: Series) -> datetime | None:
    """When the counter began to grow, within what was looked at."""
    lately = [(when, value) for when, value in one.samples if when >= one.samples[-1][0] - LATELY]
    rises = [when for (_, early), (when, late) in pairwise(lately) if late > early]
    return datetime.fromtimestamp(rises[0], UTC) if rises else None


@check("local-ports-exhausted", weight=0.84)
def no_port_of_its_own(topology: Topology) -> Iterator[Finding]:
    """EADDRNOTAVAIL while connecting: every local port towards that one address is taken, most by connections that are over and
    wait out their time. Said of listening it is another fault: an address that the pod does not have."""
    for one in sayings(topology, _OWN_PORTS, ("cannot assign requested address", "eaddrnotavail", "errno 99"), at_least=3):
        if one.unit in topology.objects:
            yield Finding(
                cause="local-ports-exhausted",
                subject=one.unit,
                since=one.first,
                params={"count": one.count},
                quotes=(one.quote,),
                statement=f"{one.unit} has no local port left for new connections (cannot assign requested address, {one.count}"
                " times): it opens connections faster than closed ones are forgotten, instead of using them again.",
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
