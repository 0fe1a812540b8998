"""DELETE: grace, finalizers, propagation, preconditions; one object or all that a selector matches."""

from datetime import timedelta
from typing import Any

from lab.api import admission, definitions
from lab.api.bodies import load_json
from lab.api.cluster import Cluster
from lab.api.convert import outward
from lab.api.reading import matcher, objects
from lab.api.registry import precondition
from lab.api.request import Answer, Call
from lab.api.resources import Resource
from lab.api.status import ApiError, bad_request, forbidden, invalid, invalid_value, not_found, success, unsupported_value
from lab.api.validation.metadata import quoted
from lab.store import Object

POLICIES = ("Foreground", "Background", "Orphan", "nil")
SHOWN_WHOLE = {
    ("", "pods"),
    ("", "namespaces"),
    ("", "serviceaccounts"),
    ("", "persistentvolumes"),
    ("", "persistentvolumeclaims"),
    ("apiextensions.k8s.io", "customresourcedefinitions"),
    ("", "podtemplates"),
    ("", "resourcequotas"),
}
CRD_FINALIZER = "customresourcecleanup.apiextensions.k8s.io"


def options_of(call: Call) -> Object:
    """DeleteOptions from the body; the query speaks only where there is none, as on a real API server. ApiError 400, 422."""
    options: Object = {}
    if call.body:
        try:
            options = load_json(call.body) or {}
        except ValueError as exc:
            raise bad_request(
                f"the object provided is unrecognized (must be of type DeleteOptions): couldn't get version/kind; json parse "
                f"error: {exc}"
            ) from exc
    else:
        options = _from_query(call)
    causes = []
    policy, orphan = options.get("propagationPolicy"), options.get("orphanDependents")
    if policy is not None and orphan is not None:
        causes.append(
            invalid_value("propagationPolicy", quoted(policy), "orphanDependents and deletionPropagation cannot be both set")
        )
    if policy is not None and policy not in ("Foreground", "Background", "Orphan"):
        causes.append(unsupported_value("propagationPolicy", quoted(policy), POLICIES))
    if options.get("dryRun") and options["dryRun"] != ["All"]:
        causes.append(unsupported_value("dryRun", quoted(options["dryRun"]), ["All"]))
    if causes:
        raise invalid("DeleteOptions", "meta.k8s.io", "", causes)
    return options


def _from_query(call: Call) -> Object:
    options: Object = {}
    if text := call.param("gracePeriodSeconds"):
        options["gracePeriodSeconds"] = int(text)
    if text := call.param("propagationPolicy"):
        options["propagationPolicy"] = text
    if call.params("dryRun"):
        options["dryRun"] = call.params("dryRun")
    return options


def delete(cluster: Cluster, call: Call, resource: Resource) -> Answer:
    options = options_of(call)
    name = call.target.name
    live = cluster.find(resource, call.target.namespace, name)
    if (resource.group, resource.plural) == ("", "namespaces") and name in ("default", "kube-system", "kube-public"):
        raise forbidden("namespaces", "", name, "this namespace may not be deleted")
    if live is None:
        raise not_found(resource.plural, resource.group, name)
    precondition(resource, live, options.get("preconditions") or {})
    admission.validate_delete(cluster, resource, live, call)
    gone, obj = remove(cluster, resource, live, options, dry_run=bool(options.get("dryRun")))
    if not gone or (resource.group, resource.plural) in SHOWN_WHOLE:
        return Answer(body=outward(resource, obj))
    details = {"name": name, "group": resource.group, "kind": resource.plural, "uid": live["metadata"]["uid"]}
    return Answer(body=success({k: v for k, v in details.items() if v}))


def remove(cluster: Cluster, resource: Resource, live: Object, options: Object, *, dry_run: bool = False) -> tuple[bool, Object]:
    """(whether it is gone, the object as last seen). Marks it instead where grace or finalizers hold it."""
    obj = live
    meta = obj["metadata"]
    key = cluster.key(resource, meta.get("namespace", ""), meta["name"])
    finalizers = _finalizers(resource, live, options)
    grace = _grace(resource, live, options)
    is_namespace = (resource.group, resource.plural) == ("", "namespaces")
    held = bool(finalizers) or (is_namespace and bool((obj.get("spec") or {}).get("finalizers")))
    if resource.plural == definitions.PLURAL and resource.group == definitions.GROUP and "deletionTimestamp" not in meta:
        obj.setdefault("status", {}).setdefault("conditions", []).append(definitions.terminating(cluster.now()))
    if held or grace or (resource.group, resource.plural) == ("", "pods"):
        _mark(cluster, obj, grace, finalizers)
        if is_namespace:
            obj.setdefault("status", {})["phase"] = "Terminating"
    if held or grace:
        return False, obj if dry_run else cluster.store.update(key, obj)
    if dry_run:
        return True, obj
    if (resource.group, resource.plural) == ("", "pods"):
        obj = cluster.store.update(key, obj)
        return True, cluster.store.remove(key) | {"metadata": obj["metadata"]} if cluster.store.get(key) is not None else obj
    cluster.store.remove(key)
    return True, obj


def _finalizers(resource: Resource, live: Object, options: Object) -> list[str]:
    had = list(live["metadata"].get("finalizers") or [])
    policy = options.get("propagationPolicy")
    if options.get("orphanDependents"):
        policy = "Orphan"
    if policy in ("Foreground", "Orphan"):
        wanted = "foregroundDeletion" if policy == "Foreground" else "orphan"
        had = [f for f in had if f not in ("foregroundDeletion", "orphan")] + [wanted]
    elif policy == "Background":
        had = [f for f in had if f not in ("foregroundDeletion", "orphan")]
    if (resource.group, resource.plural) == (definitions.GROUP, definitions.PLURAL) and CRD_FINALIZER not in had:
        had.append(CRD_FINALIZER)
    return had


def _grace(resource: Resource, live: Object, options: Object) -> int:
    """Seconds a pod is left to end; 0 for everything else, and for pods that no kubelet holds."""
    if (resource.group, resource.plural) != ("", "pods"):
        return 0
    spec, status = live.get("spec") or {}, live.get("status") or {}
    if not spec.get("nodeName") or status.get("phase") in ("Succeeded", "Failed"):
        return 0
    asked = options.get("gracePeriodSeconds")
    grace = int(asked if asked is not None else spec.get("terminationGracePeriodSeconds", 30))
    if grace < 0:
        grace = 1
    before = live["metadata"].get("deletionGracePeriodSeconds")
    return min(grace, int(before)) if before is not None else grace


def _mark(cluster: Cluster, obj: Object, grace: int, finalizers: list[str]) -> None:
    meta: dict[str, Any] = obj["metadata"]
    first = "deletionTimestamp" not in meta
    shorter = not first and meta.get("deletionGracePeriodSeconds") is not None and grace < meta["deletionGracePeriodSeconds"]
    if first or shorter:
        meta["deletionTimestamp"] = (cluster.clock.now() + timedelta(seconds=grace)).strftime("%Y-%m-%dT%H:%M:%SZ")
        if obj.get("kind") == "CustomResourceDefinition":
            pass  # its deletion shows in the time and the conditions only
        elif obj.get("kind") == "Pod" or grace:
            meta["deletionGracePeriodSeconds"] = grace
        elif "generation" in meta or finalizers:
            meta["deletionGracePeriodSeconds"] = 0
        if first and "generation" in meta and obj.get("kind") != "CustomResourceDefinition":
            meta["generation"] = int(meta["generation"]) + 1
    if finalizers:
        meta["finalizers"] = finalizers


def delete_collection(cluster: Cluster, call: Call, resource: Resource) -> Answer:
    options = options_of(call)
    matches = matcher(call, resource)
    found = [o for o in objects(cluster, resource, call.target.namespace, None) if matches(o)]
    revision = cluster.store.revision
    items = []
    for live in found:
        try:
            admission.validate_delete(cluster, resource, live, call)
            _, obj = remove(cluster, resource, live, options, dry_run=bool(options.get("dryRun")))
        except ApiError:
            continue
        items.append(
            {k: v for k, v in outward(resource, obj).items() if resource.custom is not None or k not in ("kind", "apiVersion")}
        )
    body = {
        "kind": f"{resource.kind}List",
        "apiVersion": resource.api_version,
        "metadata": {"resourceVersion": str(revision)},
        "items": items,
    }
    return Answer(body=body)
