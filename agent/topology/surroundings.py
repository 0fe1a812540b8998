"""What holds or carries an object without its naming it: policies that select it, limits of its namespace, bindings of its
account, slices of its Service, the default class, grants across namespaces, the metrics API behind an autoscaler, who gives it
its SPIFFE identity. Pure."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

from agent.domain.objects import Manifest, Ref
from agent.topology.fields import annotations_of, at, condition, controller_of, items, labels_of, mapping, name_of, text
from agent.topology.pods import is_finished
from agent.topology.references import ROUTES, WORKLOADS, Relation, pod_spec_of
from agent.topology.selectors import matches

Found = Iterator[tuple[Ref, Ref, Relation]]
_METRICS_APIS = {
    "Resource": "metrics.k8s.io",
    "ContainerResource": "metrics.k8s.io",
    "Pods": "custom.metrics.k8s.io",
    "Object": "custom.metrics.k8s.io",
    "External": "external.metrics.k8s.io",
}


def edges(objects: Mapping[Ref, Manifest]) -> Found:
    """(source, target, relation): the source depends on the target. Sources of pods are pods, for the caller to lift."""
    local: dict[tuple[str, str], list[tuple[Ref, Manifest]]] = defaultdict(list)
    for ref, manifest in objects.items():
        local[ref.kind, ref.namespace].append((ref, manifest))
    for ref, manifest in objects.items():
        match ref.kind:
            case "Pod" if (owner := controller_of(manifest)) is not None and owner.kind in WORKLOADS and owner in objects:
                continue  # its workload stands for it
            case "Pod" | "Deployment" | "StatefulSet" | "DaemonSet" | "Job":
                yield from _limits(ref, manifest, local)
            case "PersistentVolumeClaim":
                yield from ((ref, other, "limited-by") for other, _ in local["ResourceQuota", ref.namespace])
                yield from _default(ref, manifest, "storageClassName", "StorageClass", local)
            case "PersistentVolume":
                name = text(manifest, "spec", "storageClassName")
                if Ref("StorageClass", "", name) in objects:
                    yield ref, Ref("StorageClass", "", name), "refers-to"
            case "Ingress":
                yield from _default(ref, manifest, "ingressClassName", "IngressClass", local)
            case "RoleBinding" | "ClusterRoleBinding":
                for one in items(manifest, "subjects"):
                    if text(one, "kind") == "ServiceAccount":
                        account = Ref("ServiceAccount", text(one, "namespace") or ref.namespace, text(one, "name"))
                        yield account, ref, "binds-role"
            case "EndpointSlice":
                yield from _slice(ref, manifest)
            case "HorizontalPodAutoscaler":
                yield from _metrics_api(ref, manifest, local)
            case "Namespace":
                yield from _undiscovered(ref, manifest, local)
            case kind if kind in ROUTES:
                yield from _grants(ref, manifest, local)
    yield from _identities(objects, local)


def spire(objects: Mapping[tuple[str, str], list[tuple[Ref, Manifest]]], part: str) -> list[Ref]:
    """Workloads that are SPIRE's server or agent (`part`), by their image."""
    return [
        ref
        for (kind, _), ones in objects.items()
        if kind in ("Deployment", "StatefulSet", "DaemonSet")
        for ref, manifest in ones
        if any(f"spire-{part}" in text(one, "image") for one in items(pod_spec_of(manifest), "containers"))
    ]


def _identities(objects: Mapping[Ref, Manifest], local: Mapping[tuple[str, str], list[tuple[Ref, Manifest]]]) -> Found:
    """SPIRE's agent serves the pods that mount its socket (CSI driver csi.spiffe.io), and asks SPIRE's server."""
    agents = spire(local, "agent")
    for agent in agents:
        yield from ((agent, server, "calls") for server in spire(local, "server"))
    for ref, manifest in objects.items() if agents else ():
        volumes = items(pod_spec_of(manifest), "volumes") if ref.kind in WORKLOADS or ref.kind == "Pod" else ()
        if any(text(one, "csi", "driver") == "csi.spiffe.io" for one in volumes):
            yield from ((ref, agent, "refers-to") for agent in agents)


def _limits(ref: Ref, manifest: Manifest, local: Mapping[tuple[str, str], list[tuple[Ref, Manifest]]]) -> Found:
    labels = labels_of(manifest) if ref.kind == "Pod" else mapping(manifest, "spec", "template", "metadata", "labels")
    if ref.kind != "Pod" and pod_spec_of(manifest):
        yield from ((ref, other, "limited-by") for other, _ in local.get(("LimitRange", ref.namespace), ()))
    for other, policy in local.get(("NetworkPolicy", ref.namespace), ()):
        if matches(at(policy, "spec", "podSelector") or {}, labels):
            yield ref, other, "limited-by"


def _default(
    ref: Ref, manifest: Manifest, field: str, kind: str, local: Mapping[tuple[str, str], list[tuple[Ref, Manifest]]]
) -> Found:
    """The class that is marked as the default, for an object that names none."""
    if at(manifest, "spec", field) is None and not annotations_of(manifest).get("kubernetes.io/ingress.class"):
        yield from ((ref, other, "refers-to") for other, one in local.get((kind, ""), ()) if is_default(one))


def is_default(of: Manifest) -> bool:
    """Whether a StorageClass or IngressClass is the default one."""
    return any(value == "true" for name, value in annotations_of(of).items() if name.endswith("kubernetes.io/is-default-class"))


def _slice(ref: Ref, manifest: Manifest) -> Found:
    service = labels_of(manifest).get("kubernetes.io/service-name")
    if service:
        yield Ref("Service", ref.namespace, service), ref, "owns"
    for one in items(manifest, "endpoints"):
        target = mapping(one, "targetRef")
        if text(target, "kind") == "Pod":
            yield ref, Ref("Pod", text(target, "namespace") or ref.namespace, text(target, "name")), "routes-to"


def _metrics_api(ref: Ref, manifest: Manifest, local: Mapping[tuple[str, str], list[tuple[Ref, Manifest]]]) -> Found:
    """The aggregated API that the autoscaler's metrics come from (kubernetes.io: "HorizontalPodAutoscaler", support for metrics
    APIs)."""
    kinds = [text(one, "type") for one in items(manifest, "spec", "metrics")] or ["Resource"]
    groups = {_METRICS_APIS[kind] for kind in kinds if kind in _METRICS_APIS}
    for other, one in local.get(("APIService", ""), ()):
        if text(one, "spec", "group") in groups:
            yield ref, other, "refers-to"


def _undiscovered(ref: Ref, manifest: Manifest, local: Mapping[tuple[str, str], list[tuple[Ref, Manifest]]]) -> Found:
    """A namespace whose deletion cannot find out what is in it waits for the APIs that do not answer."""
    if text(condition(manifest, "NamespaceDeletionDiscoveryFailure"), "status") == "True":
        for other, one in local.get(("APIService", ""), ()):
            if text(condition(one, "Available"), "status") == "False":
                yield ref, other, "refers-to"


def _grants(ref: Ref, manifest: Manifest, local: Mapping[tuple[str, str], list[tuple[Ref, Manifest]]]) -> Found:
    for rule in items(manifest, "spec", "rules"):
        for backend in items(rule, "backendRefs"):
            space = text(backend, "namespace")
            if space and space != ref.namespace:
                for other, grant in local.get(("ReferenceGrant", space), ()):
                    if grants(grant, ref, text(backend, "kind") or "Service", text(backend, "name")):
                        yield ref, other, "refers-to"


def grants(grant: Manifest, source: Ref, kind: str, name: str) -> bool:
    """Whether a ReferenceGrant lets objects of the source's kind and namespace refer to `kind`/`name` in its own namespace."""

    def to_it(one: Any) -> bool:
        return text(one, "kind") == kind and text(one, "name") in ("", name)

    froms = [one for one in items(grant, "spec", "from") if text(one, "kind") == source.kind]
    return any(text(one, "namespace") == source.namespace for one in froms) and any(
        to_it(one) for one in items(grant, "spec", "to")
    )


def addresses_of(objects: Mapping[Ref, Manifest]) -> dict[str, Ref]:
    """Who has which address in the cluster: cluster addresses of Services, addresses of pods and nodes (a pod on its node's
    network has no address of its own)."""
    found: dict[str, Ref] = {}
    for ref, manifest in objects.items():
        values: list[Any] = []
        if ref.kind == "Node":
            values = [text(one, "address") for one in items(manifest, "status", "addresses")]
        elif ref.kind == "Service":
            values = [*items(manifest, "spec", "clusterIPs"), text(manifest, "spec", "clusterIP")]
            values += [text(one, "ip") for one in items(manifest, "status", "loadBalancer", "ingress")]
        elif ref.kind == "Pod" and not is_finished(manifest) and at(manifest, "spec", "hostNetwork") is not True:
            values = [text(manifest, "status", "podIP"), *(text(one, "ip") for one in items(manifest, "status", "podIPs"))]
        for value in values:
            if isinstance(value, str) and value not in ("", "None", name_of(manifest)):
                found.setdefault(value, ref)
    return found
