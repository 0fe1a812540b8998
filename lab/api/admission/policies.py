"""ValidatingAdmissionPolicy: CEL rules on writes, bound by bindings; refusals, warnings, and errors that refuse."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from lab.api.cel import Expression, ExpressionError
from lab.api.cluster import Cluster
from lab.api.request import Call
from lab.api.resources import Resource
from lab.api.selectors import of_label_selector, selects
from lab.api.status import ApiError, qualified
from lab.store import Object

GROUP = "admissionregistration.k8s.io"
_CODES = {"Unauthorized": 401, "Forbidden": 403, "Invalid": 422, "RequestEntityTooLarge": 413}
_OPERATIONS = {"create": "CREATE", "update": "UPDATE", "patch": "UPDATE", "delete": "DELETE", "deletecollection": "DELETE"}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Denial:
    policy: str
    binding: str
    message: str
    reason: str


def check(cluster: Cluster, resource: Resource, obj: Object | None, live: Object | None, call: Call) -> None:
    """ApiError for the first refusal; warnings are added to the call. `obj` is None for a deletion."""
    if resource.group == GROUP:
        return
    operation = "DELETE" if obj is None else "CREATE" if live is None else "UPDATE"
    policies = {p["metadata"]["name"]: p for p in cluster.store.list(GROUP, "validatingadmissionpolicies")}
    for binding in cluster.store.list(GROUP, "validatingadmissionpolicybindings"):
        spec = binding.get("spec") or {}
        policy = policies.get(spec.get("policyName", ""))
        if policy is None or not _matches(
            cluster, policy["spec"].get("matchConstraints") or {}, resource, obj or live or {}, operation, call
        ):
            continue
        if not _selected(cluster, spec.get("matchResources") or {}, obj or live or {}):
            continue
        for denial in _denials(cluster, policy, binding, _data(cluster, resource, obj, live, operation, call)):
            _act(resource, obj or live or {}, spec.get("validationActions") or ["Deny"], denial, call)


def _matches(
    cluster: Cluster, constraints: Mapping[str, Any], resource: Resource, obj: Object, operation: str, call: Call
) -> bool:
    plural = f"{resource.plural}/{call.target.subresource}" if call.target.subresource else resource.plural
    covered = any(_rule_matches(r, resource, plural, operation) for r in constraints.get("resourceRules") or ())
    excluded = any(_rule_matches(r, resource, plural, operation) for r in constraints.get("excludeResourceRules") or ())
    return covered and not excluded and _selected(cluster, constraints, obj)


def _rule_matches(rule: Mapping[str, Any], resource: Resource, plural: str, operation: str) -> bool:
    def has(field: str, value: str) -> bool:
        return "*" in (rule.get(field) or ()) or value in (rule.get(field) or ())

    wanted = rule.get("resources") or ()
    named = plural in wanted or "*/*" in wanted or ("*" in wanted and "/" not in plural)
    named = named or (
        "/" in plural and (f"*/{plural.split('/')[1]}" in wanted or f"{plural.split('/', maxsplit=1)[0]}/*" in wanted)
    )
    return named and has("apiGroups", resource.group) and has("apiVersions", resource.version) and has("operations", operation)


def _selected(cluster: Cluster, spec: Mapping[str, Any], obj: Object) -> bool:
    meta = obj.get("metadata") or {}
    if spec.get("objectSelector") and not selects(of_label_selector(spec["objectSelector"]), meta.get("labels") or {}):
        return False
    if not spec.get("namespaceSelector") or not meta.get("namespace"):
        return True
    namespace = cluster.namespace(meta["namespace"]) or {}
    return selects(of_label_selector(spec["namespaceSelector"]), (namespace.get("metadata") or {}).get("labels") or {})


def _data(
    cluster: Cluster, resource: Resource, obj: Object | None, live: Object | None, operation: str, call: Call
) -> dict[str, Any]:
    meta = (obj or live or {}).get("metadata") or {}
    who = call.identity
    info = {
        "username": who.username,
        "uid": who.uid,
        "groups": list(who.groups),
        "extra": {k: list(v) for k, v in who.extra.items()},
    }
    request = {
        "operation": operation,
        "name": meta.get("name", ""),
        "namespace": meta.get("namespace", ""),
        "userInfo": info,
        "dryRun": call.dry_run,
        "subResource": call.target.subresource,
        "kind": {"group": resource.group, "version": resource.version, "kind": resource.kind},
        "resource": {"group": resource.group, "version": resource.version, "resource": resource.plural},
    }
    namespace = cluster.namespace(meta["namespace"]) if meta.get("namespace") else None
    return {"object": obj, "oldObject": live, "request": request, "namespaceObject": namespace, "params": None}


def _denials(cluster: Cluster, policy: Object, binding: Object, data: dict[str, Any]) -> Iterator[_Denial]:
    spec, names = policy["spec"], (policy["metadata"]["name"], binding["metadata"]["name"])
    fails = spec.get("failurePolicy", "Fail") == "Fail"
    try:
        if not all(Expression(c["expression"]).evaluate(data) is True for c in spec.get("matchConditions") or ()):
            return
        data = data | {"variables": {v["name"]: Expression(v["expression"]).evaluate(data) for v in spec.get("variables") or ()}}
    except ExpressionError as exc:
        if fails:
            yield _Denial(policy=names[0], binding=names[1], message=f"error in conditions: {exc}", reason="Invalid")
        return
    for rule in spec.get("validations") or ():
        reason = rule.get("reason", "Invalid")
        try:
            if Expression(rule["expression"]).evaluate(data) is True:
                continue
            message = rule.get("message") or f"failed expression: {rule['expression'].strip()}"
            if rule.get("messageExpression"):
                message = str(Expression(rule["messageExpression"]).evaluate(data))
        except ExpressionError as exc:
            if not fails:
                continue
            message = f"expression '{rule['expression'].strip()}' resulted in error: {exc}"
        yield _Denial(policy=names[0], binding=names[1], message=message, reason=reason)


def _act(resource: Resource, obj: Object, actions: list[str], denial: _Denial, call: Call) -> None:
    if "Warn" in actions:
        where = f"ValidatingAdmissionPolicy '{denial.policy}' with binding '{denial.binding}'"
        call.warnings.append(f"Validation failed for {where}: {denial.message}")
    if "Deny" not in actions:
        return
    name = (obj.get("metadata") or {}).get("name", "")
    text = f"ValidatingAdmissionPolicy '{denial.policy}' with binding '{denial.binding}' denied request: {denial.message}"
    details = {k: v for k, v in (("name", name), ("group", resource.group), ("kind", resource.plural)) if v}
    message = f'{qualified(resource.plural, resource.group)} "{name}" is forbidden: {text}'
    raise ApiError(_CODES.get(denial.reason, 422), denial.reason, message, details=details | {"causes": [{"message": text}]})
