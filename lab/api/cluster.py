"""What the parts of the server share: the store, the clock, the tables. Knows no request."""

import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol

from lab.api.authz import Authorizer
from lab.api.resources import Resource, Resources
from lab.api.tokens import Tokens
from lab.api.types import Types, builtin
from lab.clock import LabClock
from lab.store import Key, Object, Store, timestamp


@dataclass(frozen=True, slots=True, kw_only=True)
class LogQuery:
    """What of a container's log is wanted; `since` and `timestamps` refer to lab time (epoch seconds)."""

    namespace: str
    pod: str
    container: str
    previous: bool = False


@dataclass(frozen=True, slots=True)
class LogLine:
    """`at` in epoch seconds of lab time."""

    at: float
    text: str


class LogSource(Protocol):
    """Who knows what containers said. The server does the tailing, cutting and following."""

    def lines(self, query: LogQuery) -> list[LogLine] | None:
        """Oldest first; None when there is no such (previous) container log."""
        ...


class NoLogs:
    def lines(self, query: LogQuery) -> list[LogLine] | None:
        return None if query.previous else []


class Measurer(Protocol):
    """Who knows what pods and nodes use: the part of another server, which a cluster may do without."""

    def measured(self, plural: str) -> list[Object]:
        """All PodMetrics ("pods") or NodeMetrics ("nodes"), ordered by namespace and name."""
        ...


@dataclass(slots=True, kw_only=True)
class Cluster:
    store: Store
    clock: LabClock
    logs: LogSource = field(default_factory=NoLogs)
    resources: Resources = field(default_factory=Resources)
    types: Types = field(default_factory=builtin)
    admin_token: str = field(default_factory=lambda: "admin-" + secrets.token_urlsafe(24))
    ca_pem: str = ""
    address: str = "127.0.0.1:0"
    compacted: int = 0  # revisions up to here are gone
    measurer: Measurer | None = None  # without one, what of metrics.k8s.io is in the store
    tokens: Tokens = field(init=False)
    authorizer: Authorizer = field(init=False)

    def __post_init__(self) -> None:
        self.tokens = Tokens(self.store, self.clock)
        self.authorizer = Authorizer(self.store)

    def key(self, resource: Resource, namespace: str, name: str) -> Key:
        return Key(resource.store_group, resource.plural, namespace if resource.namespaced else "", name)

    def find(self, resource: Resource, namespace: str, name: str) -> Object | None:
        return self.store.get(self.key(resource, namespace, name))

    def now(self) -> str:
        return timestamp(self.clock)

    def root_type(self, resource: Resource) -> str:
        return self.types.root(resource.group, resource.version, resource.kind)

    def namespace(self, name: str) -> Object | None:
        return self.store.get(Key("", "namespaces", "", name))

    def owned(self) -> Iterator[tuple[Key, dict[str, Any]]]:
        """Every stored object with its key; for the garbage collector."""
        for resource in {(r.store_group, r.plural): r for r in self.resources.all()}.values():
            if "list" not in resource.verbs:
                continue
            for obj in self.store.list(resource.store_group, resource.plural):
                meta = obj["metadata"]
                yield Key(resource.store_group, resource.plural, meta.get("namespace", ""), meta["name"]), obj


Hook = Callable[[Any], None]
