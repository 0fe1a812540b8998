"""Tables: what `kubectl get` prints, computed by the server. Knows no storage."""

from collections.abc import Callable
from typing import Any

from lab.api.columns import COLUMNS, Column
from lab.api.durations import age_of
from lab.api.resources import Resource
from lab.clock import LabClock
from lab.store import Object

NAME_TEXT = (
    "Name must be unique within a namespace. Is required when creating resources, although some resources may "
    "allow a client to request the generation of an "
    "appropriate name automatically. Name is primarily intended for creation idempotence and configuration "
    "definition. Cannot be updated. More info: "
    "https://kubernetes.io/docs/concepts/overview/working-with-objects/names#names"
)
CREATED_TEXT = (
    "CreationTimestamp is a timestamp representing the server time when this object was created. It is not "
    "guaranteed to be set in happens-before order across "
    "separate operations. Clients may not set this value. It is represented in RFC3339 form and is in "
    "UTC.\n\nPopulated by the system. Read-only. Null for lists. "
    "More info: https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#metadata"
)


def columns_of(resource: Resource, clock: LabClock) -> list[Column]:
    name = Column("Name", lambda o: o["metadata"]["name"], format="name", description=NAME_TEXT)
    age = Column("Age", lambda o: age_of(o["metadata"].get("creationTimestamp"), clock), description=CREATED_TEXT)
    if resource.custom is not None:
        printed = resource.custom.get("additionalPrinterColumns")
        if printed:
            return [name, *(_custom(c, clock) for c in printed)]
        created = Column("Age", age.cell, kind="date", description=CREATED_TEXT)
        return [name, created]
    known = COLUMNS.get((resource.store_group, resource.plural))
    if known is None:
        return [
            name,
            Column("Created At", lambda o: o["metadata"].get("creationTimestamp"), kind="date", description=CREATED_TEXT),
        ]
    return known(name, age, clock)


def _custom(column: Object, clock: LabClock) -> Column:
    path = column["jsonPath"].strip(".").split(".")

    def cell(obj: Object) -> Any:
        found: Any = obj
        for part in path:
            found = found.get(part) if isinstance(found, dict) else None
        return age_of(found, clock) if column.get("type") == "date" and found else found

    text = column.get("description") or f"Custom resource definition column (in JSONPath format): {column['jsonPath']}"
    return Column(
        column["name"],
        cell,
        kind=column["type"],
        format=column.get("format", ""),
        description=text,
        priority=int(column.get("priority", 0)),
    )


def table(resource: Resource, body: Object, clock: LabClock, *, include: str = "", headers: bool = True) -> Object:
    """A Table of one object or of a List."""
    items = body["items"] if "items" in body and body["kind"].endswith("List") else [body]
    columns = columns_of(resource, clock)
    if "items" in body:
        meta = {k: v for k, v in (body.get("metadata") or {}).items() if v != ""}
    else:
        meta = {k: v for k, v in body["metadata"].items() if k == "resourceVersion"}
    rows = [_row(resource, o, columns, include) for o in items]
    out: Object = {"kind": "Table", "apiVersion": "meta.k8s.io/v1", "metadata": meta}
    out["columnDefinitions"] = [c.document() for c in columns] if headers else None
    return out | {"rows": rows}


def _row(resource: Resource, obj: Object, columns: list[Column], include: str) -> Object:
    row: Object = {"cells": [_cell(c.cell, obj) for c in columns], "object": _shown(resource, obj, include)}
    phase = (obj.get("status") or {}).get("phase") if (resource.group, resource.plural) == ("", "pods") else None
    message = {"Succeeded": "The pod completed successfully.", "Failed": "The pod failed."}.get(str(phase))
    if message:
        row["conditions"] = [{"type": "Completed", "status": "True", "reason": phase, "message": message}]
    return row


def _cell(compute: Callable[[Object], Any], obj: Object) -> Any:
    try:
        return compute(obj)
    except (KeyError, TypeError, AttributeError, ValueError):
        return "<unknown>"


def _shown(resource: Resource, obj: Object, include: str) -> Object | None:
    if include == "None":
        return None
    if include == "Object":
        return {"kind": resource.kind, "apiVersion": resource.api_version} | obj
    return partial(obj)


def partial(obj: Object) -> Object:
    return {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": obj["metadata"]}


def partial_body(body: Object) -> Object:
    """One object or a List reduced to metadata."""
    if "items" not in body:
        return partial(body)
    items = [partial(o) for o in body["items"]]
    return {"kind": "PartialObjectMetadataList", "apiVersion": "meta.k8s.io/v1", "metadata": body["metadata"], "items": items}
