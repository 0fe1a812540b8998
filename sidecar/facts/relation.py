"""How two objects of a cluster depend on each other, by what they themselves say. Pure; the agent's word is no part of it.

A relation has no direction: "this workload mounts that ConfigMap" is a reason to touch either for the sake of the other.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from sidecar.contract import ObjectRef
from sidecar.facts.projection import Document, covers_labels, documents, mapping, pod_labels, pod_spec, selects, text

WORKLOADS = frozenset({"Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "Job", "CronJob", "ReplicationController"})
RUNS_PODS = WORKLOADS | {"Pod"}
_SELECT_PODS = frozenset({"PodDisruptionBudget", "NetworkPolicy"})
_LIMIT = frozenset({"ResourceQuota", "LimitRange"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """`live` empty: not there, or not to be read (a Secret); its name alone can still be referred to."""

    ref: ObjectRef
    live: Document = field(default_factory=dict)
    owners: Sequence[Document] = ()

    def chain(self) -> Iterator[Document]:
        if self.live:
            yield self.live
        yield from self.owners


def relation(one: Seen, other: Seen, *, services: Sequence[Document] = (), pods: Sequence[Document] = ()) -> str:
    """same | owner | refers-to | selects | scales | limits | runs-on | routes-to, "" for none that can be seen.

    `services`: those of the namespace, asked for between an Ingress and what runs pods. `pods`: those of the workload,
    asked for between a workload and a Node.
    """
    if _name(one.ref) == _name(other.ref):
        return "same"
    return (
        _owner(one, other)
        or _one_way(one, other)
        or _one_way(other, one)
        or _routes(one, other, services)
        or _routes(other, one, services)
        or _runs(one, other, pods)
        or _runs(other, one, pods)
    )


def referred(live: Document) -> Iterator[tuple[str, str]]:
    """(kind, name) of everything that the object names, in its own namespace or in none; "" for what it leaves out."""
    spec = mapping(live, "spec")
    match live.get("kind"):
        case "PersistentVolumeClaim":
            yield "StorageClass", text(spec, "storageClassName")
            yield "PersistentVolume", text(spec, "volumeName")
        case "HorizontalPodAutoscaler":
            target = mapping(spec, "scaleTargetRef")
            yield text(target, "kind"), text(target, "name")
        case "Ingress":
            yield "IngressClass", text(spec, "ingressClassName")
            yield from (("Service", name) for name in backends(live))
            yield from (("Secret", text(entry, "secretName")) for entry in documents(spec.get("tls")))
        case kind if kind in RUNS_PODS:
            yield from _of_pods(pod_spec(live))
            if kind == "StatefulSet":
                yield "Service", text(spec, "serviceName")
        case _:
            return


def backends(ingress: Document) -> list[str]:
    """Names of the Services that an Ingress hands requests to."""
    spec = mapping(ingress, "spec")
    paths = [path for rule in documents(spec.get("rules")) for path in documents(mapping(rule, "http").get("paths"))]
    named = [mapping(spec, "defaultBackend"), *(mapping(path, "backend") for path in paths)]
    return sorted({text(mapping(one, "service"), "name") for one in named} - {""})


def service_covers(service: Document, labels: Document) -> bool:
    """Whether a Service's selector picks pods of these labels; one without a selector picks none."""
    return covers_labels(mapping(mapping(service, "spec"), "selector"), labels)


def _of_pods(template: Document) -> Iterator[tuple[str, str]]:
    yield "ServiceAccount", text(template, "serviceAccountName")
    yield "PriorityClass", text(template, "priorityClassName")
    yield "RuntimeClass", text(template, "runtimeClassName")
    for secret in documents(template.get("imagePullSecrets")):
        yield "Secret", text(secret, "name")
    for volume in documents(template.get("volumes")):
        sources = [volume, *documents(mapping(volume, "projected").get("sources"))]
        for source in sources:
            yield "ConfigMap", text(mapping(source, "configMap"), "name")
            yield "Secret", text(mapping(source, "secret"), "secretName") or text(mapping(source, "secret"), "name")
        yield "PersistentVolumeClaim", text(mapping(volume, "persistentVolumeClaim"), "claimName")
    for container in (*documents(template.get("containers")), *documents(template.get("initContainers"))):
        for whole in documents(container.get("envFrom")):
            yield "ConfigMap", text(mapping(whole, "configMapRef"), "name")
            yield "Secret", text(mapping(whole, "secretRef"), "name")
        for variable in documents(container.get("env")):
            source = mapping(variable, "valueFrom")
            yield "ConfigMap", text(mapping(source, "configMapKeyRef"), "name")
            yield "Secret", text(mapping(source, "secretKeyRef"), "name")


def _owner(one: Seen, other: Seen) -> str:
    ours, theirs = {_identity(found) for found in one.chain()}, {_identity(found) for found in other.chain()}
    if _named(one.ref) in theirs or _named(other.ref) in ours:
        return "owner"
    # Two pods of one workload; not two workloads of one operator, or two pods that a Node calls its own.
    return "owner" if any(kind in WORKLOADS for kind, _, _ in ours & theirs) else ""


def _one_way(holder: Seen, held: Seen) -> str:
    """Whether `holder`, or what owns it, names, selects, scales or limits `held`."""
    near = holder.ref.namespace == held.ref.namespace or not held.ref.namespace or not holder.ref.namespace
    if not near:
        return ""
    wanted = held.ref.kind, held.ref.name
    for found in holder.chain():
        if wanted in referred(found):
            return "scales" if found.get("kind") == "HorizontalPodAutoscaler" else "refers-to"
        if found.get("kind") == "StatefulSet" and held.ref.kind == "PersistentVolumeClaim" and _claims(found, held.ref.name):
            return "refers-to"
        if found.get("kind") == "Pod" and held.ref.kind == "Node" and mapping(found, "spec").get("nodeName") == held.ref.name:
            return "runs-on"
    if not holder.live or not held.live or holder.ref.namespace != held.ref.namespace or held.ref.kind not in RUNS_PODS:
        return ""
    if holder.ref.kind == "Service" and service_covers(holder.live, pod_labels(held.live)):
        return "selects"
    if holder.ref.kind in _SELECT_PODS and selects(_with_selector(holder.live), pod_labels(held.live)):
        return "selects"
    return "limits" if holder.ref.kind in _LIMIT else ""


def _routes(ingress: Seen, other: Seen, services: Sequence[Document]) -> str:
    if ingress.ref.kind != "Ingress" or other.ref.kind not in RUNS_PODS or ingress.ref.namespace != other.ref.namespace:
        return ""
    names = backends(ingress.live)
    behind = (one for one in services if text(mapping(one, "metadata"), "name") in names)
    return "routes-to" if any(service_covers(one, pod_labels(other.live)) for one in behind) else ""


def _runs(workload: Seen, node: Seen, pods: Sequence[Document]) -> str:
    """A pod of the workload runs on the node, or waits for a node while this one takes none."""
    if node.ref.kind != "Node" or workload.ref.kind not in WORKLOADS:
        return ""
    closed = mapping(node.live, "spec").get("unschedulable") is True
    places = {mapping(pod, "spec").get("nodeName") or "" for pod in pods if _is_owned(pod)}
    return "runs-on" if node.ref.name in places or (closed and "" in places) else ""


def _is_owned(pod: Document) -> bool:
    return any(entry.get("controller") is True for entry in documents(mapping(pod, "metadata").get("ownerReferences")))


def _claims(stateful: Document, claim: str) -> bool:
    """Claims of a StatefulSet are named <template>-<set>-<ordinal>."""
    owner = text(mapping(stateful, "metadata"), "name")
    templates = documents(mapping(stateful, "spec").get("volumeClaimTemplates"))
    for template in templates:
        prefix = f"{text(mapping(template, 'metadata'), 'name')}-{owner}-"
        if claim.startswith(prefix) and claim.removeprefix(prefix).isdecimal():
            return True
    return False


def _with_selector(live: Document) -> Document:
    """A NetworkPolicy calls its selector podSelector."""
    spec = mapping(live, "spec")
    return {"spec": {"selector": spec.get("selector", spec.get("podSelector"))}}


def _name(ref: ObjectRef) -> tuple[str, str, str]:
    return ref.kind, ref.namespace, ref.name


def _named(ref: ObjectRef) -> tuple[str, str, str]:
    return ref.kind, ref.name, ref.uid


def _identity(live: Document) -> tuple[str, str, str]:
    metadata = mapping(live, "metadata")
    return text(live, "kind"), text(metadata, "name"), text(metadata, "uid")
