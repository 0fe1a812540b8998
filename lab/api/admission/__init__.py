"""Admission: what the cluster's policies say of an object before it is stored. In the order of a real server."""

from lab.api.admission import accounts, limits, pod_security, policies, quota, rbac
from lab.api.cluster import Cluster
from lab.api.request import Call
from lab.api.resources import Resource
from lab.api.status import Cause, forbidden, not_found
from lab.store import Object

__all__ = ["charge", "mutate", "namespace_lifecycle", "validate", "validate_delete", "validate_part"]


def namespace_lifecycle(cluster: Cluster, resource: Resource, obj: Object) -> None:
    """Nothing is made in a namespace that is missing (404) or going (403)."""
    name = obj["metadata"]["namespace"]
    namespace = cluster.namespace(name)
    if namespace is None:
        raise not_found("namespaces", "", name)
    if "deletionTimestamp" in namespace["metadata"]:
        why = f"unable to create new content in namespace {name} because it is being terminated"
        cause = Cause(reason="NamespaceTerminating", message=f"namespace {name} is being terminated", field="metadata.namespace")
        raise forbidden(resource.plural, resource.group, obj["metadata"].get("name", ""), why, [cause])


def mutate(cluster: Cluster, resource: Resource, obj: Object, live: Object | None, call: Call) -> None:
    if (resource.group, resource.plural) == ("", "pods") and live is None:
        limits.fill_pod(cluster, obj)
        accounts.fill_pod(cluster, obj)
    if (resource.group, resource.plural) == ("", "persistentvolumeclaims") and live is None:
        accounts.default_storage_class(cluster, obj)


def validate(cluster: Cluster, resource: Resource, obj: Object, live: Object | None, call: Call) -> None:
    """ApiError 403 (422 for admission policies)."""
    rbac.no_escalation(cluster, resource, obj, live, call)
    limits.check(cluster, resource, obj, live)
    policies.check(cluster, resource, obj, live, call)
    pod_security.check(cluster, resource, obj, live, call)
    quota.check(cluster, resource, obj, live)


def validate_delete(cluster: Cluster, resource: Resource, live: Object, call: Call) -> None:
    """ApiError of a policy that keeps the object."""
    policies.check(cluster, resource, None, live, call)


def validate_part(cluster: Cluster, resource: Resource, obj: Object, call: Call, *, operation: str = "CREATE") -> None:
    """What is posted to a subresource with a kind of its own (eviction, binding, token), or opened (CONNECT). ApiError."""
    policies.check(cluster, resource, obj, None, call, operation=operation)


def charge(cluster: Cluster, resource: Resource, obj: Object) -> None:
    """Book what a new object uses to the quotas of its namespace."""
    quota.charge(cluster, resource, obj)
