"""Look over whole namespaces at once: objects in few requests, logs and metrics only of what fails and shows no cause.

Never a request for each object: lists by kind and page, and at most `SUSPECTS` logs, of one pod for each suspect. Where that
leaves room for all of them, workloads that call others are listened to as well: a Service that leads nowhere shows in the logs
of healthy pods only.
"""

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Protocol

from agent.domain.finding import Finding
from agent.domain.incident import Window
from agent.domain.objects import ContainerLog, Manifest, Ref, Series
from agent.domain.scan import Scan
from agent.ports import ClusterReader, Gap, Metrics, Observed
from agent.reasoning.platform import namespaces_beyond
from agent.reasoning.survey import callers, grouped, suspects
from agent.stages.gather import Limits, read_metrics
from agent.topology import Topology
from agent.topology.fields import kind_of, mapping, namespace_of, text
from agent.topology.pods import container_states

SUSPECTS = 20
SPACES_WITH_METRICS = 5
BEYOND = 5  # namespaces read beside those that were asked for


class Looker(Protocol):
    """The reasoner, as far as a scan needs it."""

    def look(self, observed: Observed, series: tuple[Series, ...] = ()) -> tuple[Topology, tuple[Finding, ...]]: ...


async def survey(
    namespaces: Sequence[str],
    *,
    reader: ClusterReader,
    metrics: Metrics | None,
    looker: Looker,
    limits: Limits,
    everywhere: bool = False,
) -> Scan:
    """`everywhere`: `namespaces` are all there are. Raises ClusterUnreachable when nothing answers."""
    seen = await reader.overview(() if everywhere else namespaces)
    if everywhere and any(gap.what == "Pod objects" and "no rights" in gap.why for gap in seen.gaps):
        seen = await reader.overview(namespaces)  # whoever may not see pods everywhere may have rights in namespaces
    topology, findings = await asyncio.to_thread(looker.look, seen)
    beyond = () if everywhere else namespaces_beyond(topology)[:BEYOND]
    if beyond:  # what the namespaces call, and what of the platform they hang on, may be what is wrong with them
        wider = await reader.overview((*namespaces, *beyond))
        if len(wider.gaps) <= len(seen.gaps):  # where those may not be read, what was seen stands
            seen = wider
            topology, findings = await asyncio.to_thread(looker.look, seen)
    failing = suspects(findings, topology, namespaces)[:SUSPECTS]
    calling = [one for one in callers(topology, namespaces) if one not in failing]
    gaps, unheard = list(seen.gaps), len(calling)
    heard = calling if len(failing) + len(calling) <= SUSPECTS else []
    if failing or heard:
        closer, series = await _closer([*failing, *heard], topology, seen, reader=reader, metrics=metrics, limits=limits)
        gaps += [gap for gap in closer.gaps if not any(_is_of(gap, one) for one in calling)]
        unheard = sum(1 for one in calling if not any(topology.unit_of_name(_pod(log)) == one for log in closer.logs))
        _, more = await asyncio.to_thread(looker.look, replace(closer, gaps=seen.gaps), series)
        known = {one.id for one in findings}
        findings = (*findings, *(one for one in more if one.id not in known))
    return await asyncio.to_thread(
        grouped, findings, topology, cluster=reader.name, namespaces=tuple(namespaces), gaps=tuple(gaps), unheard=unheard
    )


def _pod(log: ContainerLog) -> Ref:
    return Ref("Pod", log.namespace, log.pod)


def _is_of(gap: Gap, unit: Ref) -> bool:
    """Whether it is the gap of a log of one of the unit's pods, as readers name it: "logs of Pod a/b container c"."""
    return gap.what.startswith(f"logs of Pod {unit.namespace}/{unit.name}-")


async def _closer(
    failing: Sequence[Ref],
    topology: Topology,
    seen: Observed,
    *,
    reader: ClusterReader,
    metrics: Metrics | None,
    limits: Limits,
) -> tuple[Observed, tuple[Series, ...]]:
    """The namespaces of the suspects again, with a log of each and, where there is a Prometheus, metrics."""
    spaces = tuple(dict.fromkeys(one.namespace for one in failing))
    window = Window(start=seen.now - timedelta(minutes=limits.metrics_minutes), end=seen.now)
    logs, (series, missing) = await asyncio.gather(
        reader.logs([stream for unit in failing for stream in _streams(topology, unit)][:SUSPECTS], tail=limits.log_tail),
        read_metrics(spaces[:SPACES_WITH_METRICS] if metrics else (), window, metrics=metrics),
    )
    objects = tuple(one for one in seen.objects if _is_in(one, spaces))
    return replace(seen, objects=objects, logs=logs.logs, gaps=(*logs.gaps, *(missing if metrics else ()))), series


def _streams(topology: Topology, unit: Ref) -> Iterator[tuple[Ref, str, bool]]:
    """The log that is most likely to say why: of the container that restarted most, of its run before where there was one."""
    pods = topology.pods_of(unit) or [one for one in (topology.objects.get(unit),) if one is not None and unit.kind == "Pod"]
    states = [state for pod in pods for state in container_states(pod) if state.restarts or state.running or state.ended]
    if states:
        worst = max(states, key=lambda state: (state.restarts, not state.ready, state.pod, state.name))
        yield worst.pod, worst.name, worst.restarts > 0


def _is_in(one: Manifest, spaces: Sequence[str]) -> bool:
    if kind_of(one) == "Event":
        about = mapping(one, "involvedObject") or mapping(one, "regarding")
        return not text(about, "namespace") or text(about, "namespace") in spaces
    return not namespace_of(one) or namespace_of(one) in spaces
