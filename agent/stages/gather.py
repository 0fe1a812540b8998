"""Read what diagnosis needs: objects, logs of the suspects first and deeper where trouble fills all that was read, metrics.
What cannot be read is a gap, not an error."""

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from agent.domain.incident import Window
from agent.domain.objects import ContainerLog, Manifest, Ref, Series
from agent.errors import MetricsUnavailable
from agent.ports import ClusterReader, Gap, Metrics, Observed
from agent.signals.account import account_of

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
    "container_oom_events_total",
    "kubelet_volume_stats_capacity_bytes",
    "kubelet_volume_stats_inodes",
    "kubelet_volume_stats_inodes_free",
)
# What applications export of themselves, by shape: durations, requests by code, pools, limits and queues (agent.signals.golden
# and the checks that read them know the names more exactly).
OF_APPLICATIONS = "|".join(
    (
        "(http|grpc|rpc|request|response|server|istio|nginx|traefik|envoy).*(duration|latency|handling|seconds|milliseconds).*_(sum|count)",
        ".*(requests|responses|handled)_total",
        "(hikaricp|jdbc|db_client|go_sql).*connection.*",
        "go_sql_wait_count_total",
        "pg_stat_activity_count|pg_settings_max_connections|mysql_global_(status_threads_connected|variables_max_connections)",
        "redis_connected_clients|redis_config_maxclients|process_(open|max)_fds|process_files_(open|max)_files",
        ".*(queue_size|queue_length|queue_depth|consumergroup_lag|messages_ready|backlog|pending_tasks|pending_jobs)",
        "vllm:(kv_cache_usage_perc|gpu_cache_usage_perc|num_requests_waiting|time_to_first_token_seconds_(sum|count))",
        "inference_pool_ready_pods",
    )
)
OF_NODES = (
    "node_pressure_cpu_waiting_seconds_total|node_memory_MemAvailable_bytes|node_memory_MemTotal_bytes"
    "|node_nf_conntrack_entries|node_nf_conntrack_entries_limit"
)
# Of the platform, whatever the namespace: GPUs (DCGM exporter), Cilium's data plane, the control plane, the cluster's DNS.
OF_PLATFORM = (
    (
        "metrics of GPUs",
        "DCGM_FI_DEV_(XID_ERRORS|ROW_REMAP_FAILURE|ECC_DBE_VOL_TOTAL|GPU_TEMP|GPU_UTIL|FB_USED|CLOCK_THROTTLE_REASONS"
        "|CLOCKS_EVENT_REASONS|PCIE_REPLAY_COUNTER|NVLINK_.*ERROR_COUNT_TOTAL)",
    ),
    (
        "metrics of the data plane",
        "cilium_drop_count_total|cilium_ipsec_xfrm_error|cilium_bpf_map_pressure|cilium_unreachable_(nodes|health_endpoints)"
        "|cilium_clustermesh_remote_cluster_readiness_status|hubble_lost_events_total",
    ),
    (
        "metrics of the control plane",
        "etcd_server_has_leader|etcd_mvcc_db_total_size_in_bytes|etcd_server_quota_backend_bytes"
        "|etcd_disk_wal_fsync_duration_seconds_bucket|apiserver_flowcontrol_rejected_requests_total"
        "|apiserver_client_certificate_expiration_seconds_bucket|apiserver_requested_deprecated_apis",
    ),
    ("metrics of DNS", "coredns_dns_responses_total|coredns_forward_healthcheck_broken_total"),
    (
        "metrics of clocks, runtimes and connections of nodes",
        "node_timex_offset_seconds|node_timex_sync_status|node_nf_conntrack_stat_insert_failed"
        "|kubelet_pleg_relist_duration_seconds_bucket",
    ),
    (  # one for each pod's interface: many on large nodes
        "metrics of packet sizes of nodes",
        "node_network_mtu_bytes|node_netstat_Ip6?_(FragFails|ReasmFails)",
    ),
    (
        "metrics of the way out",
        "(.+[_:])?s?nat_?(gateway_)?(.+_)?(port_?allocation|exhaust|fail|drop).*|.*error_?port_?allocation.*"
        "|.*snat_?connection_?count.*|.*(used|allocated)_?snat_?ports.*|(.+[_:])?nat_(.+_)?(port_?usage|allocated_?ports).*",
    ),
    ("metrics of certificates", "nginx_ingress_controller_ssl_expire_time_seconds|x509_cert_not_after"),
)
API_SERVERS = (
    "apiserver",
    "kube-apiserver",
    "kubernetes-apiservers",
)  # jobs that scrape the API server, by common configurations
MOST_SERIES = 4000  # of one query, such as that for the applications of one namespace
METRICS_STEP_SECONDS = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    log_tail: int = 300
    log_streams: int = 60
    deep_tail: int = 100_000  # lines of a log that is read again because trouble fills all that was read of it
    deep_streams: int = 8
    metrics_minutes: int = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Sight:
    """One reading of the cluster. It is never stored: only what is cited of it is. `is_whole`: other sources were asked too."""

    observed: Observed
    series: tuple[Series, ...]
    window: Window
    is_whole: bool = False


async def gather(namespaces: Sequence[str], *, reader: ClusterReader, metrics: Metrics | None, limits: Limits) -> Sight:
    """Raises ClusterUnreachable when nothing answers at all."""
    observed = await reader.overview(namespaces)
    window = Window(start=observed.now - timedelta(minutes=limits.metrics_minutes), end=observed.now)
    streams = list(_streams(observed.objects))[: limits.log_streams]
    logs, (series, gaps) = await asyncio.gather(
        reader.logs(streams, tail=limits.log_tail), read_metrics(namespaces, window, metrics=metrics)
    )
    deeper = await _deeper(logs.logs, reader=reader, limits=limits)
    seen = replace(observed, logs=(*observed.logs, *deeper), gaps=(*observed.gaps, *logs.gaps, *gaps))
    return Sight(observed=seen, series=series, window=window)


async def read_metrics(
    namespaces: Sequence[str], window: Window, *, metrics: Metrics | None
) -> tuple[tuple[Series, ...], tuple[Gap, ...]]:
    if metrics is None:
        return (), (Gap(what="metrics", why="no Prometheus is configured"),)
    queries = [f'{name}{{namespace="{namespace}"}}' for namespace in namespaces for name in METRICS]
    wanted = [(f"metrics of applications in {one}", f'{{__name__=~"{OF_APPLICATIONS}",namespace="{one}"}}') for one in namespaces]
    wanted += [(what, f'{{__name__=~"{names}"}}') for what, names in OF_PLATFORM]
    bounded = [await _bounded(selector, what, metrics=metrics, at=window.end) for what, selector in wanted]
    queries += [one for one in bounded if isinstance(one, str)]
    queries += [f'{{__name__=~"{OF_NODES}"}}', *(f'up{{job="{job}"}}' for job in API_SERVERS)]
    answers = await asyncio.gather(
        *(metrics.range(query, window, METRICS_STEP_SECONDS) for query in queries), return_exceptions=True
    )
    series: dict[tuple[tuple[str, str], ...], Series] = {}  # one that two queries ask for counts once
    whys: list[str] = []
    for answer in answers:
        if isinstance(answer, MetricsUnavailable):
            whys.append(str(answer))
        elif isinstance(answer, BaseException):
            raise answer
        else:
            series |= {tuple(sorted(one.labels.items())): one for one in answer}
    too_many = tuple(one for one in bounded if isinstance(one, Gap))
    return tuple(series.values()), (*too_many, *(Gap(what="metrics", why=why) for why in dict.fromkeys(whys)))


async def _bounded(selector: str, what: str, *, metrics: Metrics, at: datetime) -> str | Gap:
    """The selector, or why it is better not asked. Who cannot count (a snapshot) has what it has in memory."""
    try:
        counted = await metrics.instant(f"count({selector})", at)
    except MetricsUnavailable:
        return selector
    count = int(counted[0].samples[-1][1]) if counted and counted[0].samples else 0
    if count > MOST_SERIES:
        return Gap(what=what, why=f"{count} series are more than are read at once")
    return selector


async def _deeper(logs: Sequence[ContainerLog], *, reader: ClusterReader, limits: Limits) -> tuple[ContainerLog, ...]:
    """The logs, those of which all that was read is trouble once more from further back: what began it stands before it."""
    cut = [log for log in logs if log.text.count("\n") + 1 >= limits.log_tail]
    told = [(account_of(log.text), log) for log in cut]
    full = [(account.failing, log) for account, log in told if account is not None and account.from_the_start]
    full.sort(key=lambda one: (-one[0], one[1].namespace, one[1].pod, one[1].container))
    chosen = [log for _, log in full[: limits.deep_streams]]
    if not chosen:
        return tuple(logs)
    streams = [(Ref("Pod", log.namespace, log.pod), log.container, log.previous) for log in chosen]
    again = (await reader.logs(streams, tail=limits.deep_tail)).logs
    by_stream = {(log.namespace, log.pod, log.container, log.previous): log for log in again}
    return tuple(by_stream.get((log.namespace, log.pod, log.container, log.previous), log) for log in logs)


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
