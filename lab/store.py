"""The objects of the simulated cluster: versioned, watched, under one lock. Knows no HTTP and no Kubernetes semantics
beyond metadata (uid, resourceVersion, generation, creationTimestamp)."""

import threading
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar, cast

from lab.clock import LabClock

Object: TypeAlias = dict[str, Any]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Key:
    """`group` is "" for core; `resource` the plural name; `namespace` "" for cluster-scoped."""

    group: str
    resource: str
    namespace: str
    name: str


@dataclass(frozen=True, slots=True)
class Change:
    """One watch event. `type` is ADDED, MODIFIED or DELETED; `object` is a copy as stored, `previous` the one before."""

    revision: int
    type: str
    key: Key
    object: Object
    previous: Object | None


class Store:
    """Hold `lock` for a read-modify-write. Everything given out and taken in is copied, but for what `seen` and `all_seen`
    give to those who only look."""

    def __init__(self, clock: LabClock) -> None:
        self.clock = clock
        self.lock = threading.RLock()
        self.revision = 1000
        self.changes: list[Change] = []
        self._objects: dict[Key, Object] = {}
        self._listeners: list[Callable[[Change], None]] = []

    def subscribe(self, listener: Callable[[Change], None]) -> None:
        """Called under the lock, in order, after each change: keep it short."""
        self._listeners.append(listener)

    def get(self, key: Key) -> Object | None:
        with self.lock:
            found = self._objects.get(key)
            return copied(found) if found is not None else None

    def seen(self, key: Key) -> Mapping[str, Any] | None:
        """The stored object itself: nobody changes it, the store neither, which puts another in its place."""
        with self.lock:
            return self._objects.get(key)

    def all_seen(self, group: str, resource: str, namespace: str | None = None) -> Sequence[Mapping[str, Any]]:
        """As `list` has them, the stored objects themselves."""
        with self.lock:
            keys = [k for k in self._objects if (k.group, k.resource) == (group, resource) and namespace in (None, k.namespace)]
            return [self._objects[k] for k in sorted(keys, key=lambda k: (k.namespace, k.name))]

    def list(self, group: str, resource: str, namespace: str | None = None) -> list[Object]:
        """Of one namespace, or of all when it is None; ordered by namespace and name, as a real server does."""
        with self.lock:
            return [copied(dict(found)) for found in self.all_seen(group, resource, namespace)]

    def create(self, key: Key, obj: Object) -> Object:
        """Fill uid, creationTimestamp, resourceVersion; KeyError when it exists."""
        with self.lock:
            if key in self._objects:
                raise KeyError(key)
            stored = copied(obj)
            metadata = stored.setdefault("metadata", {})
            metadata.setdefault("uid", str(uuid.uuid4()))
            metadata.setdefault("creationTimestamp", timestamp(self.clock))
            self._commit("ADDED", key, stored, None)
            return copied(stored)

    def update(self, key: Key, obj: Object) -> Object:
        """Replace; an equal object keeps its resourceVersion and makes no event. KeyError when it does not exist."""
        with self.lock:
            before = self._objects[key]
            stored = copied(obj)
            stored["metadata"]["resourceVersion"] = before["metadata"]["resourceVersion"]
            if stored != before:
                self._commit("MODIFIED", key, stored, before)
            return copied(stored)

    def remove(self, key: Key) -> Object:
        """Take it out of the store at once (finalizers are the caller's concern). KeyError when it does not exist."""
        with self.lock:
            before = self._objects.pop(key)
            stored = copied(before)
            self._commit("DELETED", key, stored, before)
            return stored

    def _commit(self, kind: str, key: Key, stored: Object, before: Object | None) -> None:
        self.revision += 1
        stored["metadata"]["resourceVersion"] = str(self.revision)
        if kind != "DELETED":
            self._objects[key] = stored
        change = Change(self.revision, kind, key, copied(stored), before)
        self.changes.append(change)
        for listener in list(self._listeners):
            listener(change)


def timestamp(clock: LabClock) -> str:
    """metav1.Time: RFC 3339, whole seconds, Z."""
    return clock.now().strftime("%Y-%m-%dT%H:%M:%SZ")


def copied(value: T) -> T:
    """A deep copy of JSON; several times as fast as copy.deepcopy, which must expect anything. Half of a laboratory's time goes
    by here, so that texts and numbers, which most of JSON is, are not asked for one by one."""
    new: Any = value
    if isinstance(value, dict):
        new = {key: copied(item) if type(item) in _NESTED else item for key, item in value.items()}
    elif isinstance(value, list):
        new = [copied(item) if type(item) in _NESTED else item for item in value]
    return cast(T, new)


_NESTED = frozenset((dict, list))
