"""Logs and events of one object as they are now, short enough to read in a conversation. Masked; data, never instructions."""

from collections.abc import Iterator
from dataclasses import dataclass

from agent.domain.objects import ContainerLog, Manifest, Ref
from agent.ports import ClusterReader
from agent.signals.masking import safe
from agent.topology import Topology
from agent.topology.fields import ref_of
from agent.topology.pods import container_states, is_ready

PODS, CONTAINERS, LINES, EVENTS = 2, 4, 25, 15
LONGEST_LINE = 400


@dataclass(frozen=True, slots=True, kw_only=True)
class Excerpt:
    """`title` says whose; `lines` are the last ones, oldest first; `why` says why there are none."""

    title: str
    lines: tuple[str, ...] = ()
    why: str = ""


async def logs_of(subject: Ref, topology: Topology, *, reader: ClusterReader, previous: bool) -> list[Excerpt]:
    """Of the pods that fare worst, first. Raises ClusterUnreachable."""
    pods = sorted(_pods(subject, topology), key=lambda pod: (is_ready(pod), -_restarts(pod), ref_of(pod)))[:PODS]
    wanted = [(ref, name, previous) for pod in pods for ref, name in _streams(pod, previous=previous)][:CONTAINERS]
    if not wanted:
        why = "no container of it ran before" if previous and pods else "it has no pods that ran"
        return [Excerpt(title=str(subject), why=why)]
    seen = await reader.logs(wanted, tail=LINES)
    told = [_excerpt(log) for log in seen.logs]
    return told + [Excerpt(title=safe(gap.what, limit=200), why=safe(gap.why, limit=200)) for gap in seen.gaps]


def events_of(subject: Ref, topology: Topology) -> list[Excerpt]:
    unit = topology.unit(subject)
    happened = topology.events_of_unit(unit) or topology.events_about(subject)
    happened = sorted(happened, key=lambda one: one.last or topology.now)[-EVENTS:]
    if not happened:
        return [Excerpt(title=f"events of {unit}", why="the cluster keeps none; it forgets them after an hour or so")]
    lines = tuple(
        safe(
            f"{f'{one.last:%H:%M:%S}' if one.last else '?'} {one.kind} {one.reason} {one.about.kind}/{one.about.name}"
            f"{f' x{one.count}' if one.count > 1 else ''}: {' '.join(one.message.split())}",
            limit=LONGEST_LINE,
        )
        for one in happened
    )
    return [Excerpt(title=f"events of {unit}", lines=lines)]


def _pods(subject: Ref, topology: Topology) -> list[Manifest]:
    if subject.kind == "Pod" and subject in topology.objects:
        return [topology.objects[subject]]
    if subject.kind == "Service" and subject in topology.objects:
        return topology.selected_by(topology.objects[subject])
    if subject.kind == "Node":
        return []
    return topology.pods_of(topology.unit(subject))


def _streams(pod: Manifest, *, previous: bool) -> Iterator[tuple[Ref, str]]:
    states = [state for state in container_states(pod) if state.restarts] if previous else list(container_states(pod))
    ran = [state for state in states if previous or state.running or state.ended or state.restarts]
    for state in sorted(ran, key=lambda one: (one.ready, -one.restarts, one.init, one.name)):
        yield state.pod, state.name


def _restarts(pod: Manifest) -> int:
    return sum(state.restarts for state in container_states(pod))


def _excerpt(log: ContainerLog) -> Excerpt:
    run = ", the run before" if log.previous else ""
    lines = [safe(line, limit=LONGEST_LINE) for line in log.text.splitlines() if line.strip()][-LINES:]
    return Excerpt(
        title=f"log of {log.namespace}/{log.pod}, container {log.container}{run}",
        lines=tuple(lines),
        why="" if lines else "the container wrote nothing",
    )
