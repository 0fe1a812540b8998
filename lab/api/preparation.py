"""What the server decides itself when an object of some kind is written: status, generation, addresses. Knows no HTTP."""

import base64
from collections.abc import Mapping
from typing import Any

from lab.api import definitions
from lab.api.cluster import Cluster
from lab.api.quantity import parse
from lab.api.resources import Resource
from lab.store import Object

_GENERATION = {
    ("", "pods"),
    ("", "replicationcontrollers"),
    ("apps", "deployments"),
    ("apps", "replicasets"),
    ("apps", "statefulsets"),
    ("apps", "daemonsets"),
    ("batch", "jobs"),
    ("batch", "cronjobs"),
    ("policy", "poddisruptionbudgets"),
    ("networking.k8s.io", "networkpolicies"),
    ("networking.k8s.io", "ingresses"),
    ("networking.k8s.io", "ingressclasses"),
    ("discovery.k8s.io", "endpointslices"),
    ("apiextensions.k8s.io", "customresourcedefinitions"),
    ("admissionregistration.k8s.io", "validatingwebhookconfigurations"),
    ("admissionregistration.k8s.io", "mutatingwebhookconfigurations"),
    ("admissionregistration.k8s.io", "validatingadmissionpolicies"),
    ("admissionregistration.k8s.io", "validatingadmissionpolicybindings"),
    ("admissionregistration.k8s.io", "mutatingadmissionpolicies"),
    ("admissionregistration.k8s.io", "mutatingadmissionpolicybindings"),
    ("scheduling.k8s.io", "priorityclasses"),
    ("flowcontrol.apiserver.k8s.io", "flowschemas"),
    ("flowcontrol.apiserver.k8s.io", "prioritylevelconfigurations"),
}
_TAKEN = {
    "status": ("status",),
    "resize": ("spec",),
    "ephemeralcontainers": ("spec",),
    "finalize": ("spec",),
    "approval": ("status",),
    "scale": ("spec",),
}


def taken_by(subresource: str) -> tuple[str, ...]:
    """Which top-level fields a write to a subresource can change."""
    return _TAKEN.get(subresource, ())


def has_generation(resource: Resource) -> bool:
    return resource.custom is not None or (resource.store_group, resource.plural) in _GENERATION


def for_create(cluster: Cluster, resource: Resource, obj: Object) -> None:
    if has_generation(resource):
        obj["metadata"]["generation"] = 1
    match (resource.store_group, resource.plural):
        case ("", "pods"):
            obj["status"] = {"phase": "Pending", "qosClass": qos_class(obj["spec"])}
        case ("", "namespaces"):
            obj.setdefault("spec", {}).setdefault("finalizers", ["kubernetes"])
            obj["status"] = {"phase": "Active"}
        case ("", "services"):
            _service(cluster, obj)
        case ("", "secrets"):
            _string_data(obj)
        case ("", "resourcequotas"):
            obj["status"] = {}
        case ("batch", "jobs"):
            _job(obj)
        case ("policy", "poddisruptionbudgets"):
            obj["status"] = {"disruptionsAllowed": 0, "currentHealthy": 0, "desiredHealthy": 0, "expectedPods": 0}
        case ("networking.k8s.io", "ingresses"):
            obj["status"] = {"loadBalancer": {}}
        case ("apiextensions.k8s.io", "customresourcedefinitions"):
            obj["status"] = definitions.status(obj)
        case ("flowcontrol.apiserver.k8s.io", _):
            obj["status"] = {}
        case ("", "nodes"):
            obj.setdefault("status", {})
        case _:
            pass


def for_update(cluster: Cluster, resource: Resource, live: Object, new: Object, subresource: str) -> None:
    if (resource.store_group, resource.plural) == ("", "secrets"):
        _string_data(new)
    if (resource.store_group, resource.plural) == ("", "services"):
        _keep_addresses(live, new)
    if subresource == "ephemeralcontainers":
        new["spec"] = live["spec"] | {"ephemeralContainers": (new.get("spec") or {}).get("ephemeralContainers") or []}
    if has_generation(resource) and subresource not in ("status", "approval") and _spec_changed(resource, live, new):
        new["metadata"]["generation"] = int(live["metadata"].get("generation") or 0) + 1


def _spec_changed(resource: Resource, live: Object, new: Object) -> bool:
    if (resource.group, resource.plural) == ("apps", "deployments") and live["metadata"].get("annotations") != new[
        "metadata"
    ].get("annotations"):
        return True
    ignored = {"metadata", "status", "apiVersion", "kind"}
    return {k: v for k, v in live.items() if k not in ignored} != {k: v for k, v in new.items() if k not in ignored}


def _string_data(obj: Object) -> None:
    plain = obj.pop("stringData", None)
    for key, value in (plain or {}).items():
        obj.setdefault("data", {})[key] = base64.b64encode(str(value).encode()).decode()


def _service(cluster: Cluster, obj: Object) -> None:
    spec = obj["spec"]
    if spec["type"] != "ExternalName":
        taken = {s.get("spec", {}).get("clusterIP") for s in cluster.store.list("", "services")}
        if not spec.get("clusterIP"):
            spec["clusterIP"] = next(ip for ip in _addresses(len(taken)) if ip not in taken)
        spec.setdefault("clusterIPs", [spec["clusterIP"]])
        spec.setdefault("ipFamilies", ["IPv4"])
        spec.setdefault("ipFamilyPolicy", "SingleStack")
    if spec["type"] in ("NodePort", "LoadBalancer"):
        used = {p.get("nodePort") for s in cluster.store.list("", "services") for p in s.get("spec", {}).get("ports") or []}
        for port in spec.get("ports") or []:
            if not port.get("nodePort"):
                port["nodePort"] = next(n for n in range(30000, 32768) if n not in used)
            used.add(port["nodePort"])


def _addresses(start: int) -> Any:
    return (f"10.96.{n // 254 % 256}.{n % 254 + 1}" for n in range(start + 20, 65000))


def _keep_addresses(live: Object, new: Object) -> None:
    had, spec = live.get("spec") or {}, new.setdefault("spec", {})
    for name in ("clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy", "healthCheckNodePort"):
        if name in had and not spec.get(name):
            spec[name] = had[name]
    for port in spec.get("ports") or []:
        for before in had.get("ports") or []:
            if (
                before.get("port") == port.get("port")
                and before.get("nodePort")
                and not port.get("nodePort")
                and spec.get("type") != "ClusterIP"
            ):
                port["nodePort"] = before["nodePort"]


def _job(obj: Object) -> None:
    spec, meta = obj["spec"], obj["metadata"]
    spec.setdefault("manualSelector", False)
    if spec["manualSelector"]:
        return
    uid, name = meta["uid"], meta["name"]
    labels = {
        "batch.kubernetes.io/controller-uid": uid,
        "batch.kubernetes.io/job-name": name,
        "controller-uid": uid,
        "job-name": name,
    }
    spec["template"].setdefault("metadata", {}).setdefault("labels", {}).update(labels)
    spec["selector"] = {"matchLabels": {"batch.kubernetes.io/controller-uid": uid}}
    if not meta.get("labels"):
        meta["labels"] = dict(spec["template"]["metadata"]["labels"])


def qos_class(spec: Mapping[str, Any]) -> str:
    """Guaranteed, Burstable or BestEffort, by cpu and memory of all containers."""
    containers = [*(spec.get("initContainers") or []), *(spec.get("containers") or [])]
    guaranteed, any_amount = True, False
    for container in containers:
        resources = container.get("resources") or {}
        for name in ("cpu", "memory"):
            request, limit = (resources.get("requests") or {}).get(name), (resources.get("limits") or {}).get(name)
            any_amount = any_amount or bool(request and parse(request)) or bool(limit and parse(limit))
            if not limit or parse(limit) != parse(request or limit):
                guaranteed = False
    if not any_amount:
        return "BestEffort"
    return "Guaranteed" if guaranteed else "Burstable"
