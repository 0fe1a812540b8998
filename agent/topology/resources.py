"""Names of API resources as people and RBAC use them: plural, singular, kind or short name, and the API group. Pure."""

_CORE = (
    "pods pod po", "services service svc", "configmaps configmap cm", "secrets secret", "namespaces namespace ns",
    "nodes node no", "events event ev",
    "endpoints endpoint ep", "serviceaccounts serviceaccount sa", "persistentvolumes persistentvolume pv",
    "persistentvolumeclaims persistentvolumeclaim pvc", "resourcequotas resourcequota quota", "limitranges limitrange limits",
    "replicationcontrollers replicationcontroller rc", "podtemplates podtemplate", "bindings binding",
)  # fmt: skip
_GROUPED = {
    "apps": (
        "deployments deployment deploy", "replicasets replicaset rs", "statefulsets statefulset sts", "daemonsets daemonset ds",
        "controllerrevisions controllerrevision",
    ),
    "batch": ("jobs job", "cronjobs cronjob cj"),
    "autoscaling": ("horizontalpodautoscalers horizontalpodautoscaler hpa",),
    "policy": ("poddisruptionbudgets poddisruptionbudget pdb",),
    "networking.k8s.io": ("ingresses ingress ing", "ingressclasses ingressclass", "networkpolicies networkpolicy netpol"),
    "discovery.k8s.io": ("endpointslices endpointslice",),
    "storage.k8s.io": ("storageclasses storageclass sc", "volumeattachments volumeattachment", "csidrivers csidriver"),
    "rbac.authorization.k8s.io": (
        "roles role", "rolebindings rolebinding", "clusterroles clusterrole", "clusterrolebindings clusterrolebinding",
    ),
    "coordination.k8s.io": ("leases lease",),
    "scheduling.k8s.io": ("priorityclasses priorityclass pc",),
    "admissionregistration.k8s.io": (
        "validatingwebhookconfigurations validatingwebhookconfiguration",
        "mutatingwebhookconfigurations mutatingwebhookconfiguration",
    ),
    "apiextensions.k8s.io": ("customresourcedefinitions customresourcedefinition crd crds",),
    "apiregistration.k8s.io": ("apiservices apiservice",),
    "certificates.k8s.io": ("certificatesigningrequests certificatesigningrequest csr",),
    "gateway.networking.k8s.io": (
        "gateways gateway gtw", "gatewayclasses gatewayclass gc", "httproutes httproute", "grpcroutes grpcroute",
        "referencegrants referencegrant",
    ),
}  # fmt: skip
_CLUSTER_SCOPED = frozenset(
    {
        "namespaces", "nodes", "persistentvolumes", "ingressclasses", "storageclasses", "volumeattachments", "csidrivers",
        "clusterroles", "clusterrolebindings", "priorityclasses", "validatingwebhookconfigurations",
        "mutatingwebhookconfigurations", "customresourcedefinitions", "apiservices", "certificatesigningrequests",
        "gatewayclasses",
    }
)  # fmt: skip


def _table() -> dict[str, tuple[str, str]]:
    found: dict[str, tuple[str, str]] = {}
    for group, rows in (("", _CORE), *_GROUPED.items()):
        for row in rows:
            plural = row.split()[0]
            for word in row.split():
                found.setdefault(word, (plural, group))
    return found


_NAMES = _table()


def resource_named(word: str) -> tuple[str, str] | None:
    """(plural, API group) of a built-in resource by any of its names, with its subresource ("pod/log" gives "pods/log"); None
    for a name that is not built in."""
    main, slash, sub = word.strip().lower().partition("/")
    known = _NAMES.get(main.partition(".")[0])
    return (f"{known[0]}{slash}{sub}", known[1]) if known is not None else None


def is_cluster_scoped(plural: str) -> bool:
    return plural.partition("/")[0] in _CLUSTER_SCOPED
