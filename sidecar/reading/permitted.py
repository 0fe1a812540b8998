"""Which requests of a reader go through: pure. Reads only, no door into a pod, no raw text in a URL.

The sidecar's reading identity (RBAC) decides what exists for a reader at all; this only ever takes away.
"""

import re
from dataclasses import dataclass

from sidecar.ports import ApiCall

MAX_WATCH_SECONDS = 300
# Names of Kubernetes objects may hold dots and, in RBAC, colons; nothing else that a URL could mean something by.
_SEGMENT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:~-]{0,252}")
_ROOTS = frozenset({"api", "apis", "version", "openapi", "healthz", "livez", "readyz"})
_PARAMETER = re.compile(r"[A-Za-z]{1,40}")  # names of parameters go into the URL as they are
_SUBRESOURCES = frozenset({"log", "status", "scale"})
_ACCEPTED = re.compile(r"application/json(;[A-Za-z0-9=.;_-]*)?|application/yaml|text/plain|\*/\*")


@dataclass(frozen=True, slots=True)
class Forbidden:
    """Why a request does not go through. `status`: 403, or 429 for one that may come later."""

    detail: str
    status: int = 403


@dataclass(frozen=True, slots=True, kw_only=True)
class Permitted:
    """`secret`: the answer may hold values of Secrets; `streamed`: it has no end of its own."""

    call: ApiCall
    secret: bool
    streamed: bool


def permit(path: str, query: list[tuple[str, str]], accept: str) -> Permitted | Forbidden:
    """`path` is as it came over the wire, without the gateway's own prefix, still escaped."""
    segments = path.strip("/").split("/")
    if not path.startswith("/") or segments[0] not in _ROOTS or not all(_SEGMENT.fullmatch(segment) for segment in segments):
        return Forbidden("no path of the Kubernetes API that may be read")
    resource, subresource = _resource(segments)
    if resource == "watch":
        return Forbidden("watches go by the watch parameter")
    if subresource not in (*_SUBRESOURCES, ""):
        return Forbidden(f"the subresource {subresource} is not read through here")
    if resource == "secrets" and subresource:
        return Forbidden("of Secrets only the objects themselves are read")
    if not all(_PARAMETER.fullmatch(name) for name, _ in query):
        return Forbidden("no parameter of the Kubernetes API has such a name")
    # The API server reads every value but these two as true, the empty one too.
    streamed = any(name in ("watch", "follow") and value.lower() not in ("false", "0") for name, value in query)
    call = ApiCall(method="GET", path="/" + "/".join(segments), query=_bounded(query, streamed), accept=_accept(accept))
    return Permitted(call=call, secret=resource == "secrets", streamed=streamed)


def _resource(segments: list[str]) -> tuple[str, str]:
    """Resource and subresource of a path, "" where it has none (discovery and the like)."""
    rest = segments[2:] if segments[0] == "api" else segments[3:] if segments[0] == "apis" else []
    if len(rest) >= 3 and rest[0] == "namespaces":
        rest = rest[2:]
    return (rest[0] if rest else ""), ("/".join(rest[2:]) if len(rest) > 2 else "")


def _bounded(query: list[tuple[str, str]], streamed: bool) -> tuple[tuple[str, str], ...]:
    """A watch ends: within the time asked for, and never later than MAX_WATCH_SECONDS."""
    if not streamed or any(name == "follow" for name, _ in query):
        return tuple(query)
    asked = [value for name, value in query if name == "timeoutSeconds"]
    seconds = min(int(asked[0]), MAX_WATCH_SECONDS) if asked and re.fullmatch("[0-9]{1,9}", asked[0]) else MAX_WATCH_SECONDS
    return (
        *((name, value) for name, value in query if name != "timeoutSeconds"),
        ("timeoutSeconds", str(seconds or MAX_WATCH_SECONDS)),
    )


def _accept(accept: str) -> str:
    """What can be read in order to take Secrets out: JSON in its forms; protobuf is not offered."""
    wanted = [part.strip() for part in accept.split(",") if _ACCEPTED.fullmatch(part.strip().replace(" ", ""))]
    return ",".join(wanted) or "application/json"
