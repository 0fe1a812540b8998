"""Networks of pods: sandboxes that cannot be made, addresses that ran out, a node whose network plugin is not ready."""

import re
from collections.abc import Iterator
from datetime import timedelta

from agent.checks.registry import check, earliest, quote_event
from agent.domain.finding import Finding
from agent.domain.objects import Ref
from agent.topology import Happening, Topology
from agent.topology.fields import text
from agent.topology.pods import is_finished, is_ready

_NO_ADDRESS = re.compile(
    r"no (?:more )?(?:IP )?addresses? (?:are |is )?(?:available|left)|failed to (?:allocate|assign)[^\n]{0,60}\bIP\b"
    r"|no available (?:IP|addresses)|address(?:es)? exhausted|IPAM[^\n]{0,80}(?:exhausted|full|no free)"
    r"|no IP addresses available|InsufficientFreeAddresses|range is full|no (?:more|free) IPs?\b|out of IP(?:s| addresses)\b",
    re.I,
)
_PLUGIN = re.compile(
    r"cni (?:plugin not initialized|config uninitialized)|network plugin is not ready|no networks found in /etc/cni", re.I
)
_AGENTS = re.compile(
    r"^(?:aws-node|calico-node|canal|cilium|azure-cns|kube-flannel.*|weave-net|antrea-agent|kube-router|netd|ovnkube-node.*)$"
)
_CAUSES = (
    ("pod-addresses-exhausted", _NO_ADDRESS, "no address is left for pods"),
    ("network-plugin-not-ready", _PLUGIN, "its network plugin (CNI) is not ready"),
)
LATELY = timedelta(minutes=15)


def _sandbox_events(topology: Topology) -> dict[Ref, list[tuple[Ref, Happening]]]:
    """By node: FailedCreatePodSandBox and NetworkNotReady of pods that are still not ready."""
    found: dict[Ref, list[tuple[Ref, Happening]]] = {}
    for about, event in topology.told("FailedCreatePodSandBox", "NetworkNotReady"):
        pod = topology.objects.get(about) if about.kind == "Pod" else None
        late = event.last is None or topology.now - event.last <= LATELY
        if pod is not None and late and not is_ready(pod) and not is_finished(pod):
            found.setdefault(Ref("Node", "", text(pod, "spec", "nodeName")), []).append((about, event))
    return found


@check("pod-addresses-exhausted", weight=0.95)
@check("network-plugin-not-ready", weight=0.94)
@check("pod-network-failing", weight=0.85)
def no_sandbox(topology: Topology) -> Iterator[Finding]:
    """FailedCreatePodSandBox, by what it says: no address is left, the plugin is not ready, or something else."""
    by_cause: dict[str, list[tuple[Ref, list[tuple[Ref, Happening]]]]] = {}
    for node, told in sorted(_sandbox_events(topology).items()):
        words = " ".join(event.message for _, event in told)
        cause = next((name for name, pattern, _ in _CAUSES if pattern.search(words)), "pod-network-failing")
        by_cause.setdefault(cause, []).append((node, told))
    plugin = _plugin(topology)
    for cause, ones in by_cause.items():
        if len(ones) > 1 and plugin is not None:  # what fails on one node after the other is the plugin, not the nodes
            yield _found(topology, cause, plugin, [pair for _, told in ones for pair in told])
            continue
        for node, told in ones:
            yield _found(topology, cause, node, told)


def _plugin(topology: Topology) -> Ref | None:
    """The DaemonSet that makes the networks of pods, where it was read."""
    return next((ref for ref in sorted(topology.objects) if ref.kind == "DaemonSet" and _AGENTS.search(ref.name)), None)


def _found(topology: Topology, cause: str, where: Ref, told: list[tuple[Ref, Happening]]) -> Finding:
    pattern, why = next(
        ((pattern, why) for name, pattern, why in _CAUSES if name == cause), (None, "the network of pods cannot be set up")
    )
    shown = [one for one in told if pattern is None or pattern.search(one[1].message)]
    units = tuple(dict.fromkeys(topology.unit(about) for about, _ in told))
    said = " ".join(shown[-1][1].message.split())[-260:].rstrip(". ")
    place = where.name if where.kind == "Node" else f"several nodes, whose pods {where} connects"
    return Finding(
        cause=cause,
        subject=where if where in topology.objects else units[0],
        affects=units,
        since=earliest(*(event.first for _, event in shown)),
        quotes=tuple(quote_event(event) for _, event in shown[-2:]),
        params={"pods": len({about for about, _ in told})},
        statement=f"Pods of {', '.join(map(str, units[:4]))} do not start on {place or 'their node'}, because {why}: {said}.",
    )
