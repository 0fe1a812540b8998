"""CPU and memory of workloads as metrics show them: CPU that is held back, memory that will run out, processes that are killed
inside a container that lives on."""

import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from agent.checks.callers import log_troubles
from agent.checks.complaints import complaints
from agent.checks.containers import began_words, ended_containers, rollback_params
from agent.checks.degradation import degraded
from agent.checks.registry import check, quote_event, quote_field
from agent.checks.used import containers_at_limit
from agent.domain.finding import Finding, Quote
from agent.domain.objects import Ref, Series
from agent.signals.curves import Curve, gauge, growth, rate, ratio, total
from agent.signals.golden import by_name, unit_of
from agent.signals.searching import index_of
from agent.topology import Topology, pod_spec_of
from agent.topology.fields import at, items, ref_of, text
from agent.topology.pods import container_path, container_states
from agent.topology.quantities import quantity, spoken
from agent.topology.workloads import live_pods, rollback
from sidecar.contract import Json

THROTTLED, HEAVILY = 0.25, 0.6  # of the periods; the first is the mixin's CPUThrottlingHigh, from the second it needs no victim
WINDOW = 300.0  # seconds that "now" is judged by
NEAR, SOON = 0.8, timedelta(minutes=45)  # part of the memory limit, and how soon a straight rise reaches it
STRAIGHT = 0.8  # R squared
_SLOW = re.compile(
    r"\b(?:slow|took (?:longer|too long)|latency|timed? ?out|deadline exceeded|overloaded|event loop (?:lag|delay))", re.I
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Throttling:
    """A container, or a whole pod where cAdvisor shows its cgroup only (container ""). `use`: there are no metrics of throttling,
    and this is what it uses of its limit just now."""

    unit: Ref
    pod: Ref
    container: str
    share: float
    since: datetime
    use: str = ""


def _used_up(topology: Topology) -> dict[Ref, Throttling]:
    """Workloads with a container that uses all the CPU that it may, by the metrics API."""
    return {
        unit: Throttling(
            unit=unit, pod=one.about, container=one.container, share=one.share, since=one.at or topology.now, use=one.words
        )
        for unit, one in containers_at_limit(topology)
        if unit in topology.objects
    }


def throttling(topology: Topology) -> dict[Ref, Throttling]:
    """The most throttled container of each workload over the last minutes."""
    found: dict[Ref, Throttling] = {}
    whole = {_container(one): one for one in by_name(topology).get("container_cpu_cfs_periods_total", ())}
    for one in by_name(topology).get("container_cpu_cfs_throttled_periods_total", ()):
        unit, periods = unit_of(topology, one.labels), whole.get(_container(one))
        if unit is None or periods is None:
            continue
        curve = ratio(rate(one), rate(periods))
        now = curve.after(topology.now.timestamp() - WINDOW)
        if now.size < 3 or now.late(now.size) < THROTTLED:
            continue
        held = Throttling(
            unit=unit,
            pod=Ref("Pod", one.labels.get("namespace", ""), one.labels.get("pod", "")),
            container=one.labels.get("container", ""),
            share=now.late(now.size),
            since=began(curve, THROTTLED),
        )
        if unit not in found or (found[unit].share, found[unit].pod) < (held.share, held.pod):
            found[unit] = held
    return found


def _container(one: Series) -> tuple[str, str, str]:
    return (one.labels.get("namespace", ""), one.labels.get("pod", ""), one.labels.get("container", ""))


def began(curve: Curve, bound: float) -> datetime:
    """When the run above the bound began that lasts until now."""
    place = curve.size - 1
    while place > 0 and curve.values[place - 1] >= bound:
        place -= 1
    return datetime.fromtimestamp(float(curve.times[place]), UTC)


@check("cpu-throttled", weight=0.7)
def held_back(topology: Topology) -> Iterator[Finding]:
    """Throttled in a quarter of the periods with somebody who suffers from it, or in most of them. Jobs may take their time."""
    for unit, one in sorted({**_used_up(topology), **throttling(topology)}.items()):
        effect = _effect(topology, unit)
        if unit.kind in ("Job", "CronJob") or (effect is None and (one.share < HEAVILY or one.use)):
            continue
        spec = pod_spec_of(topology.objects[unit])
        boxes = [box for box in items(spec, "containers") if at(box, "resources", "limits", "cpu") is not None]
        box = next((each for each in boxes if text(each, "name") == one.container), boxes[0] if len(boxes) == 1 else None)
        limit = at(box, "resources", "limits", "cpu")
        params: dict[str, Json] = {"share": round(one.share, 2), "container": text(box, "name") or one.container}
        amount = quantity(limit)
        if amount and box is not None:
            prefix = "/spec/template/spec" if unit.kind != "Pod" else "/spec"
            pointer = f"{prefix}{container_path(spec, text(box, 'name'))}/resources/limits/cpu"
            params |= {"limit": str(limit), "suggested_limit": spoken(amount * 2, limit), "limit_path": pointer}
        back = rollback(topology, unit, None if one.use else one.since)
        at_limit = f" at its CPU limit of {limit}" if limit is not None else ""
        yield Finding(
            cause="cpu-throttled",
            subject=unit,
            since=None if one.use else one.since,  # one look says nothing of the beginning
            affects=(one.pod,),
            params={**params, **rollback_params(back)},
            quotes=(
                quote_field(one.pod, "metrics.k8s.io", one.use, one.since)
                if one.use
                else measured(one.pod, "CFS throttling", f"{one.share:.0%} of periods throttled in the last minutes", one.since),
                *((quote_field(unit, "spec", f"container {text(box, 'name')}: resources.limits.cpu {limit}"),) if limit else ()),
                *((effect,) if effect is not None else ()),
            ),
            statement=f"{unit} is held back{at_limit}: {_held(one)}, which makes it slow{began_words(back)}.",
        )


def _held(one: Throttling) -> str:
    if one.use:
        return f"it uses {one.share:.0%} of that at {one.since:%H:%M:%SZ}, by the metrics API (CPU throttling is not measured)"
    return f"CPU throttling in {one.share:.0%} of its periods since {one.since:%H:%M:%SZ}"


def _effect(topology: Topology, unit: Ref) -> Quote | None:
    """What shows that somebody suffers from a slow workload: its latency, its probes, its own words, or its callers'."""
    slow = degraded(topology).get(unit)
    if slow is not None:
        return measured(unit, "requests", slow.words, slow.onset)
    for pod in live_pods(topology, unit):
        for event in reversed(topology.events_about(ref_of(pod))):
            recent = event.last is not None and topology.now - event.last <= timedelta(minutes=15)
            if event.reason == "Unhealthy" and recent and re.search(r"timeout|deadline exceeded", event.message):
                return quote_event(event)
    for caller, trouble, quote in log_troubles(topology):
        service = topology.host(trouble.host, caller.namespace)
        behind = {topology.unit(edge.target) for edge in topology.edges.get(service, ())} if service is not None else set()
        if trouble.kind == "timeout" and unit in behind:
            return quote
    for log in topology.logs_of(unit):
        for line in reversed(
            index_of(topology, log).lines_with(("slow", "took", "latency", "timed", "timeout", "deadline", "overloaded", "lag"))
        ):
            if _SLOW.search(line):
                return Quote(source=f"log: {unit} container {log.container}", about=unit, text=line[:600])
    complaint = complaints(topology).get(unit)
    return Quote(source=f"log: {unit}", about=unit, text=complaint.account.origin.text[:600]) if complaint is not None else None


def measured(about: Ref, what: str, words: str, since: datetime | None = None) -> Quote:
    return Quote(source=f"prometheus: {about} {what}", about=about, text=words, at=since)


@check("memory-will-run-out", weight=0.45)
def memory_climbs(topology: Topology) -> Iterator[Finding]:
    """A working set that rises in a straight line and reaches the limit soon. A high and level one is healthy."""
    limits = {
        _container(one): one.samples[-1][1]
        for one in by_name(topology).get("kube_pod_container_resource_limits", ())
        if one.labels.get("resource") == "memory" and one.samples
    }
    worst: dict[Ref, tuple[float, Finding]] = {}
    for one in by_name(topology).get("container_memory_working_set_bytes", ()):
        unit, curve = unit_of(topology, one.labels), gauge(one)
        limit = limits.get(_container(one)) or _only_limit(limits, one)
        if unit is None or unit.kind == "Job" or not limit or curve.size < 20 or not NEAR * limit <= curve.late() <= limit:
            continue
        rise = growth(curve, limit)
        if rise is None or rise.fit < STRAIGHT or rise.seconds > SOON.total_seconds() or _fell(topology, unit):
            continue
        began = datetime.fromtimestamp(float(curve.times[0]), UTC)
        minutes = rise.seconds / 60
        found = Finding(
            cause="memory-will-run-out",
            subject=unit,
            since=began,
            params={
                "minutes": round(minutes),
                "container": one.labels.get("container", ""),
                **rollback_params(rollback(topology, unit, None)),
            },
            quotes=(
                measured(unit, "working set", f"{_mib(curve.late())} of {_mib(limit)}, rising {_mib(rise.slope * 60)} a minute"),
            ),
            statement=f"The memory of {unit} rises in a straight line, by {_mib(rise.slope * 60)} a minute, and is at"
            f" {curve.late() / limit:.0%} of its limit of {_mib(limit)}: it will be OOMKilled in about {minutes:.0f} minutes (a"
            f" leak, or work that piles up).",
        )
        if unit not in worst or rise.seconds < worst[unit][0]:
            worst[unit] = (rise.seconds, found)
    yield from (found for _, (_, found) in sorted(worst.items()))


def _only_limit(limits: dict[tuple[str, str, str], float], one: Series) -> float:
    """The limit of the pod's one container, for series of the pod's cgroup."""
    own = [value for key, value in limits.items() if key[:2] == _container(one)[:2]]
    return own[0] if len(own) == 1 and not one.labels.get("container") else 0.0


def _fell(topology: Topology, unit: Ref) -> bool:
    """Already killed for it: that is told by another check."""
    return any(owner == unit and state.end_reason == "OOMKilled" for _, owner, state in ended_containers(topology))


def _mib(value: float) -> str:
    return f"{value / 2**20:.0f} MiB" if value >= 2**20 else f"{value / 2**10:.0f} KiB"


@check("child-out-of-memory", weight=0.88)
def a_child_is_killed(topology: Topology) -> Iterator[Finding]:
    """container_oom_events_total rises and no container ended: the kernel killed one of several processes."""
    for unit, found in sorted(by_unit(topology, "container_oom_events_total").items()):
        series = [one for one in found if _lives_on(topology, one)]
        curve = total([rate(one) for one in series])
        hits = curve.times[curve.values > 0]
        if not hits.size or topology.now.timestamp() - hits[-1] > 900 or _fell(topology, unit):
            continue
        since = datetime.fromtimestamp(float(hits[0]), UTC)
        kills = round(sum(max(0.0, one.samples[-1][1] - one.samples[0][1]) for one in series))
        back = rollback(topology, unit, since)
        yield Finding(
            cause="child-out-of-memory",
            subject=unit,
            since=since,
            params={"kills": kills, **rollback_params(back)},
            quotes=(measured(unit, "container_oom_events_total", f"{kills} more since {since:%H:%M:%SZ}", since),),
            statement=f"Processes inside the containers of {unit} are killed for lack of memory ({kills} since"
            f" {since:%H:%M:%SZ}), while the containers live on: nothing restarts, no pod shows OOMKilled{began_words(back)}.",
        )


def _lives_on(topology: Topology, one: Series) -> bool:
    """Whether the pod is there and its containers have not begun anew: else it was they who were killed."""
    pod = topology.get("Pod", one.labels.get("namespace", ""), one.labels.get("pod", ""))
    return pod is not None and not any(state.restarts or state.ended for state in container_states(pod) if not state.init)


def by_unit(topology: Topology, name: str) -> dict[Ref, list[Series]]:
    found: dict[Ref, list[Series]] = defaultdict(list)
    for one in by_name(topology).get(name, ()):
        unit = unit_of(topology, one.labels)
        if unit is not None and one.samples:
            found[unit].append(one)
    return found
