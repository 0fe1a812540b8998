"""GET of one object and LIST of many: selectors, pages, resource versions. Answers in the version that was asked for."""

import base64
import copy
import json
from collections.abc import Callable, Mapping
from typing import Any

from lab.api.cluster import Cluster
from lab.api.convert import outward
from lab.api.request import Answer, Call
from lab.api.resources import Resource
from lab.api.selectors import field_matcher, label_matcher
from lab.api.status import ApiError, Cause, bad_request, invalid, not_allowed, not_found
from lab.store import Object

METRICS = "metrics.k8s.io"  # served by another server on a real cluster, with its own manners
EXPIRED_CONTINUE = (
    "The provided continue parameter is too old to display a consistent list result. You can start a new list "
    "without the continue parameter, or use the "
    "continue token in this response to retrieve the remainder of the results. Continuing with the provided "
    "token results in an inconsistent list - objects "
    "that were created, modified, or deleted between the time the first chunk was returned and now may show up in the list."
)


class TooNew(Exception):
    """The resource version lies ahead: wait a while, outside the lock."""


def matcher(call: Call, resource: Resource) -> Callable[[Mapping[str, Any]], bool]:
    """Label and field selector of a request, for stored objects. ApiError 400."""
    tests = []
    if text := call.param("labelSelector"):
        tests.append(label_matcher(text))
    if text := call.param("fieldSelector"):
        tests.append(field_matcher(text, resource))
    return lambda obj: all(test(obj) for test in tests)


def revision_param(call: Call) -> int | None:
    """The resourceVersion of the query; None where there is none. ApiError 400."""
    text = call.param("resourceVersion")
    if not text:
        return None
    if not text.isdigit():
        why = f'Invalid value: "{text}": strconv.ParseUint: parsing "{text}": invalid syntax'
        raise bad_request(f"invalid resource version: resourceVersion: {why}")
    return int(text)


def too_large(cluster: Cluster, revision: int) -> ApiError:
    causes = [{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}]
    message = f"Timeout: Too large resource version: {revision}, current: {cluster.store.revision}"
    return ApiError(504, "Timeout", message, details={"causes": causes, "retryAfterSeconds": 1}, headers={"Retry-After": "1"})


def get(cluster: Cluster, call: Call, resource: Resource) -> Answer:
    revision = revision_param(call)
    if revision is not None and revision > cluster.store.revision:
        raise TooNew
    obj = _found(cluster, call, resource)
    if obj is None:
        raise not_found(resource.plural, "" if resource.group == METRICS else resource.group, call.target.name)
    return Answer(body=_measured(outward(resource, obj)) if resource.group == METRICS else outward(resource, obj))


def _found(cluster: Cluster, call: Call, resource: Resource) -> Object | None:
    if resource.group != METRICS or cluster.measurer is None:
        return cluster.find(resource, call.target.namespace, call.target.name)
    known = objects(cluster, resource, call.target.namespace, None)
    return next((one for one in known if one["metadata"]["name"] == call.target.name), None)


def _measured(obj: Object) -> Object:
    """Measurements are not stored: they have no uid and no revision."""
    return obj | {"metadata": {k: v for k, v in obj["metadata"].items() if k not in ("uid", "resourceVersion", "managedFields")}}


def check_list_options(call: Call) -> None:
    """ApiError 400 or 422."""
    match, revision = call.param("resourceVersionMatch"), call.param("resourceVersion")
    causes: list[Cause] = []
    initial = call.param("sendInitialEvents")
    if initial and match != "NotOlderThan":
        causes.append(
            not_allowed("resourceVersionMatch", "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan")
        )
    elif match and not initial:
        if not revision:
            causes.append(
                not_allowed("resourceVersionMatch", "resourceVersionMatch is forbidden unless resourceVersion is provided")
            )
        elif call.target.verb == "watch":
            causes.append(not_allowed("resourceVersionMatch", "resourceVersionMatch is forbidden for watch"))
    if causes:
        raise invalid("ListOptions", "meta.k8s.io", "", causes)


def listing(cluster: Cluster, call: Call, resource: Resource) -> Answer:
    """A List; TooNew when the wanted revision has not come yet."""
    if resource.plural == "componentstatuses":
        return Answer(body=_components())
    check_list_options(call)
    limit = _limit(call)
    token = call.param("continue")
    if token and call.param("resourceVersion") not in ("", "0"):
        raise bad_request("specifying resource version is not allowed when using continue")
    matches = matcher(call, resource)
    revision, start = revision_param(call), ""
    if revision is not None and revision > cluster.store.revision:
        raise TooNew
    exact = call.param("resourceVersionMatch") == "Exact" or (
        revision and limit and call.param("resourceVersionMatch") != "NotOlderThan"
    )
    at: int | None = revision if exact and revision else None
    if token:
        at, start = _continued(cluster, token)
    if at is not None and at <= cluster.compacted:
        raise ApiError(410, "Expired", "The resourceVersion for the provided list is too old.")
    if revision == 0:
        limit = 0  # answered from the watch cache, which does not page
    items = objects(cluster, resource, call.target.namespace, at)
    items = [o for o in items if start < _position(o, call)]
    shown_at = at if at is not None else cluster.store.revision
    return Answer(body=_page(call, resource, items, matches, limit, shown_at))


def _components() -> Object:
    healthy = [{"type": "Healthy", "status": "True", "message": "ok"}]
    items = [{"metadata": {"name": n}, "conditions": healthy} for n in ("etcd-0", "scheduler", "controller-manager")]
    return {"kind": "ComponentStatusList", "apiVersion": "v1", "metadata": {}, "items": items}


def _page(
    call: Call, resource: Resource, items: list[Object], matches: Callable[[Object], bool], limit: int, revision: int
) -> Object:
    selected = call.param("labelSelector") or call.param("fieldSelector")
    page: list[Object] = []
    meta: dict[str, Any] = {"resourceVersion": str(revision)}
    for i, obj in enumerate(items):
        if not matches(obj):
            continue
        page.append(obj)
        rest = items[i + 1 :]
        if limit and len(page) == limit and rest:
            if selected and not any(matches(o) for o in rest):
                break
            meta["continue"] = _token(revision, _position(obj, call))
            if not selected:
                meta["remainingItemCount"] = len(rest)
            break
    if resource.group == METRICS:
        meta = {}
    if resource.custom is not None:
        meta.setdefault("continue", "")
    return {
        "kind": resource.list_kind or f"{resource.kind}List",
        "apiVersion": resource.api_version,
        "metadata": meta,
        "items": [_item(resource, o) for o in page],
    }


def _item(resource: Resource, obj: Object) -> Object:
    shown = outward(resource, obj)
    if resource.group == METRICS:
        shown = _measured(shown)
    return shown if resource.custom is not None else {k: v for k, v in shown.items() if k not in ("kind", "apiVersion")}


def objects(cluster: Cluster, resource: Resource, namespace: str, at: int | None) -> list[Object]:
    """As stored, now or at an older revision (changes since then are taken back)."""
    where = namespace or None
    if resource.group == METRICS and cluster.measurer is not None:
        return [one for one in cluster.measurer.measured(resource.plural) if where in (None, one["metadata"].get("namespace"))]
    if at is None or at == cluster.store.revision:
        return cluster.store.list(resource.store_group, resource.plural, where if resource.namespaced else None)
    known = {
        (o["metadata"].get("namespace", ""), o["metadata"]["name"]): o
        for o in cluster.store.list(resource.store_group, resource.plural, None)
    }
    for change in reversed(cluster.store.changes):
        if change.revision <= at:
            break
        if (change.key.group, change.key.resource) != (resource.store_group, resource.plural):
            continue
        key = (change.key.namespace, change.key.name)
        if change.type == "ADDED":
            known.pop(key, None)
        else:
            known[key] = copy.deepcopy(change.previous or change.object)
    return [o for (ns, _), o in sorted(known.items()) if where in (None, ns)]


def _limit(call: Call) -> int:
    text = call.param("limit")
    if not text:
        return 0
    try:
        return int(text)
    except ValueError:
        raise bad_request(f'strconv.ParseInt: parsing "{text}": invalid syntax') from None


def _position(obj: Object, call: Call) -> str:
    """Where an object lies in the list: below the namespace asked for."""
    meta = obj["metadata"]
    whole = meta["name"] if call.target.namespace else f"{meta.get('namespace', '')}/{meta['name']}".lstrip("/")
    return f"/{whole}\0"


def _token(revision: int, start: str) -> str:
    raw = json.dumps({"v": "meta.k8s.io/v1", "rv": revision, "start": start}, separators=(",", ":")).encode()
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def _continued(cluster: Cluster, token: str) -> tuple[int | None, str]:
    """(revision, start); the revision None for an inconsistent continuation. ApiError 400, 410."""
    try:
        text = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)).decode()
    except ValueError as exc:
        raise bad_request(f"invalid continue token: continue key is not valid: {exc}") from exc
    try:
        value = json.loads(text)
        revision, start = int(value["rv"]), str(value["start"])
    except (ValueError, KeyError, TypeError) as exc:
        first = text[:1]
        raise bad_request(
            f"invalid continue token: continue key is not valid: invalid character '{first}' looking for beginning of value"
        ) from exc
    start = start if start.startswith("/") else f"/{start}"
    if revision < 0:
        return None, start
    if revision <= cluster.compacted:
        raise ApiError(410, "Expired", EXPIRED_CONTINUE, metadata={"continue": _token(-1, start.lstrip("/"))})
    return revision, start
