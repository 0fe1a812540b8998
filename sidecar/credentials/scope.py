"""From steps to the least rights that can perform and undo them: pure, total, closed.

Every right has names, but for `create`, which RBAC cannot name: that is granted for a short list of kinds that start no
pod (and `jobs`, for a rerun). Nothing is ever granted on secrets, RBAC, service accounts, admission, or workloads' creation.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import assert_never

from sidecar import contract
from sidecar.contract import ObjectRef, Right
from sidecar.ports import Resource, resource_of

RESTARTABLE = frozenset({"Deployment", "StatefulSet", "DaemonSet"})
SCALABLE = frozenset({"Deployment", "StatefulSet", "ReplicaSet"})
CHANGEABLE = frozenset(
    {
        *("Deployment", "StatefulSet", "DaemonSet", "CronJob", "Job", "Service", "ConfigMap", "HorizontalPodAutoscaler"),
        *("PodDisruptionBudget", "NetworkPolicy", "Ingress", "PersistentVolumeClaim", "ResourceQuota", "LimitRange"),
    }
)
CREATABLE = frozenset(
    {
        *("ConfigMap", "HorizontalPodAutoscaler", "PodDisruptionBudget", "NetworkPolicy", "PersistentVolumeClaim"),
        *("Service", "Ingress", "ResourceQuota", "LimitRange"),
    }
)


class BeyondCeiling(Exception):
    """No lease can ever hold what this step needs; one line says why."""

    def __init__(self, step: str, detail: str) -> None:
        super().__init__(detail)
        self.step = step


@dataclass(frozen=True, slots=True, order=True)
class Grant:
    """One RBAC rule before it is merged with its like. `names` empty only where RBAC cannot name (create)."""

    namespace: str
    group: str
    resource: str
    verbs: tuple[str, ...]
    names: tuple[str, ...]


def rights_for(steps: Iterable[contract.Step]) -> tuple[Right, ...]:
    """All steps together, one right a resource, verb set and namespace. Raises BeyondCeiling."""
    names: dict[tuple[str, str, str, tuple[str, ...]], set[str]] = {}
    for step in steps:
        try:
            grants = grants_for(step.action)
        except BeyondCeiling as exc:
            raise BeyondCeiling(step.id, str(exc)) from None
        for grant in grants:
            names.setdefault((grant.namespace, grant.group, grant.resource, grant.verbs), set()).update(grant.names)
    return tuple(
        Right(namespace=namespace, group=group, resource=resource, verbs=verbs, names=tuple(sorted(found)))
        for (namespace, group, resource, verbs), found in sorted(names.items())
    )


def grants_for(action: contract.Action) -> list[Grant]:
    match action:
        case contract.RestartWorkload(target=target) | contract.RollbackWorkload(target=target):
            return [_named(target, RESTARTABLE, "get", "patch")]
        case contract.ScaleWorkload(target=target):
            return [_named(target, SCALABLE, "get", "patch", subresource="scale")]
        case contract.ChangeFields(target=target):
            return [_named(target, CHANGEABLE, "get", "patch")]
        case contract.DeletePod(target=target):
            return [_named(target, frozenset({"Pod"}), "delete")]
        case contract.EvictPod(target=target):
            return [_named(target, frozenset({"Pod"}), "create", subresource="eviction")]
        case contract.CordonNode(target=target) | contract.UncordonNode(target=target):
            return [_named(target, frozenset({"Node"}), "get", "patch")]
        case contract.DrainNode(target=target, pods=pods):
            evictions = [_named(pod, frozenset({"Pod"}), "create", subresource="eviction") for pod in pods]
            return [_named(target, frozenset({"Node"}), "get", "patch"), *evictions]
        case contract.CreateObject(target=target):
            return [_unnamed_create(target, CREATABLE), _named(target, CREATABLE, "delete")]
        case contract.RerunJob(target=target, new_name=new_name):
            made = target.model_copy(update={"name": new_name})
            jobs = frozenset({"Job"})
            return [_unnamed_create(target, jobs), _named(made, jobs, "delete")]
        case contract.SilenceAlert():
            return []  # Alertmanager's own API: no Kubernetes right is needed
        case _:
            assert_never(action)


def _named(target: ObjectRef, kinds: frozenset[str], *verbs: str, subresource: str = "") -> Grant:
    resource = _resource(target, kinds)
    plural = f"{resource.plural}/{subresource}" if subresource else resource.plural
    return Grant(target.namespace, resource.group, plural, verbs, (target.name,))


def _unnamed_create(target: ObjectRef, kinds: frozenset[str]) -> Grant:
    resource = _resource(target, kinds)
    return Grant(target.namespace, resource.group, resource.plural, ("create",), ())


def _resource(target: ObjectRef, kinds: frozenset[str]) -> Resource:
    resource = resource_of(target.api_version, target.kind)
    if resource is None or target.kind not in kinds:
        raise BeyondCeiling("", f"no lease may do this to a {target.kind} of {target.api_version}")
    if resource.namespaced != bool(target.namespace):
        raise BeyondCeiling("", f"{target.kind} is {'namespaced' if resource.namespaced else 'not namespaced'}")
    return resource
