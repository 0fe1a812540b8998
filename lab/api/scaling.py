"""The scale subresource: replicas of whatever can be scaled, seen as autoscaling/v1 Scale."""

import copy

from lab.api.bodies import check_options, decoded, object_of
from lab.api.cluster import Cluster
from lab.api.managed import Entry, entries, ordered
from lab.api.patching import APPLY_PATCH, JSON_PATCH, MERGE_PATCH, STRATEGIC_PATCH
from lab.api.registry import Registry
from lab.api.request import Answer, Call
from lab.api.resources import Resource
from lab.api.scaled import paths, view
from lab.api.status import bad_request, invalid, modified, not_found, unsupported_media_type
from lab.api.validation.pods import non_negative
from lab.api.writing import patched_document
from lab.store import Object

SCALE = "autoscaling.v1.Scale"


def handle(cluster: Cluster, call: Call, resource: Resource) -> Answer:
    live = cluster.find(resource, call.target.namespace, call.target.name)
    if live is None:
        raise not_found(resource.plural, resource.group, call.target.name)
    if call.target.verb == "get":
        return Answer(body=view(resource, live))
    if call.target.verb == "patch":
        check_options(call, "patch")
        media = call.header("content-type").split(";")[0].strip()
        if media not in (JSON_PATCH, MERGE_PATCH, STRATEGIC_PATCH) or media == APPLY_PATCH:
            raise unsupported_media_type()
        document = patched_document(cluster, call, view(resource, live), SCALE, media)
        scale = decoded(cluster, call, document, SCALE, "Scale", patch=True)
    else:
        check_options(call, "update")
        scale = object_of(cluster, call, resource, kind="Scale", api_version="autoscaling/v1", root=SCALE)
    return Answer(body=view(resource, _write(cluster, call, resource, live, scale)))


def _write(cluster: Cluster, call: Call, resource: Resource, live: Object, scale: Object) -> Object:
    meta = scale.get("metadata") or {}
    if meta.get("name", call.target.name) != call.target.name:
        raise bad_request(f"the name of the object ({meta['name']}) does not match the name on the URL ({call.target.name})")
    if meta.get("resourceVersion") not in (None, "", live["metadata"]["resourceVersion"]) or meta.get("uid") not in (
        None,
        "",
        live["metadata"]["uid"],
    ):
        raise modified(resource.plural, resource.group, call.target.name)
    count = int((scale.get("spec") or {}).get("replicas") or 0)
    if count < 0:
        raise invalid("Scale", "autoscaling", call.target.name, [non_negative("spec.replicas", count)])
    new = copy.deepcopy(live)
    wanted, _, _ = paths(resource)
    node = new
    for part in wanted[:-1]:
        node = node.setdefault(part, {})
    changed = node.get(wanted[-1]) != count
    node[wanted[-1]] = count
    applied = _booked(call, resource, live, tuple(f"f:{p}" for p in wanted)) if changed else entries(live)
    return Registry(cluster).update(resource, live, new, call, subresource="scale", applied=applied)


def _booked(call: Call, resource: Resource, live: Object, path: tuple[str, ...]) -> list[Entry]:
    """The replicas now belong to whoever scaled; a real server gives such an entry no time."""
    out = []
    for entry in entries(live):
        fields = entry.fields - {path}
        if fields:
            out.append(
                Entry(
                    manager=entry.manager,
                    operation=entry.operation,
                    api_version=entry.api_version,
                    fields=fields,
                    time=entry.time,
                    subresource=entry.subresource,
                )
            )
    mine = Entry(
        manager=call.manager, operation="Update", api_version=resource.api_version, fields=frozenset({path}), subresource="scale"
    )
    return ordered([*out, mine])
