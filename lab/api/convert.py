"""Between the stored form of an object and the version a client asks for. Only what is served in two forms differs."""

from typing import Any

from lab.api.resources import Resource
from lab.store import Object

_EVENT_TO_NEW = {
    "involvedObject": "regarding",
    "message": "note",
    "source": "deprecatedSource",
    "firstTimestamp": "deprecatedFirstTimestamp",
    "lastTimestamp": "deprecatedLastTimestamp",
    "count": "deprecatedCount",
    "reportingComponent": "reportingController",
}
_EVENT_TO_OLD = {new: old for old, new in _EVENT_TO_NEW.items()}


def outward(resource: Resource, obj: Object) -> Object:
    """A stored object as this version shows it: with apiVersion and kind in front."""
    head = {"kind": resource.kind, "apiVersion": resource.api_version}
    body = {k: v for k, v in obj.items() if k not in head}
    if resource.group == "events.k8s.io":
        body = {_EVENT_TO_NEW.get(k, k): v for k, v in body.items()}
    elif resource.plural == "horizontalpodautoscalers" and resource.version == "v1":
        body = _autoscaler_v1(body)
    return head | body


def inward(resource: Resource, obj: Object) -> Object:
    """What a client sent, as it is stored."""
    if resource.group == "events.k8s.io":
        obj = {_EVENT_TO_OLD.get(k, k): v for k, v in obj.items()} | {"apiVersion": "v1"}
    elif resource.plural == "horizontalpodautoscalers" and resource.version == "v1":
        spec = dict(obj.get("spec") or {})
        target = spec.pop("targetCPUUtilizationPercentage", None)
        if target is not None:
            spec["metrics"] = [_cpu_metric(target)]
        obj = obj | {"apiVersion": "autoscaling/v2", "spec": spec}
    if resource.plural == "events":
        obj.setdefault("source", {})
        for name in ("firstTimestamp", "lastTimestamp", "eventTime"):
            obj.setdefault(name, None)
        obj.setdefault("reportingComponent", "")
        obj.setdefault("reportingInstance", "")
    return obj


def _cpu_metric(target: int) -> dict[str, Any]:
    return {"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": target}}}


def _autoscaler_v1(body: Object) -> Object:
    spec = dict(body.get("spec") or {})
    for metric in spec.pop("metrics", None) or []:
        resource = metric.get("resource") or {}
        if resource.get("name") == "cpu":
            spec["targetCPUUtilizationPercentage"] = (resource.get("target") or {}).get("averageUtilization")
    status = {
        k: v
        for k, v in (body.get("status") or {}).items()
        if k in ("currentReplicas", "desiredReplicas", "lastScaleTime", "observedGeneration")
    }
    return body | {"spec": spec, "status": status}
