"""Pods that a vertical autoscaler puts out again and again to give them other requests."""

from collections.abc import Iterator
from datetime import timedelta

from agent.checks.registry import check, quote_event, quote_field
from agent.domain.finding import Finding
from agent.domain.objects import Ref
from agent.topology import Happening, Topology
from agent.topology.fields import labels_of, mapping, name_of, namespace_of, number, ref_of, text

WITHIN = timedelta(hours=2)
OFTEN = 4  # evictions within that time; one a pod when a recommendation has changed is as wanted


@check("vpa-evicts", weight=0.88)
def evicts_again_and_again(topology: Topology) -> Iterator[Finding]:
    """Events EvictedByVPA of one workload, more than its pods are."""
    for autoscaler in topology.of_kind("VerticalPodAutoscaler"):
        named = mapping(autoscaler, "spec", "targetRef")
        target = Ref(text(named, "kind"), namespace_of(autoscaler), text(named, "name"))
        if target not in topology.objects:
            continue
        told = list(_evictions(topology, target))
        count = sum(max(one.count, 1) for one in told)
        size = number(topology.objects[target], "spec", "replicas", default=1)
        if count < max(OFTEN, size + 1):
            continue
        ref, mode = ref_of(autoscaler), text(autoscaler, "spec", "updatePolicy", "updateMode") or "Auto"
        yield Finding(
            cause="vpa-evicts",
            subject=ref,
            since=min((one.first for one in told if one.first is not None), default=None),
            affects=(target,),
            params={"count": count, "mode": mode, "target": str(target)},
            quotes=(*(quote_event(one) for one in told[-2:]), quote_field(ref, "spec.updatePolicy", f"updateMode {mode}")),
            statement=f"{ref} (updateMode {mode}) has evicted pods of {target} {count} times within"
            f" {WITHIN.seconds // 3600} hours to apply its recommendation: they do not crash, they are put out.",
        )


def _evictions(topology: Topology, target: Ref) -> Iterator[Happening]:
    """Also of pods that are gone, whose ReplicaSet may be gone too: by its name, which begins with the workload's."""
    labelled = {name_of(pod) for pod in topology.pods_of(target) if labels_of(pod)}
    for about, event in topology.told("EvictedByVPA"):
        if about.namespace != target.namespace or (event.last is not None and topology.now - event.last > WITHIN):
            continue
        stem = about.name.rpartition("-")[0]
        if about.name in labelled or topology.unit_of_name(about) == target or stem.rpartition("-")[0] == target.name:
            yield event
