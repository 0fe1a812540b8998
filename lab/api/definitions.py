"""CustomResourceDefinitions: what they make the server serve, and the status they get. Knows no instance."""

import copy
from collections.abc import Mapping
from typing import Any

from lab.api.cluster import Cluster
from lab.api.resources import Resource, Subresource
from lab.api.types import ListShape, Struct
from lab.store import Change, Object

GROUP, PLURAL = "apiextensions.k8s.io", "customresourcedefinitions"
_VERBS = ("delete", "deletecollection", "get", "list", "patch", "create", "update", "watch")
_PART = ("get", "patch", "update")


def fill(obj: Object) -> None:
    """Defaults of a definition."""
    spec = obj.setdefault("spec", {})
    names = spec.setdefault("names", {})
    if names.get("kind"):
        names.setdefault("singular", names["kind"].lower())
        names.setdefault("listKind", f"{names['kind']}List")
    spec.setdefault("conversion", {"strategy": "None"})


def status(obj: Object) -> Object:
    stored = [v["name"] for v in obj["spec"].get("versions") or [] if v.get("storage")]
    return {"conditions": None, "acceptedNames": {"plural": "", "kind": ""}, "storedVersions": stored}


def established(obj: Object, now: str) -> Object:
    rows = (
        ("NamesAccepted", "NoConflicts", "no conflicts found"),
        ("Established", "InitialNamesAccepted", "the initial names have been accepted"),
    )
    conditions = [{"type": t, "status": "True", "lastTransitionTime": now, "reason": r, "message": m} for t, r, m in rows]
    stored = (obj.get("status") or {}).get("storedVersions") or status(obj)["storedVersions"]
    return {"conditions": conditions, "acceptedNames": copy.deepcopy(obj["spec"]["names"]), "storedVersions": stored}


def terminating(now: str) -> Object:
    message = "CustomResourceDefinition marked for deletion; CustomResource deletion will begin soon"
    return {
        "type": "Terminating",
        "status": "True",
        "lastTransitionTime": now,
        "reason": "InstanceDeletionPending",
        "message": message,
    }


class Definitions:
    """Keeps the tables of a cluster in step with the definitions in its store."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        for obj in cluster.store.list(GROUP, PLURAL):
            self.register(obj)

    def noticed(self, change: Change) -> None:
        if (change.key.group, change.key.resource) != (GROUP, PLURAL):
            return
        spec = change.object["spec"]
        if change.type == "DELETED":
            self._cluster.resources.forget(spec["group"], spec["names"]["plural"])
        else:
            self.register(change.object)

    def register(self, obj: Mapping[str, Any]) -> None:
        spec = obj["spec"]
        names, group = spec["names"], spec["group"]
        for version in spec.get("versions") or []:
            if not version.get("served", True):
                continue
            resource = Resource(
                group=group,
                version=version["name"],
                plural=names["plural"],
                singular=names.get("singular") or names["kind"].lower(),
                kind=names["kind"],
                namespaced=spec.get("scope") == "Namespaced",
                verbs=_VERBS,
                short_names=tuple(names.get("shortNames") or ()),
                categories=tuple(names.get("categories") or ()),
                subresources=_subresources(version, names["kind"]),
                custom=version,
                list_kind=names.get("listKind") or f"{names['kind']}List",
            )
            self._cluster.resources.register(resource)
            structs: dict[str, Struct] = {}
            root = f"{group}.{version['name']}.{names['kind']}"
            schema = (version.get("schema") or {}).get("openAPIV3Schema") or {"x-kubernetes-preserve-unknown-fields": True}
            _struct(schema, root, structs, top=True)
            self._cluster.types.add(group, version["name"], names["kind"], structs, root)


def _subresources(version: Mapping[str, Any], kind: str) -> tuple[Subresource, ...]:
    declared = version.get("subresources") or {}
    out = []
    if "status" in declared:
        out.append(Subresource(name="status", kind=kind, verbs=_PART))
    if "scale" in declared:
        out.append(Subresource(name="scale", kind="Scale", group="autoscaling", version="v1", verbs=_PART))
    return tuple(out)


def _struct(schema: Mapping[str, Any], name: str, structs: dict[str, Struct], *, top: bool = False) -> None:
    """A structural schema as a Struct. Scalars stay "json": their types are validation's concern, which answers 422."""
    fields: dict[str, str] = {"apiVersion": "string", "kind": "string", "metadata": "meta.v1.ObjectMeta"} if top else {}
    lists: dict[str, ListShape] = {}
    for field, inner in (schema.get("properties") or {}).items():
        if field in fields:
            continue
        fields[field] = _expression(inner, f"{name}.{field}", structs)
        kind = inner.get("x-kubernetes-list-type")
        if kind:
            lists[field] = ListShape(kind, tuple(inner.get("x-kubernetes-list-map-keys") or ()))
    open_ = bool(schema.get("x-kubernetes-preserve-unknown-fields"))
    atomic = schema.get("x-kubernetes-map-type") == "atomic"
    structs[name] = Struct(name, fields, lists, all_atomic=atomic, open=open_, custom=True)


def _expression(schema: Mapping[str, Any], name: str, structs: dict[str, Struct]) -> str:
    if schema.get("type") == "array" and isinstance(schema.get("items"), dict):
        return "[]" + _expression(schema["items"], name, structs)
    if schema.get("type") != "object":
        return "json"
    extra = schema.get("additionalProperties")
    if isinstance(extra, dict):
        return "{}" + _expression(extra, name, structs)
    if not schema.get("properties"):
        return "json"
    _struct(schema, name, structs)
    return name
