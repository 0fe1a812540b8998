"""What the Kubernetes API calls the kinds that the sidecar knows, and where their URLs are. Knows no credentials.

A kind that is not in the table has no URL here: it is refused, never guessed. Paths are built from validated names only,
escaped segment by segment.
"""

from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import quote

from sidecar.contract import ObjectRef
from sidecar.ports.cluster import ApiCall


@dataclass(frozen=True, slots=True, kw_only=True)
class Resource:
    """`group` is "" for core; `plural` the name in URLs and RBAC rules."""

    group: str
    version: str
    plural: str
    namespaced: bool = True


def _core(plural: str, *, namespaced: bool = True) -> Resource:
    return Resource(group="", version="v1", plural=plural, namespaced=namespaced)


def _grouped(group: str, plural: str, version: str = "v1", *, namespaced: bool = True) -> Resource:
    return Resource(group=group, version=version, plural=plural, namespaced=namespaced)


RESOURCES: dict[tuple[str, str], Resource] = {
    ("v1", "ConfigMap"): _core("configmaps"),
    ("v1", "Endpoints"): _core("endpoints"),
    ("v1", "Event"): _core("events"),
    ("v1", "LimitRange"): _core("limitranges"),
    ("v1", "Namespace"): _core("namespaces", namespaced=False),
    ("v1", "Node"): _core("nodes", namespaced=False),
    ("v1", "PersistentVolume"): _core("persistentvolumes", namespaced=False),
    ("v1", "PersistentVolumeClaim"): _core("persistentvolumeclaims"),
    ("v1", "Pod"): _core("pods"),
    ("v1", "ReplicationController"): _core("replicationcontrollers"),
    ("v1", "ResourceQuota"): _core("resourcequotas"),
    ("v1", "Secret"): _core("secrets"),
    ("v1", "Service"): _core("services"),
    ("v1", "ServiceAccount"): _core("serviceaccounts"),
    ("apps/v1", "ControllerRevision"): _grouped("apps", "controllerrevisions"),
    ("apps/v1", "DaemonSet"): _grouped("apps", "daemonsets"),
    ("apps/v1", "Deployment"): _grouped("apps", "deployments"),
    ("apps/v1", "ReplicaSet"): _grouped("apps", "replicasets"),
    ("apps/v1", "StatefulSet"): _grouped("apps", "statefulsets"),
    ("autoscaling/v1", "HorizontalPodAutoscaler"): _grouped("autoscaling", "horizontalpodautoscalers"),
    ("autoscaling/v2", "HorizontalPodAutoscaler"): _grouped("autoscaling", "horizontalpodautoscalers", "v2"),
    ("batch/v1", "CronJob"): _grouped("batch", "cronjobs"),
    ("batch/v1", "Job"): _grouped("batch", "jobs"),
    ("discovery.k8s.io/v1", "EndpointSlice"): _grouped("discovery.k8s.io", "endpointslices"),
    ("networking.k8s.io/v1", "Ingress"): _grouped("networking.k8s.io", "ingresses"),
    ("networking.k8s.io/v1", "IngressClass"): _grouped("networking.k8s.io", "ingressclasses", namespaced=False),
    ("networking.k8s.io/v1", "NetworkPolicy"): _grouped("networking.k8s.io", "networkpolicies"),
    ("policy/v1", "PodDisruptionBudget"): _grouped("policy", "poddisruptionbudgets"),
    ("rbac.authorization.k8s.io/v1", "ClusterRole"): _grouped("rbac.authorization.k8s.io", "clusterroles", namespaced=False),
    ("rbac.authorization.k8s.io/v1", "ClusterRoleBinding"): _grouped(
        "rbac.authorization.k8s.io", "clusterrolebindings", namespaced=False
    ),
    ("rbac.authorization.k8s.io/v1", "Role"): _grouped("rbac.authorization.k8s.io", "roles"),
    ("rbac.authorization.k8s.io/v1", "RoleBinding"): _grouped("rbac.authorization.k8s.io", "rolebindings"),
    ("scheduling.k8s.io/v1", "PriorityClass"): _grouped("scheduling.k8s.io", "priorityclasses", namespaced=False),
    ("storage.k8s.io/v1", "StorageClass"): _grouped("storage.k8s.io", "storageclasses", namespaced=False),
}


def resource_of(api_version: str, kind: str) -> Resource | None:
    """The resource of a kind, None for one that is not known: B13, resolved or refused."""
    return RESOURCES.get((api_version, kind))


def collection_path(resource: Resource, namespace: str = "") -> str:
    """`/apis/apps/v1/namespaces/shop/deployments`; without a namespace, of the whole cluster."""
    root = f"/apis/{_segment(resource.group)}/{resource.version}" if resource.group else f"/api/{resource.version}"
    middle = f"/namespaces/{_segment(namespace)}" if namespace and resource.namespaced else ""
    return f"{root}{middle}/{resource.plural}"


def object_path(resource: Resource, namespace: str, name: str, subresource: str = "") -> str:
    tail = f"/{_segment(subresource)}" if subresource else ""
    return f"{collection_path(resource, namespace)}/{_segment(name)}{tail}"


def path_of(ref: ObjectRef, subresource: str = "") -> str | None:
    """The URL path of one object, None for a kind that is not known or a scope that does not fit it."""
    resource = resource_of(ref.api_version, ref.kind)
    if resource is None or resource.namespaced != bool(ref.namespace):
        return None
    return object_path(resource, ref.namespace, ref.name, subresource)


def look_at(ref: ObjectRef) -> ApiCall | None:
    """The GET of one object, None where it has no path."""
    return _look_at(ref.api_version, ref.kind, ref.namespace, ref.name)


@lru_cache(maxsize=4096)  # the same few things are looked at again and again
def _look_at(api_version: str, kind: str, namespace: str, name: str) -> ApiCall | None:
    resource = resource_of(api_version, kind)
    if resource is None or resource.namespaced != bool(namespace):
        return None
    return ApiCall(method="GET", path=object_path(resource, namespace, name))


@lru_cache(maxsize=4096)  # the same few names come with every look
def _segment(name: str) -> str:
    return quote(name, safe="")
