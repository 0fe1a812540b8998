"""Packets that are larger than what carries them: connections are made, and hang with the first large answer.

Nobody writes that into a status. What tells it are the sizes of devices (node exporter), what the network plugin is told to use,
counters of packets that could not be cut or put together again, and whoever says so. Somebody has to suffer: a size that does not
fit and hurts nobody is no finding.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence

from agent.checks.callers import log_troubles
from agent.checks.loaded import node_of, nodes_of
from agent.checks.registry import check, quote_field
from agent.checks.told import Saying, credible, sayings
from agent.domain.finding import Finding, Quote
from agent.domain.objects import Ref
from agent.signals.logs import started_lately
from agent.signals.readings import growth, last
from agent.topology import Topology
from agent.topology.fields import mapping, ref_of, text
from agent.topology.workloads import live_pods

HANGS = 3  # times that a connection hung, from which it is no chance
LOST = 10.0  # packets in ten minutes
APART = 20.0  # bytes by which the sizes of two nodes differ on purpose or by mistake, and not by a header
_PHYSICAL = re.compile(r"^(?:eth|ens|enp|eno|em|bond|wl)\w*$")
# What a tunnel adds to each packet, by the names that network plugins give their devices. (Cilium's devices keep 1500 and set the
# size by route: nothing can be read from them.)
_TUNNELS = (
    (re.compile(r"^(?:flannel\.|vxlan)"), 50),
    (re.compile(r"^genev?e?"), 50),
    (re.compile(r"^tunl"), 20),
    (re.compile(r"^wg|^wireguard"), 60),
)
# Who says that the connection itself was not made never sent anything large.
_NOT_MADE = re.compile(
    r"\b(?:dial (?:tcp|udp)|connect(?:ion)? ?timeout|connect(?:: connection)? timed out|connect etimedout|no route to host"
    r"|network is unreachable|while connecting|(?:failed|unable) to (?:connect|establish))",
    re.I,
)
_TOO_BIG = re.compile(r"message too long|EMSGSIZE|fragmentation needed|frag(?:mentation)? needed|packet too big|path MTU", re.I)
# Where network plugins are told the size: Calico, Cilium, Flannel (within JSON), and what others call it.
_SETTINGS = re.compile(r"^(?:veth_mtu|mtu|cni[-_]mtu)$", re.I)
_IN_JSON = re.compile(r"\"mtu\"\s*:\s*\"?(\d{3,5})", re.I)
_PLUGINS = re.compile(r"calico|cilium|flannel|canal|weave|antrea|kube-router|ovn|multus|cni", re.I)
_COUNTERS = (
    "node_netstat_Ip_FragFails",
    "node_netstat_Ip_ReasmFails",
    "node_netstat_Ip6_FragFails",
    "node_netstat_Ip6_ReasmFails",
)

_Sizes = Mapping[Ref, Mapping[str, float]]


@check("network-mtu-mismatch", weight=0.78)
def packets_do_not_fit(topology: Topology) -> Iterator[Finding]:
    """The plainest of what shows it, where connections hang; or whoever says that its packets are too big."""
    told = credible(sayings(topology, _TOO_BIG, ("message too long", "emsgsize", "needed", "too big", "mtu")))
    hanging = [
        (unit, quote)
        for unit, trouble, quote in log_troubles(topology)
        if trouble.kind in ("timeout", "tls", "reset") and trouble.count >= HANGS and started_lately(trouble.last, topology.now)
        if _NOT_MADE.search(trouble.last.text) is None
    ]
    suffers = tuple(dict.fromkeys([*(unit for unit, _ in hanging), *(one.unit for one in told)]))
    if not suffers:
        return
    sizes = {
        node: {one.labels.get("device", ""): last(one) or 0.0 for one in known["node_network_mtu_bytes"]}
        for node, known in sorted(nodes_of(topology, ("node_network_mtu_bytes",)).items())
    }
    shown = (
        _tunnel(sizes) or _setting(topology, sizes) or _lost(topology, suffers) or _apart(topology, sizes, suffers) or _said(told)
    )
    if shown is None:
        return
    subject, words, weight = shown
    where = f" on {subject}" if subject.kind == "Node" else ""
    quotes: list[Quote] = [one.quote for one in told[:2]] or [quote for _, quote in hanging[:2]]
    yield Finding(
        cause="network-mtu-mismatch",
        subject=subject,
        affects=tuple(one for one in suffers if one != subject),
        quotes=(quote_field(subject, "network", words), *quotes),
        weight=weight,
        statement=f"Large packets do not get through{where} while small ones do: {words}. So connections stand, and hang"
        f" with the first large answer ({', '.join(map(str, suffers[:3]))}).",
    )


_Shown = tuple[Ref, str, float | None]


def _tunnel(sizes: _Sizes) -> _Shown | None:
    """A tunnel's device that leaves no room for what the tunnel adds."""
    for node, known in sizes.items():
        below = _below(known)
        for device, size in sorted(known.items()):
            add = next((add for pattern, add in _TUNNELS if pattern.match(device)), 0)
            if add and size + add > below > 0:
                told = f"{device} has an MTU of {size:.0f}, its packets need {add} bytes more"
                return node, f"{told}, and what carries them takes {below:.0f}", None
    return None


def _below(known: Mapping[str, float]) -> float:
    """The smallest size of what carries packets away; 0 where that is not known."""
    return min((size for device, size in known.items() if _PHYSICAL.match(device) and size), default=0.0)


def _setting(topology: Topology, sizes: _Sizes) -> _Shown | None:
    """A network plugin that is told to make packets larger than the devices of the nodes take."""
    carried = [below for known in sizes.values() if (below := _below(known))]
    if not carried:
        return None
    for manifest in topology.of_kind("ConfigMap"):
        ref = ref_of(manifest)
        if not _PLUGINS.search(ref.name) or not (ref.namespace.startswith("kube-") or _PLUGINS.search(ref.namespace)):
            continue
        for key, value in sorted(mapping(manifest, "data").items()):
            said = str(value).strip()
            found = _IN_JSON.search(said) if not _SETTINGS.match(key) else re.fullmatch(r"(\d{3,5})", said)
            if found is not None and float(found[1]) > min(carried):
                return (
                    ref,
                    f"{ref} tells the pods' network an MTU of {found[1]} ({key}), and the nodes take {min(carried):.0f}",
                    None,
                )
    return None


def _lost(topology: Topology, suffers: Sequence[Ref]) -> _Shown | None:
    """A node that cannot cut packets, or put them together again. Some node of many always loses a few: where nobody that hangs,
    and nothing that it needs, has a pod there, it says less."""
    counted: dict[Ref, dict[str, float]] = defaultdict(dict)
    for node, known in nodes_of(topology, _COUNTERS).items():
        for name, series in known.items():
            counted[node][name] = sum(growth(one) for one in series)
    for one in topology.series:
        if one.name == "cilium_drop_count_total" and "fragmentation needed" in one.labels.get("reason", "").lower():
            holder = node_of(topology, one)
            if holder is not None:
                counted[holder]["cilium_drop_count_total (fragmentation needed)"] = growth(one)
    most = max(((sum(one.values()), node) for node, one in counted.items()), default=(0.0, None))
    if most[1] is None or most[0] < LOST:
        return None
    names = ", ".join(f"{name} +{value:.0f}" for name, value in sorted(counted[most[1]].items()) if value > 0)
    near = {need for unit in suffers for need in (unit, *topology.depends_on(unit))}
    weight = None if most[1].name in _nodes_with(topology, near) else 0.45
    return most[1], f"{names} in ten minutes: packets too large for the next hop are lost in pieces", weight


def _apart(topology: Topology, sizes: _Sizes, suffers: Sequence[Ref]) -> _Shown | None:
    """A node whose device has another size than those of nearly all others, where somebody that hangs has a pod."""
    known = {node: below for node, one in sizes.items() if (below := _below(one))}
    usual = Counter(known.values()).most_common(1)
    if not usual or usual[0][1] * 2 <= len(known):
        return None
    holding = _nodes_with(topology, suffers)
    for node, size in sorted(known.items()):
        if abs(size - usual[0][0]) >= APART and node.name in holding:
            words = f"its device has an MTU of {size:.0f}, those of {usual[0][1]} other nodes {usual[0][0]:.0f}"
            return node, words, 0.6  # larger ones may be cut down on the way, and then all is well
    return None


def _nodes_with(topology: Topology, units: Iterable[Ref]) -> set[str]:
    return {text(pod, "spec", "nodeName") for unit in units for pod in live_pods(topology, unit)}


def _said(told: Sequence[Saying]) -> _Shown | None:
    return (told[0].unit, " ".join(told[0].words.split())[:200], None) if told else None
