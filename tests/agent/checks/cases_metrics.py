"""Incidents that only metrics tell of."""

from typing import Any

from agent.domain.objects import Series
from tests.agent.builders import app, container, measured, node, obj
from tests.agent.checks.cases import World, case

POD = "web-00001abcde-axyz0"
GIB = 2.0**30


def counted(name: str, *rates: tuple[int, float], start: float = 100, **labels: str) -> Series:
    """A counter of 30-second samples: (samples, per second), stretch by stretch."""
    values = [start]
    for count, per_second in rates:
        values += [values[-1] + 30 * per_second * (number + 1) for number in range(count)][:count]
    return measured(name, values, **labels)


def served(name: str, *stretches: tuple[int, float, float], per_second: float = 10, pod: str = "", **labels: str) -> list[Series]:
    """http_request_duration_seconds of a workload's first pod: (samples, seconds a request, share of errors), by stretch."""
    where = {"pod": pod or f"{name}-00001abcde-axyz0", **labels}
    return [
        counted("http_request_duration_seconds_sum", *((n, per_second * long) for n, long, _ in stretches), **where),
        counted("http_request_duration_seconds_count", *((n, per_second) for n, _, _ in stretches), **where),
        counted("http_requests_total", *((n, per_second * (1 - bad)) for n, _, bad in stretches), code="200", **where),
        counted("http_requests_total", *((n, per_second * bad) for n, _, bad in stretches), code="503", **where),
    ]


def throttled(share: float, *, pod: str = POD, **labels: str) -> list[Series]:
    where = {"pod": pod, **labels}
    return [
        counted("container_cpu_cfs_periods_total", (40, 10.0), **where),
        counted("container_cpu_cfs_throttled_periods_total", (25, 0.2), (15, 10.0 * share), **where),
    ]


@case("service-degraded", "Deployment/web", series=served("web", (40, 0.05, 0.0), (20, 0.9, 0.0)))
def _() -> World:
    return app("web"), []


@case("cpu-throttled", "Deployment/web", series=[*throttled(0.8, container="app")])
def _() -> World:
    small = container(resources={"requests": {"cpu": "100m"}, "limits": {"cpu": "200m", "memory": "128Mi"}})
    return app("web", containers=[small]), []


@case(
    "memory-will-run-out",
    "Deployment/web",
    series=[
        measured("container_memory_working_set_bytes", [GIB * (0.5 + n / 150) for n in range(60)], pod=POD, container="app"),
        measured("kube_pod_container_resource_limits", [GIB] * 60, pod=POD, container="app", resource="memory"),
    ],
)
def _() -> World:
    return app("web"), []


@case(
    "child-out-of-memory",
    "Deployment/web",
    series=[measured("container_oom_events_total", [0] * 30 + [1, 1, 2, 3, 3], pod=POD, container="app")],
)
def _() -> World:
    return app("web"), []


@case(
    "server-limit-reached",
    "Deployment/web",
    series=[
        *(measured("pg_stat_activity_count", [20] * 20 + [49] * 20, pod=POD, datname=name) for name in ("one", "two")),
        measured("pg_settings_max_connections", [100] * 40, pod=POD),
    ],
)
def _() -> World:
    return app("web"), []


def claim(**spec: Any) -> dict[str, Any]:
    asked = {"storageClassName": "standard", "resources": {"requests": {"storage": "10Gi"}}, **spec}
    return obj("PersistentVolumeClaim", "data", spec=asked, status={"phase": "Bound", "capacity": {"storage": "10Gi"}})


def volumes(free: float, whole: float, what: tuple[str, str] = ("available_bytes", "capacity_bytes")) -> list[Series]:
    return [
        measured(f"kubelet_volume_stats_{name}", [value] * 20, persistentvolumeclaim="data")
        for name, value in zip(what, (free, whole), strict=True)
    ]


def with_volume() -> World:
    held = [{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}]
    kind = obj("StorageClass", "standard", api="storage.k8s.io/v1", namespace="", allowVolumeExpansion=True)
    return [*app("web", pod={"volumes": held}), claim(), kind], []


@case("volume-full", "PersistentVolumeClaim/data", series=volumes(0.1 * GIB, 10 * GIB))
def _() -> World:
    return with_volume()


@case("volume-inodes-full", "PersistentVolumeClaim/data", series=volumes(100, 650_000, ("inodes_free", "inodes")))
def _() -> World:
    return with_volume()


@case(
    "node-overloaded",
    "Node/node-1",
    series=[
        counted("node_cpu_seconds_total", (40, 3.95), mode="user", instance="node-1:9100"),
        *served("web", (40, 0.05, 0.0), (20, 0.9, 0.0)),
    ],
)
def _() -> World:
    return [*app("web"), node("node-1")], []


@case(
    "conntrack-full",
    "Node/node-1",
    series=[
        measured("node_nf_conntrack_entries", [1000] * 10 + [130_900] * 10, node="node-1"),
        measured("node_nf_conntrack_entries_limit", [131_072] * 20, node="node-1"),
    ],
)
def _() -> World:
    return [*app("web"), node("node-1")], []
