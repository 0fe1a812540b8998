"""What one ValidatingAdmissionPolicy says of one write: its params, conditions, variables and validations, in CEL.

An error is a refusal where the failurePolicy is Fail, and never a yes. A variable is evaluated where it is used; one whose
evaluation fails is missing there, so that what does not need it goes on.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from lab.api.cel import Expression, ExpressionError
from lab.api.cluster import Cluster
from lab.api.request import Call
from lab.api.resources import Resource
from lab.store import Object

GROUP = "admissionregistration.k8s.io"


@dataclass(frozen=True, slots=True, kw_only=True)
class Denial:
    policy: str
    binding: str
    message: str
    reason: str


class Misconfigured(Exception):
    """The params that a policy needs cannot be had; the text is the server's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Write:
    """`object` is None for a deletion, `live` for a creation; of a subresource with a kind of its own, both are that."""

    cluster: Cluster
    resource: Resource
    object: Object | None
    live: Object | None
    operation: str
    call: Call

    @property
    def plural(self) -> str:
        sub = self.call.target.subresource
        return f"{self.resource.plural}/{sub}" if sub else self.resource.plural

    @property
    def name(self) -> str:
        return str(self.call.target.name or ((self.object or self.live or {}).get("metadata") or {}).get("name", ""))

    @property
    def namespace(self) -> str:
        meta = (self.object or self.live or {}).get("metadata") or {}
        return str(self.call.target.namespace or meta.get("namespace", "")) if self.resource.namespaced else ""

    def request(self) -> dict[str, Any]:
        """AdmissionRequest as CEL sees it: fields that are empty are not there."""
        resource, call = self.resource, self.call
        sub = resource.subresource(call.target.subresource) if call.target.subresource else None
        kind = (
            {"group": sub.group, "version": sub.version or resource.version, "kind": sub.kind}
            if sub is not None and sub.group
            else {"group": resource.group, "version": resource.version, "kind": resource.kind}
        )
        where = {"group": resource.group, "version": resource.version, "resource": resource.plural}
        some = {"name": self.name, "namespace": self.namespace, "subResource": call.target.subresource}
        return {
            "uid": call.audit_id,
            "operation": self.operation,
            "userInfo": call.identity.document(),
            "dryRun": call.dry_run,
            "kind": kind,
            "requestKind": kind,
            "resource": where,
            "requestResource": where,
            **{k: v for k, v in some.items() if v},
        }


def params_of(write: Write, policy: Object, binding: Object) -> list[Object | None]:
    """One element for each evaluation; none where missing params are no obstacle. Raises Misconfigured."""
    kind, ref = policy["spec"].get("paramKind"), (binding.get("spec") or {}).get("paramRef")
    if kind is None or ref is None:
        return [None]
    resource = write.cluster.resources.by_kind(kind["apiVersion"], kind["kind"])
    if resource is None:
        group, _, version = kind["apiVersion"].rpartition("/")
        raise Misconfigured(
            "failed to configure policy: failed to find resource referenced by paramKind: "
            f"'{group}/{version}, Kind={kind['kind']}'"
        )
    namespace = str(ref.get("namespace") or write.namespace) if resource.namespaced else ""
    if resource.namespaced and not namespace:
        why = "cannot use namespaced paramRef in policy binding that matches cluster-scoped resources"
        raise Misconfigured(f"failed to configure binding: {why}")
    found = write.cluster.find(resource, namespace, ref.get("name", "")) if ref.get("name") else None
    if found is None and ref.get("parameterNotFoundAction") == "Deny":
        why = "no params found for policy binding with `Deny` parameterNotFoundAction"
        raise Misconfigured(f"failed to configure binding: {why}")
    return [] if found is None else [found]


def denials(write: Write, policy: Object, params: Object | None) -> Iterator[tuple[str, str]]:
    """Messages with their reasons."""
    spec = policy["spec"]
    fails = spec.get("failurePolicy", "Fail") == "Fail"
    namespace = write.cluster.namespace(write.namespace) if write.namespace else None
    data = {
        "object": write.object,
        "oldObject": write.live,
        "request": write.request(),
        "namespaceObject": namespace,
        "params": params,
    }
    errors = []
    for condition in spec.get("matchConditions") or ():
        try:
            if Expression(condition["expression"]).evaluate(data) is not True:
                return
        except ExpressionError as exc:
            errors.append(str(exc))
    if errors:
        if fails:
            yield f"error in conditions: {'; '.join(errors)}", "Invalid"
        return
    variables = _Variables(spec.get("variables") or (), data)
    for rule in spec.get("validations") or ():
        try:
            if variables.evaluate(rule["expression"]) is True:
                continue
            message = _message(rule, variables)
        except ExpressionError as exc:
            if not fails:
                continue
            message = f"expression '{rule['expression'].strip()}' resulted in error: {exc}"
        yield message, rule.get("reason", "Invalid")


def _message(rule: Object, variables: "_Variables") -> str:
    if rule.get("messageExpression"):
        try:
            said = variables.evaluate(rule["messageExpression"])
        except ExpressionError:
            said = ""
        if isinstance(said, str) and said.strip():
            return said.strip()
    return str(rule.get("message") or f"failed expression: {rule['expression'].strip()}")


class _Variables:
    def __init__(self, declared: Any, data: dict[str, Any]) -> None:
        self._sources = {v["name"]: v["expression"] for v in declared}
        self._data = data
        self._values: dict[str, Any] = {}
        self._failed: set[str] = set()

    def evaluate(self, source: str) -> Any:
        expression = Expression(source)
        used = [name for name in self._sources if name in expression.variables()]
        for name in used:
            self._compute(name)
        values = {name: self._values[name] for name in used if name in self._values}
        return expression.evaluate(self._data | {"variables": values})

    def _compute(self, name: str) -> None:
        if name in self._values or name in self._failed:
            return
        try:
            self._values[name] = self.evaluate(self._sources[name])
        except ExpressionError:
            self._failed.add(name)
