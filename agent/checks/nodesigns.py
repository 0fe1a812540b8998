"""What a kubelet says of its node before any condition turns: the kernel ends processes for want of memory, images cannot be
cleared away."""

from collections.abc import Iterator
from datetime import timedelta

from agent.checks.registry import check, quote_event
from agent.domain.finding import Finding
from agent.domain.objects import Ref
from agent.topology import Happening, Topology
from agent.topology.fields import ref_of, text
from agent.topology.pods import container_states

LATELY = timedelta(minutes=30)
_VICTIM = "victim process: "


@check("node-out-of-memory", weight=0.92)
def ends_processes(topology: Topology) -> Iterator[Finding]:
    """Event SystemOOM: not a container at its limit, but the whole node had no memory left. What it ended shows exit 137
    without OOMKilled, or nothing at all."""
    for about, events in _told(topology, "SystemOOM"):
        victims = sorted({one.message.partition(_VICTIM)[2].partition(",")[0].strip() for one in events} - {""})
        hit = [
            topology.unit(ref_of(pod))
            for pod in topology.of_kind("Pod")
            if text(pod, "spec", "nodeName") == about.name
            and any(
                one.exit_code == 137 and one.ended_at and topology.now - one.ended_at <= LATELY for one in container_states(pod)
            )
        ]
        count = sum(one.count for one in events)
        yield Finding(
            cause="node-out-of-memory",
            subject=about,
            since=min((one.first for one in events if one.first is not None), default=None),
            affects=tuple(dict.fromkeys(hit)),
            params={"victims": [*victims], "count": count},
            quotes=tuple(quote_event(one) for one in events[-2:]),
            statement=f"{about} has run out of memory as a whole ({count} times lately), and its kernel ends processes on it"
            f"{': ' + ', '.join(victims[:5]) if victims else ''}.",
        )


@check("node-disk-filling", weight=0.86)
def clears_nothing_away(topology: Topology) -> Iterator[Finding]:
    """Events FreeDiskSpaceFailed, ImageGCFailed again and again: the disk is over the kubelet's threshold, and no unused image is
    left to remove. DiskPressure and evictions come next."""
    for about, events in _told(topology, "FreeDiskSpaceFailed", "ImageGCFailed", "ContainerGCFailed"):
        if sum(one.count for one in events) < 3 or "invalid capacity 0" in events[-1].message:  # a kubelet that has just started
            continue
        yield Finding(
            cause="node-disk-filling",
            subject=about,
            since=min((one.first for one in events if one.first is not None), default=None),
            params={"count": sum(one.count for one in events)},
            quotes=(quote_event(events[-1]),),
            statement=f"The disk of {about} fills up and the kubelet finds nothing to clear away:"
            f" {events[-1].message[:250].rstrip('. ')}.",
        )


def _told(topology: Topology, *reasons: str) -> Iterator[tuple[Ref, list[Happening]]]:
    found: dict[Ref, list[Happening]] = {}
    for about, event in topology.told(*reasons):
        node = Ref("Node", "", about.name)
        if node in topology.objects and (event.last is None or topology.now - event.last <= LATELY):
            found.setdefault(node, []).append(event)
    yield from sorted(found.items())
