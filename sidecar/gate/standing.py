"""Where a plan stands: the stored state, brought up to date with the clock. What has expired is stored as expired."""

from datetime import datetime
from typing import Literal

from sidecar.approvals import Request
from sidecar.approvals import store as approvals
from sidecar.contract import Answer, ApprovalView, PlanState, PlanStatus, Reason
from sidecar.execution import escaped
from sidecar.gate.desk import Desk
from sidecar.gate.ledger import Transaction


def standing(digest: str, *, desk: Desk) -> PlanStatus | None:
    """None for a plan that was never submitted here."""
    with desk.ledger.read() as connection:
        entry = approvals.get(connection, digest)
        answers = approvals.answers_to(connection, digest)
    if entry is None:
        return None
    if is_over(entry, desk.ledger.now()):
        with desk.ledger.write() as transaction:
            current = approvals.get(transaction.connection, digest)
            if current is not None and is_over(current, transaction.now):
                expire(current, transaction)
            entry = approvals.get(transaction.connection, digest) or entry
            answers = approvals.answers_to(transaction.connection, digest)
    return status_of(entry, answers)


def is_over(entry: approvals.Entry, now: datetime) -> bool:
    return entry.state in ("waiting", "approved") and now >= entry.expires_at


def expire(entry: approvals.Entry, transaction: Transaction) -> None:
    """Nobody answered in time, or nobody used the approval in time: two different ends."""
    digest = entry.plan.digest
    if entry.state == "waiting":
        if approvals.move(transaction.connection, digest, was=("waiting",), becomes="expired", reason="nobody answered in time"):
            transaction.record("plan-expired", actor="sidecar", plan=digest, body={"expires_at": entry.expires_at.isoformat()})
    else:
        reason = "it was allowed, and not leased in time"
        if approvals.move(transaction.connection, digest, was=("approved",), becomes="void", reason=reason):
            transaction.record("plan-void", actor="sidecar", plan=digest, body={"reason": reason})


def status_of(entry: approvals.Entry, answers: tuple[Answer, ...]) -> PlanStatus:
    return PlanStatus(
        plan=entry.plan.digest,
        state=entry.state,
        decision=entry.decision,
        approval=view_of(entry, answers),
        answers=answers,
        lease=entry.lease,
        reason=entry.reason[:500],
    )


def view_of(entry: approvals.Entry, answers: tuple[Answer, ...] = ()) -> ApprovalView | None:
    """What people are shown; None for a plan that asks nobody. Whatever others wrote is escaped."""
    wanted = entry.decision.approvals
    if entry.decision.verdict != "review" or wanted is None:
        return None
    return ApprovalView(
        plan=entry.plan.digest,
        incident=entry.plan.incident,
        cluster=entry.plan.cluster,
        revision=entry.decision.revision,
        hypothesis=escaped(entry.plan.hypothesis)[:2000],
        changes=entry.previews,
        count=wanted.count,
        roles=wanted.roles,
        requested_at=entry.requested_at,
        expires_at=entry.expires_at,
        state=_VIEWED[entry.state],
        environment=entry.decision.environment or entry.shown.environment,
        requested_by=escaped(entry.plan.requested_by),
        cause=entry.plan.cause.slug,
        subject=entry.plan.cause.subject,
        evidence=tuple(f"{cited.id} sha256:{cited.sha256}" for cited in entry.plan.cited),
        observed=entry.shown.observed,
        blast_radius=entry.shown.blast_radius,
        final=tuple(f"{change.step}: {change.summary}"[:500] for change in entry.previews if not change.reversible),
        grounds=tuple(_plain(reason) for reason in entry.decision.reasons),
        answers=tuple(_readable(answer) for answer in answers),
        dry_run=entry.shown.dry_run,
        basis=entry.plan.basis,
        lease_ends=escaped(entry.decision.lease_ends)[:500],
    )


def _plain(reason: Reason) -> Reason:
    """Messages of rules may quote names out of the plan or the cluster."""
    return reason.model_copy(update={"message": escaped(reason.message)[:500]})


def _readable(answer: Answer) -> Answer:
    return answer.model_copy(
        update={"person": escaped(answer.person), "reason": escaped(answer.reason)[:500], "called": escaped(answer.called)[:500]}
    )


_VIEWED: dict[PlanState, Literal["waiting", "approved", "refused", "expired", "used", "void"]] = {
    "waiting": "waiting",
    "approved": "approved",
    "refused": "refused",
    "expired": "expired",
    "leased": "used",
    "settled": "used",
    "void": "void",
    "denied": "void",
}


def request_of(entry: approvals.Entry) -> Request:
    """The request for approval as the rules see it."""
    wanted = entry.decision.approvals
    return Request(
        plan=entry.plan.digest,
        revision=entry.decision.revision,
        cluster=entry.plan.cluster,
        requested_by=entry.plan.requested_by,
        count=wanted.count if wanted is not None else 1,
        roles=frozenset(wanted.roles) if wanted is not None else frozenset(),
        expires_at=entry.expires_at,
        state=entry.state,
    )
