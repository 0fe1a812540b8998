"""The metrics API's answers (metrics.k8s.io): what running containers and their nodes use just now, by the same curves as the
series that Prometheus has. Like metrics-server it knows nothing of a pod that does not run."""

import copy
import math
from datetime import UTC, datetime, timedelta
from typing import Any

from lab.clock import LabClock
from lab.world.cluster import Cluster
from lab.world.containers import ContainerRun
from lab.world.kubelet import Kubelet
from lab.world.usage import cpu_cores, memory_bytes

INTERVAL = timedelta(seconds=15)  # between two readings of metrics-server
SYSTEM_CPU, SYSTEM_MEMORY = 0.05, 200 * 2.0**20  # of a node beside its pods
Object = dict[str, Any]


class Measuring:
    """What the API server serves as `pods` and `nodes` of metrics.k8s.io, ordered by namespace and name."""

    def __init__(self, cluster: Cluster, kubelet: Kubelet, clock: LabClock) -> None:
        self._cluster, self._kubelet, self._clock = cluster, kubelet, clock

    def measured(self, plural: str) -> list[Object]:
        now = self._clock.now()
        read = datetime.fromtimestamp(now.timestamp() // INTERVAL.total_seconds() * INTERVAL.total_seconds(), UTC)
        found = self._pods(now, read) if plural == "pods" else self._nodes(now, read)
        return sorted(found, key=lambda one: (one["metadata"].get("namespace", ""), one["metadata"]["name"]))

    def _pods(self, now: datetime, read: datetime) -> list[Object]:
        found = []
        for run in list(self._kubelet.runs.values()):
            running = [one for one in run.main if one.running]
            if not running:
                continue
            own = run.pod["metadata"]
            metadata = {
                "name": own["name"],
                "namespace": own["namespace"],
                "creationTimestamp": _stamp(now),
                "labels": copy.deepcopy(own.get("labels") or {}),
            }
            boxes = [{"name": one.name, "usage": _usage(cpu_cores(one, now), memory_bytes(one, now))} for one in running]
            found.append(_answer("PodMetrics", metadata, read) | {"containers": boxes})
        return found

    def _nodes(self, now: datetime, read: datetime) -> list[Object]:
        at: dict[str, list[ContainerRun]] = {}
        for run in list(self._kubelet.runs.values()):
            at.setdefault(run.node, []).extend(one for one in run.main if one.running)
        found = []
        for node in self._cluster.of("Node"):
            name = node["metadata"]["name"]
            cpu = SYSTEM_CPU + sum(cpu_cores(one, now) for one in at.get(name, ()))
            memory = SYSTEM_MEMORY + sum(memory_bytes(one, now) for one in at.get(name, ()))
            metadata = {
                "name": name,
                "creationTimestamp": _stamp(now),
                "labels": copy.deepcopy(node["metadata"].get("labels") or {}),
            }
            found.append(_answer("NodeMetrics", metadata, read) | {"usage": _usage(cpu, memory)})
        return found


def _answer(kind: str, metadata: Object, read: datetime) -> Object:
    window = f"{INTERVAL.total_seconds():.0f}s"
    body = {"timestamp": _stamp(read), "window": window}
    return {"kind": kind, "apiVersion": "metrics.k8s.io/v1beta1", "metadata": metadata, **body}


def _usage(cores: float, memory: float) -> dict[str, str]:
    """As metrics-server writes it: nanocores and kibibytes."""
    return {"cpu": f"{math.ceil(cores * 1e9)}n", "memory": f"{math.ceil(memory / 1024)}Ki"}


def _stamp(when: datetime) -> str:
    return when.strftime("%Y-%m-%dT%H:%M:%SZ")
