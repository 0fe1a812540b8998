"""Asks the cluster, each thing once in one gathering, and notes what it would not tell. It must know no plan and no rule."""

from dataclasses import dataclass, field
from datetime import datetime
from threading import Lock

from sidecar.contract import ObjectRef
from sidecar.errors import ClusterUnavailable
from sidecar.facts.projection import Document, documents, mapping, text
from sidecar.ports import ApiCall, Cluster, collection_path, object_path, path_of, resource_of

NOT_THERE: Document = {"kind": "Status", "code": 404}
_LONGEST_CHAIN = 5  # Pod, ReplicaSet, Deployment, and what an operator puts on top
_MOST_LISTED = 2_000  # a longer list is not read to its end, and so not known


@dataclass(slots=True)
class Look:
    """`missing`: what could not be had, in words. `dates`: the cluster's own clock, from every answer."""

    cluster: Cluster
    missing: list[str] = field(default_factory=list)
    dates: list[datetime] = field(default_factory=list)
    _locks: dict[str, Lock] = field(default_factory=dict)
    _found: dict[str, Document | None] = field(default_factory=dict)

    def object(self, ref: ObjectRef) -> Document | None:
        """The live object; NOT_THERE for a 404; None, and named as missing, for anything else."""
        path = path_of(ref)
        if path is None:
            self.missing.append(f"{ref}: no such kind in {ref.api_version}, or not in such a scope")
            return None
        return self.get(path, str(ref))

    def namespace(self, name: str) -> Document | None:
        return self.get(f"/api/v1/namespaces/{name}", f"Namespace {name}")

    def listed(
        self, api_version: str, kind: str, namespace: str, query: tuple[tuple[str, str], ...] = ()
    ) -> list[Document] | None:
        """All of a kind in a namespace; None, and named as missing, where they cannot be had whole."""
        resource = resource_of(api_version, kind)
        if resource is None:
            return None
        what = f"the list of {resource.plural} in {namespace}"
        path = collection_path(resource, namespace)
        found = self.get(path, what, (*query, ("limit", str(_MOST_LISTED))))
        if found is None or found == NOT_THERE:
            return None
        if text(mapping(found, "metadata"), "continue"):
            self.missing.append(f"{what}: there are more than {_MOST_LISTED}")
            return None
        return [{"apiVersion": api_version, "kind": kind, **item} for item in documents(found.get("items"))]

    def owners(self, live: Document, namespace: str) -> list[Document] | None:
        """The controllers above, nearest first. An owner of a kind that the sidecar does not know ends the chain with
        what the reference says of it."""
        chain: list[Document] = []
        while len(chain) < _LONGEST_CHAIN:
            references = documents(mapping(live, "metadata").get("ownerReferences"))
            above = next((item for item in references if item.get("controller") is True), None)
            if above is None:
                return chain
            api_version, kind, name = text(above, "apiVersion"), text(above, "kind"), text(above, "name")
            resource = resource_of(api_version, kind)
            stub: Document = {"apiVersion": api_version, "kind": kind, "metadata": {"name": name, "uid": above.get("uid")}}
            if resource is None:
                return [*chain, stub]
            found = self.get(object_path(resource, namespace if resource.namespaced else "", name), f"{kind} {namespace}/{name}")
            if found is None:
                return None
            if found == NOT_THERE or mapping(found, "metadata").get("uid") != above.get("uid"):
                return chain  # an orphan: what stood above is gone
            live = {**found, "apiVersion": api_version, "kind": kind}
            chain.append(live)
        return chain

    def get(self, path: str, what: str, query: tuple[tuple[str, str], ...] = ()) -> Document | None:
        key = f"{path}?{query}"
        with self._locks.setdefault(key, Lock()):
            if key not in self._found:
                self._found[key] = self._ask(path, what, query)
            return self._found[key]

    def _ask(self, path: str, what: str, query: tuple[tuple[str, str], ...]) -> Document | None:
        try:
            answer = self.cluster.send(ApiCall(method="GET", path=path, query=query))
        except ClusterUnavailable:
            self.missing.append(f"{what}: no answer from the cluster")
            return None
        if answer.date is not None:
            self.dates.append(answer.date)
        if answer.status == 404:
            return NOT_THERE
        if answer.status != 200 or not isinstance(answer.body, dict):
            self.missing.append(f"{what}: the cluster answered {answer.status}")
            return None
        return answer.body
