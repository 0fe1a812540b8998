"""An object as its autoscaling/v1 Scale: what the scale subresource shows, and what admission is asked about it."""

from typing import Any

from lab.api.resources import Resource
from lab.api.selectors import text_of
from lab.store import Object


def paths(resource: Resource) -> tuple[list[str], list[str], list[str]]:
    """Where wanted replicas, present replicas and the selector lie."""
    scale = ((resource.custom or {}).get("subresources") or {}).get("scale")
    if scale is None:
        return ["spec", "replicas"], ["status", "replicas"], []

    def split(name: str) -> list[str]:
        return str(scale[name]).strip(".").split(".") if scale.get(name) else []

    return split("specReplicasPath"), split("statusReplicasPath"), split("labelSelectorPath")


def _at(obj: Any, path: list[str]) -> Any:
    if not path:
        return None
    for part in path:
        obj = obj.get(part) if isinstance(obj, dict) else None
    return obj


def view(resource: Resource, obj: Object) -> Object:
    wanted, present, selector = paths(resource)
    meta = {k: v for k, v in obj["metadata"].items() if k in ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")}
    status: Object = {"replicas": _at(obj, present) or 0}
    text = _at(obj, selector) if resource.custom is not None else text_of((obj.get("spec") or {}).get("selector"))
    if text:
        status["selector"] = text
    count = _at(obj, wanted)
    spec = {"replicas": count} if count else {}
    return {"kind": "Scale", "apiVersion": "autoscaling/v1", "metadata": meta, "spec": spec, "status": status}
