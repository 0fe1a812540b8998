"""Nodes: not ready, under pressure, and the pods that they put out."""

import re
from collections.abc import Iterator
from datetime import datetime, timedelta

from agent.checks.containers import began_words, rollback_params
from agent.checks.registry import check, earliest, quote_condition, quote_event, quote_field
from agent.domain.finding import Finding
from agent.domain.objects import Manifest, Ref
from agent.topology import Topology, pod_spec_of
from agent.topology.fields import at, condition, created_at, items, mapping, ref_of, text, time_at
from agent.topology.pods import container_path, containers
from agent.topology.quantities import quantity, spoken
from agent.topology.workloads import CONTROLLED, is_serving, live_pods, rollback, wanted
from sidecar.contract import Json

_PRESSURE = {"MemoryPressure": "memory", "DiskPressure": "disk", "PIDPressure": "process ids"}
LATELY = timedelta(minutes=30)
OFTEN = 3  # refusals within that time that are no matter of one restart of a node
# Condition types of node-problem-detector (kubernetes/node-problem-detector, AKS, GKE) say by name that something is wrong; those
# of EKS' node monitoring agent are called ...Ready, and False is bad. What a type unknown to both means, nobody can know.
_TROUBLE = re.compile(
    r"Problem$|Deadlock$|^Frequent|^Readonly|^Corrupt|Unhealthy$|Unavailable$"
    r"|Fail(?:ed|ure|ing)$|Errors?$|Down$|Hung$|Stuck$|^OutOf"
)
_GOOD = re.compile(r"(?:Ready|Healthy)$")
_LEAVES = re.compile(r"^(?:Preempt|Reboot|Redeploy|Freeze|Terminate|VMEvent|Maintenance)\w*Scheduled$|^\w+EventScheduled$")
_LEAVING_TAINTS = (
    "aws-node-termination-handler/",
    "cloud.google.com/impending-node-termination",
    "remediation.",
    "node.cloudprovider.kubernetes.io/shutdown",
)


@check("node-not-ready", weight=0.95)
def not_ready(topology: Topology) -> Iterator[Finding]:
    """Ready=False or Unknown. Pods on it still read Running; only their Ready condition turns."""
    for node in topology.of_kind("Node"):
        said, ref = condition(node, "Ready"), ref_of(node)
        if not said or text(said, "status") == "True":
            continue
        silent = text(said, "status") == "Unknown"
        units = {topology.unit(ref_of(pod)) for pod in topology.of_kind("Pod") if text(pod, "spec", "nodeName") == ref.name}
        yield Finding(
            cause="node-not-ready",
            subject=ref,
            since=time_at(said, "lastTransitionTime"),
            affects=tuple(sorted(units)),
            quotes=tuple(quote_condition(node, "Ready")),
            params={"kubelet_silent": silent},
            statement=f"{ref} is not ready ({text(said, 'reason')}): {text(said, 'message')[:250]}.",
        )


@check("node-pressure", weight=0.9)
def pressed(topology: Topology) -> Iterator[Finding]:
    for node in topology.of_kind("Node"):
        for kind, what in _PRESSURE.items():
            said, ref = condition(node, kind), ref_of(node)
            if text(said, "status") == "True":
                yield Finding(
                    cause="node-pressure",
                    subject=ref,
                    since=time_at(said, "lastTransitionTime"),
                    params={"resource": what},
                    quotes=tuple(quote_condition(node, kind)),
                    statement=f"{ref} runs short of {what} ({kind}): {text(said, 'message')[:200]}.",
                )


@check("node-kernel-trouble", weight=0.9)
def kernel(topology: Topology) -> Iterator[Finding]:
    """Conditions beside those of the kubelet: of node-problem-detector True is bad, of a ...Ready False is."""
    for node in topology.of_kind("Node"):
        for said in items(node, "status", "conditions"):
            kind, status = text(said, "type"), text(said, "status")
            ill = (status == "True" and _TROUBLE.search(kind)) or (status == "False" and kind != "Ready" and _GOOD.search(kind))
            if ill:
                yield Finding(
                    cause="node-kernel-trouble",
                    subject=ref_of(node),
                    since=time_at(said, "lastTransitionTime"),
                    params={"condition": kind, "reason": text(said, "reason")},
                    quotes=tuple(quote_condition(node, kind)),
                    statement=f"{ref_of(node)} reports {kind}={status} ({text(said, 'reason')}): {text(said, 'message')[:250]}.",
                )


@check("node-going-away", weight=0.85)
def leaves(topology: Topology) -> Iterator[Finding]:
    """The cloud has said that it takes the machine away or restarts it: scheduled events, spot machines reclaimed."""
    for node in topology.of_kind("Node"):
        ref = ref_of(node)
        told = [
            (
                text(one, "type"),
                text(one, "message"),
                time_at(one, "lastTransitionTime"),
                tuple(quote_condition(node, text(one, "type"))),
            )
            for one in items(node, "status", "conditions")
            if text(one, "status") == "True" and _LEAVES.search(text(one, "type"))
        ]
        for taint in items(node, "spec", "taints"):
            key, when = text(taint, "key"), time_at(taint, "timeAdded")
            if key.startswith(_LEAVING_TAINTS):
                told.append((f"taint {key}", text(taint, "value"), when, (quote_field(ref, "spec.taints", key, when),)))
        if not told:
            continue
        mark, words, since, quotes = told[0]
        units = {topology.unit(ref_of(pod)) for pod in topology.of_kind("Pod") if text(pod, "spec", "nodeName") == ref.name}
        yield Finding(
            cause="node-going-away",
            subject=ref,
            since=since,
            affects=tuple(sorted(one for one in units if one.kind != "DaemonSet")),
            params={"mark": mark, "cordoned": at(node, "spec", "unschedulable") is True},
            quotes=quotes,
            statement=f"{ref} is about to be taken away or restarted by whoever runs the machines ({mark}"
            f"{f': {words[:200]}' if words else ''}).",
        )


def evicted(topology: Topology, words: str) -> Iterator[tuple[Ref, list[Manifest], str]]:
    """(workload, its evicted pods, message) for evictions whose message holds the words."""
    for unit, pods in sorted(topology.pods_by_owner.items()):
        gone = [pod for pod in pods if text(pod, "status", "reason") == "Evicted" and words in text(pod, "status", "message")]
        if gone:
            gone.sort(key=lambda pod: (str(at(pod, "metadata", "creationTimestamp")), ref_of(pod)))
            yield unit, gone, text(gone[-1], "status", "message").strip()


@check("ephemeral-storage-eviction", weight=0.95)
def wrote_too_much(topology: Topology) -> Iterator[Finding]:
    """Evicted because local writes passed the limit of the container, the pod or an emptyDir."""
    for unit, gone, said in evicted(topology, "ephemeral local storage usage exceeds"):
        yield _storage(topology, unit, gone, said)
    for unit, gone, said in evicted(topology, "exceeds the limit"):
        if "emptyDir" in said:
            yield _storage(topology, unit, gone, said)


def _storage(topology: Topology, unit: Ref, gone: list[Manifest], said: str) -> Finding:
    spec = pod_spec_of(topology.objects.get(unit, gone[-1])) or pod_spec_of(gone[-1])
    since = created_at(gone[0])
    back = rollback(topology, unit, since)
    params: dict[str, Json] = {"evicted": len(gone), **rollback_params(back)}
    limit = ""
    for container in containers(spec, init=False):
        value = at(container, "resources", "limits", "ephemeral-storage")
        if value is not None:
            name, limit = text(container, "name"), str(value)
            params |= {
                "container": name,
                "limit": limit,
                "suggested_limit": spoken((quantity(limit) or 0) * 2, limit),
                "limit_path": f"/spec/template/spec{container_path(spec, name)}/resources/limits/ephemeral-storage",
            }
            break
    ended = _last_end(topology, unit, gone)
    lately = ended is None or topology.now - ended < LATELY
    over = re.sub(r"\s+", " ", said).rstrip(". ")
    return Finding(
        cause="ephemeral-storage-eviction",
        subject=unit,
        state="active" if lately else "past",
        since=since,
        params=params,
        affects=tuple(ref_of(pod) for pod in gone[-5:]),
        quotes=(
            quote_field(ref_of(gone[-1]), "status", f"reason Evicted: {said}", ended),
            *(quote_event(one) for one in topology.events_about(ref_of(gone[-1])) if one.reason == "Evicted"),
        ),
        statement=f"The kubelet has evicted {len(gone)} pod(s) of {unit}:"
        f" {over}{f' (ephemeral-storage limit {limit})' if limit else ''}"
        f"{began_words(back)}.",
    )


def _last_end(topology: Topology, unit: Ref, gone: list[Manifest]) -> datetime | None:
    """When the last of the pods was put out, or a time that is not before it: an evicted pod may keep neither conditions nor
    events, but whoever owns it made another one right then."""
    known = [
        when for pod in gone for when in (time_at(condition(pod, "Ready"), "lastTransitionTime"), *_told(topology, pod)) if when
    ]
    if known:
        return max(known)
    made = [when for pod in live_pods(topology, unit) if (when := created_at(pod)) is not None]
    return max((*made, *(when for pod in gone if (when := created_at(pod)) is not None))) if made else None


def _lately(topology: Topology, gone: list[Manifest]) -> list[Manifest]:
    return [pod for pod in gone if (made := created_at(pod)) is not None and topology.now - made < LATELY]


def _told(topology: Topology, pod: Manifest) -> list[datetime | None]:
    return [event.last for event in topology.events_about(ref_of(pod)) if event.reason == "Evicted"]


@check("node-pressure-eviction", weight=0.75)
def put_out(topology: Topology) -> Iterator[Finding]:
    """Evicted because the node ran low on something; the node's pressure is the cause while it lasts."""
    for unit, gone, said in evicted(topology, "low on resource"):
        ended = _last_end(topology, unit, gone)
        lately = ended is None or topology.now - ended < LATELY
        yield Finding(
            cause="node-pressure-eviction",
            subject=unit,
            state="active" if lately else "past",
            since=created_at(gone[0]),
            affects=tuple(ref_of(pod) for pod in gone[-5:]),
            quotes=(quote_field(ref_of(gone[-1]), "status", f"Evicted: {said}", ended),),
            statement=f"{len(gone)} pod(s) of {unit} were evicted from node {text(gone[-1], 'spec', 'nodeName')}: {said[:250]}.",
        )


@check("pod-preempted", weight=0.8)
def preempted(topology: Topology) -> Iterator[Finding]:
    """DisruptionTarget PreemptionByScheduler: a pod of higher priority took the place."""
    for unit, pods in sorted(topology.pods_by_owner.items()):
        gone = [pod for pod in pods if text(condition(pod, "DisruptionTarget"), "reason") == "PreemptionByScheduler"]
        times = [time_at(condition(pod, "DisruptionTarget"), "lastTransitionTime") for pod in gone]
        if gone:
            last = max((time for time in times if time), default=None)
            lately = last is None or topology.now - last < LATELY
            yield Finding(
                cause="pod-preempted",
                subject=unit,
                state="active" if lately else "past",
                since=earliest(*times),
                quotes=tuple(quote_condition(gone[-1], "DisruptionTarget")),
                affects=tuple(ref_of(pod) for pod in gone),
                statement=f"{len(gone)} pod(s) of {unit} were preempted by pods of higher priority.",
            )


@check("admission-on-node-refused", weight=0.85)
def refused_by_kubelet(topology: Topology) -> Iterator[Finding]:
    """Failed at admission on the node: the scheduler's view was stale, or a device or topology rule said no."""
    reasons = ("UnexpectedAdmissionError", "OutOfcpu", "OutOfmemory", "NodeAffinity", "TopologyAffinityError", "OutOfpods")
    for unit, pods in sorted(topology.pods_by_owner.items()):
        gone = [pod for pod in pods if text(pod, "status", "reason") in reasons and mapping(pod, "status")]
        made = created_at(gone[-1]) if gone else None
        if gone and (made is None or topology.now - made < LATELY):
            # a controller that has all its pods again has made up for it: nodes that restart refuse what they had
            manifest = topology.objects.get(unit)
            wants = wanted(manifest) if manifest is not None and unit.kind in CONTROLLED else 0
            again = 0 < wants <= len(live_pods(topology, unit)) and len(_lately(topology, gone)) < OFTEN
            replaced = again or (wants > 0 and is_serving(topology, unit))
            said = text(gone[-1], "status", "message")
            yield Finding(
                cause="admission-on-node-refused",
                subject=unit,
                state="recovered" if replaced else "active",
                since=made,
                affects=tuple(ref_of(pod) for pod in gone),
                quotes=(quote_field(ref_of(gone[-1]), "status", f"{text(gone[-1], 'status', 'reason')}: {said}"),),
                statement=f"The kubelet refuses pods of {unit}: {text(gone[-1], 'status', 'reason')} {said[:200]}.",
            )
