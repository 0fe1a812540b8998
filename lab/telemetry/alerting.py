"""The few rules of the kube-prometheus mixin that this laboratory fires: ALERTS series, pending before firing."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from lab.telemetry.promql import Evaluator, parse
from lab.telemetry.promql.vectors import without_name
from lab.telemetry.series import Labels, SeriesStore, labels
from lab.world.cluster import Cluster

Sample = tuple[Labels, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    name: str
    expr: str
    wait: timedelta
    severity: str
    summary: str


RULES = (
    Rule(
        name="KubePodCrashLooping",
        expr='max_over_time(kube_pod_container_status_waiting_reason{reason="CrashLoopBackOff"}[5m]) >= 1',
        wait=timedelta(minutes=5),
        severity="warning",
        summary="Pod is crash looping.",
    ),
    Rule(
        name="KubePodNotReady",
        expr='sum by (namespace, pod) (kube_pod_status_phase{phase=~"Pending|Unknown|Failed"}) > 0',
        wait=timedelta(minutes=5),
        severity="warning",
        summary="Pod has been in a non-ready state for long.",
    ),
    Rule(
        name="KubeContainerWaiting",
        expr="kube_pod_container_status_waiting_reason > 0",
        wait=timedelta(minutes=10),
        severity="warning",
        summary="Pod container waiting for long.",
    ),
    Rule(
        name="KubeDeploymentReplicasMismatch",
        expr="kube_deployment_spec_replicas > kube_deployment_status_replicas_available",
        wait=timedelta(minutes=5),
        severity="warning",
        summary="Deployment has not matched the expected number of replicas.",
    ),
    Rule(
        name="KubeDeploymentRolloutStuck",
        expr='kube_deployment_status_condition{condition="Progressing", status="false"} != 0',
        wait=timedelta(minutes=1),
        severity="warning",
        summary="Deployment rollout is not progressing.",
    ),
    Rule(
        name="KubeQuotaFullyUsed",
        expr='kube_resourcequota{type="used"} / ignoring(type) (kube_resourcequota{type="hard"} > 0) == 1',
        wait=timedelta(minutes=5),
        severity="info",
        summary="Namespace quota is fully used.",
    ),
    Rule(
        name="KubePersistentVolumeClaimPending",
        expr='kube_persistentvolumeclaim_status_phase{phase="Pending"} == 1',
        wait=timedelta(minutes=5),
        severity="warning",
        summary="A claim has been pending for long.",
    ),
)


@dataclass
class Rules:
    """Remembers since when each condition holds."""

    rules: tuple[Rule, ...] = RULES
    active: dict[tuple[str, Labels], datetime] = field(default_factory=dict)
    _recent: SeriesStore = field(default_factory=lambda: SeriesStore(keep_seconds=600))

    def firing(self, cluster: Cluster, samples: Iterable[Sample], now: datetime) -> list[Sample]:
        """ALERTS and ALERTS_FOR_STATE of this scrape."""
        wanted = {"kube_"}
        self._recent.scrape(now.timestamp(), [s for s in samples if any(dict(s[0])["__name__"].startswith(w) for w in wanted)])
        evaluator = Evaluator(self._recent)
        seen: dict[tuple[str, Labels], datetime] = {}
        found: list[Sample] = []
        for rule in self.rules:
            result = evaluator.at(parse(rule.expr), now.timestamp())
            if not isinstance(result, dict):
                continue
            for series in result:
                key = rule.name, without_name(series)
                since = self.active.get(key, now)
                seen[key] = since
                where = self.labels_of(rule, key[1])
                state = "firing" if now - since >= rule.wait else "pending"
                found.append((labels("ALERTS", {**where, "alertstate": state}), 1.0))
                found.append((labels("ALERTS_FOR_STATE", where), since.timestamp()))
        self.active = seen
        return found

    @staticmethod
    def labels_of(rule: Rule, series: Labels) -> Mapping[str, str]:
        return {**{k: v for k, v in series if k not in ("job", "instance")}, "alertname": rule.name, "severity": rule.severity}
