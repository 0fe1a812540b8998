"""RBAC: may this user do that? Reads roles and bindings from the store at each question; knows no HTTP."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lab.api.request import Identity
from lab.store import Key, Store

GROUP = "rbac.authorization.k8s.io"
MASTERS = "system:masters"


@dataclass(frozen=True, slots=True, kw_only=True)
class Attributes:
    """What is asked for. `path` (and nothing else) for a request that names no resource."""

    verb: str
    group: str = ""
    resource: str = ""
    subresource: str = ""
    namespace: str = ""
    name: str = ""
    path: str = ""

    @property
    def full_resource(self) -> str:
        return f"{self.resource}/{self.subresource}" if self.subresource else self.resource


@dataclass(frozen=True, slots=True)
class Verdict:
    allowed: bool
    reason: str = ""
    error: str = ""  # roles that bindings name and that are not there


@dataclass(frozen=True, slots=True)
class _Grant:
    rules: Sequence[Mapping[str, Any]]
    reason: str


def covers(rule: Mapping[str, Any], ask: Attributes) -> bool:
    verbs = rule.get("verbs") or ()
    if ask.verb not in verbs and "*" not in verbs:
        return False
    if ask.path:
        return any(_path_matches(p, ask.path) for p in rule.get("nonResourceURLs") or ())
    groups, names = rule.get("apiGroups") or (), rule.get("resourceNames") or ()
    if ask.group not in groups and "*" not in groups:
        return False
    if not any(_resource_matches(r, ask) for r in rule.get("resources") or ()):
        return False
    return not names or (bool(ask.name) and ask.name in names)


def _resource_matches(pattern: str, ask: Attributes) -> bool:
    if pattern in ("*", ask.full_resource):
        return True
    return bool(ask.subresource) and pattern == f"*/{ask.subresource}"


def _path_matches(pattern: str, path: str) -> bool:
    return pattern in ("*", path) or (pattern.endswith("*") and path.startswith(pattern[:-1]))


class Authorizer:
    """Call with the store's lock held."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def decide(self, who: Identity, ask: Attributes) -> Verdict:
        if MASTERS in who.groups:
            return Verdict(True)
        missing: list[str] = []
        for grant in self._grants(who, ask.namespace, missing):
            if any(covers(rule, ask) for rule in grant.rules):
                return Verdict(True, grant.reason)
        return Verdict(False, error=f"RBAC: {_joined(missing)}" if missing else "")

    def rules(self, who: Identity, namespace: str) -> list[Mapping[str, Any]]:
        """Every rule that holds for this user in a namespace (and cluster-wide)."""
        return [rule for grant in self._grants(who, namespace, []) for rule in grant.rules]

    def permits_rule(self, who: Identity, namespace: str, rule: Mapping[str, Any]) -> list[dict[str, Any]]:
        """The parts of `rule` that the user does not hold: escalation needs none of them."""
        if MASTERS in who.groups:
            return []
        have = self.rules(who, namespace)
        return [part for part in broken_down(rule) if not any(_contains(owned, part) for owned in have)]

    def role_rules(self, ref: Mapping[str, Any], namespace: str) -> Sequence[Mapping[str, Any]] | None:
        key = (
            Key(GROUP, "clusterroles", "", ref["name"])
            if ref["kind"] == "ClusterRole"
            else Key(GROUP, "roles", namespace, ref["name"])
        )
        role = self._store.seen(key)
        return None if role is None else role.get("rules") or []

    def _grants(self, who: Identity, namespace: str, missing: list[str]) -> Iterator[_Grant]:
        for binding in self._store.all_seen(GROUP, "clusterrolebindings"):
            yield from self._grant("ClusterRoleBinding", binding, who, "", missing)
        if namespace:
            for binding in self._store.all_seen(GROUP, "rolebindings", namespace):
                yield from self._grant("RoleBinding", binding, who, namespace, missing)

    def _grant(
        self, kind: str, binding: Mapping[str, Any], who: Identity, namespace: str, missing: list[str]
    ) -> Iterator[_Grant]:
        subject = next((s for s in binding.get("subjects") or () if _is(s, who, namespace)), None)
        if subject is None:
            return
        ref = binding["roleRef"]
        rules = self.role_rules(ref, namespace)
        if rules is None:
            missing.append(f'{ref["kind"].lower()}.{GROUP} "{ref["name"]}" not found')
            return
        name = binding["metadata"]["name"]
        shown = f"{name}/{namespace}" if kind == "RoleBinding" else name
        whom = (
            f"{subject['name']}/{subject.get('namespace') or namespace}"
            if subject["kind"] == "ServiceAccount"
            else subject["name"]
        )
        yield _Grant(rules, f'RBAC: allowed by {kind} "{shown}" of {ref["kind"]} "{ref["name"]}" to {subject["kind"]} "{whom}"')


def _joined(missing: list[str]) -> str:
    unique = list(dict.fromkeys(missing))
    return unique[0] if len(unique) == 1 else "[" + ", ".join(unique) + "]"


def _is(subject: Mapping[str, Any], who: Identity, namespace: str) -> bool:
    match subject["kind"]:
        case "User":
            return bool(subject["name"] == who.username)
        case "Group":
            return subject["name"] in who.groups
        case "ServiceAccount":
            return bool(who.username == f"system:serviceaccount:{subject.get('namespace') or namespace}:{subject['name']}")
    return False


def broken_down(rule: Mapping[str, Any]) -> list[dict[str, Any]]:
    """One rule as rules with a single verb, group, resource and name each (BreakdownRule)."""
    out: list[dict[str, Any]] = []
    for group in rule.get("apiGroups") or ():
        for resource in rule.get("resources") or ():
            for verb in rule.get("verbs") or ():
                one = {"apiGroups": [group], "resources": [resource], "verbs": [verb]}
                out += [one | {"resourceNames": [n]} for n in rule.get("resourceNames") or ()] or [one]
    out += [{"nonResourceURLs": [u], "verbs": [v]} for u in rule.get("nonResourceURLs") or () for v in rule.get("verbs") or ()]
    return out


def _contains(owner: Mapping[str, Any], part: Mapping[str, Any]) -> bool:
    def has(field: str) -> bool:
        return "*" in (owner.get(field) or ()) or set(part[field]) <= set(owner.get(field) or ())

    if not has("verbs"):
        return False
    if "nonResourceURLs" in part:
        return any(_path_matches(p, part["nonResourceURLs"][0]) for p in owner.get("nonResourceURLs") or ())
    resource = part["resources"][0]
    resources = owner.get("resources") or ()
    wild = f"*/{resource.split('/', 1)[1]}" if "/" in resource else ""
    if not has("apiGroups") or not ("*" in resources or resource in resources or wild in resources):
        return False
    names = owner.get("resourceNames") or ()
    return not names or ("resourceNames" in part and set(part["resourceNames"]) <= set(names))
