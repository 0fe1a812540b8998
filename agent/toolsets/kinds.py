"""The kinds that diagnosis reads, and their paths in the Kubernetes API."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Resource:
    """`optional`: an API that many clusters do not have; its absence is no gap."""

    api_version: str
    kind: str
    plural: str
    namespaced: bool = True
    optional: bool = False


NAMESPACED_KINDS = (
    Resource("v1", "Pod", "pods"),
    Resource("v1", "Service", "services"),
    Resource("v1", "Endpoints", "endpoints"),
    Resource("v1", "ConfigMap", "configmaps"),
    Resource("v1", "Secret", "secrets"),
    Resource("v1", "ServiceAccount", "serviceaccounts"),
    Resource("v1", "PersistentVolumeClaim", "persistentvolumeclaims"),
    Resource("v1", "ResourceQuota", "resourcequotas"),
    Resource("v1", "LimitRange", "limitranges"),
    Resource("v1", "Event", "events"),
    Resource("apps/v1", "Deployment", "deployments"),
    Resource("apps/v1", "ReplicaSet", "replicasets"),
    Resource("apps/v1", "StatefulSet", "statefulsets"),
    Resource("apps/v1", "DaemonSet", "daemonsets"),
    Resource("batch/v1", "Job", "jobs"),
    Resource("batch/v1", "CronJob", "cronjobs"),
    Resource("autoscaling/v2", "HorizontalPodAutoscaler", "horizontalpodautoscalers"),
    Resource("policy/v1", "PodDisruptionBudget", "poddisruptionbudgets"),
    Resource("discovery.k8s.io/v1", "EndpointSlice", "endpointslices"),
    Resource("networking.k8s.io/v1", "Ingress", "ingresses"),
    Resource("networking.k8s.io/v1", "NetworkPolicy", "networkpolicies"),
    Resource("rbac.authorization.k8s.io/v1", "Role", "roles"),
    Resource("rbac.authorization.k8s.io/v1", "RoleBinding", "rolebindings"),
    Resource("coordination.k8s.io/v1", "Lease", "leases", optional=True),
    Resource("gateway.networking.k8s.io/v1", "Gateway", "gateways", optional=True),
    Resource("gateway.networking.k8s.io/v1", "HTTPRoute", "httproutes", optional=True),
    Resource("gateway.networking.k8s.io/v1", "GRPCRoute", "grpcroutes", optional=True),
    Resource("gateway.networking.k8s.io/v1beta1", "ReferenceGrant", "referencegrants", optional=True),
    Resource("argoproj.io/v1alpha1", "Application", "applications", optional=True),
)

CLUSTER_KINDS = (
    Resource("v1", "Namespace", "namespaces", namespaced=False),
    Resource("v1", "Node", "nodes", namespaced=False),
    Resource("v1", "PersistentVolume", "persistentvolumes", namespaced=False),
    Resource("storage.k8s.io/v1", "StorageClass", "storageclasses", namespaced=False),
    Resource("scheduling.k8s.io/v1", "PriorityClass", "priorityclasses", namespaced=False),
    Resource("networking.k8s.io/v1", "IngressClass", "ingressclasses", namespaced=False),
    Resource(
        "admissionregistration.k8s.io/v1", "ValidatingWebhookConfiguration", "validatingwebhookconfigurations", namespaced=False
    ),
    Resource(
        "admissionregistration.k8s.io/v1", "MutatingWebhookConfiguration", "mutatingwebhookconfigurations", namespaced=False
    ),
    Resource("apiregistration.k8s.io/v1", "APIService", "apiservices", namespaced=False),
    Resource("rbac.authorization.k8s.io/v1", "ClusterRole", "clusterroles", namespaced=False),
    Resource("rbac.authorization.k8s.io/v1", "ClusterRoleBinding", "clusterrolebindings", namespaced=False),
    Resource("gateway.networking.k8s.io/v1", "GatewayClass", "gatewayclasses", namespaced=False, optional=True),
    Resource("apiextensions.k8s.io/v1", "CustomResourceDefinition", "customresourcedefinitions", namespaced=False, optional=True),
    Resource(
        "certificates.k8s.io/v1", "CertificateSigningRequest", "certificatesigningrequests", namespaced=False, optional=True
    ),
)


def path_of(api_version: str, plural: str, namespace: str = "") -> str:
    """/api/v1/namespaces/NS/pods, /apis/apps/v1/deployments, ..."""
    root = f"/apis/{api_version}" if "/" in api_version else f"/api/{api_version}"
    return f"{root}/namespaces/{namespace}/{plural}" if namespace else f"{root}/{plural}"
