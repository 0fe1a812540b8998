"""What may be done at all: a closed union on `kind`.

A new kind does not type-check until every `match` over Action handles it. No shell, no selector, no free request.
"""

from typing import Annotated, Literal, TypeAlias

from pydantic import Field, StringConstraints, model_validator

from sidecar.contract.refs import Line, ObjectRef
from sidecar.contract.wire import Json, Message

Replicas = Annotated[int, Field(ge=0, le=10_000)]
# RFC 6901, never the whole document.
JsonPointer = Annotated[str, StringConstraints(pattern=r"^(/([^~/]|~[01])*)+$", max_length=400)]


class FieldChange(Message):
    """One field of the target. null means "is not there": Kubernetes does not store nulls."""

    path: JsonPointer
    before: Json
    after: Json

    @model_validator(mode="after")
    def _changes_something(self) -> "FieldChange":
        if self.before == self.after:
            raise ValueError("before and after are the same")
        return self


class RestartWorkload(Message):
    """Deployment, StatefulSet or DaemonSet: new pods from the same template (`kubectl rollout restart`)."""

    kind: Literal["restart_workload"] = "restart_workload"
    target: ObjectRef


class RollbackWorkload(Message):
    """The pod template of an earlier revision again (`kubectl rollout undo --to-revision`)."""

    kind: Literal["rollback_workload"] = "rollback_workload"
    target: ObjectRef
    to_revision: Annotated[int, Field(ge=1)]


class ScaleWorkload(Message):
    """The wanted number of replicas, through the scale subresource."""

    kind: Literal["scale_workload"] = "scale_workload"
    target: ObjectRef
    replicas: Replicas


class ChangeFields(Message):
    """Named fields of one object, each with the value it must still have."""

    kind: Literal["change_fields"] = "change_fields"
    target: ObjectRef
    changes: Annotated[tuple[FieldChange, ...], Field(min_length=1, max_length=50)]


class DeletePod(Message):
    """One pod; its owner makes another."""

    kind: Literal["delete_pod"] = "delete_pod"
    target: ObjectRef


class EvictPod(Message):
    """One pod through the eviction subresource, which keeps disruption budgets."""

    kind: Literal["evict_pod"] = "evict_pod"
    target: ObjectRef


class CordonNode(Message):
    """No new pods on this node."""

    kind: Literal["cordon_node"] = "cordon_node"
    target: ObjectRef


class UncordonNode(Message):
    """The node takes pods again."""

    kind: Literal["uncordon_node"] = "uncordon_node"
    target: ObjectRef


class DrainNode(Message):
    """Cordon, then evict exactly these pods: the ones that the approvers saw."""

    kind: Literal["drain_node"] = "drain_node"
    target: ObjectRef
    pods: Annotated[tuple[ObjectRef, ...], Field(max_length=500)]


class CreateObject(Message):
    """An object that must not exist yet. `target.uid` is "new": the real one is not known before."""

    kind: Literal["create_object"] = "create_object"
    target: ObjectRef
    manifest: dict[str, Json]

    @model_validator(mode="after")
    def _manifest_is_the_target(self) -> "CreateObject":
        metadata = self.manifest.get("metadata")
        names = (metadata.get("namespace") or "", metadata.get("name")) if isinstance(metadata, dict) else ("", None)
        if (self.manifest.get("apiVersion"), self.manifest.get("kind"), *names) != (
            self.target.api_version,
            self.target.kind,
            self.target.namespace,
            self.target.name,
        ):
            raise ValueError("the manifest is not of the target's apiVersion, kind, namespace and name")
        if self.target.uid != "new":
            raise ValueError('the target of a creation has the uid "new"')
        return self


class RerunJob(Message):
    """A new Job from the template of this one, under the name given; the old one stays as it is."""

    kind: Literal["rerun_job"] = "rerun_job"
    target: ObjectRef
    new_name: Annotated[str, StringConstraints(pattern=r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$")]


class Matcher(Message):
    """An Alertmanager matcher, equality only."""

    name: Annotated[str, StringConstraints(pattern=r"^[a-zA-Z_][a-zA-Z0-9_]{0,127}$")]
    value: Annotated[str, StringConstraints(min_length=1, max_length=256)]


class SilenceAlert(Message):
    """A silence in Alertmanager, for minutes. `target` is the object that the alert is about."""

    kind: Literal["silence_alert"] = "silence_alert"
    target: ObjectRef
    matchers: Annotated[tuple[Matcher, ...], Field(min_length=1, max_length=20)]
    minutes: Annotated[int, Field(ge=1, le=1440)]
    comment: Line = ""


Action: TypeAlias = Annotated[
    RestartWorkload
    | RollbackWorkload
    | ScaleWorkload
    | ChangeFields
    | DeletePod
    | EvictPod
    | CordonNode
    | UncordonNode
    | DrainNode
    | CreateObject
    | RerunJob
    | SilenceAlert,
    Field(discriminator="kind"),
]


def target_of(action: Action) -> tuple[ObjectRef, ...]:
    """Every object that the action writes to, the main one first."""
    return (action.target, *action.pods) if isinstance(action, DrainNode) else (action.target,)
