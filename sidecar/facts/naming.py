"""What an object of the cluster names, so that it depends on it. Pure."""

from collections.abc import Iterator

from sidecar.facts.projection import Document, documents, mapping, pod_spec, text

WORKLOADS = frozenset({"Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "Job", "CronJob", "ReplicationController"})
RUNS_PODS = WORKLOADS | {"Pod"}


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
