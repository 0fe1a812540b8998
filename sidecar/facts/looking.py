"""Asks the cluster, each thing once in one gathering, and notes what it would not tell. It must know no plan and no rule."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache

from sidecar.contract import ObjectRef
from sidecar.errors import ClusterUnavailable
from sidecar.facts.portrait import NOWHERE, Portrait
from sidecar.facts.projection import Document, mapping, text
from sidecar.ports import ApiCall, Cluster, Looking, collection_path, look_at, object_path, resource_of

_LONGEST_CHAIN = 5  # Pod, ReplicaSet, Deployment, and what an operator puts on top
_MOST_LISTED = 2_000  # a longer list is not read to its end, and so not known
Query = tuple[tuple[str, str], ...]
_PORTRAIT = "portrait"


@lru_cache(maxsize=1024)  # the same few are looked at again and again
def namespace_call(name: str) -> ApiCall:
    return ApiCall(method="GET", path=f"/api/v1/namespaces/{name}")


def list_call(api_version: str, kind: str, namespace: str, query: Query = ()) -> ApiCall | None:
    """None for a kind that is not known."""
    return _list_call(api_version, kind, namespace, query) if query else _whole_list(api_version, kind, namespace)


@lru_cache(maxsize=1024)
def _whole_list(api_version: str, kind: str, namespace: str) -> ApiCall | None:
    return _list_call(api_version, kind, namespace, ())


def _list_call(api_version: str, kind: str, namespace: str, query: Query) -> ApiCall | None:
    resource = resource_of(api_version, kind)
    if resource is None:
        return None
    return ApiCall(method="GET", path=collection_path(resource, namespace), query=(*query, ("limit", str(_MOST_LISTED))))


@dataclass(slots=True)
class Look:
    """`shared`: looks that others have a part in; without them everything is asked for when it is needed, one after the
    other. `missing`: what could not be had, in words."""

    cluster: Cluster
    shared: Looking | None = None
    missing: list[str] = field(default_factory=list)
    _dates: list[datetime] = field(default_factory=list)
    _found: dict[tuple[str, Query], Portrait | None] = field(default_factory=dict)
    _lists: dict[tuple[str, str, str, Query], list[Document] | None] = field(default_factory=dict)

    def ahead(self, calls: Iterable[ApiCall | None]) -> None:
        """What will be asked for, all at once. Nothing depends on it but how long it takes."""
        if self.shared is not None:
            self.shared.ahead(filter(None, calls))

    def object(self, ref: ObjectRef) -> Portrait | None:
        """The live object; NOWHERE for a 404; None, and named as missing, for anything else."""
        call = look_at(ref)
        if call is None:
            self.missing.append(f"{ref}: no such kind in {ref.api_version}, or not in such a scope")
            return None
        return self.get(call, ref, as_kind=(ref.api_version, ref.kind))

    def namespace(self, name: str) -> Portrait | None:
        return self.get(namespace_call(name), f"Namespace {name}", as_kind=("v1", "Namespace"))

    def listed(self, api_version: str, kind: str, namespace: str, query: Query = ()) -> list[Document] | None:
        """All of a kind in a namespace; None, and named as missing, where they cannot be had whole."""
        key = (api_version, kind, namespace, query)
        if key not in self._lists:
            self._lists[key] = self._listed(api_version, kind, namespace, query)
        return self._lists[key]

    def _listed(self, api_version: str, kind: str, namespace: str, query: Query) -> list[Document] | None:
        call = list_call(api_version, kind, namespace, query)
        if call is None:
            return None
        what = f"the list of {call.path.rpartition('/')[2]} in {namespace}"
        found = self.get(call, what, as_kind=(api_version, f"{kind}List"))
        if found is None or found is NOWHERE:
            return None
        if text(mapping(found.live, "metadata"), "continue"):
            self.missing.append(f"{what}: there are more than {_MOST_LISTED}")
            return None
        return found.items

    def owners(self, of: Sequence[tuple[Portrait, str]], *, along: Iterable[ApiCall | None] = ()) -> list[list[Portrait] | None]:
        """The controllers above each of these objects (with its namespace), nearest first; None where one cannot be had. An
        owner of a kind that the sidecar does not know ends the chain with what the reference says of it.

        Those of one level are asked for at once, and `along` with the first.
        """
        chains: list[list[Portrait] | None] = [[] for _ in of]
        calls = [*along]
        climbing = [(chain, portrait, namespace) for chain, (portrait, namespace) in enumerate(of)]
        for _ in range(_LONGEST_CHAIN):
            above = [
                (chain, portrait.controller, namespace)
                for chain, portrait, namespace in climbing
                if portrait.controller is not None
            ]
            self.ahead([*calls, *(_owner_call(reference, namespace) for _, reference, namespace in above)])
            calls, climbing = [], []
            for chain, reference, namespace in above:
                found = self._owner(reference, namespace)
                held = chains[chain]
                if found is None or held is None:
                    chains[chain] = None
                elif found is not NOWHERE:
                    held.append(found)
                    climbing.append((chain, found, namespace))
            if not climbing:
                break
        return chains

    def _owner(self, reference: Document, namespace: str) -> Portrait | None:
        """NOWHERE for an orphan: what stood above it is gone. Of an unknown kind, what the reference says."""
        api_version, kind, name = (text(reference, part) for part in ("apiVersion", "kind", "name"))
        call = _owner_call(reference, namespace)
        if call is None:
            return Portrait({"apiVersion": api_version, "kind": kind, "metadata": {"name": name, "uid": reference.get("uid")}})
        found = self.get(call, f"{kind} {namespace}/{name}", as_kind=(api_version, kind))
        if found is None or found is NOWHERE or mapping(found.live, "metadata").get("uid") != reference.get("uid"):
            return None if found is None else NOWHERE
        return found

    def get(self, call: ApiCall, what: ObjectRef | str, *, as_kind: tuple[str, str]) -> Portrait | None:
        """`what`: as it is named where it is missing. `as_kind`: apiVersion and kind of what stands under this path; items of a
        list, and some servers, leave them out."""
        key = (call.path, call.query)
        found = self._found.get(key)
        if found is None and key not in self._found:
            found = self._found[key] = self._ask(call, what, *as_kind)
        return found

    def by_now(self) -> datetime | None:
        """What time it is by the cluster's own clock, as far as any answer said."""
        return self.shared.by_now if self.shared is not None else max(self._dates, default=None)

    def _ask(self, call: ApiCall, what: ObjectRef | str, api_version: str, kind: str) -> Portrait | None:
        try:
            answer = (self.shared or self.cluster).send(call)
        except ClusterUnavailable:
            self.missing.append(f"{what}: no answer from the cluster")
            return None
        if answer.date is not None and self.shared is None:
            self._dates.append(answer.date)
        if answer.status == 404:
            return NOWHERE
        if answer.status != 200 or not isinstance(answer.body, dict):
            self.missing.append(f"{what}: the cluster answered {answer.status}")
            return None
        drawn = answer.drawn.get(_PORTRAIT)
        if not isinstance(drawn, Portrait):
            drawn = answer.drawn[_PORTRAIT] = Portrait({**answer.body, "apiVersion": api_version, "kind": kind})
        return drawn


def _owner_call(reference: Document, namespace: str) -> ApiCall | None:
    resource = resource_of(text(reference, "apiVersion"), text(reference, "kind"))
    if resource is None:
        return None
    place = namespace if resource.namespaced else ""
    return ApiCall(method="GET", path=object_path(resource, place, text(reference, "name")))
