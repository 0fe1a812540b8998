"""What a cluster holds before anyone asks for anything: namespaces, the roles every user has, priority classes."""

from typing import Any

from lab.api.cluster import Cluster
from lab.api.resources import Resource
from lab.store import Key, Object

NAMESPACES = ("default", "kube-node-lease", "kube-public", "kube-system")
RBAC = "rbac.authorization.k8s.io"
_READ = ["get", "list", "watch"]
_WRITE = ["create", "delete", "deletecollection", "patch", "update"]
_DISCOVERY = [
    "/api",
    "/api/*",
    "/apis",
    "/apis/*",
    "/healthz",
    "/livez",
    "/openapi",
    "/openapi/*",
    "/readyz",
    "/version",
    "/version/",
]
_HEALTH = ["/healthz", "/livez", "/readyz", "/version", "/version/"]


def _rule(groups: list[str], resources: list[str], verbs: list[str]) -> Object:
    return {"apiGroups": groups, "resources": resources, "verbs": verbs}


_EXTENSIONS = [
    "daemonsets",
    "deployments",
    "deployments/scale",
    "ingresses",
    "networkpolicies",
    "replicasets",
    "replicasets/scale",
    "replicationcontrollers/scale",
]


def _view() -> list[Object]:
    core = [
        "configmaps",
        "endpoints",
        "persistentvolumeclaims",
        "persistentvolumeclaims/status",
        "pods",
        "replicationcontrollers",
        "replicationcontrollers/scale",
        "serviceaccounts",
        "services",
        "services/status",
    ]
    more = [
        "bindings",
        "events",
        "limitranges",
        "namespaces/status",
        "pods/log",
        "pods/status",
        "replicationcontrollers/status",
        "resourcequotas",
        "resourcequotas/status",
    ]
    apps = [
        "controllerrevisions",
        "daemonsets",
        "daemonsets/status",
        "deployments",
        "deployments/scale",
        "deployments/status",
        "replicasets",
        "replicasets/scale",
        "replicasets/status",
        "statefulsets",
        "statefulsets/scale",
        "statefulsets/status",
    ]
    return [
        _rule([""], core, _READ),
        _rule([""], more, _READ),
        _rule([""], ["namespaces"], _READ),
        _rule(["discovery.k8s.io"], ["endpointslices"], _READ),
        _rule(["apps"], apps, _READ),
        _rule(["autoscaling"], ["horizontalpodautoscalers", "horizontalpodautoscalers/status"], _READ),
        _rule(["batch"], ["cronjobs", "cronjobs/status", "jobs", "jobs/status"], _READ),
        _rule(["policy"], ["poddisruptionbudgets", "poddisruptionbudgets/status"], _READ),
        _rule(["networking.k8s.io"], ["ingresses", "ingresses/status", "networkpolicies"], _READ),
        _rule(["metrics.k8s.io"], ["pods", "nodes"], _READ),
        _rule(["events.k8s.io"], ["events"], _READ),
        _rule(
            ["extensions"],
            _EXTENSIONS + [f"{r}/status" for r in ("daemonsets", "deployments", "ingresses", "replicasets")],
            _READ,
        ),
        _rule(["resource.k8s.io"], ["resourceclaims", "resourceclaims/status", "resourceclaimtemplates"], _READ),
    ]


def _edit() -> list[Object]:
    return [
        _rule([""], ["pods/attach", "pods/exec", "pods/portforward", "pods/proxy", "secrets", "services/proxy"], _READ),
        _rule([""], ["serviceaccounts"], ["impersonate"]),
        _rule([""], ["pods", "pods/attach", "pods/exec", "pods/portforward", "pods/proxy"], _WRITE),
        _rule([""], ["pods/eviction"], ["create"]),
        _rule(
            [""],
            [
                "configmaps",
                "events",
                "persistentvolumeclaims",
                "replicationcontrollers",
                "replicationcontrollers/scale",
                "secrets",
                "serviceaccounts",
                "services",
                "services/proxy",
            ],
            _WRITE,
        ),
        _rule([""], ["serviceaccounts/token"], ["create"]),
        _rule(
            ["apps"],
            [
                "daemonsets",
                "deployments",
                "deployments/rollback",
                "deployments/scale",
                "replicasets",
                "replicasets/scale",
                "statefulsets",
                "statefulsets/scale",
            ],
            _WRITE,
        ),
        _rule(["autoscaling"], ["horizontalpodautoscalers"], _WRITE),
        _rule(["batch"], ["cronjobs", "jobs"], _WRITE),
        _rule(["policy"], ["poddisruptionbudgets"], _WRITE),
        _rule(["networking.k8s.io"], ["ingresses", "networkpolicies"], _WRITE),
        _rule(
            ["coordination.k8s.io"],
            ["leases"],
            ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"],
        ),
        _rule(["events.k8s.io"], ["events"], _WRITE),
        _rule(["extensions"], [*_EXTENSIONS, "deployments/rollback"], _WRITE),
        _rule(["resource.k8s.io"], ["resourceclaims", "resourceclaimtemplates"], _WRITE),
        *_view(),
    ]


def _roles() -> dict[str, list[Object]]:
    basic = [
        _rule(["authorization.k8s.io"], ["selfsubjectaccessreviews", "selfsubjectrulesreviews"], ["create"]),
        _rule(["authentication.k8s.io"], ["selfsubjectreviews"], ["create"]),
    ]
    admin = [
        _rule([RBAC], ["rolebindings", "roles"], [*_WRITE, *_READ]),
        _rule(["authorization.k8s.io"], ["localsubjectaccessreviews"], ["create"]),
        *_edit(),
    ]
    issuer = ["/.well-known/openid-configuration", "/.well-known/openid-configuration/", "/openid/v1/jwks", "/openid/v1/jwks/"]
    return {
        "cluster-admin": [_rule(["*"], ["*"], ["*"]), {"nonResourceURLs": ["*"], "verbs": ["*"]}],
        "admin": admin,
        "edit": _edit(),
        "view": _view(),
        "system:basic-user": basic,
        "system:discovery": [{"nonResourceURLs": _DISCOVERY, "verbs": ["get"]}],
        "system:openid-discovery": [{"nonResourceURLs": ["/.well-known", "/.well-known/*"], "verbs": ["get"]}],
        "system:public-info-viewer": [{"nonResourceURLs": _HEALTH, "verbs": ["get"]}],
        "system:service-account-issuer-discovery": [{"nonResourceURLs": issuer, "verbs": ["get"]}],
    }


_BINDINGS = {
    "cluster-admin": ("cluster-admin", ["system:masters"]),
    "system:basic-user": ("system:basic-user", ["system:authenticated"]),
    "system:discovery": ("system:discovery", ["system:authenticated"]),
    "system:openid-discovery": ("system:openid-discovery", ["system:authenticated"]),
    "system:public-info-viewer": ("system:public-info-viewer", ["system:authenticated", "system:unauthenticated"]),
    "system:service-account-issuer-discovery": ("system:service-account-issuer-discovery", ["system:serviceaccounts"]),
}


def fill(cluster: Cluster) -> None:
    """Make what is missing; what is there stays. Hold the store's lock."""
    for name in NAMESPACES:
        meta = {"name": name, "labels": {"kubernetes.io/metadata.name": name}}
        _ensure(
            cluster, "v1", "Namespace", {"metadata": meta, "spec": {"finalizers": ["kubernetes"]}, "status": {"phase": "Active"}}
        )
    labels = {"kubernetes.io/bootstrapping": "rbac-defaults"}
    for name, rules in _roles().items():
        _ensure(cluster, f"{RBAC}/v1", "ClusterRole", {"metadata": {"name": name, "labels": labels}, "rules": rules})
    for name, (role, groups) in _BINDINGS.items():
        ref = {"apiGroup": RBAC, "kind": "ClusterRole", "name": role}
        subjects = [{"apiGroup": RBAC, "kind": "Group", "name": g} for g in groups]
        _ensure(
            cluster,
            f"{RBAC}/v1",
            "ClusterRoleBinding",
            {"metadata": {"name": name, "labels": labels}, "roleRef": ref, "subjects": subjects},
        )
    for name, value in (("system-cluster-critical", 2000000000), ("system-node-critical", 2000001000)):
        body: dict[str, Any] = {
            "metadata": {"name": name, "generation": 1},
            "value": value,
            "preemptionPolicy": "PreemptLowerPriority",
        }
        _ensure(cluster, "scheduling.k8s.io/v1", "PriorityClass", body)
    _kubernetes_service(cluster)


def _kubernetes_service(cluster: Cluster) -> None:
    labels = {"component": "apiserver", "provider": "kubernetes"}
    ports = [{"name": "https", "protocol": "TCP", "port": 443, "targetPort": 6443}]
    spec = {
        "clusterIP": "10.96.0.1",
        "clusterIPs": ["10.96.0.1"],
        "type": "ClusterIP",
        "sessionAffinity": "None",
        "ipFamilies": ["IPv4"],
        "ipFamilyPolicy": "SingleStack",
        "internalTrafficPolicy": "Cluster",
        "ports": ports,
    }
    meta = {"name": "kubernetes", "namespace": "default", "labels": labels}
    _ensure(cluster, "v1", "Service", {"metadata": meta, "spec": spec, "status": {"loadBalancer": {}}})


def _ensure(cluster: Cluster, api_version: str, kind: str, body: Object) -> None:
    resource = cluster.resources.by_kind(api_version, kind)
    assert isinstance(resource, Resource)
    meta = body["metadata"]
    key = Key(resource.store_group, resource.plural, meta.get("namespace", ""), meta["name"])
    if cluster.store.get(key) is None:
        cluster.store.create(key, {"kind": kind, "apiVersion": api_version} | body)
