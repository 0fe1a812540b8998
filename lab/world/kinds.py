"""Which group, plural and apiVersion the kinds that controllers touch have. Knows no store."""

from typing import Any, TypeAlias

from lab.store import Key

Object: TypeAlias = dict[str, Any]

GROUPS: dict[str, tuple[str, str, str]] = {  # kind: (group, plural, apiVersion)
    "Namespace": ("", "namespaces", "v1"),
    "Node": ("", "nodes", "v1"),
    "Pod": ("", "pods", "v1"),
    "Service": ("", "services", "v1"),
    "Endpoints": ("", "endpoints", "v1"),
    "ConfigMap": ("", "configmaps", "v1"),
    "Secret": ("", "secrets", "v1"),
    "ServiceAccount": ("", "serviceaccounts", "v1"),
    "Event": ("", "events", "v1"),
    "PersistentVolume": ("", "persistentvolumes", "v1"),
    "PersistentVolumeClaim": ("", "persistentvolumeclaims", "v1"),
    "ResourceQuota": ("", "resourcequotas", "v1"),
    "LimitRange": ("", "limitranges", "v1"),
    "Deployment": ("apps", "deployments", "apps/v1"),
    "ReplicaSet": ("apps", "replicasets", "apps/v1"),
    "StatefulSet": ("apps", "statefulsets", "apps/v1"),
    "ControllerRevision": ("apps", "controllerrevisions", "apps/v1"),
    "DaemonSet": ("apps", "daemonsets", "apps/v1"),
    "Job": ("batch", "jobs", "batch/v1"),
    "CronJob": ("batch", "cronjobs", "batch/v1"),
    "EndpointSlice": ("discovery.k8s.io", "endpointslices", "discovery.k8s.io/v1"),
    "HorizontalPodAutoscaler": ("autoscaling", "horizontalpodautoscalers", "autoscaling/v2"),
    "PodDisruptionBudget": ("policy", "poddisruptionbudgets", "policy/v1"),
    "StorageClass": ("storage.k8s.io", "storageclasses", "storage.k8s.io/v1"),
}
KIND_OF = {(group, plural): kind for kind, (group, plural, _) in GROUPS.items()}


def key_of(kind: str, namespace: str, name: str) -> Key:
    group, plural, _ = GROUPS[kind]
    return Key(group, plural, namespace, name)


def api_version(kind: str) -> str:
    return GROUPS[kind][2]
