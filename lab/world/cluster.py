"""What a controller sees of the cluster: read-only views kept fresh by the store's changes, and writes under the store's
lock, stamped with the world's time. Knows no HTTP."""

import random
import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Protocol

from lab.store import Change, Key, Store, copied
from lab.world.kinds import KIND_OF, Object, api_version, key_of
from lab.world.reading import stamp

CONTROLLER_USER = "system:serviceaccount:kube-system:{}"
SUFFIX = "bcdfghjklmnpqrstvwxz2456789"  # of generated names, as apimachinery's rand.String


class Refused(Exception):
    """Admission said no to a controller; the text is the API server's message."""


class Admit(Protocol):
    """Defaulting, validation and quota of the API server for a create in process. Raises Refused."""

    def __call__(self, verb: str, key: Key, obj: Object, user: str) -> Object: ...


def admit_all(verb: str, key: Key, obj: Object, user: str) -> Object:
    return obj


class Cluster:
    """`now` is the world's time: it follows the clock, but in order from one due moment to the next."""

    def __init__(self, store: Store, *, seed: int = 0, admit: Admit = admit_all) -> None:
        self.store = store
        self.admit = admit
        self.now = store.clock.now()
        self.rng = random.Random(seed)  # noqa: S311 - names, not secrets
        self._views: dict[str, dict[tuple[str, str], Object]] = {}
        self._lock = threading.Lock()
        self._listeners: list[Callable[[str, Change], None]] = []
        with store.lock:
            for change in store.changes:
                self._note(change)
            store.subscribe(self._note)

    def on_change(self, listener: Callable[[str, Change], None]) -> None:
        """Called with (kind, change) under the store's lock: keep it short."""
        self._listeners.append(listener)

    def _note(self, change: Change) -> None:
        kind = KIND_OF.get((change.key.group, change.key.resource))
        if kind is None:
            return
        with self._lock:
            view = self._views.setdefault(kind, {})
            if change.type == "DELETED":
                view.pop((change.key.namespace, change.key.name), None)
            else:
                view[(change.key.namespace, change.key.name)] = change.object
        for listener in self._listeners:
            listener(kind, change)

    # reading

    def of(self, kind: str, namespace: str | None = None) -> list[Object]:
        """Views, ordered by namespace and name. Do not change them."""
        with self._lock:
            items = sorted(self._views.get(kind, {}).items())
        return [obj for (ns, _), obj in items if namespace in (None, ns)]

    def find(self, kind: str, namespace: str, name: str) -> Object | None:
        with self._lock:
            return self._views.get(kind, {}).get((namespace, name))

    def owned(self, kind: str, owner: Object) -> list[Object]:
        uid = owner["metadata"]["uid"]
        return [
            obj
            for obj in self.of(kind, owner["metadata"]["namespace"])
            if any(o["uid"] == uid and o.get("controller") for o in obj["metadata"].get("ownerReferences") or [])
        ]

    # writing

    @property
    def stamp(self) -> str:
        return stamp(self.now)

    def later(self, seconds: float) -> datetime:
        return self.now + timedelta(seconds=seconds)

    def suffix(self, length: int = 5) -> str:
        return "".join(self.rng.choice(SUFFIX) for _ in range(length))

    def create(self, kind: str, obj: Object, *, user: str) -> Object:
        """Through admission, as the named kube-system controller. Raises Refused; an existing name is returned as it is."""
        obj = copied(obj)
        obj.setdefault("apiVersion", api_version(kind))
        obj.setdefault("kind", kind)
        metadata = obj["metadata"]
        metadata.setdefault("creationTimestamp", self.stamp)
        metadata.setdefault("generation", 1)
        key = key_of(kind, metadata.get("namespace", ""), metadata["name"])
        with self.store.lock:
            existing = self.store.get(key)
            if existing is not None:
                return existing
            admitted = self.admit("create", key, obj, CONTROLLER_USER.format(user))
            return self.store.create(key, admitted)

    def edit(self, kind: str, namespace: str, name: str, change: Callable[[Object], None]) -> Object | None:
        """Read-modify-write; None when the object is gone. A changed spec moves the generation."""
        key = key_of(kind, namespace, name)
        with self.store.lock:
            obj = self.store.get(key)
            if obj is None:
                return None
            spec = copied(obj.get("spec"))
            change(obj)
            if obj.get("spec") != spec:
                obj["metadata"]["generation"] = obj["metadata"].get("generation", 1) + 1
            if obj == self.find(kind, namespace, name):
                return obj
            return self.store.update(key, obj)

    def delete(self, kind: str, namespace: str, name: str, *, grace: int | None = None) -> None:
        """Pods on a node are marked and left to the kubelet; what has finalizers is marked; the rest goes at once."""
        key = key_of(kind, namespace, name)
        with self.store.lock:
            obj = self.store.get(key)
            if obj is None or obj["metadata"].get("deletionTimestamp"):
                return
            bound = kind == "Pod" and obj["spec"].get("nodeName") and obj.get("status", {}).get("phase") in ("Pending", "Running")
            if not bound and not obj["metadata"].get("finalizers"):
                self.store.remove(key)
                return
            seconds = obj["spec"].get("terminationGracePeriodSeconds", 30) if grace is None and kind == "Pod" else (grace or 0)
            obj["metadata"]["deletionTimestamp"] = stamp(self.later(seconds))
            obj["metadata"]["deletionGracePeriodSeconds"] = seconds
            self.store.update(key, obj)

    def remove(self, kind: str, namespace: str, name: str) -> None:
        key = key_of(kind, namespace, name)
        with self.store.lock:
            if self.store.get(key) is not None:
                self.store.remove(key)
