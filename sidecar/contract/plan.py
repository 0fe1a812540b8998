"""The plan is the unit: what is judged, approved, leased and recorded is this document, by digest."""

import hashlib
from collections.abc import Mapping
from functools import cached_property
from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from sidecar.contract.actions import Action
from sidecar.contract.approval import Answer, ApprovalView
from sidecar.contract.decision import Decision
from sidecar.contract.refs import Line, ObjectRef, Prose, Sha256, Slug
from sidecar.contract.wire import Json, Message, canonical

Basis = Literal["checks", "model"]
Id = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.:-]{0,127}$")]


class Citation(Message):
    """A piece of evidence in the agent's store: its id, and the SHA-256 of its content."""

    id: Id
    sha256: Sha256


class Cause(Message):
    """What the plan claims to cure."""

    slug: Slug
    subject: ObjectRef


class Step(Message):
    """One action, why, and what is expected of it. Steps run in order, once each."""

    id: Annotated[str, StringConstraints(pattern=r"^step-[1-9][0-9]?$")]
    action: Action
    why: Line
    expect: Line


class Verification(Message):
    """How it will be seen that it helped: a CEL condition on an object, or a PromQL expression that must be true."""

    description: Line
    subject: ObjectRef | None = None
    condition: Line = ""
    promql: Line = ""
    within_seconds: Annotated[int, Field(ge=1, le=3600)]
    optional: bool = False

    @model_validator(mode="after")
    def _asks_one_thing(self) -> "Verification":
        if bool(self.promql) == bool(self.subject and self.condition):
            raise ValueError("either promql, or subject with condition")
        return self


class Plan(Message):
    """A remedy proposed for one incident.

    `attempt` counts the plans of an incident from 1, so that no two are alike. `requested_by` names the person who
    asked, if any: it can only take that person out of the approvers, never let anyone in. `basis`: whether cause and action
    come from checks and runbooks, or one of them from a language model. It is the agent's word, and can only make the plan
    stricter: "model" asks people everywhere; "checks" gains nothing that the rules do not give to every plan.
    """

    version: Literal[1] = 1
    incident: Id
    attempt: Annotated[int, Field(ge=1, le=100)]
    cluster: Id
    requested_by: Annotated[str, StringConstraints(max_length=200)] = ""
    basis: Basis = "checks"
    cause: Cause
    hypothesis: Prose
    cited: Annotated[tuple[Citation, ...], Field(max_length=100)] = ()
    steps: Annotated[tuple[Step, ...], Field(min_length=1, max_length=20)]
    verification: Annotated[tuple[Verification, ...], Field(max_length=20)] = ()

    @model_validator(mode="after")
    def _steps_are_numbered(self) -> "Plan":
        if [step.id for step in self.steps] != [f"step-{number}" for number in range(1, len(self.steps) + 1)]:
            raise ValueError("steps are named step-1, step-2, ... in order")
        return self

    def document(self) -> dict[str, Json]:
        """Plain JSON types, defaults included, but for the usual basis: plans from before it was said keep their digests."""
        plain = super().document()
        if self.basis == "checks":
            del plain["basis"]
        return plain

    @cached_property
    def plain_form(self) -> dict[str, Json]:
        """What `document` gives, written once: for whoever only reads it."""
        return self.document()

    @cached_property
    def canonical_form(self) -> bytes:
        """The RFC 8785 canonical JSON of this plan, written once."""
        return canonical(self.plain_form)

    def canonical(self) -> bytes:
        return self.canonical_form

    @cached_property
    def digest(self) -> str:
        """SHA-256 over the canonical form."""
        return hashlib.sha256(self.canonical_form).hexdigest()

    def model_copy(self, *, update: Mapping[str, object] | None = None, deep: bool = False) -> Self:
        """What was reckoned of this plan stays behind: a copy with other steps has a digest of its own."""
        copied = super().model_copy(update=update, deep=deep)
        for name in ("plain_form", "canonical_form", "digest"):
            copied.__dict__.pop(name, None)
        return copied


PlanState = Literal["denied", "waiting", "approved", "refused", "expired", "leased", "settled", "void"]
"""denied: by policy. waiting: for people. refused: a person said no. expired: nobody answered in time. void: approved
once, but the policy or the facts are others now, or an operator stopped everything."""


class PlanStatus(Message):
    """Where a plan stands, as the sidecar's store has it."""

    plan: Sha256
    state: PlanState
    decision: Decision
    approval: ApprovalView | None = None
    answers: tuple[Answer, ...] = ()
    lease: Id | None = None
    reason: Line = ""
