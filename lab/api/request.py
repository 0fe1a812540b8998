"""What a request asks for: resource, verb, namespace, name, read off the method and the path. Knows no objects."""

import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from lab.api.selectors import name_in

VERBS = {"POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete", "GET": "get", "HEAD": "get"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """A user as the authenticator or an impersonation gives it."""

    username: str
    uid: str = ""
    groups: tuple[str, ...] = ()
    extra: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def label(self) -> str:
        """Short name for the request log: admin, namespace/serviceaccount, or the user name."""
        if self.username == "kubernetes-admin":
            return "admin"
        if self.username.startswith("system:serviceaccount:"):
            return self.username.removeprefix("system:serviceaccount:").replace(":", "/")
        return self.username

    def document(self) -> dict[str, Any]:
        out: dict[str, Any] = {"username": self.username}
        if self.uid:
            out["uid"] = self.uid
        if self.groups:
            out["groups"] = list(self.groups)
        if self.extra:
            out["extra"] = {k: list(v) for k, v in sorted(self.extra.items())}
        return out


ANONYMOUS = Identity(username="system:anonymous", groups=("system:unauthenticated",))


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """RequestInfo: `group` etc. are "" and `is_resource` False for a path that names no resource."""

    is_resource: bool
    verb: str
    path: str
    group: str = ""
    version: str = ""
    resource: str = ""
    subresource: str = ""
    namespace: str = ""
    name: str = ""
    rest: str = ""  # what follows the subresource (proxy paths)


@dataclass(slots=True, kw_only=True)
class Call:
    """One request on its way through the server. `warnings` become Warning headers."""

    method: str
    path: str
    query: list[tuple[str, str]]
    headers: Mapping[str, list[str]]
    body: bytes
    target: Target
    identity: Identity = ANONYMOUS
    warnings: list[str] = field(default_factory=list)
    audit_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    cancelled: Callable[[], bool] = lambda: False

    def param(self, name: str, default: str = "") -> str:
        return next((v for k, v in self.query if k == name), default)

    def params(self, name: str) -> list[str]:
        return [v for k, v in self.query if k == name]

    def flag(self, name: str) -> bool:
        value = next((v for k, v in self.query if k == name), None)
        return value is not None and value.lower() in ("true", "1", "")

    def header(self, name: str) -> str:
        return (self.headers.get(name) or [""])[0]

    @property
    def dry_run(self) -> bool:
        return "All" in self.params("dryRun")

    @property
    def manager(self) -> str:
        """Who fields are booked to: `fieldManager`, or the User-Agent up to the slash."""
        return self.param("fieldManager") or self.header("user-agent").split("/")[0] or "unknown"


@dataclass(slots=True, kw_only=True)
class Answer:
    """`body` is a document (rendered as the client wants it), text, bytes, or None; `stream` gives chunks instead."""

    status: int = 200
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    stream: Any = None  # AsyncIterator[bytes]
    media: str = ""


def parse(method: str, target: str, headers: Mapping[str, list[str]], body: bytes) -> Call:
    parts = urlsplit(target)
    query = parse_qsl(parts.query, keep_blank_values=True)
    return Call(
        method=method,
        path=unquote(parts.path),
        query=query,
        headers=headers,
        body=body,
        target=target_of(method, unquote(parts.path), query),
    )


def target_of(method: str, path: str, query: list[tuple[str, str]]) -> Target:
    """As k8s.io/apiserver's RequestInfoFactory reads a path."""
    verb = VERBS.get(method, method.lower())
    parts = path.strip("/").split("/")
    plain = Target(is_resource=False, verb=method.lower(), path=path)
    if parts[0] == "api" and len(parts) >= 3:
        group, version, rest = "", parts[1], parts[2:]
    elif parts[0] == "apis" and len(parts) >= 4:
        group, version, rest = parts[1], parts[2], parts[3:]
    else:
        return plain
    options = dict(reversed(query))
    watching = rest[0] == "watch" and len(rest) > 1
    if watching:
        rest, verb = rest[1:], "watch"
    namespace = ""
    if rest[0] == "namespaces" and len(rest) > 1:
        namespace = rest[1]
        if len(rest) > 2 and rest[2] not in ("status", "finalize"):
            rest = rest[2:]
    resource, name = rest[0], rest[1] if len(rest) > 1 else ""
    subresource = rest[2] if len(rest) > 2 else ""
    if not name and verb in ("get", "delete"):
        verb = {"get": "list", "delete": "deletecollection"}[verb]
        name = name_in(options.get("fieldSelector", ""))
        if verb == "list" and options.get("watch", "").lower() in ("true", "1"):
            verb = "watch"
    elif watching and not name:
        name = name_in(options.get("fieldSelector", ""))
    return Target(
        is_resource=True,
        verb=verb,
        path=path,
        group=group,
        version=version,
        resource=resource,
        subresource=subresource,
        namespace=namespace,
        name=name,
        rest="/".join(rest[3:]),
    )
