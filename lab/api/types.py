"""The shapes of objects: which fields a type has, how its lists merge, and what decoding a body says. Knows no semantics."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, TypeAlias

Json: TypeAlias = Any


@dataclass(frozen=True, slots=True)
class ListShape:
    """`type` is atomic, set or map; `keys` identify an item for apply; `merge` is the key of a strategic merge."""

    type: str = "atomic"
    keys: tuple[str, ...] = ()
    merge: str = ""
    strategy: str = ""


@dataclass(frozen=True, slots=True)
class Struct:
    name: str
    fields: Mapping[str, str]
    lists: Mapping[str, ListShape]
    atomic: frozenset[str] = frozenset()
    all_atomic: bool = False
    open: bool = False  # unknown fields are kept (x-kubernetes-preserve-unknown-fields)
    custom: bool = False  # of a custom resource: what is empty is kept as well


class Types:
    """A type expression is "[]T", "{}T", "json" (anything), a scalar (string, bool, int32, ...) or the name of a struct."""

    def __init__(self, structs: dict[str, Struct], kinds: dict[str, str]) -> None:
        self._structs, self._kinds = structs, kinds
        self._custom: set[str] = set()

    def struct(self, name: str) -> Struct | None:
        return self._structs.get(name)

    def is_custom(self, name: str) -> bool:
        return name.removeprefix("[]") in self._custom

    def root(self, group: str, version: str, kind: str) -> str:
        """The type of a kind; "json" where no shape is known."""
        return self._kinds.get(f"{group}/{version}/{kind}", "json")

    def add(self, group: str, version: str, kind: str, structs: Mapping[str, Struct], root: str) -> None:
        self._structs.update(structs)
        self._custom.update(structs)
        self._kinds[f"{group}/{version}/{kind}"] = root

    def field(self, parent: str, name: str) -> tuple[str, ListShape]:
        """Type and list shape of a field; of a map's value; ("json", atomic) for what is not known."""
        if parent.startswith("{}"):
            return parent[2:], ListShape()
        struct = self._structs.get(parent)
        if struct is None:
            return "json", ListShape()
        return struct.fields.get(name, "json"), struct.lists.get(name, ListShape())

    def granular(self, kind: str, shape: ListShape) -> bool:
        """Whether owners hold its parts (else the whole)."""
        if kind.startswith("[]"):
            return shape.type in ("map", "set")
        if kind.startswith("{}"):
            return True
        struct = self._structs.get(kind)
        return struct is not None and not struct.all_atomic


@cache
def _table() -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(files("lab.api.data").joinpath("types.json").read_text(encoding="utf-8"))
    return loaded


def builtin() -> Types:
    table = _table()
    structs = {
        name: Struct(
            name=name,
            fields=row["fields"],
            lists={
                field: ListShape(shape["type"], tuple(shape["keys"]), shape["merge"], shape["strategy"])
                for field, shape in row.get("lists", {}).items()
            },
            atomic=frozenset(row.get("atomic", ())),
            all_atomic=row.get("all_atomic", False),
        )
        for name, row in table["types"].items()
        if row["fields"]  # a type without fields stands for any value (JSON, a schema or a boolean)
    }
    return Types(structs, dict(table["kinds"]))


def joined(path: str, part: str) -> str:
    return f"{path}.{part}" if path else part


def scalar_name(value: Json) -> str:
    """The JSON type as Go's decoder names it."""
    match value:
        case bool():
            return "bool"
        case str():
            return "string"
        case int() | float():
            return "number"
        case list():
            return "array"
        case _:
            return "object"


def pairs_with_duplicates(found: list[str]) -> Any:
    """An object_pairs_hook that notes duplicate keys in `found` (the last one wins, as in Go)."""

    def hook(pairs: Sequence[tuple[str, Json]]) -> dict[str, Json]:
        out: dict[str, Json] = {}
        for key, value in pairs:
            if key in out:
                found.append(key)
            out[key] = value
        return out

    return hook
