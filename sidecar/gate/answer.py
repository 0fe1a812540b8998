"""A person answers: yes or no, to exactly what was shown. Knows no channel: who it was comes from the caller."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from sidecar.approvals import GLASS_ROLE, Person, Refusal, admit, is_broken, known_as, outcome
from sidecar.approvals import store as approvals
from sidecar.contract import Answer, ApprovalView, Json, PlanStatus, Problem
from sidecar.credentials import store as leases
from sidecar.execution import escaped
from sidecar.gate.desk import Desk, problem
from sidecar.gate.glass import LEAST_REASON, shatter
from sidecar.gate.ledger import Transaction
from sidecar.gate.standing import expire, is_over, request_of, standing, view_of
from sidecar.gate.stop import end_lease
from sidecar.gate.submit import LEASED_WITHIN

Verdict = Literal["approve", "deny"]
_STATUS = {"stale-plan": 409, "expired": 409, "not-waiting": 409, "own-request": 403, "no-role": 403, "bot": 403}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Said:
    """An answer as it came in: who, what, to which plan as it was shown, over which channel."""

    person: Person
    verdict: Verdict
    plan: str
    revision: str
    via: str
    reason: str
    glass: bool

    def at(self, now: datetime) -> Answer:
        return Answer(
            person=self.person.name,
            verdict=self.verdict,
            via=self.via,
            at=now,
            reason=self.reason,
            glass=self.glass,
            called=self.person.called,
        )


def answer(
    digest: str,
    *,
    person: Person,
    verdict: Verdict,
    plan: str,
    revision: str,
    via: str,
    reason: str = "",
    glass: bool = False,
    desk: Desk,
) -> ApprovalView | Problem:
    """`plan` and `revision` repeat what the person was shown. The same answer again changes nothing. `glass`: a yes in an
    emergency, out of the usual roles; it needs a reason.

    Raises JournalUnavailable.
    """
    if glass and (verdict != "approve" or len(reason.strip()) < LEAST_REASON):
        return problem(409, "reason-wanted", f"breaking the glass is a yes, with a reason of at least {LEAST_REASON} characters")
    words = escaped(reason)[:500]
    said = _Said(person=person, verdict=verdict, plan=plan, revision=revision, via=via, reason=words, glass=glass)
    came = _given(digest, said, desk=desk)
    current = standing(digest, desk=desk) if isinstance(came, Problem) and came.code == "not-waiting" else None
    if current is not None and current.state == "leased" and verdict == "deny":
        return _called_back(current, said, desk=desk)
    return came


def _given(digest: str, said: _Said, *, desk: Desk) -> ApprovalView | Problem:
    with desk.turns.alone(digest), desk.ledger.write() as transaction:
        entry = approvals.get(transaction.connection, digest)
        before = approvals.answers_to(transaction.connection, digest)
        view = view_of(entry, before) if entry is not None else None
        if entry is None or view is None:
            return problem(404, "unknown-plan", "no plan with this digest waits for people")
        if is_over(entry, transaction.now):
            expire(entry, transaction)
            body: dict[str, Json] = {"verdict": said.verdict, "via": said.via, "code": "expired", "glass": said.glass}
            transaction.record("answer-refused", actor=said.person.name, plan=digest, body=body)
            return problem(409, "expired", "nobody answered in time")
        mine = next((answer for answer in before if _same(answer.person, said.person, desk=desk)), None)
        if mine is not None and (mine.verdict == "deny" or (mine.verdict, mine.glass) == (said.verdict, said.glass)):
            return view  # said already; and a no is never taken back
        refusal = _refused(said, entry, transaction, desk=desk)
        if refusal is not None:
            if refusal.code != "not-waiting" or entry.state != "leased" or said.verdict != "deny":
                body = {"verdict": said.verdict, "via": said.via, "code": refusal.code, "glass": said.glass}
                transaction.record("answer-refused", actor=said.person.name, plan=digest, body=body)
            return problem(_STATUS.get(refusal.code, 409), refusal.code, refusal.detail)
        return _take(said.at(transaction.now), entry, transaction, desk=desk) or view


def _same(name: str, person: Person, *, desk: Desk) -> bool:
    """Whether an earlier answer is of this person, under whatever account."""
    then = desk.people.by_name(name)
    return known_as(then.name if then is not None else name) == known_as(person.name)


def _refused(said: _Said, entry: approvals.Entry, transaction: Transaction, *, desk: Desk) -> Refusal | None:
    known = desk.people.by_name(said.person.name)
    given = said.at(transaction.now)
    refusal = admit(given, request_of(entry), plan=said.plan, revision=said.revision, person=known, now=transaction.now)
    if refusal is None and said.verdict == "approve" and (wrong := desk.ledger.hours.wrong()):
        return Refusal(code="clock-unsure", detail=wrong)
    if refusal is None and said.glass and entry.state != "waiting":
        return Refusal(code="not-waiting", detail=f"the plan is {entry.state}: no glass has to be broken")
    return refusal


def _called_back(status: PlanStatus, said: _Said, *, desk: Desk) -> ApprovalView | Problem:
    """A no after the rights were lent: they are taken back at once, and no further step is performed."""
    person = said.person
    with desk.ledger.read() as connection:
        entry = approvals.get(connection, status.plan)
        held = leases.of_plan(connection, status.plan)
        before = approvals.answers_to(connection, status.plan)
    known = desk.people.by_name(person.name)
    may = frozenset(request_of(entry).roles if entry is not None else ())
    may |= frozenset({GLASS_ROLE}) if any(answer.glass for answer in before) else frozenset()
    if entry is None or held is None or said.plan != status.plan or known is None or known.bot or not known.roles & may:
        with desk.ledger.write() as transaction:
            body = {"verdict": "deny", "via": said.via, "code": "no-role"}
            transaction.record("answer-refused", actor=person.name, plan=status.plan, body={**body})
        return problem(403, "no-role", f"{person.name} holds none of the roles asked for")
    why = f"{person.name} said no"
    with desk.ledger.write() as transaction:  # without waiting for a turn: a step under way sees it and goes no further
        if not approvals.move(transaction.connection, status.plan, was=("leased",), becomes="refused", reason=why):
            body = {"verdict": "deny", "via": said.via, "code": "not-waiting"}
            transaction.record("answer-refused", actor=person.name, plan=status.plan, body={**body})
            return problem(409, "not-waiting", "it was over already")
        approvals.put_answer(transaction.connection, status.plan, said.at(transaction.now))
        body = {"verdict": "deny", "via": said.via, "reason": said.reason, "comes_to": "refused"}
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
        body={
            "verdict": given.verdict,
            "via": given.via,
            "reason": given.reason,
            "comes_to": comes_to,
            "glass": given.glass,
            "called": given.called,
        },
    )
    if given.glass and is_broken(request_of(entry), answers, who=desk.people.by_name) and comes_to == "approved":
        shatter(entry, answers, transaction)
    elif comes_to == "approved" and entry.state == "waiting":
        approvals.move(
            transaction.connection, digest, was=("waiting",), becomes="approved", expires_at=transaction.now + LEASED_WITHIN
        )
    elif comes_to == "refused":
        said = f"{given.person} said no" + (f": {given.reason}" if given.reason else "")
        approvals.move(transaction.connection, digest, was=("waiting", "approved"), becomes="refused", reason=said)
    now_entry = approvals.get(transaction.connection, digest)
    return view_of(now_entry, answers) if now_entry is not None else None
