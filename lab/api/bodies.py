"""From the bytes of a request to an object of the wanted kind, with the refusals and warnings of a real server."""

import json
from typing import Any

import yaml

from lab.api import protobuf
from lab.api.cluster import Cluster
from lab.api.decode import Decoder, WrongType
from lab.api.media import OFFERED, YAML
from lab.api.request import Call
from lab.api.resources import Resource
from lab.api.status import ApiError, Cause, bad_request, invalid, unsupported_media_type, unsupported_value
from lab.api.types import pairs_with_duplicates
from lab.api.validation.metadata import quoted
from lab.store import Object

LIMIT = 3145728
_OPTIONS = {
    "create": "CreateOptions",
    "update": "UpdateOptions",
    "patch": "PatchOptions",
    "delete": "DeleteOptions",
    "deletecollection": "DeleteOptions",
}


def check_options(call: Call, verb: str) -> None:
    """dryRun and fieldValidation of the query. ApiError 422."""
    causes: list[Cause] = []
    dry = call.params("dryRun")
    if dry and dry != ["All"]:
        causes.append(unsupported_value("dryRun", quoted(dry), ["All"]))
    wanted = call.param("fieldValidation")
    if wanted not in ("", "Ignore", "Strict", "Warn"):
        causes.append(unsupported_value("fieldValidation", quoted(wanted), ["", "Ignore", "Strict", "Warn"]))
    if causes:
        raise invalid(_OPTIONS[verb], "meta.k8s.io", "", causes)


def parse(call: Call, *, duplicates: list[str] | None = None) -> Any:
    """JSON or YAML by content type. ApiError 413, 415; ValueError with the decoder's words for broken text."""
    if len(call.body) > LIMIT:
        raise ApiError(413, "RequestEntityTooLarge", f"Request entity too large: limit is {LIMIT}")
    media = call.header("content-type").split(";")[0].strip() or "application/json"
    if media == protobuf.MEDIA:
        try:
            return protobuf.decode(call.body)
        except protobuf.Unreadable as exc:
            raise unsupported_media_type(OFFERED[:2]) from exc
    if media in (YAML, "application/apply-patch+yaml", "text/yaml"):
        try:
            return yaml.safe_load(call.body)
        except yaml.YAMLError as exc:
            raise ValueError(f"error converting YAML to JSON: {exc}") from exc
    return load_json(call.body, duplicates)


def load_json(body: bytes, duplicates: list[str] | None = None) -> Any:
    """ValueError in Go's words."""
    found: list[str] = [] if duplicates is None else duplicates
    try:
        return json.loads(body.decode(), object_pairs_hook=pairs_with_duplicates(found))
    except UnicodeDecodeError as exc:
        raise ValueError("invalid UTF-8") from exc
    except json.JSONDecodeError as exc:
        at = exc.pos
        text = body.decode()
        if at >= len(text.rstrip()):
            raise ValueError("unexpected end of JSON input") from exc
        raise ValueError(f"invalid character '{text[at]}' looking for beginning of value") from exc


def object_of(
    cluster: Cluster, call: Call, resource: Resource, *, kind: str = "", api_version: str = "", root: str = ""
) -> Object:
    """The decoded object of a create or PUT, in the version of the request. ApiError 400, 413, 415."""
    media = call.header("content-type").split(";")[0].strip() or "application/json"
    if media not in ("application/json", YAML, protobuf.MEDIA):
        raise unsupported_media_type(OFFERED)
    kind, api_version = kind or resource.kind, api_version or resource.api_version
    duplicates: list[str] = []
    try:
        value = parse(call, duplicates=duplicates)
    except ValueError as exc:
        shown = call.body.decode(errors="replace") or "<empty>"
        unknown = f"the object provided is unrecognized (must be of type {kind})"
        message = f"{unknown}: couldn't get version/kind; json parse error: {exc} ({shown})"
        raise bad_request(message) from exc
    if not isinstance(value, dict):
        raise bad_request(f"the object provided is unrecognized (must be of type {kind}): couldn't get version/kind")
    sent_version, sent_kind = value.get("apiVersion") or api_version, value.get("kind") or kind
    if sent_kind != kind:
        version = sent_version.rsplit("/", 1)[-1]
        group = resource.group.split(".")[0] or "core"
        why = f"converting ({version}.{sent_kind}) to ({group}.{kind}): unknown conversion"
        raise bad_request(f'{sent_kind} in version "{version}" cannot be handled as a {kind}: {why}')
    if sent_version != api_version:
        raise bad_request(f"the API version in the data ({sent_version}) does not match the expected API version ({api_version})")
    value = {"apiVersion": api_version, "kind": kind, **value}
    return decoded(cluster, call, value, root or cluster.root_type(resource), kind, duplicates=duplicates)


def decoded(
    cluster: Cluster, call: Call, value: Object, root: str, kind: str, *, duplicates: list[str] | None = None, patch: bool = False
) -> Object:
    """Typed; unknown and duplicate fields refused (Strict) or warned of (Warn, the default). ApiError 400 (422 of a patch)."""
    decoder = Decoder(cluster.types)
    version = str(value.get("apiVersion", "")).rsplit("/", 1)[-1]
    try:
        obj = decoder.decode(value, root)
    except WrongType as exc:
        raise bad_request(f'{kind} in version "{version}" cannot be handled as a {kind}: {exc}') from exc
    faults = [f'duplicate field "{_path(value, d)}"' for d in duplicates or ()] + [
        f'unknown field "{p}"' for p in decoder.unknown
    ]
    if faults and call.param("fieldValidation") == "Strict":
        detail = f"strict decoding error: {', '.join(faults)}"
        if patch:
            shown = json.dumps(value, separators=(",", ":"))
            cause = Cause(reason="FieldValueInvalid", message=f"Invalid value: {json.dumps(shown)}: {detail}", field="patch")
            raise invalid("", "", "", [cause])
        raise bad_request(f'{kind} in version "{version}" cannot be handled as a {kind}: {detail}')
    if call.param("fieldValidation") != "Ignore":
        call.warnings += faults
    return dict(obj)


def _path(value: Any, key: str, at: str = "") -> str:
    """Where a duplicate key lies: the first place it is found."""
    if isinstance(value, dict):
        for name, inner in value.items():
            here = f"{at}.{name}" if at else name
            if name == key:
                return here
            if found := _path(inner, key, here):
                return found
    return ""
