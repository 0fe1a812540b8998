"""Reviews: who am I, may I, may they, what may I, is this token good. Answers are made up on the spot, never stored."""

from collections.abc import Callable, Mapping
from typing import Any

from lab.api.authz import Attributes, Verdict
from lab.api.bodies import object_of
from lab.api.cluster import Cluster
from lab.api.managed import Entry, Ownership
from lab.api.request import Answer, Call, Identity
from lab.api.resources import Resource
from lab.api.selectors import name_in
from lab.api.status import bad_request, invalid, invalid_value
from lab.api.tokens import BadToken
from lab.store import Object


def _frame(cluster: Cluster, call: Call, resource: Resource, body: Object) -> Object:
    """Kind, metadata with managedFields of what was sent, spec."""
    fields = Ownership(cluster.types).compare({}, {"spec": body.get("spec") or {}}, cluster.root_type(resource))[0]
    meta = {k: v for k, v in (body.get("metadata") or {}).items() if k in ("namespace", "name")}
    if fields:
        entry = Entry(
            manager=call.manager, operation="Update", api_version=resource.api_version, fields=fields, time=cluster.now()
        )
        meta["managedFields"] = [entry.document()]
    return {"kind": resource.kind, "apiVersion": resource.api_version, "metadata": meta, "spec": body.get("spec") or {}}


def _attributes(spec: Mapping[str, Any]) -> Attributes:
    path = spec.get("nonResourceAttributes")
    if path is not None:
        return Attributes(verb=path.get("verb", ""), path=path.get("path", ""))
    ask = spec.get("resourceAttributes") or {}
    name = ask.get("name") or name_in((ask.get("fieldSelector") or {}).get("rawSelector") or "")
    if (ask.get("fieldSelector") or {}).get("rawSelector") and not ask.get("name"):
        name = ""  # a selector narrows the request, it does not name the object: RBAC sees no name
    return Attributes(
        verb=ask.get("verb", ""),
        group=ask.get("group", ""),
        resource=ask.get("resource", ""),
        subresource=ask.get("subresource", ""),
        namespace=ask.get("namespace", ""),
        name=name,
    )


def _status(verdict: Verdict) -> Object:
    out: Object = {"allowed": verdict.allowed}
    if verdict.reason:
        out["reason"] = verdict.reason
    elif verdict.error:
        out["reason"] = verdict.error
    return out


def self_access(cluster: Cluster, call: Call, resource: Resource) -> Answer:
    body = object_of(cluster, call, resource)
    verdict = cluster.authorizer.decide(call.identity, _attributes(body.get("spec") or {}))
    return Answer(status=201, body=_frame(cluster, call, resource, body) | {"status": _status(verdict)})


def access(cluster: Cluster, call: Call, resource: Resource) -> Answer:
    """SubjectAccessReview and its local kind. ApiError 422 without a subject."""
    body = object_of(cluster, call, resource)
    spec = body.get("spec") or {}
    if not spec.get("user") and not spec.get("groups"):
        raise invalid(
            "", resource.group, "", [invalid_value("spec.user", '""', "at least one of user or group must be specified")]
        )
    who = Identity(username=spec.get("user", ""), groups=tuple(spec.get("groups") or ()), uid=spec.get("uid", ""))
    verdict = cluster.authorizer.decide(who, _attributes(spec))
    return Answer(status=201, body=_frame(cluster, call, resource, body) | {"status": _status(verdict)})


def self_rules(cluster: Cluster, call: Call, resource: Resource) -> Answer:
    body = object_of(cluster, call, resource)
    namespace = (body.get("spec") or {}).get("namespace")
    if not namespace:
        raise bad_request("no namespace on request")
    rules = cluster.authorizer.rules(call.identity, namespace)
    masters = [{"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}, {"verbs": ["*"], "nonResourceURLs": ["*"]}]
    if "system:masters" in call.identity.groups:
        rules = [*masters, *rules]
    found = [
        {k: r[k] for k in ("verbs", "apiGroups", "resources", "resourceNames") if r.get(k)} for r in rules if r.get("resources")
    ]
    paths = [{"verbs": r["verbs"], "nonResourceURLs": r["nonResourceURLs"]} for r in rules if r.get("nonResourceURLs")]
    status = {"resourceRules": found, "nonResourceRules": paths, "incomplete": False}
    return Answer(
        status=201, body={"kind": resource.kind, "apiVersion": resource.api_version, "metadata": {}, "spec": {}, "status": status}
    )


def self_subject(cluster: Cluster, call: Call, resource: Resource) -> Answer:
    head = {"kind": resource.kind, "apiVersion": resource.api_version, "metadata": {"creationTimestamp": cluster.now()}}
    return Answer(status=201, body=head | {"status": {"userInfo": call.identity.document()}})


def token(cluster: Cluster, call: Call, resource: Resource) -> Answer:
    body = object_of(cluster, call, resource)
    spec = body.get("spec") or {}
    status: Object
    try:
        identity, audiences = cluster.tokens.check(spec.get("token", ""), spec.get("audiences") or ())
        status = {"authenticated": True, "user": identity.document(), "audiences": list(audiences)}
    except BadToken as exc:
        status = {"user": {}, "error": str(exc)}
    return Answer(status=201, body=_frame(cluster, call, resource, body) | {"status": status})


REVIEWS: dict[tuple[str, str], Callable[[Cluster, Call, Resource], Answer]] = {
    ("authorization.k8s.io", "selfsubjectaccessreviews"): self_access,
    ("authorization.k8s.io", "subjectaccessreviews"): access,
    ("authorization.k8s.io", "localsubjectaccessreviews"): access,
    ("authorization.k8s.io", "selfsubjectrulesreviews"): self_rules,
    ("authentication.k8s.io", "selfsubjectreviews"): self_subject,
    ("authentication.k8s.io", "tokenreviews"): token,
}
