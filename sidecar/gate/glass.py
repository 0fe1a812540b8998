"""The glass is broken: in an emergency two people of a role of their own say yes in place of the usual ones.

Only to a plan that policy puts before people; what policy denies stays denied, and everything else (digest, revision, targets,
least rights) holds as ever. The lease is short, the record is loud, and a review stays open until somebody else closes it.
"""

from collections.abc import Sequence
from datetime import timedelta

import structlog

from sidecar.approvals import Person, known_as, reviews
from sidecar.approvals import store as approvals
from sidecar.approvals.reviews import Review
from sidecar.contract import Answer, Json, Problem
from sidecar.execution import escaped
from sidecar.gate.desk import Desk, problem
from sidecar.gate.ledger import Transaction

log = structlog.get_logger("sidecar.glass")
LEASE_SECONDS = 300
LEASED_WITHIN = timedelta(minutes=5)
LEAST_REASON = 10  # characters: somebody will have to read it
CLOSERS = "operator"  # beside those who would have been asked


def shatter(entry: approvals.Entry, answers: Sequence[Answer], transaction: Transaction) -> None:
    """Both have said it: the plan is approved for minutes, and the review is open. Part of the caller's transaction."""
    digest = entry.plan.digest
    broke = [answer for answer in answers if answer.glass and answer.verdict == "approve"]
    reasons = "; ".join(f"{answer.person}: {answer.reason}" for answer in broke)
    approvals.move(
        transaction.connection, digest, was=("waiting",), becomes="approved", expires_at=transaction.now + LEASED_WITHIN
    )
    approvals.shorten(transaction.connection, digest, lease_seconds=LEASE_SECONDS)
    people = [answer.person for answer in broke]
    reviews.open_review(transaction.connection, plan=digest, people=people, reason=reasons, at=transaction.now)
    body: dict[str, Json] = {
        "people": [*people],
        "reasons": reasons,
        "instead_of": [*entry.decision.approvals.roles] if entry.decision.approvals is not None else [],
        "incident": entry.plan.incident,
        "lease_seconds": min(LEASE_SECONDS, entry.decision.lease_seconds),
    }
    transaction.record("glass-broken", actor=people[-1], plan=digest, body=body)
    log.error("glass broken", plan=digest, people=people, incident=entry.plan.incident)


def open_reviews(*, desk: Desk, closed: bool = False) -> list[Review]:
    with desk.ledger.read() as connection:
        return reviews.listed(connection, closed=closed)


def close_review(digest: str, *, person: Person, note: str, desk: Desk) -> Review | Problem:
    """Somebody who did not break the glass, and did not ask for the plan, says that it was looked at."""
    known, note = desk.people.by_name(person.name), escaped(note)[:500]
    with desk.ledger.write() as transaction:
        found, entry = reviews.get(transaction.connection, digest), approvals.get(transaction.connection, digest)
        if found is None or entry is None:
            return problem(404, "unknown-review", "no review of this plan is open")
        if found.closed_by is not None:
            return found
        if len(note.strip()) < LEAST_REASON:
            return problem(409, "reason-wanted", f"say in at least {LEAST_REASON} characters what came of it")
        refusal = _may_not_close(known, found, entry, desk=desk)
        if refusal is not None:
            transaction.record("review-refused", actor=person.name, plan=digest, body={"code": refusal.code})
            return refusal
        reviews.close(transaction.connection, digest, by=person.name, at=transaction.now, note=note)
        transaction.record("glass-reviewed", actor=person.name, plan=digest, body={"note": note})
        return reviews.get(transaction.connection, digest) or found


def _may_not_close(known: Person | None, found: Review, entry: approvals.Entry, *, desk: Desk) -> Problem | None:
    wanted = entry.decision.approvals
    roles = {CLOSERS, *(wanted.roles if wanted is not None else ())}
    if known is None or known.bot or not known.roles & roles:
        return problem(403, "no-role", f"a review is closed by one of: {', '.join(sorted(roles))}")
    mine = {known_as(name) for name in (known.name, *known.also)}
    involved = {known_as(name) for name in (*found.people, entry.plan.requested_by) if name}
    broke = {known_as(person.name) for person in map(desk.people.by_name, found.people) if person is not None}
    if mine & (involved | broke):
        return problem(403, "own-review", "somebody else has to look at it")
    return None
