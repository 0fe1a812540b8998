"""ValidatingAdmissionPolicy: which policies a write concerns, and what their word comes to. The CEL is `rules`' matter.

In the order of a real server (v1.36): the policy's constraints, its paramKind, the binding, the params, and only then the
matchConditions. So a policy whose params are missing may refuse writes that its conditions would have let alone.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from lab.api.admission.rules import GROUP, Denial, Misconfigured, Write, denials, params_of
from lab.api.cluster import Cluster
from lab.api.request import Call
from lab.api.resources import Resource
from lab.api.scaled import view
from lab.api.selectors import of_label_selector, selects
from lab.api.status import ApiError, qualified
from lab.store import Object

_CODES = {"Unauthorized": 401, "Forbidden": 403, "Invalid": 422, "RequestEntityTooLarge": 413}


def check(
    cluster: Cluster, resource: Resource, obj: Object | None, live: Object | None, call: Call, *, operation: str = ""
) -> None:
    """ApiError for the first refusal; warnings are added to the call. `obj` is None for a deletion."""
    if resource.group == GROUP:
        return
    bindings = cluster.store.list(GROUP, "validatingadmissionpolicybindings")
    if not bindings:
        return
    policies = {p["metadata"]["name"]: p for p in cluster.store.list(GROUP, "validatingadmissionpolicies")}
    if call.target.subresource == "scale":
        obj, live = (view(resource, o) if o is not None else None for o in (obj, live))
    operation = operation or ("DELETE" if obj is None else "CREATE" if live is None else "UPDATE")
    write = Write(cluster=cluster, resource=resource, object=obj, live=live, operation=operation, call=call)
    for binding in bindings:
        spec = binding.get("spec") or {}
        policy = policies.get(spec.get("policyName", ""))
        if policy is None or not _matches(write, policy["spec"].get("matchConstraints") or {}):
            continue
        for denial in _of(write, policy, binding):
            _act(write, spec.get("validationActions") or ["Deny"], denial)


def _of(write: Write, policy: Object, binding: Object) -> Iterator[Denial]:
    if not _selected(write, (binding.get("spec") or {}).get("matchResources") or {}):
        return
    names = {"policy": policy["metadata"]["name"], "binding": binding["metadata"]["name"]}
    try:
        found = params_of(write, policy, binding)
    except Misconfigured as exc:
        if policy["spec"].get("failurePolicy", "Fail") == "Fail":
            yield Denial(**names, message=str(exc), reason="Invalid")
        return
    for params in found:
        for message, reason in denials(write, policy, params):
            yield Denial(**names, message=message, reason=reason)


def _matches(write: Write, constraints: Mapping[str, Any]) -> bool:
    covered = any(_rule_matches(write, r) for r in constraints.get("resourceRules") or ())
    excluded = any(_rule_matches(write, r) for r in constraints.get("excludeResourceRules") or ())
    return covered and not excluded and _selected(write, constraints)


def _rule_matches(write: Write, rule: Mapping[str, Any]) -> bool:
    def has(field: str, value: str) -> bool:
        return "*" in (rule.get(field) or ()) or value in (rule.get(field) or ())

    resource, plural, wanted = write.resource, write.plural, rule.get("resources") or ()
    named = plural in wanted or "*/*" in wanted or ("*" in wanted and "/" not in plural)
    named = named or (
        "/" in plural and (f"*/{plural.split('/')[1]}" in wanted or f"{plural.split('/', maxsplit=1)[0]}/*" in wanted)
    )
    in_scope = rule.get("scope", "*") in ("*", "Namespaced" if resource.namespaced else "Cluster")
    return (
        named
        and in_scope
        and has("apiGroups", resource.group)
        and has("apiVersions", resource.version)
        and has("operations", write.operation)
    )


def _selected(write: Write, spec: Mapping[str, Any]) -> bool:
    meta = (write.object or write.live or {}).get("metadata") or {}
    if spec.get("objectSelector") and not selects(of_label_selector(spec["objectSelector"]), meta.get("labels") or {}):
        return False
    if spec.get("resourceRules") and not any(_rule_matches(write, rule) for rule in spec["resourceRules"]):
        return False
    if not spec.get("namespaceSelector") or not write.namespace:
        return True
    namespace = write.cluster.namespace(write.namespace) or {}
    return selects(of_label_selector(spec["namespaceSelector"]), (namespace.get("metadata") or {}).get("labels") or {})


def _act(write: Write, actions: list[str], denial: Denial) -> None:
    where = f"ValidatingAdmissionPolicy '{denial.policy}' with binding '{denial.binding}'"
    if "Warn" in actions:
        write.call.warnings.append(f"Validation failed for {where}: {denial.message}")
    if "Deny" not in actions:
        return
    resource, name = write.resource, write.name
    text = f"{where} denied request: {denial.message}"
    details = {k: v for k, v in (("name", name), ("group", resource.group), ("kind", resource.plural)) if v}
    message = f'{qualified(resource.plural, resource.group)} "{name}" is forbidden: {text}'
    raise ApiError(_CODES.get(denial.reason, 422), denial.reason, message, details=details | {"causes": [{"message": text}]})
