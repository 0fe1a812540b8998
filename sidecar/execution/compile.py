"""From an action, the live object and the effect to API requests and their inverse: pure.

Every write carries the target's uid and resourceVersion, so that the API server itself refuses it when somebody else was
faster, and a field manager of its own, so that it can be seen later whether the write arrived.
"""

from collections.abc import Mapping
from typing import assert_never

from sidecar import contract
from sidecar.contract import Json, ObjectRef
from sidecar.execution.effect import REPLICAS, TEMPLATE, UNSCHEDULABLE, Effect
from sidecar.execution.live import Live
from sidecar.execution.pointer import parts, value_at
from sidecar.ports import ApiCall, collection_path, path_of, resource_of

MERGE = "application/merge-patch+json"
JSON_PATCH = "application/json-patch+json"
# What the Job controller and the API server put into a Job; a copy must not bring it along.
_JOB_LABELS = frozenset({"controller-uid", "job-name", "batch.kubernetes.io/controller-uid", "batch.kubernetes.io/job-name"})


def calls_for(action: contract.Action, live: Live, effect: Effect, *, manager: str) -> tuple[ApiCall, ...]:
    """The requests of one step, in order. `effect` is concrete: no placeholder is left in it."""
    target = action.target
    match action:
        case contract.RestartWorkload() | contract.ChangeFields() | contract.CordonNode() | contract.UncordonNode():
            return (_patch(target, live.target, effect.before, effect.after, manager),)
        case contract.RollbackWorkload():
            before = {TEMPLATE: value_at(live.target, parts(TEMPLATE))}
            return (_patch(target, live.target, before, {TEMPLATE: live.template}, manager),)
        case contract.ScaleWorkload(replicas=replicas):
            return (_scale(target, live.target, replicas, manager),)
        case contract.DeletePod():
            return (_delete(target, live.target),)
        case contract.EvictPod():
            return (_evict(target),)
        case contract.DrainNode(pods=pods):
            now = value_at(live.target, parts(UNSCHEDULABLE))
            cordon = (
                (_patch(target, live.target, {UNSCHEDULABLE: now}, {UNSCHEDULABLE: True}, manager),) if now is not True else ()
            )
            left = [pod for pod in pods if value_at(live.pods.get(f"{pod.namespace}/{pod.name}"), ("metadata", "uid")) == pod.uid]
            return (*cordon, *(_evict(pod) for pod in left))
        case contract.CreateObject(manifest=manifest):
            return (_create(target, manifest, manager),)
        case contract.RerunJob(new_name=name):
            return (_create(target, job_again(live.target, name), manager),)
        case contract.SilenceAlert():
            return ()
        case _:
            assert_never(action)


def undo_calls(action: contract.Action, live: Live, effect: Effect, *, manager: str) -> tuple[ApiCall, ...] | str:
    """The inverse of a performed step; a text says why there is none. `live.template` is the earlier pod template."""
    target = action.target
    match action:
        case contract.ChangeFields() | contract.CordonNode() | contract.UncordonNode():
            return (_patch(target, live.target, effect.after, effect.before, manager),)
        case contract.RollbackWorkload():
            if live.template is None:
                return "the earlier revision is not kept any more"
            before = {TEMPLATE: value_at(live.target, parts(TEMPLATE))}
            return (_patch(target, live.target, before, {TEMPLATE: live.template}, manager),)
        case contract.ScaleWorkload():
            replicas = effect.before[REPLICAS]
            return (_scale(target, live.target, replicas if isinstance(replicas, int) else 1, manager),)
        case contract.DrainNode():
            before, after = {UNSCHEDULABLE: True}, {UNSCHEDULABLE: effect.before[UNSCHEDULABLE]}
            return () if before == after else (_patch(target, live.target, before, after, manager),)
        case contract.CreateObject():
            return (_delete(target, live.target),)
        case contract.RerunJob(new_name=name):
            return (_delete(target.model_copy(update={"name": name}), live.made),)
        case contract.RestartWorkload() | contract.DeletePod() | contract.EvictPod():
            return "pods that were replaced do not come back"
        case contract.SilenceAlert():
            return ()  # no object of the cluster is changed
        case _:
            assert_never(action)


def reversible(action: contract.Action) -> str:
    """How the step would be undone, one line; "" when it cannot be."""
    match action:
        case contract.RestartWorkload() | contract.DeletePod() | contract.EvictPod():
            return ""
        case contract.ChangeFields():
            return "the same fields back to what they were"
        case contract.RollbackWorkload():
            return "the pod template of now again"
        case contract.ScaleWorkload():
            return "the number of replicas of now again"
        case contract.CordonNode():
            return "uncordon"
        case contract.UncordonNode():
            return "cordon again"
        case contract.DrainNode():
            return "the node takes pods again; evicted pods stay where they went"
        case contract.CreateObject() | contract.RerunJob():
            return "delete what was made"
        case contract.SilenceAlert(minutes=minutes):
            return f"the silence is ended; by itself it ends after {minutes} minutes"
        case _:
            assert_never(action)


def _patch(target: ObjectRef, live: Json, before: Mapping[str, Json], after: Mapping[str, Json], manager: str) -> ApiCall:
    """A JSON Patch (RFC 6902) that tests identity, version, and every value that it replaces."""
    operations: list[Json] = [
        {"op": "test", "path": pointer, "value": value_at(live, parts(pointer))}
        for pointer in ("/metadata/uid", "/metadata/resourceVersion")
    ]
    for pointer, was in before.items():
        if was is not None:
            operations.append({"op": "test", "path": pointer, "value": was})
        operations += _operation(live, pointer, was, after.get(pointer))
    query = (("fieldManager", manager),)
    return ApiCall(method="PATCH", path=_path(target), query=query, body=operations, content_type=JSON_PATCH)


def _operation(live: Json, pointer: str, was: Json, becomes: Json) -> list[Json]:
    if becomes is None:
        return [{"op": "remove", "path": pointer}] if was is not None else []
    if was is not None:
        return [{"op": "replace", "path": pointer, "value": becomes}]
    # `add` needs its parent: make the topmost that is missing, with everything below it.
    segments, value = parts(pointer), becomes
    while len(segments) > 1 and value_at(live, segments[:-1]) is None:
        value = {segments[-1]: value}
        segments = segments[:-1]
    path = pointer if segments == parts(pointer) else "".join("/" + s.replace("~", "~0").replace("/", "~1") for s in segments)
    return [{"op": "add", "path": path, "value": value}]


def _scale(target: ObjectRef, live: Json, replicas: int, manager: str) -> ApiCall:
    metadata: dict[str, Json] = {
        "uid": value_at(live, ("metadata", "uid")),
        "resourceVersion": value_at(live, ("metadata", "resourceVersion")),
    }
    return ApiCall(
        method="PATCH",
        path=_path(target, "scale"),
        query=(("fieldManager", manager),),
        body={"metadata": metadata, "spec": {"replicas": replicas}},
        content_type=MERGE,
    )


def _delete(target: ObjectRef, live: Json) -> ApiCall:
    preconditions: dict[str, Json] = {
        "uid": value_at(live, ("metadata", "uid")),
        "resourceVersion": value_at(live, ("metadata", "resourceVersion")),
    }
    body: Json = {
        "apiVersion": "v1",
        "kind": "DeleteOptions",
        "preconditions": preconditions,
        "propagationPolicy": "Background",
    }
    return ApiCall(method="DELETE", path=_path(target), body=body)


def _evict(pod: ObjectRef) -> ApiCall:
    body: Json = {
        "apiVersion": "policy/v1",
        "kind": "Eviction",
        "metadata": {"name": pod.name, "namespace": pod.namespace},
        "deleteOptions": {"preconditions": {"uid": pod.uid}},
    }
    return ApiCall(method="POST", path=_path(pod, "eviction"), body=body)


def _create(target: ObjectRef, manifest: Json, manager: str) -> ApiCall:
    resource = resource_of(target.api_version, target.kind)
    if resource is None:
        raise ValueError(f"no resource is known for {target}")  # scope refuses such a plan long before
    query = (("fieldManager", manager), ("fieldValidation", "Strict"))
    return ApiCall(method="POST", path=collection_path(resource, target.namespace), query=query, body=manifest)


def job_again(job: Json, name: str) -> Json:
    """The template of a Job under a new name, without what only that one Job may carry."""
    spec = value_at(job, ("spec",))
    copied = (
        {key: value for key, value in spec.items() if key not in ("selector", "manualSelector", "suspend")}
        if isinstance(spec, dict)
        else {}
    )
    copied["template"] = _without_job_labels(copied.get("template"))
    labels = value_at(_without_job_labels(job), ("metadata", "labels"))
    metadata: dict[str, Json] = {"name": name, "namespace": value_at(job, ("metadata", "namespace"))}
    if labels:
        metadata["labels"] = labels
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": copied}


def _without_job_labels(holder: Json) -> Json:
    metadata = value_at(holder, ("metadata",))
    labels = value_at(metadata, ("labels",))
    if not isinstance(holder, dict) or not isinstance(metadata, dict) or not isinstance(labels, dict):
        return holder
    kept: dict[str, Json] = {key: value for key, value in labels.items() if key not in _JOB_LABELS}
    cleaned = {key: value for key, value in metadata.items() if key not in ("labels", "creationTimestamp")}
    return {**holder, "metadata": {**cleaned, "labels": kept} if kept else cleaned}


def _path(target: ObjectRef, subresource: str = "") -> str:
    path = path_of(target, subresource)
    if path is None:
        raise ValueError(f"no URL is known for {target}")  # scope refuses such a plan long before
    return path
