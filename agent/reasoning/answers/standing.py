"""How a thing stands that nothing is wrong with: what whoever asks about it would otherwise have to look up. Pure."""

from collections.abc import Iterator
from datetime import datetime

from agent.domain.objects import Manifest, Ref
from agent.reasoning.answers.reply import counted, moment
from agent.signals.masking import safe
from agent.topology import Topology
from agent.topology.fields import at, condition, controller_of, created_at, items, mapping, number, ref_of, text, time_at
from agent.topology.pods import container_states, is_ready
from agent.topology.surroundings import is_default
from agent.topology.workloads import CONTROLLED, live_pods, previous_size, wanted

AT_MOST = 3
_OVER = {"Complete": "has ended well", "Failed": "has failed", "Suspended": "is suspended"}


def standing(ref: Ref, topology: Topology) -> str:
    """A sentence about the object: its pods, what it rests for, when it last ran or fell. "" for what is not known."""
    manifest = topology.objects.get(ref)
    if manifest is None:
        return ""
    told = "; ".join(_told(ref, manifest, topology))
    return safe(f"{ref}: {told}.", limit=500) if told else ""


def _told(ref: Ref, manifest: Manifest, topology: Topology) -> Iterator[str]:
    match ref.kind:
        case kind if kind in CONTROLLED:
            yield from _workload(ref, manifest, topology)
        case "Service":
            yield _service(manifest, topology)
        case "PersistentVolumeClaim":
            yield _claim(manifest, topology)
        case "CronJob":
            yield from _cron(ref, manifest, topology)
        case "Job":
            yield _job(manifest, topology)
        case "HorizontalPodAutoscaler":
            yield _scaler(manifest)
        case "Node":
            yield from _node(ref, manifest, topology)


def _workload(ref: Ref, manifest: Manifest, topology: Topology) -> Iterator[str]:
    goal, pods = wanted(manifest), live_pods(topology, ref)
    if goal == 0:
        size = previous_size(topology, ref)
        kept = "no node takes its pods" if ref.kind == "DaemonSet" else "it is scaled to 0 replicas"
        yield f"{kept}{f' (it had {size})' if size else ''}, so it has no pods, and nobody was seen to miss it"
    else:
        yield f"{sum(1 for pod in pods if is_ready(pod))} of {goal} pods ready"
    if at(manifest, "spec", "paused") is True:
        yield "its rollouts are paused (spec.paused), and no change waits"
    ends = [(one.ended_at, one) for pod in pods for one in container_states(pod) if one.restarts and one.ended_at is not None]
    if ends:
        when, last = max(ends, key=lambda one: (one[0], one[1].name))
        count = sum(one.restarts for _, one in ends)
        why = f"{last.end_reason or 'ended'}, exit {last.exit_code}"
        yield f"its containers were restarted {counted(count, 'time')} in all, the last time {moment(when)} ({why})"
    gone = [pod for pod in topology.pods_of(ref) if text(pod, "status", "reason") == "Evicted"]
    if gone:
        yield f"{counted(len(gone), 'evicted pod')} of it {'is' if len(gone) == 1 else 'are'} left over"


def _service(manifest: Manifest, topology: Topology) -> str:
    if text(manifest, "spec", "type") == "ExternalName":
        return (
            f"it stands for {text(manifest, 'spec', 'externalName')}, which is outside this cluster and cannot be seen from here"
        )
    if not mapping(manifest, "spec", "selector"):
        return "it has no selector: somebody writes its endpoints by hand, and what stands behind them cannot be seen from here"
    pods = topology.selected_by(manifest)
    ready = sum(1 for pod in pods if is_ready(pod))
    return f"{ready} of {counted(len(pods), 'pod')} behind it ready" if pods else "no pod is behind it, and none is meant to be"


def _claim(manifest: Manifest, topology: Topology) -> str:
    phase = text(manifest, "status", "phase")
    name = text(manifest, "spec", "storageClassName")
    kinds = topology.of_kind("StorageClass")
    kind = next((one for one in kinds if ref_of(one).name == name or (not name and is_default(one))), {})
    if phase == "Pending" and text(kind, "volumeBindingMode") == "WaitForFirstConsumer":
        return "it is Pending because no pod uses it yet (WaitForFirstConsumer), which is by design"
    return f"it is {phase or 'of no known phase'}"


def _cron(ref: Ref, manifest: Manifest, topology: Topology) -> Iterator[str]:
    schedule = text(manifest, "spec", "schedule")
    if at(manifest, "spec", "suspend") is True:
        yield f"it is suspended (schedule {schedule}), so it starts no runs"
    else:
        yield f"its schedule is {schedule}"
    for field, words in (("lastScheduleTime", "a run was started last"), ("lastSuccessfulTime", "the last run ended well")):
        when = time_at(manifest, "status", field)
        if when is not None:
            yield f"{words} {moment(when)}"
    runs = [one for one in topology.in_namespace("Job", ref.namespace) if controller_of(one) == ref]
    failed = [ref_of(one).name for one in runs if text(condition(one, "Failed"), "status") == "True"]
    if failed:
        yield f"{', '.join(sorted(failed)[-AT_MOST:])} failed, and a later run ended well"
    if items(manifest, "status", "active"):
        yield "a run is active"


def _job(manifest: Manifest, topology: Topology) -> str:
    for kind, words in _OVER.items():
        said = condition(manifest, kind)
        if text(said, "status") == "True":
            when: datetime | None = time_at(said, "lastTransitionTime")
            later = ", and a later run of its CronJob ended well" if kind == "Failed" and controller_of(manifest) else ""
            return f"it {words}{f' {moment(when)}' if when else ''}{later}"
    begun = time_at(manifest, "status", "startTime") or created_at(manifest)
    tries = number(manifest, "status", "failed") + sum(
        one.restarts for pod in topology.pods_of(ref_of(manifest)) for one in container_states(pod)
    )
    again = f", after {counted(tries, 'attempt')} that failed" if tries else ""
    return f"it runs{f' since {moment(begun)}' if begun else ''}{again}"


def _scaler(manifest: Manifest) -> str:
    now, most = number(manifest, "status", "currentReplicas"), number(manifest, "spec", "maxReplicas")
    least = number(manifest, "spec", "minReplicas", default=1)
    where = " (its upper bound)" if now >= most else " (its lower bound)" if now <= least else ""
    return f"it keeps {now} replicas{where}, between {least} and {most}"


def _node(ref: Ref, manifest: Manifest, topology: Topology) -> Iterator[str]:
    said = condition(manifest, "Ready")
    since = time_at(said, "lastTransitionTime")
    yield f"Ready={text(said, 'status')}{f' since {moment(since)}' if since else ''}"
    if at(manifest, "spec", "unschedulable") is True:
        yield "it is cordoned, and no pod waits for it"
    count = sum(1 for pod in topology.of_kind("Pod") if text(pod, "spec", "nodeName") == ref.name)
    version = text(manifest, "status", "nodeInfo", "kubeletVersion") or "of unknown version"
    yield f"{counted(count, 'pod')} on it, kubelet {version}"
