"""services/proxy and pods/proxy: who would be reached, and that nobody answers. No containers run here."""

from typing import Any

from lab.api.cluster import Cluster
from lab.api.request import Answer, Call
from lab.api.resources import Resource
from lab.api.status import ApiError, not_found
from lab.store import Object


def proxy(cluster: Cluster, call: Call, resource: Resource) -> Answer:
    """Always an ApiError: 404, or 503 with the address that refused."""
    name, _, port = call.target.name.partition(":")
    found = cluster.find(resource, call.target.namespace, name)
    if found is None:
        raise not_found(resource.plural, resource.group, name)
    address = _pod_address(found, port) if resource.plural == "pods" else _service_address(cluster, found, port)
    raise _unavailable(f"error trying to reach service: dial tcp {address}: connect: connection refused")


def _unavailable(message: str) -> ApiError:
    return ApiError(503, "ServiceUnavailable", message)


def _pod_address(pod: Object, port: str) -> str:
    return f"{(pod.get('status') or {}).get('podIP', '')}:{port or 80}"


def _service_address(cluster: Cluster, service: Object, port: str) -> str:
    meta = service["metadata"]
    ends: list[tuple[str, Any]] = []
    for item in cluster.store.list("discovery.k8s.io", "endpointslices", meta["namespace"]):
        if (item["metadata"].get("labels") or {}).get("kubernetes.io/service-name") != meta["name"]:
            continue
        target = next((p.get("port") for p in item.get("ports") or []), port)
        ends += [
            (a, target)
            for e in item.get("endpoints") or []
            if (e.get("conditions") or {}).get("ready")
            for a in e.get("addresses") or []
        ]
    if not ends:
        raise _unavailable(f'no endpoints available for service "{meta["name"]}"')
    return f"{ends[0][0]}:{ends[0][1]}"
