"""Kinds of one name in several API groups, and what each is called. Pure; knows no object.

A kind that a check or the graph knows has a home: the groups in which it is what they mean by it. In any other group it is
another thing and is called kind.group, as kubectl does. Kinds without a home are told apart where two groups meet in one cluster
(`shared`).
"""

from collections.abc import Iterable

_GROUPS: dict[str, tuple[str, ...]] = {
    "": (
        "Service", "Pod", "Node", "Namespace", "Secret", "ConfigMap", "ServiceAccount", "PersistentVolume",
        "PersistentVolumeClaim", "ResourceQuota", "LimitRange", "Endpoints", "ReplicationController", "Event",
    ),
    "apps": ("Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "ControllerRevision"),
    "batch": ("Job", "CronJob"),
    "autoscaling": ("HorizontalPodAutoscaler",),
    "policy": ("PodDisruptionBudget",),
    "networking.k8s.io": ("Ingress", "IngressClass", "NetworkPolicy"),
    "storage.k8s.io": ("StorageClass", "VolumeAttachment", "CSIDriver", "CSINode"),
    "rbac.authorization.k8s.io": ("Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding"),
    "scheduling.k8s.io": ("PriorityClass",),
    "coordination.k8s.io": ("Lease",),
    "discovery.k8s.io": ("EndpointSlice",),
    "node.k8s.io": ("RuntimeClass",),
    "certificates.k8s.io": ("CertificateSigningRequest",),
    "apiregistration.k8s.io": ("APIService",),
    "apiextensions.k8s.io": ("CustomResourceDefinition",),
    "admissionregistration.k8s.io": ("ValidatingWebhookConfiguration", "MutatingWebhookConfiguration"),
    "resource.k8s.io": ("ResourceClaim", "ResourceClaimTemplate", "ResourceSlice", "DeviceClass"),
    "gateway.networking.k8s.io": (
        "Gateway", "GatewayClass", "HTTPRoute", "GRPCRoute", "TLSRoute", "TCPRoute", "UDPRoute", "ReferenceGrant",
    ),
    "cert-manager.io": ("Certificate", "CertificateRequest", "Issuer", "ClusterIssuer"),
    "acme.cert-manager.io": ("Order", "Challenge"),
    "argoproj.io": ("Application", "AppProject"),
    "kustomize.toolkit.fluxcd.io": ("Kustomization",),
    "helm.toolkit.fluxcd.io": ("HelmRelease",),
    "source.toolkit.fluxcd.io": ("HelmChart", "GitRepository", "HelmRepository", "OCIRepository", "Bucket"),
    "keda.sh": ("ScaledObject", "ScaledJob", "TriggerAuthentication", "ClusterTriggerAuthentication"),
    "kaito.sh": ("Workspace",),
    "karpenter.sh": ("NodeClaim", "NodePool"),
    "ray.io": ("RayCluster", "RayJob", "RayService"),
    "external-secrets.io": ("ExternalSecret", "SecretStore", "ClusterSecretStore"),
    "bitnami.com": ("SealedSecret",),
    "operators.coreos.com": ("Subscription", "InstallPlan", "CatalogSource", "OperatorGroup", "ClusterServiceVersion"),
}  # fmt: skip
# Groups that had, or have, the same kind under another name.
_ALSO: dict[str, tuple[str, ...]] = {
    "apps": ("extensions",),
    "networking.k8s.io": ("extensions",),
    "policy": ("extensions",),
    "": ("events.k8s.io",),
    "cert-manager.io": ("certmanager.k8s.io",),
    "acme.cert-manager.io": ("certmanager.k8s.io",),
    "rbac.authorization.k8s.io": ("authorization.openshift.io",),
    "external-secrets.io": ("kubernetes-client.io",),
}
_HOME: dict[str, frozenset[str]] = {
    kind: frozenset((group, *_ALSO.get(group, ()))) for group, kinds in _GROUPS.items() for kind in kinds
}
_MOST = 4096  # names kept; a cluster has some hundreds
_called: dict[tuple[str, str], str] = {}


def group_in(api_version: str) -> str:
    """The API group: "argoproj.io" of argoproj.io/v1alpha1, "" of v1."""
    return api_version.rpartition("/")[0]


def kind_in(kind: str, api_version: str) -> str:
    """What a kind of that API version is called here."""
    known = _called.get((kind, api_version))
    if known is not None:
        return known
    group, home = group_in(api_version), _HOME.get(kind)
    known = f"{kind}.{group}" if home is not None and group and group not in home else kind
    if len(_called) < _MOST:
        _called[kind, api_version] = known
    return known


def shared(kinds: Iterable[tuple[str, str]]) -> frozenset[str]:
    """Of (kind, apiVersion) pairs the kinds without a home that more than one API group has."""
    groups: dict[str, set[str]] = {}
    for kind, version in set(kinds):
        if kind not in _HOME:
            groups.setdefault(kind, set()).add(group_in(version))
    return frozenset(kind for kind, ones in groups.items() if len(ones) > 1)


def is_kind(called: str, kind: str, api_version: str) -> bool:
    """Whether a kind of that API version is the one that is called so here."""
    return called == kind_in(kind, api_version) or called == f"{kind}.{group_in(api_version)}"


def plain(kind: str) -> str:
    """The kind as the API has it: without the group that tells it apart."""
    return kind.partition(".")[0]
