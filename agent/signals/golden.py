"""Latency, errors and traffic of workloads, from the metrics that web frameworks, meshes and ingress controllers export.

Names differ, shapes do not: a histogram or summary of durations ends in _sum and _count, a counter of requests bears a code.
Pure; decides nothing.
"""

import re
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field

from agent.domain.objects import Ref, Series
from agent.signals.curves import EMPTY, Curve, rate, ratio, total
from agent.topology import Topology
from agent.topology.fields import labels_of, name_of, ref_of

# Durations of requests that are served. What a client measures is its peer's doing, and told by the peer.
_DURATION = re.compile(
    r"^(?P<base>.*(?:request|response|http|grpc|rpc|server|handling|handler).*?(?:duration|latency|time|seconds)\w*?)"
    r"_(?P<end>sum|count)$"
)
_REQUESTS = re.compile(r"(?:requests?|responses?|handled)(?:_total)?$")
_OTHERS = re.compile(  # what clients, control planes, exporters and the language measure
    r"(?:^|_)(?:client|outbound|upstream|egress)|^(?:kube|kubelet|container|node|machine|apiserver|rest_client|workqueue|etcd"
    r"|scrape|prometheus|promhttp|go|process|coredns|controller_runtime|scheduler|cilium|alertmanager)_"
)
_MILLI = re.compile(r"(?:_ms|_milliseconds|_millis)$")
_CODES = (
    "code",
    "status",
    "status_code",
    "response_code",
    "http_status",
    "http_status_code",
    "http_response_status_code",
    "status_class",
)
_GRPC = ("grpc_code", "grpc_status", "rpc_grpc_status_code", "grpc_response_status")
_GRPC_FAULTS = {
    "Unknown",
    "Internal",
    "Unavailable",
    "DeadlineExceeded",
    "DataLoss",
    "ResourceExhausted",
    "2",
    "13",
    "14",
    "4",
    "15",
    "8",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Golden:
    """Latency in seconds (mean of a step), errors as a share of requests, traffic in requests per second."""

    unit: Ref
    latency: Curve = EMPTY
    errors: Curve = EMPTY
    traffic: Curve = EMPTY


@dataclass(slots=True)
class _Parts:
    sums: list[Curve] = field(default_factory=list)
    counts: list[Curve] = field(default_factory=list)
    served: list[Curve] = field(default_factory=list)
    failed: list[Curve] = field(default_factory=list)


def by_name(topology: Topology) -> Mapping[str, list[Series]]:
    """The series of the topology by metric name, sorted out once."""
    known: dict[str, list[Series]] | None = topology.derived.get("series-by-name")
    if known is None:
        found: dict[str, list[Series]] = defaultdict(list)
        for one in topology.series:
            found[one.name].append(one)
        known = topology.derived["series-by-name"] = dict(found)
    return known


def golden_signals(topology: Topology) -> list[Golden]:
    """Of every workload that series speak of, worked out once a topology. Empty curves: not measured."""
    known: list[Golden] | None = topology.derived.get("golden-signals")
    if known is None:
        parts: dict[Ref, _Parts] = defaultdict(_Parts)
        for name, series in by_name(topology).items():
            duration = _DURATION.match(name[:200])
            if _OTHERS.search(name) or (duration is None and not _REQUESTS.search(name)):
                continue
            for one in series:
                unit = unit_of(topology, one.labels)
                if unit is not None:
                    _take(parts[unit], one, duration)
        known = [_golden(unit, parts[unit]) for unit in sorted(parts)]
        topology.derived["golden-signals"] = known
    return known


def _take(parts: _Parts, one: Series, duration: re.Match[str] | None) -> None:
    measured = rate(one)
    if duration is not None and duration["end"] == "sum":
        milli = _MILLI.search(duration["base"]) is not None
        parts.sums.append(Curve(measured.times, measured.values / 1000) if milli else measured)
        return
    if duration is not None:
        parts.counts.append(measured)
    failed = _failed(one.labels)
    if failed is not None:
        parts.served.append(measured)
        if failed:
            parts.failed.append(measured)


def _failed(labels: Mapping[str, str]) -> bool | None:
    """Whether the series counts answers that are the server's fault; None when it does not tell answers apart."""
    for name in _CODES:
        if labels.get(name, "")[:1].isdigit():
            return labels[name].startswith("5")
    for name in _GRPC:
        if labels.get(name):
            return labels[name] in _GRPC_FAULTS
    return None


def _golden(unit: Ref, parts: _Parts) -> Golden:
    served = total(parts.served)
    errors = ratio(total(parts.failed), served) if parts.failed else EMPTY
    return Golden(
        unit=unit,
        latency=ratio(total(parts.sums), total(parts.counts)),
        errors=errors,
        traffic=served if served.size else total(parts.counts),
    )


def unit_of(topology: Topology, labels: Mapping[str, str]) -> Ref | None:
    """The workload that a series is about: by what a mesh or ingress calls the destination, else by its pod, else by the
    Service or workload that it names. None when it is not of this cluster."""
    key = tuple(sorted((name, value) for name, value in labels.items() if name in _PLACES))
    cache: dict[tuple[tuple[str, str], ...], Ref | None] = topology.derived.setdefault("units-of-labels", {})
    if key not in cache:
        cache[key] = _unit_of(topology, dict(key))
    return cache[key]


_PLACES = frozenset(
    {
        *("namespace", "exported_namespace", "kubernetes_namespace"),
        *("pod", "exported_pod", "kubernetes_pod_name", "pod_name"),
        *("service", "exported_service", "service_name", "job"),
        *("deployment", "statefulset", "daemonset", "workload", "app", "app_kubernetes_io_name"),
        *("destination_workload", "destination_workload_namespace", "reporter"),
    }
)


def _unit_of(topology: Topology, labels: Mapping[str, str]) -> Ref | None:
    space = next((labels[name] for name in ("exported_namespace", "namespace", "kubernetes_namespace") if labels.get(name)), "")
    if labels.get("destination_workload"):
        if labels.get("reporter") == "source":
            return None
        return _workload(topology, labels.get("destination_workload_namespace") or space, labels["destination_workload"])
    if labels.get("exported_service"):
        return _behind(topology, space, labels["exported_service"])
    for name in ("exported_pod", "pod", "kubernetes_pod_name", "pod_name"):
        if labels.get(name):
            ref = Ref("Pod", space, labels[name])
            unit = topology.unit_of_name(ref)
            return unit if unit in topology.objects else None
    for name in ("deployment", "statefulset", "daemonset", "workload", "app", "app_kubernetes_io_name"):
        found = _workload(topology, space, labels[name]) if labels.get(name) else None
        if found is not None:
            return found
    for name in ("service", "service_name", "job"):
        found = _behind(topology, space, labels[name]) if labels.get(name) else None
        if found is not None:
            return found
    return None


def _workload(topology: Topology, namespace: str, name: str) -> Ref | None:
    kinds = ("Deployment", "StatefulSet", "DaemonSet")
    found = next((ref for kind in kinds if (ref := Ref(kind, namespace, name)) in topology.objects), None)
    if found is not None or namespace:
        return found
    alike = [ref_of(one) for one in topology.of_kind(*kinds) if name_of(one) == name or labels_of(one).get("app") == name]
    return alike[0] if len(alike) == 1 else None


def _behind(topology: Topology, namespace: str, name: str) -> Ref | None:
    """The one workload that a Service selects; a Service without one stands for the workload of its name."""
    service = topology.get("Service", namespace, name)
    if service is None:
        return _workload(topology, namespace, name)
    units = {topology.unit(ref_of(pod)) for pod in topology.selected_by(service)}
    return next(iter(units)) if len(units) == 1 else _workload(topology, namespace, name)
