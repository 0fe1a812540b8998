"""Roles, bindings and rules as the API server's RBAC authorizer reads them. Pure; `rights` asks the questions."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from agent.domain.objects import Manifest, Ref
from agent.topology.fields import items, mapping, name_of, namespace_of, ref_of, text
from agent.topology.graph import Topology
from agent.topology.selectors import matches


@dataclass(frozen=True, slots=True, order=True)
class Subject:
    """A user, a group or a ServiceAccount as bindings name it. `namespace` is "" but for a ServiceAccount."""

    kind: str
    namespace: str
    name: str

    @property
    def username(self) -> str:
        return f"system:serviceaccount:{self.namespace}:{self.name}" if self.kind == "ServiceAccount" else self.name

    def __str__(self) -> str:
        return f"{self.kind} {self.namespace}/{self.name}" if self.namespace else f"{self.kind} {self.name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What somebody wants to do: `resource` in the plural, with "/subresource" where it has one ("pods/log"); an empty
    `namespace` means cluster-scoped, or all namespaces at once. Or `path`, for a URL that is no resource (/metrics)."""

    verb: str
    resource: str = ""
    group: str = ""
    namespace: str = ""
    name: str = ""
    path: str = ""

    def __str__(self) -> str:
        if self.path:
            return f"{self.verb} {self.path}"
        what = f"{self.resource}{f'.{self.group}' if self.group else ''}{f' {self.name}' if self.name else ''}"
        return f"{self.verb} {what} {f'in namespace {self.namespace}' if self.namespace else 'in the whole cluster'}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Binding:
    ref: Ref
    role: Ref
    subjects: tuple[Subject, ...]
    rules: tuple[Mapping[str, Any], ...] | None  # None: the role does not exist (or was not read)


def rule_text(rule: Mapping[str, Any]) -> str:
    """A rule as people say it: get, list pods, pods/log.apps named a, b."""
    verbs = ", ".join(map(str, items(rule, "verbs")))
    if items(rule, "nonResourceURLs"):
        return f"{verbs} {', '.join(map(str, items(rule, 'nonResourceURLs')))}"
    groups = [str(one) for one in items(rule, "apiGroups") if one]
    what = ", ".join(map(str, items(rule, "resources")))
    names = ", ".join(map(str, items(rule, "resourceNames")))
    return f"{verbs} {what}{f' ({chr(44).join(groups)})' if groups else ''}{f' named {names}' if names else ''}"


def allows_request(rule: Mapping[str, Any], request: Request) -> bool:
    if not _among(request.verb, items(rule, "verbs")):
        return False
    if request.path:
        return any(_url(str(one), request.path) for one in items(rule, "nonResourceURLs"))
    named = items(rule, "resourceNames")
    return (
        _among(request.group, items(rule, "apiGroups"))
        and _covers(items(rule, "resources"), request.resource)
        and (not named or request.name in named)
    )


def _among(value: str, allowed: list[Any]) -> bool:
    return "*" in allowed or value in allowed


def _covers(resources: list[Any], wanted: str) -> bool:
    """ "*" covers subresources too; "*/scale" that subresource of everything; "pods" does not cover "pods/log"."""
    _, _, sub = wanted.partition("/")
    return "*" in resources or wanted in resources or bool(sub and f"*/{sub}" in resources)


def _url(pattern: str, path: str) -> bool:
    return pattern in ("*", path) or (pattern.endswith("*") and path.startswith(pattern.rstrip("*")))


def closeness(rule: Mapping[str, Any], request: Request) -> int:
    """How near a rule that does not allow it comes; 0 when it speaks of something else."""
    if request.path:
        return 1 if any(_url(str(one), request.path) for one in items(rule, "nonResourceURLs")) else 0
    main = request.resource.partition("/")[0]
    mains = {str(one).partition("/")[0] for one in items(rule, "resources")}
    if main not in mains:
        return 0
    groups, verbs = items(rule, "apiGroups"), items(rule, "verbs")
    return (
        1
        + 2 * _among(request.group, groups)
        + 2 * _covers(items(rule, "resources"), request.resource)
        + _among(request.verb, verbs)
    )


def bindings(topology: Topology) -> tuple[Binding, ...]:
    known: tuple[Binding, ...] | None = topology.derived.get("role-bindings")
    if known is None:
        known = tuple(_binding_of(topology, one) for one in topology.of_kind("ClusterRoleBinding", "RoleBinding"))
        topology.derived["role-bindings"] = known
    return known


def _binding_of(topology: Topology, manifest: Manifest) -> Binding:
    ref, role = ref_of(manifest), mapping(manifest, "roleRef")
    kind = text(role, "kind")
    to = Ref(kind, ref.namespace if kind == "Role" else "", text(role, "name"))
    found = topology.objects.get(to)
    rules = tuple(_effective(topology, found, frozenset())) if found is not None else None
    return Binding(ref=ref, role=to, subjects=tuple(_subjects(manifest)), rules=rules)


def _subjects(manifest: Manifest) -> Iterator[Subject]:
    for one in items(manifest, "subjects"):
        kind = text(one, "kind")
        space = text(one, "namespace") or namespace_of(manifest)
        yield Subject(kind, space if kind == "ServiceAccount" else "", text(one, "name"))


def _effective(topology: Topology, role: Manifest, seen: frozenset[str]) -> Iterator[Mapping[str, Any]]:
    """The role's rules; of an aggregated ClusterRole also those of the roles that it collects (a controller writes them into it,
    and may be behind)."""
    yield from rules_of(role)
    selectors = items(role, "aggregationRule", "clusterRoleSelectors")
    if not selectors or name_of(role) in seen:
        return
    within = seen | {name_of(role)}
    for other in topology.of_kind("ClusterRole"):
        if name_of(other) not in within and any(matches(one, mapping(other, "metadata", "labels")) for one in selectors):
            yield from _effective(topology, other, within)


def rules_of(role: Manifest) -> list[Mapping[str, Any]]:
    return [one for one in items(role, "rules") if isinstance(one, Mapping)]
