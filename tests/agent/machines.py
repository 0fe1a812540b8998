"""Builders of nodes with accelerators, their device plugin, and workloads that ask for devices or have them."""

from typing import Any

from agent.domain.objects import Series
from tests.agent.builders import container, deployment, event, measured, node, obj, pod, replica_set

Object = dict[str, Any]
GPU = "nvidia.com/gpu"


def gpu_node(
    name: str = "node-1", *, allocatable: str | None = "8", capacity: str | None = "8", resource: str = GPU, **labels: str
) -> Object:
    one = node(
        name, labels={"nvidia.com/gpu.present": "true", **{key.replace("__", "/"): value for key, value in labels.items()}}
    )
    if capacity is not None:
        one["status"]["capacity"][resource] = capacity
    if allocatable is not None:
        one["status"]["allocatable"][resource] = allocatable
    return one


def asking(resource: str = GPU, amount: str = "1", *, name: str = "infer", said: str | None = None) -> list[Object]:
    """A workload whose pod waits for an extended resource."""
    box = container(resources={"limits": {resource: amount}})
    owner = deployment(name, replicas=1, ready=0, containers=[box])
    set_ = replica_set(owner, ready=0)
    one = pod(set_, ready=False, statuses=[], phase="Pending", node="", minutes=20)
    words = f"0/1 nodes are available: 1 Insufficient {resource}." if said is None else said
    return [owner, set_, one, event(one, "FailedScheduling", words)]


def using(name: str = "trainer", *, gpus: str = "1", ready: bool = True, **rest: Any) -> list[Object]:
    """A workload that was given GPUs."""
    owner = deployment(name, replicas=1, ready=int(ready), containers=[container(resources={"limits": {GPU: gpus}})], **rest)
    set_ = replica_set(owner)
    return [owner, set_, pod(set_, ready=ready)]


def plugin(*statuses: Object, desired: int = 1) -> list[Object]:
    labels = {"app": "nvidia-device-plugin"}
    box = container("plugin", image="nvcr.io/nvidia/k8s-device-plugin:v0.17.0")
    spec = {"selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels}, "spec": {"containers": [box]}}}
    status = {
        "observedGeneration": 1,
        "desiredNumberScheduled": desired,
        "numberReady": 0 if statuses or not desired else desired,
    }
    set_ = obj(
        "DaemonSet", "nvidia-device-plugin", api="apps/v1", metadata={"labels": labels, "generation": 1}, spec=spec, status=status
    )
    return [set_, *([pod(set_, ready=not statuses, statuses=statuses or None)] if desired else [])]


def dcgm(name: str, *values: float, number: str = "0", **labels: str) -> Series:
    where = {
        "Hostname": "node-1",
        "gpu": number,
        "UUID": f"GPU-{number}",
        "namespace": "gpu-operator",
        "pod": "dcgm-exporter-x",
        **labels,
    }
    return measured(f"DCGM_FI_DEV_{name}", list(values), **where)
