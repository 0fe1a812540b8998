"""The objects that an alert is about, by its labels. Pure."""

from agent.domain.incident import Alert
from agent.domain.objects import Ref
from agent.topology import Topology

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
