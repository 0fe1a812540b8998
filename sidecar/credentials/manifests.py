"""The objects that carry a lease in the cluster, and the probe that shows that they are gone: pure.

One ServiceAccount in the namespace of the leases; a Role and a RoleBinding in each namespace of the rights; a ClusterRole
and a ClusterRoleBinding where a right is on a node. All carry one name with a random part: a name is never used twice, so
no binding that was forgotten can ever apply again.
"""

from dataclasses import dataclass
from datetime import datetime

from sidecar.contract import Json, Lease, Right
from sidecar.ports import ApiCall, Resource, collection_path, object_path

MANAGED_BY = "lestrade-sidecar"
LABEL_MANAGED_BY = "app.kubernetes.io/managed-by"
LABEL_LEASE = "lestrade.dev/lease"
LABEL_PLAN = "lestrade.dev/plan"
LABEL_EXPIRES = "lestrade.dev/expires"
SELECTOR = f"{LABEL_MANAGED_BY}={MANAGED_BY},{LABEL_LEASE}"
TOKEN_SECONDS = 600  # the least that a real API server takes

RBAC = "rbac.authorization.k8s.io"
SERVICE_ACCOUNTS = Resource(group="", version="v1", plural="serviceaccounts")
ROLES = Resource(group=RBAC, version="v1", plural="roles")
BINDINGS = Resource(group=RBAC, version="v1", plural="rolebindings")
CLUSTER_ROLES = Resource(group=RBAC, version="v1", plural="clusterroles", namespaced=False)
CLUSTER_BINDINGS = Resource(group=RBAC, version="v1", plural="clusterrolebindings", namespaced=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """One object of a lease: where it is, and what it holds. `uid`: of the object as it was seen, "" where it was not."""

    resource: Resource
    namespace: str
    name: str
    manifest: dict[str, Json]
    uid: str = ""

    @property
    def create(self) -> ApiCall:
        path = collection_path(self.resource, self.namespace)
        return ApiCall(method="POST", path=path, query=(("fieldManager", MANAGED_BY),), body=self.manifest)

    @property
    def read(self) -> ApiCall:
        return ApiCall(method="GET", path=object_path(self.resource, self.namespace, self.name))

    def delete(self, uid: str) -> ApiCall:
        """Of that very object: not of one that somebody else made under its name."""
        body: Json = {"apiVersion": "v1", "kind": "DeleteOptions", "preconditions": {"uid": uid}}
        return ApiCall(method="DELETE", path=object_path(self.resource, self.namespace, self.name), body=body)

    def __str__(self) -> str:
        return f"{self.resource.plural} {self.namespace}/{self.name}"


def account_name(lease: str) -> str:
    return f"lestrade-{lease}"


def identity_of(lease: str, namespace: str) -> str:
    """The user name of the lease's ServiceAccount, as audit logs show it."""
    return f"system:serviceaccount:{namespace}:{account_name(lease)}"


def pieces(lease: Lease, incident: str, namespace: str) -> list[Piece]:
    """In the order of making; the order of taking away is `revocation_order`."""
    name = account_name(lease.id)
    metadata = _metadata(lease, incident)
    made = [
        Piece(
            resource=SERVICE_ACCOUNTS,
            namespace=namespace,
            name=name,
            manifest={
                "apiVersion": "v1",
                "kind": "ServiceAccount",
                "metadata": {"name": name, "namespace": namespace, **metadata},
                "automountServiceAccountToken": False,
            },
        )
    ]
    for scope in sorted({right.namespace for right in lease.rights}):
        rules = [_rule(right) for right in lease.rights if right.namespace == scope]
        made += _role_and_binding(name, scope, rules, metadata, account_namespace=namespace)
    return made


def revocation_order(made: list[Piece]) -> list[Piece]:
    """Bindings first (403 within milliseconds), then roles, then the account: never a binding to a missing account."""
    order = (BINDINGS, CLUSTER_BINDINGS, ROLES, CLUSTER_ROLES, SERVICE_ACCOUNTS)
    return sorted(made, key=lambda piece: order.index(piece.resource))


def token_request(lease: str, namespace: str) -> ApiCall:
    return ApiCall(
        method="POST",
        path=object_path(SERVICE_ACCOUNTS, namespace, account_name(lease), "token"),
        body={
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenRequest",
            "spec": {"expirationSeconds": TOKEN_SECONDS},
        },
    )


def probes(rights: tuple[Right, ...]) -> list[ApiCall]:
    """One write for each scope that the lease was allowed, as a dry run: nothing happens even where it still passes."""
    chosen: dict[str, ApiCall] = {}
    for right in rights:
        if right.namespace not in chosen:
            chosen[right.namespace] = _probe(right)
    return list(chosen.values())


def _probe(right: Right) -> ApiCall:
    plural, _, subresource = right.resource.partition("/")
    resource = Resource(
        group=right.group, version=_VERSIONS.get(right.group, "v1"), plural=plural, namespaced=bool(right.namespace)
    )
    dry = (("dryRun", "All"),)
    if "patch" in right.verbs:
        path = object_path(resource, right.namespace, right.names[0], subresource)
        return ApiCall(method="PATCH", path=path, query=dry, body={}, content_type="application/merge-patch+json")
    if "delete" in right.verbs:
        return ApiCall(method="DELETE", path=object_path(resource, right.namespace, right.names[0]), query=dry)
    if subresource:
        path = object_path(resource, right.namespace, right.names[0], subresource)
        body: Json = {
            "apiVersion": "policy/v1",
            "kind": "Eviction",
            "metadata": {"name": right.names[0], "namespace": right.namespace},
            "deleteOptions": {"dryRun": ["All"]},
        }
        return ApiCall(method="POST", path=path, query=dry, body=body)
    return ApiCall(method="POST", path=collection_path(resource, right.namespace), query=dry, body={})


_VERSIONS = {"autoscaling": "v2"}


def _metadata(lease: Lease, incident: str) -> dict[str, Json]:
    labels: dict[str, Json] = {
        LABEL_MANAGED_BY: MANAGED_BY,
        LABEL_LEASE: lease.id,
        LABEL_PLAN: lease.plan[:63],
        LABEL_EXPIRES: expiry_label(lease.expires_at),
    }
    return {"labels": labels, "annotations": {"lestrade.dev/incident": incident, "lestrade.dev/plan": lease.plan}}


def expiry_label(at: datetime) -> str:
    """Seconds since the epoch: a label takes no colon."""
    return str(int(at.timestamp()))


def _rule(right: Right) -> Json:
    rule: dict[str, Json] = {"apiGroups": [right.group], "resources": [right.resource], "verbs": list(right.verbs)}
    if right.names:
        rule["resourceNames"] = list(right.names)
    return rule


def _role_and_binding(
    name: str, scope: str, rules: list[Json], metadata: dict[str, Json], *, account_namespace: str
) -> list[Piece]:
    role, binding = (ROLES, BINDINGS) if scope else (CLUSTER_ROLES, CLUSTER_BINDINGS)
    kind = "Role" if scope else "ClusterRole"
    placed: dict[str, Json] = {"name": name, **({"namespace": scope} if scope else {}), **metadata}
    return [
        Piece(
            resource=role,
            namespace=scope,
            name=name,
            manifest={"apiVersion": f"{RBAC}/v1", "kind": kind, "metadata": placed, "rules": rules},
        ),
        Piece(
            resource=binding,
            namespace=scope,
            name=name,
            manifest={
                "apiVersion": f"{RBAC}/v1",
                "kind": f"{kind}Binding",
                "metadata": placed,
                "roleRef": {"apiGroup": RBAC, "kind": kind, "name": name},
                "subjects": [{"kind": "ServiceAccount", "name": name, "namespace": account_namespace}],
            },
        ),
    ]
