"""Pods that wait without a word of why: pending as such, held back on purpose, or for a scheduler that does not run."""

from collections.abc import Iterator

from agent.checks.registry import check, quote_field
from agent.checks.scheduling import pods_said, unplaced
from agent.domain.finding import Finding
from agent.topology import Topology
from agent.topology.fields import condition, created_at, items, ref_of, text
from agent.topology.pods import is_finished, is_scheduled


@check("pod-pending", weight=0.2, symptom=True)
def pending(topology: Topology) -> Iterator[Finding]:
    for one in unplaced(topology):
        yield Finding(
            cause="pod-pending",
            subject=one.unit,
            since=one.since,
            affects=one.refs,
            quotes=one.quotes,
            symptom_only=True,
            statement=f"{pods_said(one)} are Pending and on no node{f': {one.words[:200]}' if one.words else ''}.",
        )


@check("scheduler-unknown", weight=0.9)
def nobody_schedules(topology: Topology) -> Iterator[Finding]:
    """Pending without a word from any scheduler, under a schedulerName that has placed nothing."""
    used = {text(pod, "spec", "schedulerName") for pod in topology.of_kind("Pod") if is_scheduled(pod) or is_finished(pod)} | {
        "default-scheduler"
    }
    for one in unplaced(topology):
        name = text(one.spec, "schedulerName")
        if one.said is None and name and name not in used:
            yield Finding(
                cause="scheduler-unknown",
                subject=one.unit,
                since=one.since,
                affects=one.refs,
                params={"scheduler": name},
                quotes=(quote_field(one.unit, "spec", f"schedulerName: {name}"),),
                statement=f"{pods_said(one)} ask for scheduler {name}, and no scheduler of that name acts on them.",
            )


@check("scheduling-gated", weight=0.8)
def gated(topology: Topology) -> Iterator[Finding]:
    """PodScheduled=False reason SchedulingGated: a queue or controller holds the pod back on purpose, longer than usual."""
    for unit, pods in sorted(topology.pods_by_owner.items()):
        held = [pod for pod in pods if text(condition(pod, "PodScheduled"), "reason") == "SchedulingGated"]
        made = created_at(held[0]) if held else None
        if held and made is not None and (topology.now - made).total_seconds() > 600:
            gates = [text(gate, "name") for gate in items(held[0], "spec", "schedulingGates")]
            yield Finding(
                cause="scheduling-gated",
                subject=unit,
                since=made,
                affects=tuple(ref_of(pod) for pod in held),
                params={"gates": list(gates)},
                statement=f"{len(held)} pods of {unit} are held back by scheduling gate {', '.join(gates)}.",
            )
