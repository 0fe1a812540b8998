"""What the judge said. "No" is a value with a reason and, where there is one, the smallest change that would pass."""

from typing import Annotated, Literal

from pydantic import AwareDatetime, Field, StringConstraints

from sidecar.contract.refs import Line, Sha256, Slug
from sidecar.contract.wire import Json, Message

Verdict = Literal["allow", "review", "deny"]


class Fix(Message):
    """The smallest change that would pass: text for people and, where it can be said so, an edit of the plan.

    replace: set the field at `path` (JSON Pointer into the plan document, such as /steps/0/action/replicas) to `value`.
    drop: leave the step out. wait: submit again after `until`. commit: make the change in the repository that owns the
    object, not in the cluster. human: no plan of this kind passes.
    """

    op: Literal["replace", "drop", "wait", "commit", "human"]
    text: Line
    path: Annotated[str, StringConstraints(max_length=400)] = ""
    value: Json = None
    until: AwareDatetime | None = None


class Reason(Message):
    """One objection (or one ground for review): by which rule, to which step ("" for the plan as a whole)."""

    rule: Slug
    step: Annotated[str, StringConstraints(max_length=20)] = ""
    message: Line
    fix: Fix | None = None


class ApprovalsWanted(Message):
    """How many different people, each holding one of these roles, within how long."""

    count: Annotated[int, Field(ge=1, le=10)]
    roles: tuple[Slug, ...]
    expires_seconds: Annotated[int, Field(ge=1, le=86_400)]


class Decision(Message):
    """The verdict on one plan. allow: may be leased at once. review: after approvals. deny: not as it stands.

    `environment`: the strictest one that the rules took the plan's targets for, where they say it. `lease_ends`: why a lease
    lasts less than usual, where it does.
    """

    plan: Sha256
    verdict: Verdict
    reasons: tuple[Reason, ...] = ()
    approvals: ApprovalsWanted | None = None
    lease_seconds: Annotated[int, Field(ge=0, le=3600)] = 0
    revision: Annotated[str, StringConstraints(max_length=80)]
    lease_ends: Line = ""
    environment: Annotated[str, StringConstraints(pattern=r"^[a-z0-9-]{0,63}$")] = ""
    facts: Sha256
    decided_at: AwareDatetime
