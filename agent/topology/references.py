"""What a manifest names: the edges that stand in its spec. Pure; says nothing about whether the named object exists."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from agent.domain.objects import Manifest, Ref
from agent.topology.fields import at, items, kind_of, mapping, namespace_of, text
from agent.topology.pods import containers

Relation = Literal[
    "owns", "selects", "mounts", "refers-to", "routes-to", "runs-on", "scales", "protects", "binds-role", "calls", "limited-by"
]

ROUTES = ("HTTPRoute", "GRPCRoute", "TLSRoute", "TCPRoute", "UDPRoute")  # of the Gateway API
WORKLOADS = ("Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "Job", "ReplicationController")


@dataclass(frozen=True, slots=True)
class Named:
    """A reference as it stands in a spec: to what, how, where, which key, and whether its absence is allowed."""

    to: Ref
    relation: Relation
    where: str
    key: str = ""
    optional: bool = False


def pod_spec_of(manifest: Manifest) -> Mapping[str, Any]:
    """The pod spec of a pod or of any workload's template; empty for other kinds."""
    kind = kind_of(manifest)
    if kind == "Pod":
        return mapping(manifest, "spec")
    if kind == "CronJob":
        return mapping(manifest, "spec", "jobTemplate", "spec", "template", "spec")
    return mapping(manifest, "spec", "template", "spec") if kind in WORKLOADS else {}


def named_by(manifest: Manifest) -> Iterator[Named]:
    namespace = namespace_of(manifest)
    spec = pod_spec_of(manifest)
    if spec:
        yield from _pod_spec(spec, namespace)
    match kind_of(manifest):
        case "Ingress":
            yield from _ingress(manifest, namespace)
        case "HorizontalPodAutoscaler":
            target = mapping(manifest, "spec", "scaleTargetRef")
            yield Named(Ref(text(target, "kind"), namespace, text(target, "name")), "scales", "spec.scaleTargetRef")
        case "PersistentVolumeClaim":
            if text(manifest, "spec", "volumeName"):
                yield Named(Ref("PersistentVolume", "", text(manifest, "spec", "volumeName")), "refers-to", "spec.volumeName")
            if text(manifest, "spec", "storageClassName"):
                name = text(manifest, "spec", "storageClassName")
                yield Named(Ref("StorageClass", "", name), "refers-to", "spec.storageClassName")
        case "StatefulSet":
            if text(manifest, "spec", "serviceName"):
                yield Named(Ref("Service", namespace, text(manifest, "spec", "serviceName")), "refers-to", "spec.serviceName")
        case "RoleBinding" | "ClusterRoleBinding":
            role = mapping(manifest, "roleRef")
            scope = namespace if text(role, "kind") == "Role" else ""
            yield Named(Ref(text(role, "kind"), scope, text(role, "name")), "binds-role", "roleRef")
        case kind if kind in ROUTES:
            yield from _route(manifest, namespace)
        case "Gateway":
            yield from _gateway(manifest, namespace)
        case "ServiceAccount":
            for secret in [*items(manifest, "imagePullSecrets"), *items(manifest, "secrets")]:
                yield Named(Ref("Secret", namespace, text(secret, "name")), "refers-to", "secrets", optional=True)
        case "CustomResourceDefinition":
            service = mapping(manifest, "spec", "conversion", "webhook", "clientConfig", "service")
            if service:
                yield Named(Ref("Service", text(service, "namespace"), text(service, "name")), "routes-to", "spec.conversion")
        case "ValidatingWebhookConfiguration" | "MutatingWebhookConfiguration":
            for hook in items(manifest, "webhooks"):
                service = mapping(hook, "clientConfig", "service")
                if service:
                    to = Ref("Service", text(service, "namespace"), text(service, "name"))
                    yield Named(to, "routes-to", f"webhook {text(hook, 'name')}")
        case "APIService":
            service = mapping(manifest, "spec", "service")
            if service:
                yield Named(Ref("Service", text(service, "namespace"), text(service, "name")), "routes-to", "spec.service")


def _pod_spec(spec: Mapping[str, Any], namespace: str) -> Iterator[Named]:
    account = text(spec, "serviceAccountName")
    if account:
        yield Named(Ref("ServiceAccount", namespace, account), "refers-to", "serviceAccountName")
    if text(spec, "priorityClassName"):
        yield Named(Ref("PriorityClass", "", text(spec, "priorityClassName")), "refers-to", "priorityClassName")
    for secret in items(spec, "imagePullSecrets"):
        # the kubelet pulls without a pull secret that does not exist
        yield Named(Ref("Secret", namespace, text(secret, "name")), "refers-to", "imagePullSecrets", optional=True)
    for container in containers(spec):
        yield from _environment(container, namespace)
    for volume in items(spec, "volumes"):
        yield from _volume(volume, namespace)


def _environment(container: Mapping[str, Any], namespace: str) -> Iterator[Named]:
    holder = f"container {text(container, 'name')}"
    for variable in items(container, "env"):
        for field, kind in (("configMapKeyRef", "ConfigMap"), ("secretKeyRef", "Secret")):
            source = mapping(variable, "valueFrom", field)
            if source:
                yield Named(
                    Ref(kind, namespace, text(source, "name")), "refers-to", f"{holder}, env {text(variable, 'name')}",
                    key=text(source, "key"), optional=at(source, "optional") is True,
                )  # fmt: skip
    for source in items(container, "envFrom"):
        for field, kind in (("configMapRef", "ConfigMap"), ("secretRef", "Secret")):
            named = mapping(source, field)
            if named:
                optional = at(named, "optional") is True
                yield Named(Ref(kind, namespace, text(named, "name")), "refers-to", f"{holder}, envFrom", optional=optional)


def _volume(volume: Any, namespace: str) -> Iterator[Named]:
    where = f"volume {text(volume, 'name')}"
    sources = [volume, *items(volume, "projected", "sources")]
    for source in sources:
        for field, kind, name_field in (("configMap", "ConfigMap", "name"), ("secret", "Secret", "secretName")):
            named = mapping(source, field)
            name = text(named, name_field) or text(named, "name")
            if not name:
                continue
            optional = at(named, "optional") is True
            yield Named(Ref(kind, namespace, name), "mounts", where, optional=optional)
            for item in items(named, "items"):
                yield Named(Ref(kind, namespace, name), "mounts", where, key=text(item, "key"), optional=optional)
    claim = text(volume, "persistentVolumeClaim", "claimName")
    if claim:
        yield Named(Ref("PersistentVolumeClaim", namespace, claim), "mounts", where)


def _ingress(manifest: Manifest, namespace: str) -> Iterator[Named]:
    if text(manifest, "spec", "ingressClassName"):
        yield Named(Ref("IngressClass", "", text(manifest, "spec", "ingressClassName")), "refers-to", "spec.ingressClassName")
    for tls in items(manifest, "spec", "tls"):
        if text(tls, "secretName"):
            yield Named(Ref("Secret", namespace, text(tls, "secretName")), "refers-to", "spec.tls")
    backends = [("spec.defaultBackend", mapping(manifest, "spec", "defaultBackend"))]
    for rule in items(manifest, "spec", "rules"):
        backends += [
            (f"rule {text(rule, 'host')}{text(path, 'path')}", mapping(path, "backend")) for path in items(rule, "http", "paths")
        ]
    for where, backend in backends:
        service = mapping(backend, "service")
        if service:
            port = at(service, "port", "number") or at(service, "port", "name") or ""
            yield Named(Ref("Service", namespace, text(service, "name")), "routes-to", where, key=str(port))


def _route(manifest: Manifest, namespace: str) -> Iterator[Named]:
    for parent in items(manifest, "spec", "parentRefs"):
        to = Ref(text(parent, "kind") or "Gateway", text(parent, "namespace") or namespace, text(parent, "name"))
        yield Named(to, "refers-to", "spec.parentRefs", key=text(parent, "sectionName"))
    for number, rule in enumerate(items(manifest, "spec", "rules")):
        mirrors = [mapping(one, "requestMirror", "backendRef") for one in items(rule, "filters")]
        for backend in [*items(rule, "backendRefs"), *(one for one in mirrors if one)]:
            to = Ref(text(backend, "kind") or "Service", text(backend, "namespace") or namespace, text(backend, "name"))
            yield Named(to, "routes-to", f"rule {number + 1} backendRefs", key=str(at(backend, "port") or ""))


def _gateway(manifest: Manifest, namespace: str) -> Iterator[Named]:
    if text(manifest, "spec", "gatewayClassName"):
        yield Named(Ref("GatewayClass", "", text(manifest, "spec", "gatewayClassName")), "refers-to", "spec.gatewayClassName")
    for listener in items(manifest, "spec", "listeners"):
        for secret in items(listener, "tls", "certificateRefs"):
            if (text(secret, "kind") or "Secret") == "Secret":
                to = Ref("Secret", text(secret, "namespace") or namespace, text(secret, "name"))
                yield Named(to, "refers-to", f"listener {text(listener, 'name')}")
