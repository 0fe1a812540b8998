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
    r"|no IP addresses available|InsufficientFreeAddresses|range is full",
    re.I,
)
_PLUGIN = re.compile(
    r"cni (?:plugin not initialized|config uninitialized)|network plugin is not ready|no networks found in /etc/cni", re.I
)
LATELY = timedelta(minutes=15)


def _sandbox_events(topology: Topology) -> dict[Ref, list[tuple[Ref, Happening]]]:
    """By node: FailedCreatePodSandBox and NetworkNotReady of pods that are still not ready."""
    found: dict[Ref, list[tuple[Ref, Happening]]] = {}
    for about, events in sorted(topology.events.items()):
        pod = topology.objects.get(about) if about.kind == "Pod" else None
        if pod is None or is_ready(pod) or is_finished(pod):
            continue
        for event in events:
            late = event.last is None or topology.now - event.last <= LATELY
            if event.reason in ("FailedCreatePodSandBox", "NetworkNotReady") and late:
                found.setdefault(Ref("Node", "", text(pod, "spec", "nodeName")), []).append((about, event))
    return found


@check("pod-addresses-exhausted", weight=0.95)
@check("network-plugin-not-ready", weight=0.94)
@check("pod-network-failing", weight=0.85)
def no_sandbox(topology: Topology) -> Iterator[Finding]:
    """FailedCreatePodSandBox, by what it says: no address is left, the plugin is not ready, or something else."""
    for node, told in sorted(_sandbox_events(topology).items()):
        words = " ".join(event.message for _, event in told)
        if _NO_ADDRESS.search(words):
            cause, why = "pod-addresses-exhausted", "no address is left for pods"
        elif _PLUGIN.search(words):
            cause, why = "network-plugin-not-ready", "its network plugin (CNI) is not ready"
        else:
            cause, why = "pod-network-failing", "the network of pods cannot be set up"
        pattern = {"pod-addresses-exhausted": _NO_ADDRESS, "network-plugin-not-ready": _PLUGIN}.get(cause)
        shown = [one for one in told if pattern is None or pattern.search(one[1].message)]
        units = tuple(dict.fromkeys(topology.unit(about) for about, _ in told))
        said = " ".join(shown[-1][1].message.split())[-260:].rstrip(". ")
        yield Finding(
            cause=cause,
            subject=node if node in topology.objects else units[0],
            affects=units,
            since=earliest(*(event.first for _, event in shown)),
            quotes=tuple(quote_event(event) for _, event in shown[-2:]),
            params={"pods": len({about for about, _ in told})},
            statement=f"Pods of {', '.join(map(str, units[:4]))} do not start on {node.name or 'their node'}, because {why}:"
            f" {said}.",
        )
