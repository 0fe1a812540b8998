"""What people are shown, built from the canonical plan and live objects only, and what they answer."""

from typing import Annotated, Literal

from pydantic import AwareDatetime, Field, StringConstraints

from sidecar.contract.decision import Reason
from sidecar.contract.refs import Line, ObjectRef, Prose, Sha256
from sidecar.contract.wire import Message


class ChangePreview(Message):
    """One step as it would change the cluster: a unified diff of the object, and whether it can be undone."""

    step: str
    summary: Line
    diff: Annotated[str, StringConstraints(max_length=20_000)]
    reversible: bool
    undo: Line = ""


class Answer(Message):
    """What one person said. `person` and `via` come from the channel, never from the body. `glass`: in an emergency, out of
    the usual roles. `called`: how the person calls themselves; no proof of anything."""

    person: str
    verdict: Literal["approve", "deny"]
    via: str
    at: AwareDatetime
    reason: Line = ""
    glass: bool = False
    called: Line = ""


class ApprovalView(Message):
    """A pending or answered request for approval. `count` different people of `roles` before `expires_at`.

    Everything but `hypothesis` is built by the sidecar from the canonical plan, live objects and its own record;
    `hypothesis` is the agent's text and is shown as such. `evidence`: "<id> sha256:<hash>" of what the plan cites.
    `observed`: what the sidecar itself sees of the cause's subject now. `blast_radius`: what is touched, counted.
    `final`: what cannot be undone. `grounds`: why people are asked. `dry_run`: whether the diffs are those of the API
    server's own dry run, and if not, why. `basis`: what the agent says that cause and action rest on. `lease_ends`: why the time
    for it is shorter than usual, "" where it is not.
    """

    plan: Sha256
    incident: str
    cluster: str
    revision: str
    hypothesis: Prose
    changes: tuple[ChangePreview, ...]
    count: int
    roles: tuple[str, ...]
    requested_at: AwareDatetime
    expires_at: AwareDatetime
    state: Literal["waiting", "approved", "refused", "expired", "used", "void"]
    environment: str = ""
    requested_by: str = ""
    cause: str = ""
    subject: ObjectRef | None = None
    evidence: tuple[str, ...] = ()
    observed: tuple[Line, ...] = ()
    blast_radius: tuple[Line, ...] = ()
    final: tuple[Line, ...] = ()
    grounds: tuple[Reason, ...] = ()
    answers: tuple[Answer, ...] = ()
    dry_run: Line = ""
    basis: Literal["checks", "model"] = "checks"
    lease_ends: Line = ""


class ApprovalRequest(Message):
    """The body of an answer; who answers is known from the transport. `plan` repeats the digest that was shown."""

    plan: Sha256
    verdict: Literal["approve", "deny"]
    reason: Line = ""
    revision: Annotated[str, Field(max_length=80)]
