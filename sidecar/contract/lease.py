"""Rights on loan: what was granted, what each step did, and the proof that it is over."""

from typing import Annotated, Literal

from pydantic import AwareDatetime, Field

from sidecar.contract.refs import DnsLabel, Line, ObjectRef, Sha256
from sidecar.contract.wire import Json, Message

LeaseState = Literal["minting", "live", "settling", "settled", "revocation_pending"]


class Right(Message):
    """One RBAC rule as it was granted: always with names."""

    namespace: str
    group: str
    resource: str
    verbs: tuple[str, ...]
    names: tuple[str, ...]


class Lease(Message):
    """Rights that can do exactly this plan, until `expires_at`, no later than a freeze begins or a window closes.
    `granted_at`: when the approval was claimed for it. The credential itself never leaves the sidecar."""

    id: DnsLabel
    plan: Sha256
    state: LeaseState
    identity: str
    rights: tuple[Right, ...]
    granted_at: AwareDatetime
    expires_at: AwareDatetime


class StepResult(Message):
    """What became of a step.

    performed: done and seen in the cluster. refused: not done; `reason` is a code such as target-changed, not-next,
    not-approved, lease-over, plan-void, forbidden, not-found. failed: tried, the cluster said no, nothing was changed.
    `before` and `after` hold the fields that the step is about, by JSON Pointer; `repeated` is true when this is the
    stored result of a step performed earlier.
    """

    lease: str
    step: str
    status: Literal["performed", "refused", "failed"]
    reason: str = ""
    message: Line = ""
    target: ObjectRef
    before: dict[str, Json] = Field(default_factory=dict)
    after: dict[str, Json] = Field(default_factory=dict)
    resource_version: str = ""
    at: AwareDatetime
    repeated: bool = False


class UndoResult(Message):
    """The inverse of every performed step, last first. A step that cannot be undone says why and stays as it is."""

    lease: str
    steps: tuple[StepResult, ...]
    complete: bool


class Settlement(Message):
    """The end of a lease.

    `refused_after_ms`: from the deletion of the binding to the first refused write with the old token. `state` is
    revocation_pending, never settled, until everything is seen to be gone. `outcome` is what the agent said; `observed` what
    the sidecar itself saw after the revocation, step by step and of the cause's subject; `contradictions`: where the two
    do not fit.
    """

    lease: str
    plan: Sha256
    state: Literal["settled", "revocation_pending"]
    outcome: Literal["helped", "did-not-help", "undone", "not-performed", "unknown"]
    refused_after_ms: Annotated[float, Field(ge=0)] | None = None
    refusal: Literal["401", "403", ""] = ""
    settled_at: AwareDatetime
    observed: tuple[Line, ...] = ()
    contradictions: tuple[Line, ...] = ()
