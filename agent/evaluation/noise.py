"""What is ordinary around an incident: healthy workloads with the old events that every cluster has, and idle talk in logs."""

import random
from datetime import datetime, timedelta
from typing import Any

from agent.domain.objects import Manifest
from agent.evaluation.planting import KUBELETS_OWN
from agent.toolsets.snapshot import Snapshot

_NAMES = ("harbour-lamp", "quill-press", "tallow-mill", "bramble-feed", "copper-kettle")
_TALK = ("level=info msg=heartbeat seq={n}", "INFO handled 200 GET /healthz in {n}ms", "DEBUG pool size={n} idle={n}", "tick {n}")


def bystanders(snapshot: Snapshot, space: str, dice: random.Random) -> tuple[Manifest, ...]:
    """Two workloads in the same namespace and one elsewhere, all well, whose pods were slow to start some time ago."""
    nodes = sorted(str(one["metadata"]["name"]) for one in snapshot.objects if one["kind"] == "Node" and _takes_pods(one))
    if not nodes:
        return ()
    first, second, third = dice.sample(_NAMES, 3)
    made: list[Manifest] = []
    for name, namespace in ((first, space), (second, space), (third, "elsewhere")):
        made += _workload(name, namespace, dice.choice(nodes), snapshot.now, dice)
    return tuple(made)


def _takes_pods(node: Manifest) -> bool:
    return not (node.get("spec") or {}).get("unschedulable")


def chatter(text: str, dice: random.Random) -> str:
    """Idle lines before what was written, so that its end stays its end."""
    if not text.strip() or text.startswith(KUBELETS_OWN):
        return text
    return "".join(f"{dice.choice(_TALK).format(n=dice.randrange(1, 900))}\n" for _ in range(40)) + text


def _workload(name: str, namespace: str, node: str, now: datetime, dice: random.Random) -> list[Manifest]:
    age = timedelta(hours=dice.randrange(30, 400))
    born, labels = _stamp(now - age), {"app": name}
    hash_ = f"{dice.randrange(16**8):08x}"
    set_name, pod_name = f"{name}-{hash_}", f"{name}-{hash_}-{dice.choice('bcdfghjk')}x7k2"
    box: dict[str, Any] = {
        "name": "main",
        "image": f"registry.example.com/{name}:{dice.randrange(1, 9)}.4.0",
        "ports": [{"containerPort": 7070}],
        "resources": {"requests": {"cpu": "1m", "memory": "1Mi"}, "limits": {"cpu": "100m", "memory": "64Mi"}},
    }
    spec: dict[str, Any] = {"containers": [box]}
    wanted = {"replicas": 1, "selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels}, "spec": spec}}
    status = {"observedGeneration": 1, "replicas": 1, "readyReplicas": 1, "updatedReplicas": 1, "availableReplicas": 1}
    hashed = {**labels, "pod-template-hash": hash_}
    first = {"deployment.kubernetes.io/revision": "1"}
    deployment = _object("apps/v1", "Deployment", name, namespace, born, labels=labels, generation=1)
    of_deployment = [_owner("Deployment", name)]
    set_ = _object(
        "apps/v1", "ReplicaSet", set_name, namespace, born, labels=hashed, annotations=first, ownerReferences=of_deployment
    )
    pod = _object("v1", "Pod", pod_name, namespace, born, labels=hashed, ownerReferences=[_owner("ReplicaSet", set_name)])
    service = _object("v1", "Service", name, namespace, born, labels=labels)
    return [
        {**deployment, "spec": wanted, "status": status},
        {**set_, "spec": wanted, "status": status},
        {**pod, "spec": {**spec, "nodeName": node}, "status": _running(box, born)},
        {**service, "spec": {"selector": labels, "ports": [{"port": 80, "targetPort": 7070}]}},
        _endpoints(name, namespace, pod_name, born),
        *_old_events(pod_name, namespace, now - age, dice),
    ]


def _running(box: dict[str, Any], born: str) -> dict[str, Any]:
    told = {"name": "main", "ready": True, "restartCount": 0, "image": box["image"], "state": {"running": {"startedAt": born}}}
    conditions = [{"type": kind, "status": "True", "lastTransitionTime": born} for kind in ("PodScheduled", "Ready")]
    return {"phase": "Running", "startTime": born, "conditions": conditions, "containerStatuses": [told]}


def _endpoints(name: str, namespace: str, pod: str, born: str) -> dict[str, Any]:
    labels = {"kubernetes.io/service-name": name}
    target = {"kind": "Pod", "name": pod, "namespace": namespace}
    return {
        **_object("discovery.k8s.io/v1", "EndpointSlice", f"{name}-k2m4p", namespace, born, labels=labels),
        "addressType": "IPv4",
        "endpoints": [{"addresses": ["10.9.0.7"], "conditions": {"ready": True}, "targetRef": target}],
        "ports": [{"port": 7070}],
    }


def _old_events(pod: str, namespace: str, at: datetime, dice: random.Random) -> list[Manifest]:
    told = (
        ("Normal", "Pulled", "Successfully pulled image"),
        ("Warning", "Unhealthy", "Readiness probe failed: dial tcp 10.9.0.7:7070: connect: connection refused"),
        ("Warning", "FailedMount", "MountVolume.SetUp failed for volume kube-api-access: failed to sync configmap cache"),
    )
    stamp = _stamp(at + timedelta(seconds=3))
    return [
        {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"name": f"{pod}.{dice.randrange(16**10):x}", "namespace": namespace, "creationTimestamp": stamp},
            "involvedObject": {"apiVersion": "v1", "kind": "Pod", "namespace": namespace, "name": pod},
            "type": type_,
            "reason": reason,
            "message": message,
            "count": 1,
            "firstTimestamp": stamp,
            "lastTimestamp": stamp,
        }
        for type_, reason, message in told
    ]


def _object(api_version: str, kind: str, name: str, namespace: str, born: str, **metadata: Any) -> dict[str, Any]:
    plain = {"name": name, "namespace": namespace, "uid": f"bystander-{kind}-{name}", "creationTimestamp": born, **metadata}
    return {"apiVersion": api_version, "kind": kind, "metadata": plain}


def _owner(kind: str, name: str) -> dict[str, object]:
    return {"apiVersion": "apps/v1", "kind": kind, "name": name, "uid": f"bystander-{kind}-{name}", "controller": True}


def _stamp(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")
