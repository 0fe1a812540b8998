"""Plan-bound admission as documents: the writes that an approved plan holds, and what must be in place for them: pure.

The API server compares by section and key. A write names each key of a section (spec, data, binaryData, labels, annotations)
that it changes, with the whole value that the key gets; everything else must stay as it is. Values are taken from what the
API server itself would store (a dry run), so that they are written as it writes them. Knows no plan and no wire.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal

import yaml

from sidecar.contract import Json
from sidecar.errors import SettingsError
from sidecar.ports import ApiCall, Resource, collection_path, object_path

WRITES = Resource(group="lestrade.dev", version="v1", plural="leasedwrites", namespaced=False)
NAME = "lestrade"  # of the one object that holds the writes of all leases
SECTIONS = ("spec", "data", "binaryData", "labels", "annotations")
MOST_BYTES_OF_A_LEASE = 256 * 1024
MOST_BYTES = 1024 * 1024  # an API server keeps objects of up to 1.5 MiB
# What the rules of lestrade-plan-bound say, in order: before the writes of a lease are seen there, and as soon as they are.
UNKNOWN = "no writes are published for this lease"
ENFORCED = "the writes of this lease are enforced"
POLICY = "ValidatingAdmissionPolicy"

_DRY = (("dryRun", "All"),)
_MERGE = "application/merge-patch+json"
_DEFAULT_NAMESPACE = "lestrade-leases"
# What nobody can know before the object is there, by resource.
_FILLED_IN = {"services": ("clusterIP", "clusterIPs", "healthCheckNodePort"), "jobs": ("selector",)}
_KEPT_BY_SERVER = (
    *("name", "namespace", "uid", "creationTimestamp", "managedFields", "generation", "resourceVersion", "selfLink"),
    *("labels", "annotations"),
)
_KINDS = {
    "CustomResourceDefinition": "/apis/apiextensions.k8s.io/v1/customresourcedefinitions",
    "ValidatingAdmissionPolicy": "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies",
    "ValidatingAdmissionPolicyBinding": "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicybindings",
}

Sections = dict[str, dict[str, Json]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Write:
    """One write that may be made. `uid`: of the object, "" for one that does not exist yet; `maker`: the field manager by
    which an object is known that this lease made itself. `probe`: the same write as a dry run."""

    operation: Literal["CREATE", "UPDATE", "DELETE"]
    resource: Resource
    subresource: str = ""
    namespace: str
    name: str
    uid: str = ""
    maker: str = ""
    becomes: Sections = field(default_factory=dict)
    gone: dict[str, list[str]] = field(default_factory=dict)
    free: dict[str, list[str]] = field(default_factory=dict)
    probe: ApiCall

    def document(self) -> dict[str, Json]:
        """As the policy reads it: every section is there, be it empty."""
        becomes: Sections = {name: {} for name in (*SECTIONS, "metadata", "object")} | {**self.becomes}
        gone: dict[str, Json] = {name: list(self.gone.get(name, ())) for name in SECTIONS}
        free: dict[str, Json] = {name: list(self.free.get(name, ())) for name in SECTIONS}
        return {
            "operation": self.operation,
            "group": self.resource.group,
            "version": self.resource.version,
            "resource": self.resource.plural,
            "subresource": self.subresource,
            "namespace": self.namespace,
            "name": self.name,
            "uid": self.uid,
            "maker": self.maker,
            "becomes": {**becomes},
            "gone": gone,
            "free": free,
        }

    def __str__(self) -> str:
        tail = f"/{self.subresource}" if self.subresource else ""
        return f"{self.operation} {self.resource.plural}{tail} {self.namespace}/{self.name}"


def update(resource: Resource, before: Json, after: Json) -> Write:
    """From one stored form of an object to another."""
    name, namespace, uid = _identity(before)
    was, then = sections(before), sections(after)
    becomes = {s: {k: v for k, v in then[s].items() if k not in was[s] or was[s][k] != v} for s in SECTIONS}
    gone = {s: [k for k in was[s] if k not in then[s]] for s in SECTIONS}
    path = object_path(resource, namespace, name)
    probe = ApiCall(method="PATCH", path=path, query=_DRY, body={}, content_type=_MERGE)
    return Write(
        operation="UPDATE", resource=resource, namespace=namespace, name=name, uid=uid, becomes=becomes, gone=gone, probe=probe
    )


def scaled(resource: Resource, before: Json, replicas: Json) -> Write:
    name, namespace, uid = _identity(before)
    path = object_path(resource, namespace, name, "scale")
    probe = ApiCall(method="PATCH", path=path, query=_DRY, body={}, content_type=_MERGE)
    becomes: Sections = {"spec": {"replicas": replicas}}
    return Write(
        operation="UPDATE",
        resource=resource,
        subresource="scale",
        namespace=namespace,
        name=name,
        uid=uid,
        becomes=becomes,
        probe=probe,
    )


def created(resource: Resource, given: Json, after: Json) -> Write:
    """`given`: what is sent; `after`: what the API server would store."""
    name, namespace, _ = _identity(after)
    asked, then = sections(given), sections(after)
    free = {"spec": [k for k in _FILLED_IN.get(resource.plural, ()) if k in then["spec"] and k not in asked["spec"]]}
    then["spec"] = {k: v for k, v in then["spec"].items() if k not in free["spec"]}
    document = after if isinstance(after, dict) else {}
    metadata = document.get("metadata")
    kept = {k: v for k, v in metadata.items() if k not in _KEPT_BY_SERVER} if isinstance(metadata, dict) else {}
    others = ("apiVersion", "kind", "metadata", "spec", "data", "binaryData", "status")
    rest = {k: v for k, v in document.items() if k not in others}
    probe = ApiCall(method="POST", path=collection_path(resource, namespace), query=_DRY, body=given)
    return Write(
        operation="CREATE",
        resource=resource,
        namespace=namespace,
        name=name,
        becomes=then | {"metadata": kept, "object": rest},
        free=free,
        probe=probe,
    )


def deleted(resource: Resource, namespace: str, name: str, *, uid: str = "", maker: str = "") -> Write:
    probe = ApiCall(method="DELETE", path=object_path(resource, namespace, name), query=_DRY)
    return Write(operation="DELETE", resource=resource, namespace=namespace, name=name, uid=uid, maker=maker, probe=probe)


def evicted(resource: Resource, namespace: str, name: str, *, uid: str) -> Write:
    body: Json = {
        "apiVersion": "policy/v1",
        "kind": "Eviction",
        "metadata": {"name": name, "namespace": namespace},
        "deleteOptions": {"preconditions": {"uid": uid}, "dryRun": ["All"]},
    }
    probe = ApiCall(method="POST", path=object_path(resource, namespace, name, "eviction"), query=_DRY, body=body)
    return Write(
        operation="CREATE", resource=resource, subresource="eviction", namespace=namespace, name=name, uid=uid, probe=probe
    )


def sections(document: Json) -> Sections:
    """The parts of an object that are compared key by key."""
    whole = document if isinstance(document, dict) else {}
    metadata = whole.get("metadata")
    inner = metadata if isinstance(metadata, dict) else {}
    found = {s: inner.get(s) if s in ("labels", "annotations") else whole.get(s) for s in SECTIONS}
    return {s: dict(value) if isinstance(value, dict) else {} for s, value in found.items()}


def _identity(document: Json) -> tuple[str, str, str]:
    metadata = document.get("metadata") if isinstance(document, dict) else None
    held = metadata if isinstance(metadata, dict) else {}
    return str(held.get("name") or ""), str(held.get("namespace") or ""), str(held.get("uid") or "")


def entry(lease: str, plan: str, expires_at: datetime, writes: Iterable[Write]) -> dict[str, Json]:
    """What is published for one lease. The same write twice is one."""
    found = {json.dumps(document, sort_keys=True): document for document in (write.document() for write in writes)}
    return {"lease": lease, "plan": plan, "expires": int(expires_at.timestamp()), "writes": list(found.values())}


def size_of(document: Json) -> int:
    return len(json.dumps(document).encode())


def leases_in(holder: Json) -> dict[str, Json]:
    """By user name, of the object as it was read."""
    spec = holder.get("spec") if isinstance(holder, dict) else None
    leases = spec.get("leases") if isinstance(spec, dict) else None
    return dict(leases) if isinstance(leases, dict) else {}


def replaced(holder: Json, identity: str, document: Json) -> ApiCall:
    """The change of one lease's entry (None takes it out), refused when the object is not the one that was read."""
    metadata = holder.get("metadata") if isinstance(holder, dict) else None
    version = metadata.get("resourceVersion") if isinstance(metadata, dict) else None
    spec = holder.get("spec") if isinstance(holder, dict) else None
    operations: list[Json] = [{"op": "test", "path": "/metadata/resourceVersion", "value": version}]
    key = identity.replace("~", "~0").replace("/", "~1")
    if document is None:
        operations.append({"op": "remove", "path": f"/spec/leases/{key}"})
    elif isinstance(spec, dict) and isinstance(spec.get("leases"), dict):
        operations.append({"op": "add", "path": f"/spec/leases/{key}", "value": document})
    else:
        operations.append({"op": "add", "path": "/spec", "value": {"leases": {identity: document}}})
    return ApiCall(
        method="PATCH",
        path=object_path(WRITES, "", NAME),
        query=(("fieldManager", "lestrade-sidecar"),),
        body=operations,
        content_type="application/json-patch+json",
    )


def shipped(namespace: str) -> dict[str, dict[str, Any]]:
    """By URL, the manifests that must be in place, for leases in `namespace`. Raises SettingsError when there are none."""
    package = Path(str(files("sidecar")))
    folders = (package / "_data" / "admission", package.parent / "deploy" / "admission")
    folder = next((found for found in folders if (found / "30-policies.yaml").is_file()), None)
    if folder is None:
        raise SettingsError("the manifests of plan-bound admission were not found beside the program")
    found: dict[str, dict[str, Any]] = {}
    for path in sorted(folder.glob("*.yaml")):
        text = path.read_text(encoding="utf-8")
        text = text.replace(f"system:serviceaccount:{_DEFAULT_NAMESPACE}:", f"system:serviceaccount:{namespace}:")
        for document in yaml.safe_load_all(text):
            if document["kind"] in _KINDS:
                found[f"{_KINDS[document['kind']]}/{document['metadata']['name']}"] = document
    return found


def difference(live: Json, manifest: Mapping[str, Any]) -> str:
    """Where the spec of a live object is not as shipped, "" where it is. Empty values say nothing; what a definition gets as
    defaults of its own (conversion) is let be, everything else that was not shipped is a difference."""
    spec = live.get("spec") if isinstance(live, dict) else None
    metadata = live.get("metadata") if isinstance(live, dict) else None
    if isinstance(metadata, dict) and metadata.get("deletionTimestamp"):
        return "metadata.deletionTimestamp"
    if manifest["kind"] == "CustomResourceDefinition" and isinstance(spec, dict):
        spec = {name: value for name, value in spec.items() if (name, value) != ("conversion", {"strategy": "None"})}
    return _difference(spec, manifest["spec"], "spec")


def _difference(live: Any, wanted: Any, path: str) -> str:
    if isinstance(live, dict) and isinstance(wanted, dict):
        for name in dict.fromkeys((*wanted, *live)):
            found = _difference(live.get(name), wanted.get(name), f"{path}.{name}")
            if found:
                return found
        return ""
    if isinstance(live, list) and isinstance(wanted, list) and len(live) == len(wanted):
        return next((f for i, pair in enumerate(zip(live, wanted, strict=True)) if (f := _difference(*pair, f"{path}[{i}]"))), "")
    empty: tuple[Any, ...] = (None, {}, [], "")
    if (live in empty and wanted in empty) or (type(live) is type(wanted) and live == wanted):
        return ""
    return path
