"""One field of a live object by its JSON Pointer: what is there, and who wrote it last (metadata.managedFields). Pure.

Source: Kubernetes "Server-Side Apply", field management; structured-merge-diff "FieldsV1": `f:<name>` is a field,
`k:{...}` a list element by its keys, `i:<n>` one by its place, `v:<json>` one by its value; a leaf is `{}`.
"""

from datetime import datetime

import orjson

from sidecar.contract import Json
from sidecar.facts.projection import Document, documents, mapping, text

_MOST = 20


def found_at(live: Json, segments: list[str]) -> tuple[Json, str]:
    """What is there, None for nothing; and the name of the innermost list element on the way, such as an environment
    variable's, "" where there is none."""
    name, value = "", live
    for segment in segments:
        if isinstance(value, dict):
            value = value.get(segment)
        elif isinstance(value, list) and segment.isdecimal() and int(segment) < len(value):
            value = value[int(segment)]
            if isinstance(value, dict):  # an element of a list
                name = text(value, "name")[:128]
        else:
            value = None
    return value, name


def managers_of(live: Document, segments: list[str]) -> list[Json]:
    """[{"manager", "operation", "at_epoch"}] of everybody whose hand is on the field, or on something below it; the
    latest first. `at_epoch` null: the cluster does not say when."""
    found: list[tuple[int, Document]] = []
    for entry in documents(mapping(live, "metadata").get("managedFields")):
        if _reaches(entry.get("fieldsV1"), live, segments):
            at = _epoch(text(entry, "time"))
            said: Document = {"manager": text(entry, "manager")[:128], "operation": text(entry, "operation"), "at_epoch": at}
            found.append((at or 0, said))
    return [said for _, said in sorted(found, key=lambda item: item[0], reverse=True)[:_MOST]]


def _reaches(fields: Json, live: Json, segments: list[str]) -> bool:
    node, value = fields, live
    if not isinstance(node, dict):
        return False
    for segment in segments:
        if not isinstance(node, dict):
            return False
        if not node:
            return True  # a leaf: the whole below it is one field
        if isinstance(value, list):
            if not segment.isdecimal() or int(segment) >= len(value):
                return False
            value = value[int(segment)]
            name = _name_of(node, value, int(segment))
        else:
            name = "f:" + segment
            value = value.get(segment) if isinstance(value, dict) else None
        if name is None or name not in node:
            return False
        node = node[name]
    return True


def _name_of(node: Document, item: Json, place: int) -> str | None:
    for name in node:
        kind = name[:2]
        if kind not in ("k:", "v:", "i:"):
            continue
        try:
            wanted: Json = orjson.loads(name[2:])
        except ValueError:
            continue
        if kind == "i:" and wanted == place:
            return name
        if kind == "v:" and wanted == item:
            return name
        if kind == "k:" and isinstance(wanted, dict) and isinstance(item, dict) and _same_keys(wanted, item):
            return name
    return None


def _same_keys(wanted: Document, item: Document) -> bool:
    """A key that the API server fills in, such as a port's protocol, may be left out of what is compared."""
    shared = wanted.keys() & item.keys()
    return bool(shared) and all(item[key] == wanted[key] for key in shared)


def _epoch(at: str) -> int | None:
    try:
        return int(datetime.fromisoformat(at).timestamp())
    except ValueError:
        return None
