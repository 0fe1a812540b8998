"""The objects that an alert is about, by its labels. Pure."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from agent.domain.incident import Alert
from agent.domain.objects import Ref
from agent.topology import Topology

_CLUSTER = ("cluster", "cluster_name", "k8s_cluster", "kubernetes_cluster", "cluster_id")
_TOGETHER = timedelta(hours=2)  # from the first to the last of them
_KIND_LABELS = {
    "pod": "Pod",
    "deployment": "Deployment",
    "statefulset": "StatefulSet",
    "daemonset": "DaemonSet",
    "job_name": "Job",
    "horizontalpodautoscaler": "HorizontalPodAutoscaler",
    "persistentvolumeclaim": "PersistentVolumeClaim",
    "service": "Service",
    "node": "Node",
    "cronjob": "CronJob",
    "replicaset": "ReplicaSet",
    "ingress": "Ingress",
    "resourcequota": "ResourceQuota",
    "poddisruptionbudget": "PodDisruptionBudget",
    "persistentvolume": "PersistentVolume",
    "configmap": "ConfigMap",
    "secret": "Secret",
}


def objects_of(alert: Alert, topology: Topology) -> list[Ref]:
    """Objects that the labels name and that are there, or the workload of a pod that is gone."""
    namespace = alert.labels.get("namespace", alert.labels.get("exported_namespace", ""))
    found = []
    for label, kind in _KIND_LABELS.items():
        name = alert.labels.get(label)
        if not name:
            continue
        ref = Ref(kind, "" if kind in ("Node", "PersistentVolume") else namespace, name)
        if ref in topology.objects:
            found.append(topology.unit(ref))
        elif kind == "Pod" and topology.unit_of_name(ref) != ref:
            found.append(topology.unit_of_name(ref))  # the pod is gone, its workload is not
    return found


def in_many_clusters(alerts: Sequence[Alert]) -> str:
    """What has to be said where one alert fires in several clusters at once; "" where none does. By labels alone: only one of the
    clusters can be looked into from here."""
    where: dict[str, dict[str, datetime | None]] = {}
    for one in alerts:
        cluster = next((one.labels[label] for label in _CLUSTER if one.labels.get(label)), "")
        if cluster and not one.resolved:
            where.setdefault(one.name, {}).setdefault(cluster, one.starts_at)
    name, clusters = max(sorted(where.items()), key=lambda one: len(one[1]), default=("", {}))
    times = [when for when in clusters.values() if when is not None]
    if len(clusters) < 2 or (times and max(times) - min(times) > _TOGETHER):
        return ""
    names = sorted(clusters)
    shown = ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
    return (
        f"{name} fires in {len(names)} clusters at once ({shown}): what was changed for all of them comes first, and is to be"
        " stopped first. In this one:"
    )
