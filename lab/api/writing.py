"""POST, PUT and PATCH of objects, and of the subresources that are parts of them (status, resize, ephemeralcontainers)."""

import copy
import json
from dataclasses import replace
from typing import Any

import yaml

from lab.api import deleting
from lab.api.bodies import LIMIT, check_options, decoded, load_json, object_of
from lab.api.cluster import Cluster
from lab.api.convert import inward, outward
from lab.api.managed import Apply, Entry, Ownership, conflict_error, entries
from lab.api.patching import APPLY_PATCH, JSON_PATCH, MERGE_PATCH, STRATEGIC_PATCH, Strategic, json_patch, merge_patch
from lab.api.registry import Registry
from lab.api.request import Answer, Call
from lab.api.resources import Resource
from lab.api.status import (
    ApiError,
    Cause,
    bad_request,
    conflict,
    invalid,
    invalid_value,
    method_not_allowed,
    modified,
    not_allowed,
    not_found,
    required,
    unsupported_media_type,
)
from lab.api.types import ListShape
from lab.store import Object


def create(cluster: Cluster, call: Call, resource: Resource) -> Answer:
    if call.target.name:
        raise method_not_allowed()
    check_options(call, "create")
    obj = inward(resource, object_of(cluster, call, resource))
    stored = Registry(cluster).create(resource, obj, call)
    return Answer(status=201, body=outward(resource, stored))


def _live(cluster: Cluster, call: Call, resource: Resource) -> Object:
    live = cluster.find(resource, call.target.namespace, call.target.name)
    if live is None:
        raise not_found(resource.plural, resource.group, call.target.name)
    return live


def _same_name(call: Call, meta: dict[str, Any]) -> None:
    name = meta.get("name")
    if name and name != call.target.name:
        raise bad_request(f"the name of the object ({name}) does not match the name on the URL ({call.target.name})")
    if not name:
        raise bad_request("name must be provided")
    namespace = meta.get("namespace")
    if namespace and call.target.namespace and namespace != call.target.namespace:
        raise bad_request("the namespace of the provided object does not match the namespace sent on the request")


def put(cluster: Cluster, call: Call, resource: Resource) -> Answer:
    check_options(call, "update")
    obj = inward(resource, object_of(cluster, call, resource))
    meta = obj.get("metadata") or {}
    _same_name(call, meta)
    live = _live(cluster, call, resource)
    had = live["metadata"]
    if not meta.get("resourceVersion") and (resource.custom is not None or resource.group == "admissionregistration.k8s.io"):
        cause = invalid_value("metadata.resourceVersion", "0", "must be specified for an update")
        raise invalid(
            resource.plural if resource.custom is not None else resource.kind, resource.group, call.target.name, [cause]
        )
    if meta.get("uid") and meta["uid"] != had["uid"]:
        where = f"/registry/{resource.plural}/{had.get('namespace', '')}/{had['name']}".replace("//", "/")
        why = (
            f"StorageError: invalid object, Code: 4, Key: {where}, ResourceVersion: 0, AdditionalErrorMsg: Precondition failed: "
            f"UID in precondition: {meta['uid']}, UID in object meta: {had['uid']}"
        )
        raise conflict(resource.plural, resource.group, had["name"], why)
    if meta.get("resourceVersion") and meta["resourceVersion"] != had["resourceVersion"]:
        raise modified(resource.plural, resource.group, had["name"])
    stored = Registry(cluster).update(resource, live, obj, call, subresource=call.target.subresource)
    return Answer(body=outward(resource, stored))


def patch(cluster: Cluster, call: Call, resource: Resource) -> Answer:
    media = call.header("content-type").split(";")[0].strip()
    _check_patch(call, resource, media)
    if media == APPLY_PATCH:
        return apply(cluster, call, resource)
    live = _live(cluster, call, resource)
    patched = patched_document(cluster, call, outward(resource, live), cluster.root_type(resource), media)
    meta = patched.setdefault("metadata", {})
    if meta.get("name") != live["metadata"]["name"]:
        _same_name(call, meta)
    if meta.get("resourceVersion") not in (None, live["metadata"]["resourceVersion"]):
        raise modified(resource.plural, resource.group, live["metadata"]["name"])
    obj = decoded(cluster, call, patched, cluster.root_type(resource), resource.kind, patch=True)
    stored = Registry(cluster).update(resource, live, inward(resource, obj), call, subresource=call.target.subresource)
    return Answer(body=outward(resource, stored))


def _check_patch(call: Call, resource: Resource, media: str) -> None:
    check_options(call, "patch")
    if media not in (JSON_PATCH, MERGE_PATCH, STRATEGIC_PATCH, APPLY_PATCH):
        raise unsupported_media_type()
    if media == STRATEGIC_PATCH and resource.custom is not None:
        raise unsupported_media_type((JSON_PATCH, MERGE_PATCH, APPLY_PATCH))
    if len(call.body) > LIMIT:
        raise ApiError(413, "RequestEntityTooLarge", f"Request entity too large: limit is {LIMIT}")
    causes: list[Cause] = []
    if media == APPLY_PATCH and not call.param("fieldManager"):
        causes.append(required("fieldManager", "is required for apply patch"))
    if media != APPLY_PATCH and call.param("force"):
        causes.append(not_allowed("force", "may not be specified for non-apply patch"))
    if causes:
        raise invalid("PatchOptions", "meta.k8s.io", "", causes)


def patched_document(cluster: Cluster, call: Call, document: Object, root: str, media: str) -> Object:
    """The document with the body's patch done to it. ApiError 400, 422, 500."""
    try:
        body = load_json(call.body)
    except ValueError as exc:
        raise bad_request(f"error decoding patch: {exc}") from exc
    if media == JSON_PATCH:
        return json_patch(document, body, call.body)
    if not isinstance(body, dict):
        raise bad_request("error decoding patch: json: cannot unmarshal array into Go value of type map[string]interface {}")
    if media == STRATEGIC_PATCH:
        return Strategic(cluster.types).patch(document, body, root)
    merged = merge_patch(document, body)
    return merged if isinstance(merged, dict) else {}


def apply(cluster: Cluster, call: Call, resource: Resource) -> Answer:
    """Server-side apply. 201 when it makes the object; 409 with FieldManagerConflict causes."""
    config = _configuration(cluster, call, resource)
    root, manager = cluster.root_type(resource), call.param("fieldManager")
    subresource = call.target.subresource
    live = cluster.find(resource, call.target.namespace, call.target.name)
    ownership, now = Ownership(cluster.types), cluster.now()
    claimed = ownership.of_config({k: v for k, v in config.items() if k != "status" or subresource == "status"}, root)
    mine = Entry(
        manager=manager, operation="Apply", api_version=resource.api_version, fields=claimed, time=now, subresource=subresource
    )
    if live is None:
        if subresource:
            raise not_found(resource.plural, resource.group, call.target.name)
        obj = inward(resource, config | {"metadata": {**config["metadata"], "name": call.target.name}})
        stored = Registry(cluster).create(resource, obj, call, applied=[mine])
        return Answer(status=201, body=outward(resource, stored))
    meta = config["metadata"]
    if meta.get("uid") and meta["uid"] != live["metadata"]["uid"]:
        raise conflict(
            resource.plural,
            resource.group,
            call.target.name,
            "uid mismatch: the provided object specified uid {}, and no existing object was found",
        )
    if meta.get("resourceVersion") not in (None, live["metadata"]["resourceVersion"]):
        raise modified(resource.plural, resource.group, call.target.name)
    shown = outward(resource, live)
    config = config | {"metadata": {k: v for k, v in meta.items() if k not in ("uid", "resourceVersion", "creationTimestamp")}}
    merged = Apply(cluster.types).merge(shown, config, root)
    force = call.flag("force")
    found = ownership.conflicts(shown, merged, claimed, root, manager=manager)
    if found and not force:
        raise conflict_error(found)
    lost = frozenset(p for _, p in found)
    merged = _dropped(cluster, shown, merged, mine, root)
    applied = _entries_after(live, mine, lost)
    stored = Registry(cluster).update(resource, live, inward(resource, merged), call, subresource=subresource, applied=applied)
    return Answer(body=outward(resource, stored))


def _configuration(cluster: Cluster, call: Call, resource: Resource) -> Object:
    try:
        config = _read(call.body)
    except yaml.YAMLError as exc:
        raise bad_request(f"error decoding YAML: {exc}") from exc
    if not isinstance(config, dict):
        raise bad_request("error decoding YAML: json: cannot unmarshal into Go value of type map[string]interface {}")
    config = json.loads(json.dumps(config, default=str))
    if (config.get("metadata") or {}).get("managedFields"):
        raise bad_request("metadata.managedFields must be nil")
    if not config.get("kind") or not config.get("apiVersion"):
        raise bad_request("error decoding YAML: Object 'Kind' is missing")
    config.setdefault("metadata", {}).setdefault("name", call.target.name)
    _same_name(call, config["metadata"])
    if call.target.namespace and resource.namespaced:
        config["metadata"]["namespace"] = call.target.namespace
    return decoded(cluster, call, config, cluster.root_type(resource), resource.kind)


def _read(body: bytes) -> Any:
    """Most is JSON, which is YAML too, and read in a tenth of the time."""
    try:
        return json.loads(body)
    except ValueError:
        return yaml.safe_load(body)


def _dropped(cluster: Cluster, live: Object, merged: Object, mine: Entry, root: str) -> Object:
    """Without what this manager applied before, claims no more, and nobody else owns."""
    before = next((e for e in entries(live) if e.key == mine.key), None)
    if before is None:
        return merged
    others = {p for e in entries(live) if e.key != mine.key for p in e.fields}
    still = mine.fields | others
    gone = frozenset(p for p in before.fields - mine.fields if not any(s[: len(p)] == p for s in still))
    dropped = Apply(cluster.types).drop(merged, gone, root, ListShape())
    return dropped if isinstance(dropped, dict) else merged


def _entries_after(live: Object, mine: Entry, lost: frozenset[tuple[str, ...]]) -> list[Entry]:
    out = []
    for entry in entries(live):
        if entry.key == mine.key:
            if entry.fields == mine.fields:
                mine = replace(mine, time=entry.time)
            continue
        fields = entry.fields - lost
        if fields:
            out.append(replace(entry, fields=fields))
    return [*out, mine]


def finalize_namespace(cluster: Cluster, call: Call, resource: Resource) -> Answer:
    """PUT .../finalize: the namespace controller's way to let a namespace go."""
    live = _live(cluster, call, resource)
    obj = object_of(cluster, call, resource)
    new = copy.deepcopy(live) | {"spec": obj.get("spec") or {}}
    stored = Registry(cluster).update(resource, live, new, call, subresource="finalize")
    if (
        "deletionTimestamp" in stored["metadata"]
        and not stored["spec"].get("finalizers")
        and cluster.find(resource, "", call.target.name)
    ):
        deleting.remove(cluster, resource, stored, {})
    return Answer(body=outward(resource, stored))
