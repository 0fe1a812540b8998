"""Builders of Kubernetes objects for tests: what a test does not say is ordinary and healthy."""

import copy
import itertools
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from agent.domain.finding import Finding
from agent.domain.incident import Incident
from agent.domain.objects import ContainerLog, Series
from agent.domain.testimony import UNTOLD, Testimony
from agent.ports.cluster import Gap, Observed
from agent.topology import Topology, build

NOW = datetime(2026, 5, 4, 12, 0, tzinfo=UTC)
NS = "shop"
Object = dict[str, Any]
_uids = itertools.count(1)


def ago(minutes: float) -> str:
    return (NOW - timedelta(minutes=minutes)).strftime("%Y-%m-%dT%H:%M:%SZ")


def obj(kind: str, name: str, *, api: str = "v1", namespace: str = NS, minutes: float = 60, **rest: Any) -> Object:
    metadata: Object = {"name": name, "uid": f"uid-{next(_uids)}", "creationTimestamp": ago(minutes)}
    if namespace:
        metadata["namespace"] = namespace
    metadata.update(rest.pop("metadata", {}))
    return {"apiVersion": api, "kind": kind, "metadata": metadata, **rest}


def told(kind: str, status: str, reason: str = "", message: str = "", *, minutes: float = 30) -> Object:
    """A status condition."""
    return {"type": kind, "status": status, "reason": reason, "message": message, "lastTransitionTime": ago(minutes)}


def custom(kind: str, name: str, *conditions: Object, api: str, spec: Object | None = None, **rest: Any) -> Object:
    status = {"conditions": list(conditions), **rest.pop("status", {})}
    return obj(kind, name, api=api, spec=spec or {}, status=status, **rest)


def owned_by(owner: Object) -> Object:
    """Metadata of an object that this one controls."""
    named = {"apiVersion": owner["apiVersion"], "kind": owner["kind"], "name": owner["metadata"]["name"], "controller": True}
    return {"ownerReferences": [named]}


def container(name: str = "app", image: str = "registry.example.com/app:1.0", **rest: Any) -> Object:
    base: Object = {"name": name, "image": image, "ports": [{"name": "http", "containerPort": 8080}]}
    base["resources"] = {"requests": {"cpu": "100m", "memory": "64Mi"}, "limits": {"memory": "128Mi"}}
    return {**base, **rest}


def deployment(
    name: str = "web",
    *,
    replicas: int = 2,
    ready: int | None = None,
    containers: Sequence[Object] | None = None,
    labels: Mapping[str, str] | None = None,
    conditions: Sequence[Object] = (),
    spec: Object | None = None,
    pod: Object | None = None,
    minutes: float = 60,
) -> Object:
    labels = dict(labels or {"app": name})
    have = replicas if ready is None else ready
    template = {"metadata": {"labels": labels}, "spec": {"containers": list(containers or [container()]), **(pod or {})}}
    status = {
        "observedGeneration": 1, "replicas": replicas, "readyReplicas": have, "updatedReplicas": replicas,
        "availableReplicas": have, "conditions": list(conditions),
    }  # fmt: skip
    body = {"replicas": replicas, "selector": {"matchLabels": labels}, "template": template, **(spec or {})}
    return obj(
        "Deployment", name, api="apps/v1", minutes=minutes, metadata={"generation": 1, "labels": labels}, spec=body, status=status
    )


def replica_set(owner: Object, revision: int = 1, *, ready: int | None = None, minutes: float = 60, image: str = "") -> Object:
    name = owner["metadata"]["name"]
    hash_ = f"{revision:05d}abcde"
    template = copy.deepcopy(owner["spec"]["template"])
    template["metadata"]["labels"]["pod-template-hash"] = hash_
    if image:
        template["spec"]["containers"][0]["image"] = image
    count = owner["status"]["readyReplicas"] if ready is None else ready
    return obj(
        "ReplicaSet", f"{name}-{hash_}", api="apps/v1", minutes=minutes,
        metadata={
            "labels": dict(template["metadata"]["labels"]),
            "annotations": {"deployment.kubernetes.io/revision": str(revision)},
            "ownerReferences": [{"apiVersion": "apps/v1", "kind": "Deployment", "name": name, "controller": True}],
        },
        spec={"replicas": count, "template": template}, status={"replicas": count, "readyReplicas": count},
    )  # fmt: skip


def pod(
    owner: Object,
    *,
    number: int = 0,
    ready: bool = True,
    statuses: Sequence[Object] | None = None,
    init: Sequence[Object] = (),
    node: str = "node-1",
    phase: str = "Running",
    minutes: float = 60,
    since: float = 60,
    conditions: Sequence[Object] = (),
    status: Object | None = None,
    metadata: Object | None = None,
) -> Object:
    """A pod of a ReplicaSet, Job or other controller."""
    template = owner["spec"]["template"]
    name = f"{owner['metadata']['name']}-{'abcdefghij'[number]}xyz{number}"
    spec = {**template["spec"], **({"nodeName": node} if node else {})}
    boxes = [
        {"name": one["name"], "ready": ready, "restartCount": 0, "state": {"running": {"startedAt": ago(minutes)}}}
        for one in spec["containers"]
    ]
    told = [{"type": "Ready", "status": "True" if ready else "False", "lastTransitionTime": ago(since)}, *conditions]
    owners = [{"apiVersion": owner["apiVersion"], "kind": owner["kind"], "name": owner["metadata"]["name"], "controller": True}]
    return obj(
        "Pod", name, minutes=minutes,
        metadata={"labels": dict(template["metadata"].get("labels", {})), "ownerReferences": owners, **(metadata or {})},
        spec=spec,
        status={
            "phase": phase, "startTime": ago(minutes), "conditions": told, "initContainerStatuses": list(init),
            "containerStatuses": list(boxes if statuses is None else statuses), **(status or {}),
        },
    )  # fmt: skip


def waiting(reason: str, message: str = "", *, name: str = "app", restarts: int = 0) -> Object:
    state = {"waiting": {"reason": reason, "message": message}}
    return {"name": name, "ready": False, "restartCount": restarts, "state": state}


def ended(
    code: int,
    reason: str = "Error",
    *,
    name: str = "app",
    restarts: int = 4,
    minutes: float = 1,
    message: str = "",
    up: bool = False,
) -> Object:
    last = {"terminated": {"exitCode": code, "reason": reason, "finishedAt": ago(minutes), "message": message}}
    now = {"running": {"startedAt": ago(minutes)}} if up else {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off"}}
    return {"name": name, "ready": up, "restartCount": restarts, "state": now, "lastState": last}


def service(name: str = "web", *, selector: Mapping[str, str] | None = None, port: int = 80, target: Any = "http") -> Object:
    ports = [{"name": "http", "port": port, "targetPort": target}]
    return obj("Service", name, spec={"selector": dict(selector or {"app": name}), "ports": ports, "clusterIP": "10.0.0.9"})


def node(
    name: str = "node-1",
    *,
    labels: Mapping[str, str] | None = None,
    cpu: str = "4",
    conditions: Sequence[Object] = (),
    **spec: Any,
) -> Object:
    told = list(conditions) or [{"type": "Ready", "status": "True", "reason": "KubeletReady"}]
    labels = {"kubernetes.io/hostname": name, **(labels or {})}
    return obj(
        "Node", name, namespace="", metadata={"labels": labels}, spec=spec,
        status={"allocatable": {"cpu": cpu, "memory": "8Gi", "pods": "110"}, "capacity": {"cpu": cpu}, "conditions": told},
    )  # fmt: skip


def event(about: Object, reason: str, message: str, *, minutes: float = 1, kind: str = "Warning", count: int = 3) -> Object:
    metadata = about["metadata"]
    involved = {"kind": about["kind"], "namespace": metadata.get("namespace", ""), "name": metadata["name"]}
    return obj(
        "Event", f"event-{next(_uids)}", type=kind, reason=reason, message=message, count=count, involvedObject=involved,
        firstTimestamp=ago(minutes + 5), lastTimestamp=ago(minutes),
    )  # fmt: skip


def log(of: Object, text: str, *, container: str = "app", previous: bool = False) -> ContainerLog:
    metadata = of["metadata"]
    return ContainerLog(namespace=metadata["namespace"], pod=metadata["name"], container=container, previous=previous, text=text)


def measured(name: str, values: Sequence[float], /, *, step: float = 30, **labels: str) -> Series:
    """A series whose last sample is of now."""
    start = NOW.timestamp() - step * (len(values) - 1)
    samples = tuple((start + step * number, float(value)) for number, value in enumerate(values))
    return Series(labels={"__name__": name, "namespace": NS, **labels}, samples=samples)


def lines(*texts: str, minutes: float = 1) -> str:
    """Log lines a second apart, the last one `minutes` ago."""
    start = NOW - timedelta(minutes=minutes, seconds=len(texts))
    return "\n".join(f"{(start + timedelta(seconds=n)).strftime('%Y-%m-%dT%H:%M:%SZ')} {line}" for n, line in enumerate(texts))


def app(name: str = "web", *, replicas: int = 2, **rest: Any) -> list[Object]:
    """A healthy Deployment with its ReplicaSet, pods and Service."""
    owner = deployment(name, replicas=replicas, **rest)
    set_ = replica_set(owner)
    return [owner, set_, *(pod(set_, number=number) for number in range(replicas)), service(name)]


def topology(
    *objects: Object,
    logs: Sequence[ContainerLog] = (),
    unseen: dict[str, str] | None = None,
    series: Sequence[Series] = (),
    testimony: Testimony = UNTOLD,
) -> Topology:
    base = [node()] if not any(one["kind"] == "Node" for one in objects) else []
    account = obj("ServiceAccount", "default")
    return build(NOW, [*base, account, *objects], logs, tuple(series), unseen, testimony)


def observed(*objects: Object, logs: Sequence[ContainerLog] = (), gaps: Sequence[Gap] = ()) -> Observed:
    base = [node()] if not any(one["kind"] == "Node" for one in objects) else []
    return Observed(now=NOW, objects=(*base, obj("ServiceAccount", "default"), *objects), logs=tuple(logs), gaps=tuple(gaps))


def asked(question: str) -> Incident:
    return Incident(id="inc-1", cluster="test", opened_at=NOW, question=question)


def active(findings: Sequence[Finding]) -> list[str]:
    """Causes of active findings that are no mere symptoms."""
    return sorted({one.cause for one in findings if one.state == "active" and not one.symptom_only})
