"""No escalation: who writes a role or a binding must hold what it grants, or the verb that lifts that."""

import json
from collections.abc import Mapping
from typing import Any

from lab.api.authz import GROUP, Attributes
from lab.api.cluster import Cluster
from lab.api.request import Call
from lab.api.resources import Resource
from lab.api.status import forbidden, not_found
from lab.store import Object


def no_escalation(cluster: Cluster, resource: Resource, obj: Object, live: Object | None, call: Call) -> None:
    """ApiError 403; 404 for a binding to a role that is not there."""
    if resource.group != GROUP or "system:masters" in call.identity.groups:
        return
    namespace = obj["metadata"].get("namespace", "")
    if resource.plural in ("roles", "clusterroles"):
        if live is not None and live.get("rules") == obj.get("rules"):
            return
        ask = Attributes(
            verb="escalate", group=GROUP, resource=resource.plural, namespace=namespace, name=obj["metadata"]["name"]
        )
        if not cluster.authorizer.decide(call.identity, ask).allowed:
            _refuse(cluster, resource, obj, call, obj.get("rules") or [], namespace)
        return
    if live is not None and (live.get("roleRef"), live.get("subjects")) == (obj.get("roleRef"), obj.get("subjects")):
        return
    ref = obj["roleRef"]
    plural = "clusterroles" if ref["kind"] == "ClusterRole" else "roles"
    ask = Attributes(verb="bind", group=GROUP, resource=plural, namespace=namespace, name=ref["name"])
    if cluster.authorizer.decide(call.identity, ask).allowed:
        return
    rules = cluster.authorizer.role_rules(ref, namespace)
    if rules is None:
        raise not_found(resource.plural, GROUP, ref["name"])
    _refuse(cluster, resource, obj, call, rules, namespace)


def _refuse(cluster: Cluster, resource: Resource, obj: Object, call: Call, rules: Any, namespace: str) -> None:
    missing = [part for rule in rules for part in cluster.authorizer.permits_rule(call.identity, namespace, rule)]
    if not missing:
        return
    groups = " ".join(json.dumps(g) for g in call.identity.groups)
    lines = "\n".join(_shown(rule) for rule in _compacted(missing))
    who = f'user "{call.identity.username}" (groups=[{groups}])'
    why = f"{who} is attempting to grant RBAC permissions not currently held:\n{lines}"
    raise forbidden(resource.plural, resource.group, obj["metadata"]["name"], why)


def _compacted(parts: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Parts that differ in the verb only are one rule again, sorted as the server shows them."""
    merged: dict[str, dict[str, Any]] = {}
    for part in parts:
        key = json.dumps({k: v for k, v in part.items() if k != "verbs"}, sort_keys=True)
        entry = merged.setdefault(key, {**part, "verbs": []})
        entry["verbs"] += [v for v in part["verbs"] if v not in entry["verbs"]]
    return sorted(merged.values(), key=_shown)


def _shown(rule: Mapping[str, Any]) -> str:
    names = (
        ("apiGroups", "APIGroups"),
        ("resources", "Resources"),
        ("nonResourceURLs", "NonResourceURLs"),
        ("resourceNames", "ResourceNames"),
        ("verbs", "Verbs"),
    )
    return "{" + ", ".join(f"{label}:[{' '.join(json.dumps(v) for v in rule[k])}]" for k, label in names if k in rule) + "}"
