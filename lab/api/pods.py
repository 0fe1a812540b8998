"""Subresources that only pods have: eviction under budgets, and binding to a node."""

import copy
import math
from typing import Any

from lab.api import admission, deleting
from lab.api.bodies import object_of
from lab.api.cluster import Cluster
from lab.api.registry import precondition
from lab.api.request import Answer, Call
from lab.api.resources import Resource
from lab.api.selectors import of_label_selector, selects
from lab.api.status import ApiError, bad_request, conflict, internal, not_found, success
from lab.store import Key, Object

BUDGETS = ("policy", "poddisruptionbudgets")


def evict(cluster: Cluster, call: Call, resource: Resource) -> Answer:
    """201; 429 with a cause DisruptionBudget; 500 for a pod under two budgets."""
    body = object_of(cluster, call, resource, kind="Eviction", api_version="policy/v1", root="policy.v1.Eviction")
    name, namespace = call.target.name, call.target.namespace
    if (body.get("metadata") or {}).get("name", name) != name:
        raise bad_request("name in URL does not match name in Eviction object")
    pod = cluster.find(resource, namespace, name)
    if pod is None:
        raise not_found("pods", "", name)
    admission.validate_part(cluster, resource, body, call)
    options = body.get("deleteOptions") or {}
    dry_run = bool(options.get("dryRun")) or call.dry_run
    budgets = [b for b in cluster.store.list(*BUDGETS, namespace) if _guards(b, pod)]
    phase = (pod.get("status") or {}).get("phase")
    if phase not in ("Succeeded", "Failed", "Pending") and "deletionTimestamp" not in pod["metadata"] and budgets:
        if len(budgets) > 1:
            raise internal("This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.")
        _spend(cluster, budgets[0], pod, dry_run=dry_run)
    precondition(resource, pod, options.get("preconditions") or {})
    deleting.remove(cluster, resource, pod, options, dry_run=dry_run)
    return Answer(status=201, body=success(code=201))


def _guards(budget: Object, pod: Object) -> bool:
    selector = of_label_selector((budget.get("spec") or {}).get("selector"))
    return selects(selector, pod["metadata"].get("labels") or {})


def healthy(pod: Object) -> bool:
    conditions = (pod.get("status") or {}).get("conditions") or []
    return "deletionTimestamp" not in pod["metadata"] and any(
        c.get("type") == "Ready" and c.get("status") == "True" for c in conditions
    )


def budget_status(cluster: Cluster, budget: Object) -> dict[str, Any]:
    """What the disruption controller would say now, counted from the pods themselves."""
    spec = budget.get("spec") or {}
    pods = [p for p in cluster.store.list("", "pods", budget["metadata"]["namespace"]) if _guards(budget, p)]
    pods = [p for p in pods if (p.get("status") or {}).get("phase") not in ("Succeeded", "Failed")]
    expected = _expected(cluster, pods)
    current = sum(healthy(p) for p in pods)
    if "maxUnavailable" in spec:
        desired = max(expected - _scaled(spec["maxUnavailable"], expected), 0)
    else:
        desired = (
            _scaled(spec.get("minAvailable", 1), expected)
            if isinstance(spec.get("minAvailable"), str)
            else int(spec.get("minAvailable", 1))
        )
    return {
        "disruptionsAllowed": max(current - desired, 0),
        "currentHealthy": current,
        "desiredHealthy": desired,
        "expectedPods": expected,
    }


def _expected(cluster: Cluster, pods: list[Object]) -> int:
    """Replicas wanted of the controllers that own the pods; pods without one count themselves."""
    total, seen = 0, set()
    for pod in pods:
        owner = next((o for o in pod["metadata"].get("ownerReferences") or [] if o.get("controller")), None)
        if owner is None:
            total += 1
        elif owner["uid"] not in seen:
            seen.add(owner["uid"])
            total += _replicas(cluster, owner, pod["metadata"]["namespace"])
    return total


def _replicas(cluster: Cluster, owner: Object, namespace: str) -> int:
    plural = {"ReplicaSet": "replicasets", "StatefulSet": "statefulsets", "ReplicationController": "replicationcontrollers"}.get(
        owner["kind"]
    )
    if plural is None:
        return 1
    found = cluster.store.get(Key("" if owner["kind"] == "ReplicationController" else "apps", plural, namespace, owner["name"]))
    return int(((found or {}).get("spec") or {}).get("replicas", 0))


def _scaled(amount: int | str, of: int) -> int:
    return math.ceil(int(amount.rstrip("%")) * of / 100) if isinstance(amount, str) and amount.endswith("%") else int(amount)


def _spend(cluster: Cluster, budget: Object, pod: Object, *, dry_run: bool) -> None:
    status = budget_status(cluster, budget)
    if not healthy(pod) and status["currentHealthy"] >= status["desiredHealthy"] > 0:
        return  # unhealthyPodEvictionPolicy IfHealthyBudget: a pod that is not ready costs nothing
    name = budget["metadata"]["name"]
    if status["disruptionsAllowed"] <= 0:
        wanted, have = status["desiredHealthy"], status["currentHealthy"]
        message = f"The disruption budget {name} needs {wanted} healthy pods and has {have} currently"
        causes = [{"reason": "DisruptionBudget", "message": message}]
        text = "Cannot evict pod as it would violate the pod's disruption budget."
        raise ApiError(429, "TooManyRequests", text, details={"causes": causes})
    if not dry_run:
        new = copy.deepcopy(budget)
        disrupted = (new.get("status") or {}).get("disruptedPods") or {}
        new["status"] = (new.get("status") or {}) | status | {"disruptionsAllowed": status["disruptionsAllowed"] - 1}
        new["status"]["disruptedPods"] = disrupted | {pod["metadata"]["name"]: cluster.now()}
        cluster.store.update(Key(*BUDGETS, budget["metadata"]["namespace"], name), new)


def bind(cluster: Cluster, call: Call, resource: Resource) -> Answer:
    """Put a pod on a node, once."""
    body = object_of(cluster, call, resource, kind="Binding", api_version="v1", root="core.v1.Binding")
    name = call.target.name or str((body.get("metadata") or {}).get("name", ""))
    pod = cluster.store.get(Key("", "pods", call.target.namespace, name))
    if pod is None:
        raise not_found("pods", "", name)
    admission.validate_part(cluster, resource, body, call)
    node = (body.get("target") or {}).get("name", "")
    have = (pod.get("spec") or {}).get("nodeName")
    if have:
        raise conflict("pods/binding", "", name, f'pod {name} is already assigned to node "{have}"')
    pod["spec"]["nodeName"] = node
    conditions = pod.setdefault("status", {}).setdefault("conditions", [])
    conditions.append({"type": "PodScheduled", "status": "True", "lastProbeTime": None, "lastTransitionTime": cluster.now()})
    if not call.dry_run:
        cluster.store.update(Key("", "pods", call.target.namespace, name), pod)
    return Answer(status=201, body=success(code=201))
