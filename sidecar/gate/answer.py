"""A person answers: yes or no, to exactly what was shown. Knows no channel: who it was comes from the caller."""

from typing import Literal

from sidecar.approvals import Person, admit, outcome
from sidecar.approvals import store as approvals
from sidecar.contract import Answer, ApprovalView, PlanStatus, Problem
from sidecar.credentials import store as leases
from sidecar.gate.desk import Desk, problem
from sidecar.gate.ledger import Transaction
from sidecar.gate.standing import expire, is_over, request_of, standing, view_of
from sidecar.gate.stop import end_lease
from sidecar.gate.submit import LEASED_WITHIN

Verdict = Literal["approve", "deny"]
_STATUS = {"stale-plan": 409, "expired": 409, "not-waiting": 409, "own-request": 403, "no-role": 403, "bot": 403}


def answer(
    digest: str,
    *,
    person: Person,
    verdict: Verdict,
    plan: str,
    revision: str,
    via: str,
    reason: str = "",
    desk: Desk,
) -> ApprovalView | Problem:
    """`plan` and `revision` repeat what the person was shown. The same answer again changes nothing.

    Raises JournalUnavailable.
    """
    came = _given(digest, person=person, verdict=verdict, plan=plan, revision=revision, via=via, reason=reason, desk=desk)
    current = standing(digest, desk=desk) if isinstance(came, Problem) and came.code == "not-waiting" else None
    if current is not None and current.state == "leased" and verdict == "deny":
        return _called_back(current, person=person, plan=plan, via=via, reason=reason, desk=desk)
    return came


def _given(
    digest: str, *, person: Person, verdict: Verdict, plan: str, revision: str, via: str, reason: str, desk: Desk
) -> ApprovalView | Problem:
    with desk.turns.alone(digest), desk.ledger.write() as transaction:
        entry = approvals.get(transaction.connection, digest)
        given_before = approvals.answers_to(transaction.connection, digest)
        view = view_of(entry, given_before) if entry is not None else None
        if entry is None or view is None:
            return problem(404, "unknown-plan", "no plan with this digest waits for people")
        if is_over(entry, transaction.now):
            expire(entry, transaction)
            return problem(409, "expired", "nobody answered in time")
        given = Answer(person=person.name, verdict=verdict, via=via, at=transaction.now, reason=reason)
        before = {found.person: found for found in given_before}
        mine = before.get(person.name)
        if mine is not None and (mine.verdict == verdict or mine.verdict == "deny"):
            return view  # said already; and a no is never taken back
        request = request_of(entry)
        refusal = admit(
            given, request, plan=plan, revision=revision, person=desk.people.by_name(person.name), now=transaction.now
        )
        if refusal is not None:
            if refusal.code == "not-waiting" and entry.state == "leased" and verdict == "deny":
                return problem(409, refusal.code, refusal.detail)
            body = {"verdict": verdict, "via": via, "code": refusal.code}
            transaction.record("answer-refused", actor=person.name, plan=digest, body={**body})
            return problem(_STATUS[refusal.code], refusal.code, refusal.detail)
        return _take(given, entry, transaction, desk=desk) or view


def _called_back(status: PlanStatus, *, person: Person, plan: str, via: str, reason: str, desk: Desk) -> ApprovalView | Problem:
    """A no after the rights were lent: they are taken back at once, and no further step is performed."""
    with desk.ledger.read() as connection:
        entry = approvals.get(connection, status.plan)
        held = leases.of_plan(connection, status.plan)
    known = desk.people.by_name(person.name)
    if entry is None or held is None or plan != status.plan or known is None or not known.roles & request_of(entry).roles:
        return problem(403, "no-role", f"{person.name} holds none of the roles asked for")
    why = f"{person.name} said no"
    with desk.ledger.write() as transaction:  # without waiting for a turn: a step under way sees it and goes no further
        given = Answer(person=person.name, verdict="deny", via=via, at=transaction.now, reason=reason)
        approvals.put_answer(transaction.connection, status.plan, given)
        approvals.move(transaction.connection, status.plan, was=("leased",), becomes="refused", reason=why)
        body = {"verdict": "deny", "via": via, "reason": reason, "comes_to": "refused"}
        transaction.record("answer", actor=person.name, plan=status.plan, lease=held.lease.id, body={**body})
    with desk.turns.alone(held.lease.id):
        end_lease(held, desk=desk, actor=person.name, why=why)
    with desk.ledger.read() as connection:
        entry = approvals.get(connection, status.plan) or entry
        answers = approvals.answers_to(connection, status.plan)
    return view_of(entry, answers) or problem(404, "unknown-plan", "no plan with this digest waits for people")


def _take(given: Answer, entry: approvals.Entry, transaction: Transaction, *, desk: Desk) -> ApprovalView | None:
    digest = entry.plan.digest
    approvals.put_answer(transaction.connection, digest, given)
    answers = approvals.answers_to(transaction.connection, digest)
    comes_to = outcome(request_of(entry), answers, who=desk.people.by_name, now=transaction.now)
    transaction.record(
        "answer",
        actor=given.person,
        plan=digest,
        body={"verdict": given.verdict, "via": given.via, "reason": given.reason, "comes_to": comes_to},
    )
    if comes_to == "approved" and entry.state == "waiting":
        approvals.move(
            transaction.connection, digest, was=("waiting",), becomes="approved", expires_at=transaction.now + LEASED_WITHIN
        )
    elif comes_to == "refused":
        said = f"{given.person} said no" + (f": {given.reason}" if given.reason else "")
        approvals.move(transaction.connection, digest, was=("waiting", "approved"), becomes="refused", reason=said)
    now_entry = approvals.get(transaction.connection, digest)
    return view_of(now_entry, answers) if now_entry is not None else None
