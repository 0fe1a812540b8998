"""Nodes that carry too much and queues that grow, seen in metrics. A busy node alone is no fault: somebody has to suffer."""

import re
from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from agent.checks.degradation import degraded
from agent.checks.registry import check, quote_event, quote_field
from agent.checks.saturation import WINDOW, began, measured
from agent.checks.used import Use, nodes_at_limit
from agent.domain.finding import Finding, Quote
from agent.domain.objects import Ref, Series
from agent.signals.curves import Curve, gauge, rate, ratio, shift, total
from agent.signals.golden import by_name, unit_of
from agent.topology import Topology
from agent.topology.fields import at, ref_of, text
from agent.topology.quantities import quantity

BUSY, PRESSED = 0.95, 0.5  # of the allocatable CPU; share of time in which work waits for CPU (PSI)
MEMORY_LEFT, TABLE = 0.05, 0.95
_QUEUE = re.compile(
    r"(?:^|_)(?:queue_(?:size|length|depth)|queued_(?:tasks|jobs|requests|messages)|consumergroup_lag|consumer_lag|messages_ready"
    r"|queue_messages_ready|backlog|pending_(?:tasks|jobs|messages))$"
)
GROWN, AT_LEAST = 5.0, 50.0  # times as long as before, and at least so many entries more


def nodes_of(topology: Topology, names: tuple[str, ...]) -> dict[Ref, dict[str, list[Series]]]:
    """Series of these names by node: by the label that names it, else by the address that was scraped."""
    found: dict[Ref, dict[str, list[Series]]] = defaultdict(lambda: defaultdict(list))
    for name in names:
        for one in by_name(topology).get(name, ()):
            node = node_of(topology, one)
            if node is not None and one.samples and topology.now.timestamp() - one.samples[-1][0] <= WINDOW:
                found[node][name].append(one)
    return found


def node_of(topology: Topology, one: Series) -> Ref | None:
    for label in ("node", "kubernetes_node", "nodename", "instance"):
        value = one.labels.get(label, "")
        for name in (value, value.rpartition(":")[0]):
            if name and Ref("Node", "", name) in topology.objects:
                return Ref("Node", "", name)
            holder = topology.host(name, "") if name and name[0].isdigit() else None
            if holder is not None and holder.kind == "Node":
                return holder
    return None


@check("node-overloaded", weight=0.7)
def carries_too_much(topology: Topology) -> Iterator[Finding]:
    """CPU that is used up, or that work waits for, while workloads on the node suffer; or next to no memory left."""
    used, at_limit = _cpu(topology), {one.about: one for one in nodes_at_limit(topology)}
    pressure = nodes_of(topology, ("node_pressure_cpu_waiting_seconds_total",))
    memory = nodes_of(topology, ("node_memory_MemAvailable_bytes", "node_memory_MemTotal_bytes"))
    for manifest in topology.of_kind("Node"):
        ref = ref_of(manifest)
        told: list[tuple[str, datetime]] = []
        waits = pressure.get(ref, {}).get("node_pressure_cpu_waiting_seconds_total", [])
        for curve, bound, words in (
            (used.get(ref), BUSY, "uses {:.0%} of the CPU that it can allocate"),
            (total([rate(one) for one in waits]), PRESSED, "lets work wait for CPU {:.0%} of the time"),
        ):
            if curve is not None and curve.size >= 3 and curve.after(topology.now.timestamp() - WINDOW).late(9) >= bound:
                told.append((words.format(curve.late()), began(curve, bound)))
        now = at_limit.get(ref) if ref not in used else None
        if now is not None:
            told.append((now.words, now.at or topology.now))
        suffers = _sufferers(topology, ref) if told else []
        left = memory.get(ref, {})
        free = ratio(_gauges(left.get("node_memory_MemAvailable_bytes", [])), _gauges(left.get("node_memory_MemTotal_bytes", [])))
        if free.size and free.late() < MEMORY_LEFT:
            told.append((f"has {free.late():.1%} of its memory left", datetime.fromtimestamp(float(free.times[-1]), UTC)))
        elif not suffers:
            continue
        since = min(when for _, when in told)
        units = tuple(sorted({unit for unit, _ in suffers}))
        also = f", and {', '.join(map(str, units[:4]))} on it suffer" if units else ""
        yield Finding(
            cause="node-overloaded",
            subject=ref,
            since=since,
            affects=units,
            quotes=(*(_shown(ref, words, when, now) for words, when in told), *(quote for _, quote in suffers[:2])),
            statement=f"{ref} {' and '.join(words for words, _ in told)} since {since:%H:%M:%SZ}{also}.",
        )


def _shown(node: Ref, words: str, when: datetime, now: Use | None) -> Quote:
    if now is not None and words == now.words:
        return quote_field(node, "metrics.k8s.io", words, when)
    return measured(node, "load", words, when)


def _cpu(topology: Topology) -> dict[Ref, Curve]:
    """CPU in use over allocatable CPU: of the node where an exporter tells, else the sum of its pods' (a lower bound)."""
    curves: dict[Ref, list[Curve]] = defaultdict(list)
    for node, series in nodes_of(topology, ("node_cpu_seconds_total",)).items():
        busy = [one for one in series["node_cpu_seconds_total"] if one.labels.get("mode") not in ("idle", "iowait", "steal")]
        curves[node] = [rate(one) for one in busy]
    if not curves:
        for pod, own in _cpu_of_pods(topology).items():
            holder = Ref("Node", "", text(topology.objects[pod], "spec", "nodeName"))
            curves[holder] += [rate(one) for one in own]
    found = {}
    for node, ones in curves.items():
        cores = quantity(at(topology.objects.get(node, {}), "status", "allocatable", "cpu")) or 0.0
        summed = total(ones)
        if cores and summed.size:
            found[node] = Curve(summed.times, summed.values / cores)
    return found


def _cpu_of_pods(topology: Topology) -> dict[Ref, list[Series]]:
    """The series of a pod's containers, or the one of its cgroup where there are no others."""
    own: dict[Ref, list[Series]] = defaultdict(list)
    whole: dict[Ref, list[Series]] = defaultdict(list)
    for one in by_name(topology).get("container_cpu_usage_seconds_total", ()):
        pod = Ref("Pod", one.labels.get("namespace", ""), one.labels.get("pod", ""))
        if pod in topology.objects and one.labels.get("container") != "POD":
            (own if one.labels.get("container") else whole)[pod].append(one)
    return {**whole, **own}


def _gauges(series: list[Series]) -> Curve:
    return total([gauge(one) for one in series])


def _sufferers(topology: Topology, node: Ref) -> list[tuple[Ref, Quote]]:
    """Workloads with a pod on the node that got slow, or whose probes time out."""
    found = []
    for pod in topology.of_kind("Pod"):
        if text(pod, "spec", "nodeName") != node.name:
            continue
        unit = topology.unit(ref_of(pod))
        slow = degraded(topology).get(unit)
        if slow is not None:
            found.append((unit, measured(unit, "requests", slow.words, slow.onset)))
        for event in topology.events_about(ref_of(pod)):
            recent = event.last is not None and topology.now - event.last <= timedelta(minutes=15)
            if event.reason == "Unhealthy" and recent and re.search(r"timeout|deadline exceeded", event.message):
                found.append((unit, quote_event(event)))
                break
    return sorted(found, key=lambda one: one[0])


@check("conntrack-full", weight=0.9)
def table_is_full(topology: Topology) -> Iterator[Finding]:
    """node_nf_conntrack_entries near its limit: new connections of everything on the node are dropped."""
    used, most = "node_nf_conntrack_entries", "node_nf_conntrack_entries_limit"
    for node, series in sorted(nodes_of(topology, (used, most)).items()):
        curve = ratio(_gauges(series.get(used, [])), _gauges(series.get(most, [])))
        if not curve.size or curve.late() < TABLE:
            continue
        since = began(curve, TABLE)
        units = sorted(
            {topology.unit(ref_of(pod)) for pod in topology.of_kind("Pod") if text(pod, "spec", "nodeName") == node.name}
        )
        yield Finding(
            cause="conntrack-full",
            subject=node,
            since=since,
            affects=tuple(units),
            quotes=(measured(node, "connection table", f"{curve.late():.0%} of nf_conntrack_max in use", since),),
            statement=f"The connection tracking table of {node} is {curve.late():.0%} full since {since:%H:%M:%SZ}, so new"
            f" connections from and to its pods are dropped.",
        )


@check("queue-growing", weight=0.25, symptom=True)
def work_piles_up(topology: Topology) -> Iterator[Finding]:
    """A queue that is many times as long as before: whoever works it off is too slow, or stopped. Not why."""
    for name, series in sorted(by_name(topology).items()):
        if _QUEUE.search(name) is None:
            continue
        curves: dict[Ref, list[Curve]] = defaultdict(list)
        for one in series:
            unit = unit_of(topology, one.labels)
            if unit is not None:
                curves[unit].append(gauge(one))
        for unit, ones in sorted(curves.items()):
            found = shift(total(ones))
            if found is None or found.times < GROWN or found.after - found.before < AT_LEAST:
                continue
            words = f"{name}: {found.before:.0f} before {found.onset:%H:%M:%SZ}, {found.after:.0f} since"
            yield Finding(
                cause="queue-growing",
                subject=unit,
                symptom_only=True,
                since=found.onset,
                quotes=(measured(unit, "queue", words, found.onset),),
                statement=f"Work piles up: {words} ({unit}).",
            )
