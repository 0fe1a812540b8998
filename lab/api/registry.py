"""Creating and updating stored objects, by the same steps for every kind. Call with the store's lock held; knows no HTTP."""

import copy
import uuid
from collections.abc import Mapping
from typing import Any

from lab.api import admission, defaults, definitions, preparation
from lab.api.cluster import Cluster
from lab.api.managed import Entry, Ownership, ordered
from lab.api.names import generated
from lab.api.request import Call
from lab.api.resources import Resource
from lab.api.status import ApiError, already_exists, bad_request, forbidden, internal, invalid, qualified, required
from lab.api.validation import custom, validate, validate_update
from lab.store import Key, Object

_KEPT = (
    "uid",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "generation",
    "namespace",
    "name",
    "selfLink",
    "resourceVersion",
)


class Registry:
    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self._ownership = Ownership(cluster.types)

    def create(self, resource: Resource, obj: Object, call: Call, *, applied: list[Entry] | None = None) -> Object:
        """The object as stored (or as it would be, for a dry run). ApiError."""
        meta = self._name(resource, obj, call)
        if resource.subresource("status") is not None or resource.plural == "namespaces":
            obj.pop("status", None)
        for name in (
            "uid",
            "creationTimestamp",
            "generation",
            "deletionTimestamp",
            "deletionGracePeriodSeconds",
            "managedFields",
            "selfLink",
        ):
            meta.pop(name, None)
        if resource.custom is not None:
            self._still_defined(resource, meta)
        if resource.namespaced:
            admission.namespace_lifecycle(self.cluster, resource, obj)
        meta["uid"], meta["creationTimestamp"] = str(uuid.uuid4()), self.cluster.now()
        self._fill(resource, obj)
        self._book(resource, None, obj, call, applied=applied)
        admission.mutate(self.cluster, resource, obj, None, call)
        preparation.for_create(self.cluster, resource, obj)
        if causes := validate(self.cluster, resource, obj):
            raise invalid(resource.kind, resource.group, meta.get("name", ""), causes)
        admission.validate(self.cluster, resource, obj, None, call)
        key = self.cluster.key(resource, meta.get("namespace", ""), meta["name"])
        if (existing := self.cluster.store.get(key)) is not None:
            raise already_exists(
                resource.plural, resource.group, meta["name"], being_deleted="deletionTimestamp" in existing["metadata"]
            )
        if call.dry_run:
            return obj
        admission.charge(self.cluster, resource, obj)
        stored = self.cluster.store.create(key, obj)
        if resource.plural == definitions.PLURAL:
            self._establish(resource, stored)
        return stored

    def _establish(self, resource: Resource, stored: Object) -> None:
        """A definition is served from the next request on; a real server takes some tens of milliseconds."""
        new = copy.deepcopy(stored)
        new["status"] = definitions.established(stored, self.cluster.now())
        found = self._ownership.after_update(
            stored,
            new,
            self.cluster.root_type(resource),
            manager="kube-apiserver",
            api_version=resource.api_version,
            time=self.cluster.now(),
            subresource="status",
        )
        new["metadata"]["managedFields"] = [e.document() for e in found]
        self.cluster.store.update(self.cluster.key(resource, "", stored["metadata"]["name"]), new)

    def _still_defined(self, resource: Resource, meta: Object) -> None:
        definition = self.cluster.store.get(Key(definitions.GROUP, definitions.PLURAL, "", f"{resource.plural}.{resource.group}"))
        if definition is not None and "deletionTimestamp" in definition["metadata"]:
            why = "create not allowed while custom resource definition is terminating"
            raise forbidden(resource.plural, resource.group, meta.get("name", ""), why)

    @staticmethod
    def _fill(resource: Resource, obj: Object) -> None:
        if resource.custom is not None:
            custom.fill(resource, obj)
        elif resource.plural == definitions.PLURAL:
            definitions.fill(obj)
        else:
            defaults.fill(resource.store_group, resource.plural, obj)

    def _name(self, resource: Resource, obj: Object, call: Call) -> Object:
        meta: Object = obj.setdefault("metadata", {})
        namespace = call.target.namespace if resource.namespaced else ""
        if resource.namespaced and meta.get("namespace", namespace) != namespace:
            raise bad_request("the namespace of the provided object does not match the namespace sent on the request")
        if not resource.namespaced and meta.get("namespace"):
            raise bad_request("namespace is not allowed on this type")
        meta.pop("namespace", None)
        if namespace:
            meta["namespace"] = namespace
        if not meta.get("name") and meta.get("generateName"):
            meta["name"] = generated(meta["generateName"])
        if meta.get("resourceVersion"):
            raise internal("resourceVersion should not be set on objects to be created")
        meta.pop("resourceVersion", None)
        if not meta.get("name"):
            raise invalid(resource.kind, resource.group, "", [required("metadata.name", "name or generateName is required")])
        return meta

    def update(
        self,
        resource: Resource,
        live: Object,
        new: Object,
        call: Call,
        *,
        subresource: str = "",
        applied: list[Entry] | None = None,
    ) -> Object:
        """Write `new` over `live`; equal objects are not written. The object as stored. ApiError."""
        new = copy.deepcopy(new)
        asked = copy.deepcopy(new.get("metadata") or {})
        self._carry(resource, live, new, subresource)
        self._fill(resource, new)
        preparation.for_update(self.cluster, resource, live, new, subresource)
        self._book(
            resource,
            live,
            new,
            call,
            subresource=subresource,
            applied=applied,
            given=asked.get("managedFields") if not subresource else None,
        )
        admission.mutate(self.cluster, resource, new, live, call)
        causes = validate_update(self.cluster, resource, live, new, asked, subresource)
        if subresource != "status":
            causes += validate(self.cluster, resource, new)
        if causes:
            raise invalid(resource.kind, resource.group, live["metadata"]["name"], causes)
        admission.validate(self.cluster, resource, new, live, call)
        if call.dry_run or new == live:
            return new
        key = self.cluster.key(resource, live["metadata"].get("namespace", ""), live["metadata"]["name"])
        stored = self.cluster.store.update(key, new)
        meta = stored["metadata"]
        if "deletionTimestamp" in meta and not meta.get("finalizers") and not self._held(resource, stored):
            return self.cluster.store.remove(key) if self.cluster.store.get(key) is not None else stored
        return stored

    @staticmethod
    def _held(resource: Resource, obj: Object) -> bool:
        """Whether something other than finalizers still keeps a terminating object."""
        if (resource.group, resource.plural) == ("", "namespaces"):
            return bool((obj.get("spec") or {}).get("finalizers"))
        return bool(obj["metadata"].get("deletionGracePeriodSeconds"))

    def _carry(self, resource: Resource, live: Object, new: Object, subresource: str) -> None:
        """What a write to this (sub)resource cannot change stays as it is."""
        had = live["metadata"]
        if subresource:
            meta = copy.deepcopy(had)
            taken = {name: new[name] for name in preparation.taken_by(subresource) if name in new}
            kept = {k: copy.deepcopy(v) for k, v in live.items() if k not in preparation.taken_by(subresource)}
            new.clear()
            new.update(kept | taken | {"metadata": meta})
            return
        meta = new.setdefault("metadata", {})
        for name in _KEPT:
            meta.pop(name, None)
            if name in had:
                meta[name] = copy.deepcopy(had[name])
        if "managedFields" in had:
            meta["managedFields"] = copy.deepcopy(had["managedFields"])
        if resource.subresource("status") is not None:
            new.pop("status", None)
            if "status" in live:
                new["status"] = copy.deepcopy(live["status"])
        new["apiVersion"], new["kind"] = live.get("apiVersion", resource.api_version), live.get("kind", resource.kind)

    def _book(
        self,
        resource: Resource,
        live: Mapping[str, Any] | None,
        new: Object,
        call: Call,
        *,
        subresource: str = "",
        applied: list[Entry] | None = None,
        given: list[Any] | None = None,
    ) -> None:
        """metadata.managedFields of what is written."""
        hidden = () if subresource == "status" or resource.subresource("status") is None else ("status",)

        def seen(obj: Mapping[str, Any]) -> dict[str, Any]:
            return {k: v for k, v in obj.items() if k not in hidden}

        meta = new["metadata"]
        if live is not None and given is not None and given != live["metadata"].get("managedFields"):
            kept = [] if given == [{}] else given  # a client may rewrite the book itself; [{}] clears it
            live = {**live, "metadata": {**live["metadata"], "managedFields": kept}}
        if applied is not None:
            found = applied
        else:
            found = self._ownership.after_update(
                seen(live) if live is not None else None,
                seen(new),
                self.cluster.root_type(resource),
                manager=call.manager,
                api_version=resource.api_version,
                time=self.cluster.now(),
                subresource=subresource,
            )
        meta.pop("managedFields", None)
        if found:
            meta["managedFields"] = [e.document() for e in ordered(found)]


def precondition(resource: Resource, live: Object, preconditions: Mapping[str, Any]) -> None:
    """DeleteOptions.preconditions. ApiError 409."""
    meta = live["metadata"]
    for field, label, tail in (
        ("uid", "UID", "The object might have been deleted and then recreated"),
        ("resourceVersion", "ResourceVersion", "The object might have been modified"),
    ):
        wanted = preconditions.get(field)
        if wanted is not None and wanted != meta.get(field):
            message = (
                f'Operation cannot be fulfilled on {qualified(resource.kind, resource.group)} "{meta["name"]}": '
                f"the {label} in the precondition ({wanted}) does not match the {label} in record ({meta.get(field)}). {tail}"
            )
            details = {"name": meta["name"], "group": resource.group, "kind": resource.kind}
            raise ApiError(409, "Conflict", message, details={k: v for k, v in details.items() if v})
