"""What an approved plan may write, write by write and with whole values, for the API server to hold its lease to.

Every step is looked at once more: what is published is the effect that people approved, on the object as it is now, in the
form that a dry run of the API server itself gives it; and its inverse. Where the object is not as it was approved, nothing is
published. Knows no credential and publishes nothing itself.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import timedelta

from sidecar import contract
from sidecar.approvals import store as approvals
from sidecar.contract import Json, ObjectRef, Step
from sidecar.credentials import Refused, decided, message_of
from sidecar.credentials import store as leases
from sidecar.credentials.admission import Write, created, deleted, evicted, scaled, sections, update
from sidecar.execution import Effect, Live, Unfit, effect_of, look, projected
from sidecar.execution.compile import job_again
from sidecar.execution.effect import REPLICAS, RESTARTED_AT, UNSCHEDULABLE, WHEN_PERFORMED
from sidecar.execution.pointer import value_at
from sidecar.gate.desk import Desk
from sidecar.ports import ApiCall, Resource, collection_path, object_path, resource_of


class _Stop(Exception):
    """Nothing can be published; holds why."""

    def __init__(self, refused: Refused) -> None:
        super().__init__(refused.detail)
        self.refused = refused


def writes_of(held: leases.Entry, entry: approvals.Entry, *, desk: Desk) -> list[Write] | Refused:
    """Raises ClusterUnavailable."""
    stored: dict[str, Live] = {}
    found: list[Write] = []
    try:
        for step in entry.plan.steps:
            live, effect = _as_approved(step, held, entry, stored.get(str(step.action.target)), desk=desk)
            work = _Work(step=step, live=live, effect=effect, maker=maker_of(held.lease.id, step), desk=desk)
            found += work.writes()
            stored[str(step.action.target)] = work.after
    except _Stop as stop:
        return stop.refused
    return found


def maker_of(lease: str, step: Step) -> str:
    """The field manager of a step's one write, by which it is known again."""
    return f"lestrade-{lease}-{step.id}"


def concrete(approved: Effect, step: Step, held: leases.Entry, entry: approvals.Entry) -> Effect:
    """The effect without placeholders: a restart is dated by the lease, so that it is known before, and is one restart."""
    if approved.after.get(RESTARTED_AT) != WHEN_PERFORMED:
        return approved
    at = held.lease.granted_at + timedelta(seconds=entry.plan.steps.index(step))  # two restarts of one object are two values
    return replace(approved, after={RESTARTED_AT: at.strftime("%Y-%m-%dT%H:%M:%SZ")})


def _as_approved(
    step: Step, held: leases.Entry, entry: approvals.Entry, earlier: Live | None, *, desk: Desk
) -> tuple[Live, Effect]:
    """The object as this step will find it, and the effect; _Stop where that is not the effect that was approved."""
    live = look(step.action, desk.cluster, desk.silencer)
    if earlier is not None:
        live = replace(live, target=earlier.target)
    approved = Effect.of(entry.effects[step.id])
    found = effect_of(step.action, live)
    if isinstance(found, Unfit):
        raise _Stop(Refused(status=409, detail=f"{step.id}: {found.detail}", code="target-changed"))
    if (found if approved.sealed else replace(found, sealed={})) != approved:
        detail = f"{step.id}: {step.action.target} is no longer as it was when the plan was approved"
        raise _Stop(Refused(status=409, detail=detail, code="target-changed"))
    return live, concrete(approved, step, held, entry)


@dataclass(slots=True, kw_only=True)
class _Work:
    """One step. `after`: the object as it will be stored."""

    step: Step
    live: Live
    effect: Effect
    maker: str
    desk: Desk
    after: Live = field(init=False)

    def __post_init__(self) -> None:
        self.after = self.live

    def writes(self) -> list[Write]:
        action = self.step.action
        resource = _resource(action.target)
        match action:
            case contract.ScaleWorkload(replicas=replicas):
                self.after = projected(action, self.live, self.effect)
                before = self.effect.before[REPLICAS]
                return [scaled(resource, self.live.target, n) for n in (replicas, 1 if before is None else before)]
            case contract.RestartWorkload():
                return [self._change(resource)]
            case contract.RollbackWorkload() | contract.ChangeFields() | contract.CordonNode() | contract.UncordonNode():
                return [self._change(resource), update(resource, self.after.target, self.live.target)]
            case contract.DrainNode(pods=pods):
                return [*self._cordon(resource), *(_eviction(pod) for pod in pods)]
            case contract.DeletePod(target=target):
                return [deleted(resource, target.namespace, target.name, uid=target.uid)]
            case contract.EvictPod(target=target):
                return [_eviction(target)]
            case contract.CreateObject(target=target, manifest=manifest):
                return self._make(resource, target.namespace, target.name, manifest)
            case contract.RerunJob(target=target, new_name=name):
                return self._make(resource, target.namespace, name, job_again(self.live.target, name))
            case contract.SilenceAlert():
                return []

    def _change(self, resource: Resource) -> Write:
        target = self.step.action.target
        wanted = projected(self.step.action, self.live, self.effect).target
        path = object_path(resource, target.namespace, target.name)
        operations: list[Json] = [{"op": "test", "path": "/metadata/uid", "value": target.uid}, *_replacements(wanted)]
        call = ApiCall(
            method="PATCH",
            path=path,
            query=(("dryRun", "All"), ("fieldManager", self.maker)),
            body=operations,
            content_type="application/json-patch+json",
        )
        self.after = replace(self.live, target=self._dry(call))
        return update(resource, self.live.target, self.after.target)

    def _cordon(self, resource: Resource) -> Iterator[Write]:
        if value_at(self.live.target, ("spec", "unschedulable")) is True:
            return
        self.effect = Effect(before={UNSCHEDULABLE: None}, after={UNSCHEDULABLE: True})
        yield self._change(resource)
        yield update(resource, self.after.target, self.live.target)

    def _make(self, resource: Resource, namespace: str, name: str, manifest: Json) -> list[Write]:
        query = (("dryRun", "All"), ("fieldManager", self.maker), ("fieldValidation", "Strict"))
        call = ApiCall(method="POST", path=collection_path(resource, namespace), query=query, body=manifest)
        made = created(resource, manifest, self._dry(call))
        if self.step.action.kind == "create_object":
            self.after = Live(target=manifest)
        return [made, deleted(resource, namespace, name, maker=self.maker)]

    def _dry(self, call: ApiCall) -> Json:
        """The object as the API server would store it, asked with the sidecar's own rights."""
        answer = decided(self.desk.cluster.send(call))
        if answer.status not in (200, 201):
            detail = f"{self.step.id}: the API server does not take it: {message_of(answer)}"
            raise _Stop(Refused(status=answer.status, detail=detail, code="target-changed"))
        return answer.body


def _replacements(wanted: Json) -> Iterator[Json]:
    """A JSON Patch that makes every section what it is in `wanted`."""
    document = wanted if isinstance(wanted, dict) else {}
    metadata = document.get("metadata")
    for section, value in sections(wanted).items():
        inner = section in ("labels", "annotations")
        holder = metadata if inner else document
        if isinstance(holder, dict) and section in holder:
            yield {"op": "add", "path": f"/metadata/{section}" if inner else f"/{section}", "value": {**value}}


def _eviction(pod: ObjectRef) -> Write:
    return evicted(_resource(pod), pod.namespace, pod.name, uid=pod.uid)


def _resource(target: ObjectRef) -> Resource:
    resource = resource_of(target.api_version, target.kind)
    if resource is None:
        raise _Stop(Refused(status=422, detail=f"no resource is known for {target}"))
    return resource
