"""Which requests of a reader go through: pure. Reads only, no door into a pod, no raw text in a URL.

The sidecar's reading identity (RBAC) decides what exists for a reader at all; this only ever takes away.
"""

import re
from dataclasses import dataclass
from typing import Literal

from sidecar.ports import ApiCall
from sidecar.reading.rules import ReadingRules

MAX_WATCH_SECONDS = 300
OURS = "lestrade.dev"  # the group of the sidecar's own objects in the cluster
# Names of Kubernetes objects may hold dots and, in RBAC, colons; nothing else that a URL could mean something by.
_SEGMENT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:~-]{0,252}")
_ROOTS = frozenset({"api", "apis", "version", "openapi", "healthz", "livez", "readyz"})
_PARAMETER = re.compile(r"[A-Za-z]{1,40}")  # names of parameters go into the URL as they are
_SUBRESOURCES = frozenset({"log", "status", "scale"})
_JSON = re.compile(r"application/json(;[A-Za-z0-9=.;_-]*)?")

Form = Literal["objects", "log", "plain"]


@dataclass(frozen=True, slots=True)
class Forbidden:
    """Why a request does not go through. `status`: 403, or 429 for one that may come later."""

    detail: str
    status: int = 403
    code: str = "not-readable"


@dataclass(frozen=True, slots=True, kw_only=True)
class Permitted:
    """`form`: objects of a resource, lines of a log, or what holds no object (discovery, health). `streamed`: it has no end
    of its own. `namespace`: "" where objects of more than one may come."""

    call: ApiCall
    form: Form
    resource: str
    namespace: str
    streamed: bool


def permit(path: str, query: list[tuple[str, str]], accept: str, rules: ReadingRules | None = None) -> Permitted | Forbidden:
    """`path` is as it came over the wire, without the gateway's own prefix, still escaped."""
    rules = rules or ReadingRules()
    segments = path.strip("/").split("/")
    if not path.startswith("/") or segments[0] not in _ROOTS or not all(_SEGMENT.fullmatch(segment) for segment in segments):
        return Forbidden("no path of the Kubernetes API that may be read")
    place = _place(segments)
    if place.resource == "watch":
        return Forbidden("watches go by the watch parameter")
    if place.subresource not in (*_SUBRESOURCES, ""):
        return Forbidden(f"the subresource {place.subresource} is not read through here")
    if place.resource == "secrets" and place.subresource:
        return Forbidden("of Secrets only the objects themselves are read")
    if place.group == OURS:
        return Forbidden("what leases may write is between the sidecar and the API server")
    log = (place.resource, place.group, place.subresource) == ("pods", "", "log")
    if place.resource and not rules.shows_kind(place.resource, place.group, log=log):
        return Forbidden(f"policy does not let {place.resource} be read")
    if place.namespace and not rules.shows_namespace(place.namespace):
        return Forbidden(f"policy does not let the namespace {place.namespace} be read")
    if not all(_PARAMETER.fullmatch(name) for name, _ in query):
        return Forbidden("no parameter of the Kubernetes API has such a name")
    if not rules.everywhere and any(name == "includeObject" and value == "None" for name, value in query):
        return Forbidden("rows are shown with their namespace only, since not every namespace may be read")
    if any(name == "insecureSkipTLSVerifyBackend" for name, _ in query):
        return Forbidden("a log is read only where the API server knows whose it is: the node's certificate is always verified")
    form: Form = "log" if place.subresource == "log" else "objects" if place.resource else "plain"
    # One word each: of two the API server reads the first, and of the other's word it takes no notice.
    asked = [value for name, value in query if name == ("follow" if form == "log" else "watch")]
    if len(asked) > 1:
        return Forbidden("a parameter is there twice")
    # The API server reads every value but these two as true, the empty one too.
    streamed = form != "plain" and any(value.lower() not in ("false", "0") for value in asked)
    wanted = "*/*" if form == "log" else _accept(accept)
    call = ApiCall(
        method="GET", path="/" + "/".join(segments), query=_bounded(query, streamed and form == "objects"), accept=wanted
    )
    return Permitted(call=call, form=form, resource=place.resource, namespace=place.namespace, streamed=streamed)


@dataclass(frozen=True, slots=True)
class _Place:
    """What a path is about; `resource` "" for discovery and the like. Of a Namespace object, it is its own namespace."""

    group: str
    namespace: str
    resource: str
    subresource: str


def _place(segments: list[str]) -> _Place:
    group = segments[1] if segments[0] == "apis" and len(segments) > 1 else ""
    rest = segments[2:] if segments[0] == "api" else segments[3:] if segments[0] == "apis" else []
    namespace = ""
    if len(rest) >= 2 and rest[0] == "namespaces":
        namespace = rest[1]
        if len(rest) >= 3 and (len(rest) > 3 or rest[2] not in ("status", "finalize")):
            rest = rest[2:]
    return _Place(group, namespace, rest[0] if rest else "", "/".join(rest[2:]) if len(rest) > 2 else "")


def _bounded(query: list[tuple[str, str]], watched: bool) -> tuple[tuple[str, str], ...]:
    """A watch ends: within the time asked for, and never later than MAX_WATCH_SECONDS."""
    if not watched:
        return tuple(query)
    asked = [value for name, value in query if name == "timeoutSeconds"]
    seconds = min(int(asked[0]), MAX_WATCH_SECONDS) if asked and re.fullmatch("[0-9]{1,9}", asked[0]) else MAX_WATCH_SECONDS
    return (
        *((name, value) for name, value in query if name != "timeoutSeconds"),
        ("timeoutSeconds", str(seconds or MAX_WATCH_SECONDS)),
    )


def _accept(accept: str) -> str:
    """What can be read in order to take credentials out: JSON in its forms; neither protobuf nor YAML is offered."""
    wanted = [part.strip() for part in accept.split(",") if _JSON.fullmatch(part.strip().replace(" ", ""))]
    return ",".join(wanted) or "application/json"
