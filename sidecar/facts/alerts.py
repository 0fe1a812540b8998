"""What a silence would cover now, for the rules: each alert with its labels, and whether it is about the step's target. Pure.

An alert that names a workload, a pod or a claim is about that; one that names none (the error rate of a whole namespace) is
held to be about whatever the plan says, within its labels. Knows no rule.
"""

import re
from collections.abc import Mapping, Sequence

from sidecar.contract import Json, ObjectRef
from sidecar.ports import FiringAlert

# Whoever reaches Alertmanager may post alerts of any size, and what the rules saw is kept in the record.
_MOST_LABELS, _LONGEST_NAME, _LONGEST_VALUE = 64, 128, 300  # a matcher holds 256 characters: what is cut equals none
MOST_LISTED = 100  # the rules bound how many there may be, far below; more are counted, and not listed
# Labels of kube-state-metrics by which rules say what an alert is about, the most telling first: where a workload is named,
# the pod may be that of who measured.
_WORKLOADS = {
    "deployment": "Deployment",
    "statefulset": "StatefulSet",
    "daemonset": "DaemonSet",
    "cronjob": "CronJob",
    "job_name": "Job",
    "replicaset": "ReplicaSet",
    "horizontalpodautoscaler": "HorizontalPodAutoscaler",
    "persistentvolumeclaim": "PersistentVolumeClaim",
    "ingress": "Ingress",
    "resourcequota": "ResourceQuota",
}
# As names of pods are made: k8s.io/apimachinery, pkg/util/rand. No vowels: the "api" of web-api is no hash of web's.
_LETTERS = "[bcdfghjklmnpqrstvwxz2456789]"
_SUFFIX = f"{_LETTERS}{{5}}"
_HASH = f"({_LETTERS}{{1,10}}|[0-9]{{1,10}})"  # a number, before Kubernetes 1.11
# How the controller of each kind names its pods.
_PODS = {
    "Deployment": f"-{_HASH}-{_SUFFIX}",
    "ReplicaSet": f"-{_SUFFIX}",
    "StatefulSet": "-[0-9]{1,5}",
    "DaemonSet": f"-{_SUFFIX}",
    "Job": f"(-[0-9]{{1,5}})?-{_SUFFIX}",
    "CronJob": f"-[0-9]{{1,12}}(-[0-9]{{1,5}})?-{_SUFFIX}",
}
_MADE = {("Deployment", "ReplicaSet"): f"-{_HASH}", ("CronJob", "Job"): "-[0-9]{1,12}"}


def silence_facts(firing: Sequence[FiringAlert], target: ObjectRef) -> dict[str, Json]:
    """`count`: how many alerts fire that it would cover, those included that are silenced already."""
    alerts: list[Json] = [
        {"labels": _kept(alert.labels), "silenced": alert.silenced, "about_target": is_about(alert.labels, target)}
        for alert in firing[:MOST_LISTED]
    ]
    return {"configured": True, "count": len(firing), "alerts": alerts}


def _kept(labels: Mapping[str, str]) -> dict[str, Json]:
    """What is left out makes the rules stricter: a severity that is not said asks people. NUL cannot be recorded."""
    named = [(name, value) for name, value in labels.items() if len(name) <= _LONGEST_NAME and "\0" not in name + value]
    return {name: value[:_LONGEST_VALUE] for name, value in named[:_MOST_LABELS]}


def is_about(labels: Mapping[str, str], target: ObjectRef) -> bool:
    if target.kind == "Node":
        return _is_about_node(labels, target.name)
    if labels.get("namespace", target.namespace) != target.namespace:
        return False
    named = next(((kind, labels[label]) for label, kind in _WORKLOADS.items() if labels.get(label)), None)
    if named is None and labels.get("pod"):
        named = ("Pod", labels["pod"])
    if named is None:
        return target.kind != "Service" or labels.get("service", target.name) == target.name
    return _belong(named, (target.kind, target.name))


def _is_about_node(labels: Mapping[str, str], name: str) -> bool:
    """An alert about what runs on a node is none about the node: it may be of any namespace. A pod that Prometheus calls like
    its job or service is the one that measured."""
    pod, scraped = labels.get("pod", ""), [labels[label] for label in ("job", "service") if labels.get(label)]
    if any(labels.get(label) for label in _WORKLOADS) or (pod and not any(pod.startswith(f"{by}-") for by in scraped)):
        return False
    node = labels.get("node") or labels.get("instance", "")
    return name in (node, node.partition(":")[0])


def _belong(one: tuple[str, str], other: tuple[str, str]) -> bool:
    """Whether they are one and the same, or one is what the other's controller made."""
    return one == other or _made(one, other) or _made(other, one)


def _made(above: tuple[str, str], below: tuple[str, str]) -> bool:
    pattern = _PODS.get(above[0]) if below[0] == "Pod" else _MADE.get((above[0], below[0]))
    return pattern is not None and re.fullmatch(re.escape(above[1]) + pattern, below[1]) is not None
