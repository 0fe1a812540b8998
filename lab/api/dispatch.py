"""One request from authentication to answer. The only place that knows all the parts; runs in a worker thread."""

import json
import re
import time
from collections.abc import Callable
from typing import Any

from lab.api import (
    admission,
    authn,
    credentials,
    deleting,
    discovery,
    logs,
    media,
    pods,
    proxying,
    reading,
    scaling,
    status,
    tables,
    watching,
    writing,
)
from lab.api.cluster import Cluster
from lab.api.request import Answer, Call
from lab.api.resources import Resource
from lab.api.reviews import REVIEWS
from lab.api.status import ApiError, method_not_allowed, no_such_resource, page_not_found
from lab.store import Object

FUTURE_SECONDS = 3.0  # how long a real server waits for a revision that has not come
_UPGRADES = ("exec", "attach", "portforward")
_DEPRECATED = {
    ("", "endpoints"): "v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice",
    ("", "componentstatuses"): "v1 ComponentStatus is deprecated in v1.19+",
}


class Dispatcher:
    def __init__(self, cluster: Cluster, feed: watching.Feed) -> None:
        self._cluster, self._feed = cluster, feed

    def answer(self, call: Call) -> Answer:
        """Never raises ApiError: refusals are answers as well."""
        try:
            return self._answer(call)
        except ApiError as error:
            return self._refusal(call, error)

    def _refusal(self, call: Call, error: ApiError) -> Answer:
        if error.text is not None:
            return Answer(status=error.code, body=error.text.encode(), media="text/plain; charset=utf-8", headers=error.headers)
        return Answer(
            status=error.code, body=error.document(), headers=error.headers, media=media.error_media(call.header("accept"))
        )

    def _answer(self, call: Call) -> Answer:
        deadline = time.monotonic() + FUTURE_SECONDS
        while True:
            with self._cluster.store.lock:
                try:
                    return self._under_lock(call)
                except reading.TooNew:
                    if time.monotonic() >= deadline:
                        raise reading.too_large(self._cluster, int(call.param("resourceVersion"))) from None
            time.sleep(0.02)

    def _under_lock(self, call: Call) -> Answer:
        call.identity = authn.authenticate(self._cluster, call.headers)
        call.identity = authn.impersonated(self._cluster, call)
        authn.authorize(self._cluster, call)
        _check_timeout(call)
        if not call.target.is_resource:
            return self._rendered(call, None, discovery.answer(self._cluster, call))
        resource = self._resource(call)
        if (text := _DEPRECATED.get((resource.group, resource.plural))) is not None:
            call.warnings.append(text)
        accepted = self._accepted(call, resource)
        answer = self._handler(call, resource)(self._cluster, call, resource)
        if answer.stream is not None or isinstance(answer.body, bytes) or answer.body is None:
            return answer
        return self._rendered(call, resource, answer, accepted)

    def _resource(self, call: Call) -> Resource:
        target = call.target
        found = self._cluster.resources.find(target.group, target.version, target.resource)
        if found is not None and (not target.namespace or found.namespaced or found.plural == "namespaces"):
            return found
        if target.group and target.group not in self._cluster.resources.groups():
            raise page_not_found()
        raise no_such_resource()

    def _accepted(self, call: Call, resource: Resource) -> media.Accepted:
        plain = call.target.subresource in ("log", "proxy", *_UPGRADES)
        if plain:
            return media.Accepted()
        collection = call.target.verb in ("list", "watch")
        return media.negotiate(call.header("accept"), stream=collection and not call.target.subresource)

    def _handler(self, call: Call, resource: Resource) -> Callable[[Cluster, Call, Resource], Answer]:
        target = call.target
        if (review := REVIEWS.get((resource.group, resource.plural))) is not None:
            return review if target.verb == "create" else _not_allowed
        if target.subresource:
            return self._subresource(call, resource)
        on_collection = target.path.rstrip("/").endswith(f"/{resource.plural}")
        allowed = (
            {"create", "list", "watch", "deletecollection"} if on_collection else {"get", "update", "patch", "delete", "watch"}
        )
        if target.verb not in allowed or target.verb not in resource.verbs:
            raise method_not_allowed()
        if resource.plural == "bindings":
            return pods.bind
        match target.verb:
            case "get":
                return reading.get
            case "list":
                return reading.listing
            case "watch":
                return self._watch
            case "create":
                return writing.create
            case "update":
                return writing.put
            case "patch":
                return writing.patch
            case "delete":
                return deleting.delete
            case _:
                return deleting.delete_collection

    def _subresource(self, call: Call, resource: Resource) -> Callable[[Cluster, Call, Resource], Answer]:
        target = call.target
        sub = resource.subresource(target.subresource)
        if sub is None:
            raise no_such_resource()
        if target.verb not in sub.verbs:
            raise method_not_allowed()
        match target.subresource:
            case "scale":
                return scaling.handle
            case "log":
                return logs.read
            case "token":
                return credentials.request_token
            case "eviction":
                return pods.evict
            case "binding":
                return pods.bind
            case "finalize":
                return writing.finalize_namespace
            case name if name in _UPGRADES:
                return _upgrade
            case "proxy":
                return proxying.proxy
        return {"get": reading.get, "update": writing.put, "patch": writing.patch}[target.verb]

    def _watch(self, cluster: Cluster, call: Call, resource: Resource) -> Answer:
        accepted = media.negotiate(call.header("accept"), stream=True)
        shown = 0

        def shape(obj: Object) -> Object:
            nonlocal shown
            if accepted.shape == "Table":
                shown += 1  # the column definitions come with the first event only
                return tables.table(resource, obj, cluster.clock, include=call.param("includeObject"), headers=shown == 1)
            return tables.partial(obj) if accepted.shape.startswith("Partial") else obj

        return watching.watch(cluster, self._feed, call, resource, shape)

    def _rendered(self, call: Call, resource: Resource | None, answer: Answer, accepted: media.Accepted | None = None) -> Answer:
        """Table or partial metadata where that was asked for, and the media type."""
        accepted = accepted or media.negotiate(call.header("accept") if not answer.media else "", shapes=())
        body: Any = answer.body
        whole = (
            isinstance(body, dict)
            and resource is not None
            and answer.status < 300
            and body.get("kind") not in ("Status", "Scale", "TokenRequest")
        )
        if whole and resource is not None and resource.group not in ("authorization.k8s.io", "authentication.k8s.io"):
            if accepted.shape == "Table":
                body = tables.table(resource, body, self._cluster.clock, include=call.param("includeObject"))
            elif accepted.shape.startswith("Partial"):
                body = tables.partial_body(body)
        answer.body = body
        answer.media = answer.media or accepted.media
        return answer


def _not_allowed(cluster: Cluster, call: Call, resource: Resource) -> Answer:
    raise method_not_allowed()


def _upgrade(cluster: Cluster, call: Call, resource: Resource) -> Answer:
    """exec, attach and port-forward want an upgraded connection, which the laboratory does not have."""
    pod = cluster.find(resource, call.target.namespace, call.target.name)
    if pod is None:
        raise status.not_found("pods", "", call.target.name)
    if call.target.subresource != "portforward":
        logs.container_of(pod, call.param("container"))
    if not (pod.get("spec") or {}).get("nodeName"):
        raise status.bad_request(f"pod {call.target.name} does not have a host assigned")
    admission.validate_part(cluster, resource, {}, call, operation="CONNECT")
    raise status.bad_request("Upgrade request required")


def _check_timeout(call: Call) -> None:
    text = call.param("timeout")
    if not text or call.target.verb == "watch":
        return
    seconds = duration(text)
    if seconds is None:
        raise status.bad_request(f'invalid timeout specified in the request URL - time: invalid duration "{text}"')
    if 0 < seconds < 0.01:
        document = {
            "metadata": {},
            "status": "Failure",
            "message": "Timeout: request did not complete within the allotted timeout",
            "reason": "Timeout",
        }
        raise _PlainTimeout(document | {"details": {}, "code": 504})


class _PlainTimeout(ApiError):
    """The 504 of the timeout filter: JSON without kind, said to be text."""

    def __init__(self, document: Object) -> None:
        super().__init__(504, "Timeout", document["message"], text=json.dumps(document))


def duration(text: str) -> float | None:
    """Go's time.ParseDuration, in seconds."""
    units = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
    if text == "0":
        return 0.0
    if not re.fullmatch(r"(?:\d+(?:\.\d+)?(?:ns|us|µs|ms|s|m|h))+", text):
        return None
    return sum(float(n) * units[u] for n, u in re.findall(r"(\d+(?:\.\d+)?)(ns|us|µs|ms|s|m|h)", text))
