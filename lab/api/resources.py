"""The table of resources: what the server serves, as data, with custom resources added while it runs. Knows no objects."""

import base64
import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from importlib.resources import files
from typing import Any

ALL_VERBS = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")


@dataclass(frozen=True, slots=True, kw_only=True)
class Subresource:
    name: str
    kind: str
    verbs: tuple[str, ...]
    group: str = ""
    version: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Resource:
    """`custom` is the version entry of the CustomResourceDefinition, None for what is built in."""

    group: str
    version: str
    plural: str
    singular: str
    kind: str
    namespaced: bool
    verbs: tuple[str, ...] = ALL_VERBS
    short_names: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    storage_hash: str = ""
    subresources: tuple[Subresource, ...] = ()
    custom: Mapping[str, Any] | None = field(default=None, compare=False)
    list_kind: str = ""

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def version_hash(self) -> str:
        """storageVersionHash of discovery: known for built-in kinds, computed from the names for custom ones."""
        if self.custom is None:
            return self.storage_hash
        digest = hashlib.sha256(f"{self.group}/{self.version}/{self.kind}".encode()).digest()
        return base64.b64encode(digest[:8]).decode()

    @property
    def store_group(self) -> str:
        """Events of both groups are one thing."""
        return "" if self.group == "events.k8s.io" else self.group

    def subresource(self, name: str) -> Subresource | None:
        return next((s for s in self.subresources if s.name == name), None)


def _builtin() -> Iterator[Resource]:
    for row in json.loads(files("lab.api.data").joinpath("resources.json").read_text(encoding="utf-8")):
        yield Resource(
            group=row["group"],
            version=row["version"],
            plural=row["plural"],
            singular=row["singular"],
            kind=row["kind"],
            namespaced=row["namespaced"],
            verbs=tuple(row["verbs"]),
            short_names=tuple(row.get("shortNames", ())),
            categories=tuple(row.get("categories", ())),
            storage_hash=row.get("hash", ""),
            subresources=tuple(
                Subresource(
                    name=s["name"],
                    kind=s["kind"],
                    verbs=tuple(s["verbs"]),
                    group=s.get("group", ""),
                    version=s.get("version", ""),
                )
                for s in row.get("subresources", ())
            ),
        )


class Resources:
    """Not synchronised: whoever changes it holds the store's lock."""

    def __init__(self) -> None:
        self._table: dict[tuple[str, str, str], Resource] = {(r.group, r.version, r.plural): r for r in _builtin()}

    def find(self, group: str, version: str, plural: str) -> Resource | None:
        return self._table.get((group, version, plural))

    def by_kind(self, api_version: str, kind: str) -> Resource | None:
        return next((r for r in self._table.values() if r.api_version == api_version and r.kind == kind), None)

    def stored(self, group: str, plural: str) -> Resource | None:
        """The first version of a resource, by the key it is stored under."""
        return next((r for r in self._table.values() if (r.group, r.plural) == (group, plural)), None)

    def all(self) -> list[Resource]:
        return list(self._table.values())

    def groups(self) -> list[str]:
        """Named groups in the order of discovery."""
        return list(dict.fromkeys(r.group for r in self._table.values() if r.group))

    def versions(self, group: str) -> list[str]:
        return list(dict.fromkeys(r.version for r in self._table.values() if r.group == group))

    def of(self, group: str, version: str) -> list[Resource]:
        return [r for r in self._table.values() if (r.group, r.version) == (group, version)]

    def register(self, resource: Resource) -> None:
        self._table[(resource.group, resource.version, resource.plural)] = resource

    def forget(self, group: str, plural: str) -> None:
        for key in [k for k in self._table if (k[0], k[2]) == (group, plural)]:
            del self._table[key]
