"""ResourceQuota: what is used, what a new object asks for, and whether that still fits."""

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

from lab.api.cluster import Cluster
from lab.api.managed import Ownership
from lab.api.quantity import parse, shown
from lab.api.resources import Resource
from lab.api.status import forbidden
from lab.store import Key, Object

_COUNTED = {
    "pods",
    "services",
    "configmaps",
    "secrets",
    "persistentvolumeclaims",
    "replicationcontrollers",
    "resourcequotas",
}
_COMPUTE = {
    "requests.cpu",
    "requests.memory",
    "limits.cpu",
    "limits.memory",
    "cpu",
    "memory",
    "requests.ephemeral-storage",
    "limits.ephemeral-storage",
}
Usage = dict[str, Decimal]


def usage_of(resource_group: str, plural: str, obj: Mapping[str, Any]) -> Usage:
    """What one object counts for, by the names that quotas use."""
    counted: Usage = {f"count/{plural}.{resource_group}" if resource_group else f"count/{plural}": Decimal(1)}
    if not resource_group and plural in _COUNTED:
        counted[plural] = Decimal(1)
    match (resource_group, plural):
        case ("", "pods"):
            counted |= _pod(obj)
        case ("", "persistentvolumeclaims"):
            size = (((obj.get("spec") or {}).get("resources") or {}).get("requests") or {}).get("storage")
            if size:
                counted["requests.storage"] = parse(size)
                storage_class = (obj.get("spec") or {}).get("storageClassName")
                if storage_class:
                    prefix = f"{storage_class}.storageclass.storage.k8s.io"
                    counted[f"{prefix}/requests.storage"] = parse(size)
                    counted[f"{prefix}/persistentvolumeclaims"] = Decimal(1)
        case ("", "services"):
            kind = (obj.get("spec") or {}).get("type")
            if kind in ("NodePort", "LoadBalancer"):
                counted["services.nodeports"] = Decimal(len((obj.get("spec") or {}).get("ports") or []))
            if kind == "LoadBalancer":
                counted["services.loadbalancers"] = Decimal(1)
    return counted


def _pod(obj: Mapping[str, Any]) -> Usage:
    if (obj.get("status") or {}).get("phase") in ("Succeeded", "Failed"):
        return {"count/pods": Decimal(1), "pods": Decimal(0)}
    spec = obj.get("spec") or {}
    out: Usage = {}
    for kind in ("requests", "limits"):
        totals: Usage = {}
        for container in spec.get("containers") or []:
            for name, amount in ((container.get("resources") or {}).get(kind) or {}).items():
                totals[name] = totals.get(name, Decimal(0)) + parse(amount)
        for container in spec.get("initContainers") or []:
            for name, amount in ((container.get("resources") or {}).get(kind) or {}).items():
                totals[name] = max(totals.get(name, Decimal(0)), parse(amount))
        out |= {f"{kind}.{name}": amount for name, amount in totals.items()}
        if kind == "requests":
            out |= {name: amount for name, amount in totals.items() if name in ("cpu", "memory", "ephemeral-storage")}
    return out


def _applies(quota: Mapping[str, Any], plural: str, obj: Mapping[str, Any]) -> bool:
    """Scopes narrow a quota to some pods."""
    spec = quota.get("spec") or {}
    scopes = list(spec.get("scopes") or [])
    expressions = (spec.get("scopeSelector") or {}).get("matchExpressions") or []
    if not scopes and not expressions:
        return True
    if plural != "pods":
        return False
    return all(_in_scope(s, obj) for s in scopes) and all(_expression(e, obj) for e in expressions)


def _expression(expression: Mapping[str, Any], obj: Mapping[str, Any]) -> bool:
    if expression.get("scopeName") != "PriorityClass":
        return _in_scope(str(expression.get("scopeName")), obj)
    name, values = (obj.get("spec") or {}).get("priorityClassName"), expression.get("values") or []
    match expression.get("operator"):
        case "In":
            return name in values
        case "NotIn":
            return name not in values
        case "Exists":
            return name is not None
        case _:
            return name is None


def _in_scope(scope: str, obj: Mapping[str, Any]) -> bool:
    best_effort = (obj.get("status") or {}).get("qosClass") == "BestEffort"
    terminating = (obj.get("spec") or {}).get("activeDeadlineSeconds") is not None
    return {
        "BestEffort": best_effort,
        "NotBestEffort": not best_effort,
        "Terminating": terminating,
        "NotTerminating": not terminating,
    }.get(scope, True)


def _used(cluster: Cluster, quota: Mapping[str, Any], namespace: str) -> Usage:
    """Counted afresh from the store, for the names that the quota limits."""
    hard = (quota.get("spec") or {}).get("hard") or {}
    total: Usage = {name: Decimal(0) for name in hard}
    for group, plural in _kinds_of(cluster, hard):
        for obj in cluster.store.list(group, plural, namespace):
            if _applies(quota, plural, obj):
                for name, amount in usage_of(group, plural, obj).items():
                    if name in total:
                        total[name] += amount
    return total


def _kinds_of(cluster: Cluster, hard: Iterable[str]) -> set[tuple[str, str]]:
    kinds: set[tuple[str, str]] = set()
    for name in hard:
        if name.startswith("count/"):
            plural, _, group = name.removeprefix("count/").partition(".")
            kinds.add((group, plural))
        elif name in _COMPUTE or name == "pods" or (name.startswith(("requests.", "limits.")) and "storage" not in name):
            kinds.add(("", "pods"))
        elif "storage" in name or name == "persistentvolumeclaims":
            kinds.add(("", "persistentvolumeclaims"))
        elif name.startswith("services"):
            kinds.add(("", "services"))
        else:
            kinds.add(("", name))
    return kinds


def check(cluster: Cluster, resource: Resource, obj: Object, live: Object | None) -> None:
    """ApiError 403 when a quota would be passed, or when it wants a request or limit that is not given."""
    if not resource.namespaced or live is not None:
        return
    namespace, name = obj["metadata"]["namespace"], obj["metadata"]["name"]
    asked = usage_of(resource.store_group, resource.plural, obj)
    for quota in cluster.store.list("", "resourcequotas", namespace):
        if not _applies(quota, resource.plural, obj):
            continue
        hard = (quota.get("spec") or {}).get("hard") or {}
        label = quota["metadata"]["name"]
        if (resource.group, resource.plural) == ("", "pods"):
            _must_specify(label, hard, obj)
        relevant = {n: a for n, a in asked.items() if n in hard}
        used = _used(cluster, quota, namespace) if relevant else {}
        over = sorted(n for n, a in relevant.items() if used[n] + a > parse(hard[n]))
        if over:
            binary = {n: str(hard[n]).endswith("i") for n in over}
            wanted, have, limit = (
                ",".join(f"{n}={shown(v[n], binary=binary[n])}" for n in over)
                for v in (relevant, used, {n: parse(hard[n]) for n in over})
            )
            why = f"exceeded quota: {label}, requested: {wanted}, used: {have}, limited: {limit}"
            raise forbidden(resource.plural, resource.group, name, why)


def _must_specify(label: str, hard: Mapping[str, Any], obj: Object) -> None:
    missing: list[str] = []
    for name in sorted(n for n in hard if n in _COMPUTE):
        kind, _, what = name.partition(".") if "." in name else ("requests", ".", name)
        bare = [
            c["name"] for c in obj["spec"].get("containers") or [] if what not in ((c.get("resources") or {}).get(kind) or {})
        ]
        if bare:
            missing.append(f"{name} for: {','.join(sorted(bare))}")
    if missing:
        raise forbidden("pods", "", obj["metadata"]["name"], f"failed quota: {label}: must specify {'; '.join(missing)}")


def charge(cluster: Cluster, resource: Resource, obj: Object) -> None:
    """status.used of the quotas grows before the object is stored, as a real server's admission does it."""
    if not resource.namespaced:
        return
    asked = usage_of(resource.store_group, resource.plural, obj)
    for quota in cluster.store.list("", "resourcequotas", obj["metadata"]["namespace"]):
        used = (quota.get("status") or {}).get("used")
        if not used or not _applies(quota, resource.plural, obj) or not (set(asked) & set(used)):
            continue
        total = _used(cluster, quota, obj["metadata"]["namespace"])
        for name in set(asked) & set(used):
            total[name] += asked[name]
        _write(cluster, quota, total, manager="kube-apiserver")


def refresh(cluster: Cluster, quota: Object) -> None:
    """What the quota controller does: status says the limits and what is used now."""
    _write(cluster, quota, _used(cluster, quota, quota["metadata"]["namespace"]), manager="kube-controller-manager")


def _write(cluster: Cluster, quota: Object, total: Usage, *, manager: str) -> None:
    hard = (quota.get("spec") or {}).get("hard") or {}
    used = {n: shown(total.get(n, Decimal(0)), binary=str(hard[n]).endswith("i")) for n in sorted(hard)}
    status = {"hard": dict(hard), "used": used}
    if quota.get("status") == status:
        return
    new = quota | {"status": status}
    found = Ownership(cluster.types).after_update(
        quota, new, "core.v1.ResourceQuota", manager=manager, api_version="v1", time=cluster.now(), subresource="status"
    )
    new["metadata"] = quota["metadata"] | {"managedFields": [e.document() for e in found]}
    cluster.store.update(Key("", "resourcequotas", quota["metadata"]["namespace"], quota["metadata"]["name"]), new)
