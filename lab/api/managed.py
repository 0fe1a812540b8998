"""metadata.managedFields: who owns which field, by the rules of structured-merge-diff. Pure; knows no storage.

A set of fields is a frozenset of paths; a path is a tuple of elements as fieldsV1 writes them: "f:name", 'k:{"name":"app"}',
'v:"x"'. Owning a path does not mean owning what lies below it.
"""

import copy
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from lab.api.status import ApiError
from lab.api.types import Json, ListShape, Types

Path: TypeAlias = tuple[str, ...]
Fields: TypeAlias = frozenset[Path]

_UNOWNED = {("f:apiVersion",), ("f:kind",), ("f:metadata",)} | {
    ("f:metadata", f"f:{name}")
    for name in (
        "name",
        "namespace",
        "uid",
        "creationTimestamp",
        "resourceVersion",
        "generation",
        "selfLink",
        "managedFields",
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
        "clusterName",
    )
}
# Structs that Go writes even when empty: present in every object, so their presence is owned by nobody.
_ALWAYS_THERE = {
    "metadata",
    "spec",
    "status",
    "template",
    "strategy",
    "priorityLevelConfiguration",
    "jobTemplate",
    "podInfoOnCreation",
    "loadBalancer",
    "updateStrategy",
    "containers",
    "scaleTargetRef",
    "daemonEndpoints",
    "kubeletEndpoint",
    "nodeInfo",
    "source",
    "names",
    "acceptedNames",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    manager: str
    operation: str  # Apply or Update
    api_version: str
    fields: Fields
    time: str = ""
    subresource: str = ""

    @property
    def key(self) -> tuple[str, str, str, str]:
        return self.manager, self.operation, self.api_version, self.subresource

    def document(self) -> dict[str, Any]:
        out = {"manager": self.manager, "operation": self.operation, "apiVersion": self.api_version}
        if self.time:
            out["time"] = self.time
        more = {"subresource": self.subresource} if self.subresource else {}
        return out | {"fieldsType": "FieldsV1", "fieldsV1": tree(self.fields)} | more


def entries(obj: Mapping[str, Any]) -> list[Entry]:
    return [
        Entry(
            manager=row.get("manager", ""),
            operation=row.get("operation", "Update"),
            api_version=row.get("apiVersion", ""),
            fields=flat(row.get("fieldsV1") or {}),
            time=row.get("time", ""),
            subresource=row.get("subresource", ""),
        )
        for row in (obj.get("metadata") or {}).get("managedFields") or []
    ]


def tree(fields: Iterable[Path]) -> dict[str, Any]:
    root: dict[str, Any] = {}
    paths = set(fields)
    for path in sorted(paths):
        node = root
        for element in path:
            node = node.setdefault(element, {})
    for path in paths:
        node = root
        for element in path:
            node = node[element]
        if any(k != "." for k in node):
            node["."] = {}
    return root


def flat(fields: Mapping[str, Any], prefix: Path = ()) -> Fields:
    out: set[Path] = set()
    if prefix and (not fields or "." in fields):
        out.add(prefix)
    for element, inner in fields.items():
        if element != ".":
            out |= flat(inner, (*prefix, element))
    return frozenset(out)


class Ownership:
    def __init__(self, types: Types) -> None:
        self._types = types

    def of_config(self, obj: Mapping[str, Any], root: str) -> Fields:
        """What an applied configuration claims: leaves, and the items of maps and lists."""
        out: set[Path] = set()
        self._claim(obj, root, ListShape(), (), out)
        return frozenset(out - _UNOWNED)

    def _claim(self, value: Json, kind: str, shape: ListShape, path: Path, out: set[Path]) -> None:
        parts = list(self.parts(value, kind, shape)) if value and self._types.granular(kind, shape) else []
        if kind == "json" and isinstance(value, dict) and value and path == ():
            parts = [(f"f:{k}", v, "json", ListShape()) for k, v in value.items()]
        if not parts:
            if path:
                out.add(path)
            return
        for element, inner, inner_kind, inner_shape in parts:
            here = (*path, element)
            if not element.startswith("f:") or kind.startswith("{}"):
                out.add(here)
            if not element.startswith("v:"):
                self._claim(inner, inner_kind, inner_shape, here, out)

    def parts(self, value: Json, kind: str, shape: ListShape) -> Iterable[tuple[str, Json, str, ListShape]]:
        """The owned parts of a granular value: element, value, type, list shape."""
        if isinstance(value, dict):
            struct = self._types.struct(kind)
            for name, inner in value.items():
                inner_kind, inner_shape = self._types.field(kind, name)
                if struct is not None and name in struct.atomic:
                    inner_kind, inner_shape = "json", ListShape()
                yield f"f:{name}", inner, inner_kind, inner_shape
        elif isinstance(value, list) and shape.type == "map":
            for item in value:
                if isinstance(item, dict):
                    keys = {k: item.get(k, "TCP" if k == "protocol" else None) for k in shape.keys}
                    keys = {k: v for k, v in keys.items() if v is not None}
                    yield (
                        "k:" + json.dumps(keys, separators=(",", ":"), sort_keys=True),
                        item,
                        kind.removeprefix("[]"),
                        ListShape(),
                    )
        elif isinstance(value, list) and shape.type == "set":
            for item in value:
                yield "v:" + json.dumps(item, separators=(",", ":")), item, "json", ListShape()

    def compare(self, old: Mapping[str, Any], new: Mapping[str, Any], root: str) -> tuple[Fields, Fields]:
        """(changed or added, removed) paths from old to new."""
        changed: set[Path] = set()
        removed: set[Path] = set()
        self._compare(old, new, root, ListShape(), (), changed, removed)
        return frozenset(changed - _UNOWNED), frozenset(removed)

    def _compare(
        self, old: Json, new: Json, kind: str, shape: ListShape, path: Path, changed: set[Path], removed: set[Path]
    ) -> None:
        if old == new:
            return
        granular = (kind == "json" and not path) or self._types.granular(kind, shape)
        name = path[-1].removeprefix("f:") if path else ""
        if new is None:
            removed.add(path)
        elif old is None and path and not (self._always_there(name, kind) and not any(p[0] == "k" for p in path)):
            changed.add(path)
        if not granular or not isinstance(new if new is not None else old, dict | list):
            if new is not None and old is not None:
                changed.add(path)
            return
        before = {e: (v, k, s) for e, v, k, s in self.parts(old, kind, shape)} if old is not None else {}
        after = {e: (v, k, s) for e, v, k, s in self.parts(new, kind, shape)} if new is not None else {}
        for element in before.keys() | after.keys():
            value, inner_kind, inner_shape = after.get(element) or (None, *before[element][1:])
            self._compare(before.get(element, (None,))[0], value, inner_kind, inner_shape, (*path, element), changed, removed)

    def _always_there(self, name: str, kind: str) -> bool:
        """Custom resources have no Go structs: their parts are there only if somebody put them there."""
        return name in _ALWAYS_THERE and self._struct_like(kind) and (name == "metadata" or not self._types.is_custom(kind))

    def _struct_like(self, kind: str) -> bool:
        return self._types.struct(kind.removeprefix("[]")) is not None

    def after_update(
        self,
        old: Mapping[str, Any] | None,
        new: dict[str, Any],
        root: str,
        *,
        manager: str,
        api_version: str,
        time: str,
        subresource: str = "",
    ) -> list[Entry]:
        """Entries of `new` once `manager` wrote it by create, PUT or patch."""
        changed, removed = self.compare(old or {}, new, root)
        have = entries(old) if old is not None else []
        me = (manager, "Update", api_version, subresource)
        out: list[Entry] = []
        for entry in have:
            gone = {p for p in entry.fields if any(p[: len(r)] == r for r in removed)} if removed else set()
            fields = entry.fields - gone - (changed if entry.key != me else frozenset())
            if entry.key == me and changed:
                continue
            if fields:
                out.append(_with(entry, fields, entry.time))
        mine = next((e for e in have if e.key == me), None)
        if changed:
            kept = frozenset(p for p in (mine.fields if mine else ()) if not any(p[: len(r)] == r for r in removed))
            fields = kept | changed
            stamp = time if mine is None or fields != mine.fields or changed else mine.time
            out.append(
                Entry(
                    manager=manager,
                    operation="Update",
                    api_version=api_version,
                    fields=fields,
                    time=stamp,
                    subresource=subresource,
                )
            )
        return ordered(out)

    def conflicts(
        self, live: Mapping[str, Any], merged: Mapping[str, Any], config: Fields, root: str, *, manager: str
    ) -> list[tuple[Entry, Path]]:
        """Fields that the applied configuration would change and another manager owns."""
        changed, _ = self.compare(live, merged, root)
        wanted = changed & config
        return [
            (e, p)
            for e in entries(live)
            if not (e.manager == manager and e.operation == "Apply")
            for p in sorted(e.fields & wanted)
        ]


def _with(entry: Entry, fields: Fields, time: str) -> Entry:
    return Entry(
        manager=entry.manager,
        operation=entry.operation,
        api_version=entry.api_version,
        fields=fields,
        time=time,
        subresource=entry.subresource,
    )


def ordered(found: list[Entry]) -> list[Entry]:
    """Apply before Update, then by time, then by name, as a real server writes them."""
    return sorted(found, key=lambda e: (e.operation != "Apply", e.time, e.manager))


def shown(path: Path) -> str:
    """A path as conflicts name it: `.spec.containers[name="app"].image`."""
    out = ""
    for element in path:
        kind, _, rest = element.partition(":")
        if kind == "f":
            out += f".{rest}"
        elif kind == "k":
            out += "[" + ",".join(f"{k}={json.dumps(v)}" for k, v in json.loads(rest).items()) + "]"
        else:
            out += f"[={rest}]"
    return out


def conflict_error(found: list[tuple[Entry, Path]]) -> ApiError:
    """409 with a cause FieldManagerConflict for each field."""

    def who(entry: Entry) -> str:
        parts = f'"{entry.manager}"'
        if entry.subresource:
            parts += f' with subresource "{entry.subresource}"'
        return parts + (f" using {entry.api_version}" if entry.operation == "Update" else "")

    causes = [{"reason": "FieldManagerConflict", "message": f"conflict with {who(e)}", "field": shown(p)} for e, p in found]
    if len(found) == 1:
        message = f"Apply failed with 1 conflict: conflict with {who(found[0][0])}: {shown(found[0][1])}"
    else:
        lines = []
        for name in dict.fromkeys(who(e) for e, _ in found):
            lines += [f"conflicts with {name}:"] + [f"- {shown(p)}" for e, p in found if who(e) == name]
        message = f"Apply failed with {len(found)} conflicts: " + "\n".join(lines)
    return ApiError(409, "Conflict", message, details={"causes": causes})


class Apply:
    """Server-side apply: merge a configuration into the live object and drop what its manager no longer claims."""

    def __init__(self, types: Types) -> None:
        self._types, self._ownership = types, Ownership(types)

    def merge(self, live: Json, config: Json, kind: str, shape: ListShape = ListShape()) -> Json:  # noqa: B008
        """The live value with the configuration laid over it."""
        if kind == "json" or not self._types.granular(kind, shape):
            return copy.deepcopy(config)
        if isinstance(config, dict) and isinstance(live, dict):
            out = dict(live)
            for element, value, inner, inner_shape in self._ownership.parts(config, kind, shape):
                name = element.removeprefix("f:")
                out[name] = (
                    self.merge(out[name], value, inner, inner_shape) if out.get(name) is not None else copy.deepcopy(value)
                )
            return out
        if isinstance(config, list) and isinstance(live, list):
            before = {e: v for e, v, _, _ in self._ownership.parts(live, kind, shape)}
            after = {e: v for e, v, _, _ in self._ownership.parts(config, kind, shape)}
            merged = {
                e: self.merge(before[e], v, kind.removeprefix("[]")) if e in before and shape.type == "map" else v
                for e, v in after.items()
            }
            return [merged.get(e, v) for e, v in before.items()] + [v for e, v in merged.items() if e not in before]
        return copy.deepcopy(config)

    def drop(self, value: Json, paths: Fields, kind: str, shape: ListShape, at: Path = ()) -> Json:
        """Without the parts at `paths` (elements below `at`)."""
        if not self._types.granular(kind, shape) or not paths:
            return value
        gone = {p[len(at)] for p in paths if len(p) == len(at) + 1 and p[: len(at)] == at}
        kept: list[tuple[str, Json]] = []
        for element, inner, inner_kind, inner_shape in self._ownership.parts(value, kind, shape):
            if element in gone:
                continue
            below = frozenset(p for p in paths if p[: len(at) + 1] == (*at, element) and len(p) > len(at) + 1)
            kept.append((element, self.drop(inner, below, inner_kind, inner_shape, (*at, element)) if below else inner))
        if isinstance(value, dict):
            return {e.removeprefix("f:"): v for e, v in kept}
        return [v for _, v in kept]
