"""The kinds that diagnosis reads, and their paths in the Kubernetes API."""

from dataclasses import dataclass
from urllib.parse import quote


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


# Custom resources that checks know by name, with the version that a server without aggregated discovery is asked for.
EXTENSION_KINDS = (
    Resource("argoproj.io/v1alpha1", "AppProject", "appprojects", optional=True),
    Resource("argoproj.io/v1alpha1", "ApplicationSet", "applicationsets", optional=True),
    Resource("argoproj.io/v1alpha1", "Rollout", "rollouts", optional=True),
    Resource("kustomize.toolkit.fluxcd.io/v1", "Kustomization", "kustomizations", optional=True),
    Resource("helm.toolkit.fluxcd.io/v2", "HelmRelease", "helmreleases", optional=True),
    Resource("source.toolkit.fluxcd.io/v1", "GitRepository", "gitrepositories", optional=True),
    Resource("source.toolkit.fluxcd.io/v1", "OCIRepository", "ocirepositories", optional=True),
    Resource("source.toolkit.fluxcd.io/v1", "HelmRepository", "helmrepositories", optional=True),
    Resource("source.toolkit.fluxcd.io/v1", "HelmChart", "helmcharts", optional=True),
    Resource("source.toolkit.fluxcd.io/v1", "Bucket", "buckets", optional=True),
    Resource("cert-manager.io/v1", "Certificate", "certificates", optional=True),
    Resource("cert-manager.io/v1", "CertificateRequest", "certificaterequests", optional=True),
    Resource("cert-manager.io/v1", "Issuer", "issuers", optional=True),
    Resource("cert-manager.io/v1", "ClusterIssuer", "clusterissuers", namespaced=False, optional=True),
    Resource("acme.cert-manager.io/v1", "Order", "orders", optional=True),
    Resource("acme.cert-manager.io/v1", "Challenge", "challenges", optional=True),
    Resource("keda.sh/v1alpha1", "ScaledObject", "scaledobjects", optional=True),
    Resource("keda.sh/v1alpha1", "ScaledJob", "scaledjobs", optional=True),
    Resource("keda.sh/v1alpha1", "TriggerAuthentication", "triggerauthentications", optional=True),
    Resource(
        "keda.sh/v1alpha1", "ClusterTriggerAuthentication", "clustertriggerauthentications", namespaced=False, optional=True
    ),
    Resource("kaito.sh/v1beta1", "Workspace", "workspaces", optional=True),
    Resource("kaito.sh/v1beta1", "InferenceSet", "inferencesets", optional=True),
    Resource("kaito.sh/v1beta1", "RAGEngine", "ragengines", optional=True),
    Resource("kaito.sh/v1beta1", "MultiRoleInference", "multiroleinferences", optional=True),
    Resource("karpenter.sh/v1", "NodeClaim", "nodeclaims", namespaced=False, optional=True),
    Resource("karpenter.sh/v1", "NodePool", "nodepools", namespaced=False, optional=True),
    Resource("ray.io/v1", "RayCluster", "rayclusters", optional=True),
    Resource("ray.io/v1", "RayJob", "rayjobs", optional=True),
    Resource("ray.io/v1", "RayService", "rayservices", optional=True),
    Resource("inference.networking.k8s.io/v1", "InferencePool", "inferencepools", optional=True),
    Resource("inference.networking.x-k8s.io/v1alpha2", "InferencePool", "inferencepools", optional=True),
    Resource("inference.networking.x-k8s.io/v1alpha2", "InferenceObjective", "inferenceobjectives", optional=True),
    Resource("inference.networking.x-k8s.io/v1alpha2", "InferenceModel", "inferencemodels", optional=True),
    Resource("cilium.io/v2", "CiliumNetworkPolicy", "ciliumnetworkpolicies", optional=True),
    Resource(
        "cilium.io/v2", "CiliumClusterwideNetworkPolicy", "ciliumclusterwidenetworkpolicies", namespaced=False, optional=True
    ),
    Resource("resource.k8s.io/v1", "ResourceClaim", "resourceclaims", optional=True),
    Resource("resource.k8s.io/v1", "ResourceClaimTemplate", "resourceclaimtemplates", optional=True),
    Resource("resource.k8s.io/v1", "ResourceSlice", "resourceslices", namespaced=False, optional=True),
    Resource("resource.k8s.io/v1", "DeviceClass", "deviceclasses", namespaced=False, optional=True),
    Resource("nvidia.com/v1beta1", "DynamoGraphDeployment", "dynamographdeployments", optional=True),
    Resource("nvidia.com/v1beta1", "DynamoComponentDeployment", "dynamocomponentdeployments", optional=True),
    Resource("cluster.kubernetes-fleet.io/v1beta1", "MemberCluster", "memberclusters", namespaced=False, optional=True),
    Resource(
        "placement.kubernetes-fleet.io/v1beta1",
        "ClusterResourcePlacement",
        "clusterresourceplacements",
        namespaced=False,
        optional=True,
    ),
    Resource("placement.kubernetes-fleet.io/v1beta1", "ResourcePlacement", "resourceplacements", optional=True),
    Resource(
        "placement.kubernetes-fleet.io/v1beta1",
        "ClusterStagedUpdateRun",
        "clusterstagedupdateruns",
        namespaced=False,
        optional=True,
    ),
    Resource("placement.kubernetes-fleet.io/v1beta1", "StagedUpdateRun", "stagedupdateruns", optional=True),
    Resource("cluster.karmada.io/v1alpha1", "Cluster", "clusters", namespaced=False, optional=True),
    Resource("work.karmada.io/v1alpha2", "ResourceBinding", "resourcebindings", optional=True),
    Resource("work.karmada.io/v1alpha2", "ClusterResourceBinding", "clusterresourcebindings", namespaced=False, optional=True),
    Resource("cluster.open-cluster-management.io/v1", "ManagedCluster", "managedclusters", namespaced=False, optional=True),
    Resource("cluster.open-cluster-management.io/v1beta1", "Placement", "placements", optional=True),
    Resource("external-secrets.io/v1", "ExternalSecret", "externalsecrets", optional=True),
    Resource("external-secrets.io/v1", "SecretStore", "secretstores", optional=True),
    Resource("external-secrets.io/v1", "ClusterSecretStore", "clustersecretstores", namespaced=False, optional=True),
    Resource("bitnami.com/v1alpha1", "SealedSecret", "sealedsecrets", optional=True),
    Resource("operators.coreos.com/v1alpha1", "ClusterServiceVersion", "clusterserviceversions", optional=True),
    Resource("operators.coreos.com/v1alpha1", "Subscription", "subscriptions", optional=True),
    Resource("operators.coreos.com/v1alpha1", "InstallPlan", "installplans", optional=True),
    Resource("operators.coreos.com/v1alpha1", "CatalogSource", "catalogsources", optional=True),
    Resource("operators.coreos.com/v1", "OperatorGroup", "operatorgroups", optional=True),
    Resource("olm.operatorframework.io/v1", "ClusterExtension", "clusterextensions", namespaced=False, optional=True),
    Resource("olm.operatorframework.io/v1", "ClusterCatalog", "clustercatalogs", namespaced=False, optional=True),
    Resource("multicluster.x-k8s.io/v1alpha1", "ServiceExport", "serviceexports", optional=True),
    Resource("multicluster.x-k8s.io/v1alpha1", "ServiceImport", "serviceimports", optional=True),
)


def path_of(api_version: str, plural: str, namespace: str = "") -> str:
    """/api/v1/namespaces/NS/pods, /apis/apps/v1/deployments, ..."""
    root = f"/apis/{api_version}" if "/" in api_version else f"/api/{api_version}"
    return f"{root}/namespaces/{quote(namespace, safe='')}/{plural}" if namespace else f"{root}/{plural}"


def resource_of(api_version: str, kind: str) -> Resource | None:
    """The resource of a kind, that of the same API group first; None for kinds that are not known here."""
    known = [one for one in (*NAMESPACED_KINDS, *CLUSTER_KINDS, *EXTENSION_KINDS) if one.kind == kind]
    group = api_version.rpartition("/")[0]
    return next((one for one in known if one.api_version.rpartition("/")[0] == group), known[0] if known else None)
