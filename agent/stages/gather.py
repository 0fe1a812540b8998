"""Read what diagnosis needs: objects, logs of the suspects first, metrics. What cannot be read is a gap, not an error."""

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from agent.domain.incident import Window
from agent.domain.objects import Manifest, Ref, Series
from agent.errors import MetricsUnavailable
from agent.ports import ClusterReader, Gap, Metrics, Observed

# What checks and charts use; asked by name, because a selector without one reads a whole Prometheus.
METRICS = (
    "container_memory_working_set_bytes",
    "kube_pod_container_resource_limits",
    "kube_pod_container_status_restarts_total",
    "container_cpu_usage_seconds_total",
    "container_cpu_cfs_throttled_periods_total",
    "container_cpu_cfs_periods_total",
    "kubelet_volume_stats_available_bytes",
    "http_requests_total",
)
METRICS_STEP_SECONDS = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    log_tail: int = 300
    log_streams: int = 60
    metrics_minutes: int = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Sight:
    """One reading of the cluster. It is never stored: only what is cited of it is."""

    observed: Observed
    series: tuple[Series, ...]
    window: Window


async def gather(namespaces: Sequence[str], *, reader: ClusterReader, metrics: Metrics | None, limits: Limits) -> Sight:
    """Raises ClusterUnreachable when nothing answers at all."""
    observed = await reader.overview(namespaces)
    window = Window(start=observed.now - timedelta(minutes=limits.metrics_minutes), end=observed.now)
    streams = list(_streams(observed.objects))[: limits.log_streams]
    logs, (series, gaps) = await asyncio.gather(
        reader.logs(streams, tail=limits.log_tail), read_metrics(namespaces, window, metrics=metrics)
    )
    seen = replace(observed, logs=(*observed.logs, *logs.logs), gaps=(*observed.gaps, *logs.gaps, *gaps))
    return Sight(observed=seen, series=series, window=window)


async def read_metrics(
    namespaces: Sequence[str], window: Window, *, metrics: Metrics | None
) -> tuple[tuple[Series, ...], tuple[Gap, ...]]:
    if metrics is None:
        return (), (Gap(what="metrics", why="no Prometheus is configured"),)
    queries = [f'{name}{{namespace="{namespace}"}}' for namespace in namespaces for name in METRICS]
    answers = await asyncio.gather(
        *(metrics.range(query, window, METRICS_STEP_SECONDS) for query in queries), return_exceptions=True
    )
    series: list[Series] = []
    whys: list[str] = []
    for answer in answers:
        if isinstance(answer, MetricsUnavailable):
            whys.append(str(answer))
        elif isinstance(answer, BaseException):
            raise answer
        else:
            series.extend(answer)
    return tuple(series), tuple(Gap(what="metrics", why=why) for why in dict.fromkeys(whys))


def _streams(objects: Sequence[Manifest]) -> Iterator[tuple[Ref, str, bool]]:
    """Containers whose logs are worth reading: restarted or unready ones first, and those also of the run before."""
    pods = [found for found in objects if found.get("kind") == "Pod"]
    for pod in sorted(pods, key=lambda found: (_calm(found), str(found["metadata"].get("name")))):
        metadata, status = pod["metadata"], pod.get("status") or {}
        ref = Ref("Pod", str(metadata.get("namespace") or ""), str(metadata["name"]))
        for container in [*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())]:
            if container.get("restartCount"):
                yield ref, str(container["name"]), True
            if container.get("containerID") or container.get("state", {}).get("running"):
                yield ref, str(container["name"]), False


def _calm(pod: Manifest) -> bool:
    status = pod.get("status") or {}
    containers = status.get("containerStatuses") or ()
    return bool(containers) and all(found.get("ready") and not found.get("restartCount") for found in containers)
