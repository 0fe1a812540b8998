"""Every thirty lab seconds: what kube-state-metrics, the kubelets' cAdvisor and the programs themselves would have exposed."""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from lab.scenarios.scenario import Metric
from lab.telemetry import alerting, statemetrics
from lab.telemetry.series import Labels, SeriesStore, labels
from lab.world.cluster import Cluster
from lab.world.configuration import amounts
from lab.world.containers import ContainerRun
from lab.world.kubelet import Kubelet
from lab.world.pods import PodRun
from lab.world.reading import labels_of
from lab.world.usage import cpu_cores, memory_bytes

INTERVAL = timedelta(seconds=30)
REQUESTS_A_SECOND = 12.0  # to one service pod, while there is nothing to say otherwise
Sample = tuple[Labels, float]


@dataclass
class Sampler:
    """A controller of the world: scrapes on its own time, and keeps the counters that programs would keep."""

    cluster: Cluster
    kubelet: Kubelet
    store: SeriesStore
    metrics: tuple[Metric, ...] = ()
    prune: Callable[[datetime], None] = lambda now: None
    name: str = "prometheus"
    watches: frozenset[str] = frozenset()
    due: datetime | None = None
    rules: alerting.Rules = field(default_factory=alerting.Rules)
    _counters: dict[Labels, float] = field(default_factory=dict)
    _last: datetime | None = None

    def __post_init__(self) -> None:
        self.due = self.cluster.now + timedelta(seconds=1)

    def reconcile(self) -> None:
        now = self.cluster.now
        if self.due is not None and now < self.due:
            return
        self.due = now + INTERVAL
        elapsed = (now - self._last).total_seconds() if self._last is not None else 0.0
        self._last = now
        at = now.timestamp()
        samples = [*statemetrics.all_of(self.cluster), *self._pods(now, elapsed)]
        samples += [(labels("up", {"job": job, "instance": "127.0.0.1"}), 1.0) for job in ("kube-state-metrics", "prometheus")]
        samples += [
            (labels("up", {"job": "cadvisor", "node": n["metadata"]["name"], "instance": f"{n['metadata']['name']}:10250"}), 1.0)
            for n in self.cluster.of("Node")
        ]
        samples += self.rules.firing(self.cluster, samples, now)
        self.store.scrape(at, samples)
        self.prune(now)

    def _pods(self, now: datetime, elapsed: float) -> Iterator[Sample]:
        services = {s["metadata"]["namespace"]: [] for s in self.cluster.of("Service")}  # type: dict[str, list[tuple[str, dict[str, str]]]]
        for service in self.cluster.of("Service"):
            if service["spec"].get("selector"):
                services[service["metadata"]["namespace"]].append((service["metadata"]["name"], service["spec"]["selector"]))
        for run in list(self.kubelet.runs.values()):
            metadata = run.pod["metadata"]
            selected = [
                name
                for name, selector in services.get(metadata["namespace"], [])
                if all(labels_of(run.pod).get(k) == v for k, v in selector.items())
            ]
            for one in run.main:
                base = {"namespace": metadata["namespace"], "pod": metadata["name"], "container": one.name}
                yield from self._usage(run, one, base, now, elapsed)
                yield from self._requests(one, {**base, "service": selected[0] if selected else one.name}, elapsed)
                yield from self._scripted(run, one, base, now, elapsed)

    def _usage(self, run: PodRun, one: ContainerRun, base: Mapping[str, str], now: datetime, elapsed: float) -> Iterator[Sample]:
        where = {**base, "node": run.node, "job": "cadvisor", "image": one.image}
        limits = amounts(one.spec, "limits")
        yield self._count("container_oom_events_total", where, 0.0, set_to=float(one.oom_kills))
        if not one.running:
            return
        used = memory_bytes(one, now)
        yield labels("container_memory_working_set_bytes", where), used
        yield labels("container_memory_usage_bytes", where), used * 1.05
        yield labels("container_memory_rss", where), used * 0.9
        yield labels("container_spec_memory_limit_bytes", where), limits.get("memory", 0.0)
        yield self._count("container_cpu_usage_seconds_total", {**where, "cpu": "total"}, cpu_cores(one, now) * elapsed)
        if "cpu" in limits:
            yield self._count("container_cpu_cfs_periods_total", where, elapsed * 10)
            throttled = elapsed * 8 if cpu_cores(one, now) >= limits["cpu"] * 0.98 else 0.0
            yield self._count("container_cpu_cfs_throttled_periods_total", where, throttled)

    def _requests(self, one: ContainerRun, base: Mapping[str, str], elapsed: float) -> Iterator[Sample]:
        """http_requests_total of a program with a declared port: what is answered follows what it does now."""
        ports = one.spec.get("ports") or []
        if not ports or not one.running or one.program is None or one.program.listen == ():
            return
        where = {**base, "job": "pods"}
        served = REQUESTS_A_SECOND * elapsed if one.ready or one.program.errors else 0.0
        yield self._count("http_requests_total", {**where, "code": "200"}, served * (1 - one.program.errors))
        yield self._count("http_requests_total", {**where, "code": "503"}, served * one.program.errors)

    def _scripted(
        self, run: PodRun, one: ContainerRun, base: Mapping[str, str], now: datetime, elapsed: float
    ) -> Iterator[Sample]:
        for metric in self.metrics:
            if metric.namespace not in ("", base["namespace"]):
                continue
            if not one.running or any(labels_of(run.pod).get(k) != v for k, v in metric.match.items()):
                continue
            value = metric.value.value(run.variables(one, now))
            if not isinstance(value, int | float):
                continue
            where = {**base, "job": "pods", **metric.labels}
            if metric.type == "counter":
                yield self._count(metric.name, where, float(value) * elapsed)
            else:
                yield labels(metric.name, where), float(value)

    def _count(self, name: str, where: Mapping[str, str], grown: float, *, set_to: float | None = None) -> Sample:
        key = labels(name, where)
        value = set_to if set_to is not None else self._counters.get(key, 0.0) + grown
        self._counters[key] = value
        return key, math.floor(value * 1000) / 1000
