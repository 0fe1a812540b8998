"""Rights for an approved plan: everything is looked at once more, the approval is claimed, the rights are minted.

An approval is used once, by compare-and-set. What one lease takes is counted before the next one is claimed, however many ask
at once. The journal knows what will be made before anything is made. Asking again gives the same lease, or goes on with a
mint that a crash or a silent API server cut short.
"""

import secrets
from datetime import datetime, timedelta

from sidecar.approvals import outcome, switch
from sidecar.approvals import store as approvals
from sidecar.contract import ApprovalsWanted, Decision, Json, Lease, ObjectRef, Problem, target_of
from sidecar.contract import digest as digest_of
from sidecar.credentials import Refused, rights_for
from sidecar.credentials import store as leases
from sidecar.credentials.admission import Write
from sidecar.credentials.planbound import INSTALL
from sidecar.execution import Looks
from sidecar.gate.desk import Desk, problem
from sidecar.gate.examination import examine
from sidecar.gate.known import history_of
from sidecar.gate.places import Labels, labels_of, places_of
from sidecar.gate.publish import writes_of
from sidecar.gate.settle import revoke
from sidecar.gate.standing import expire, is_over, request_of
from sidecar.gate.stop import stop_late
from sidecar.ports import Facts

CLAIMS = "claims of leases"  # one after the other


def lease(digest: str, *, desk: Desk, actor: str = "agent") -> Lease | Problem:
    """Raises JournalUnavailable, ClusterUnavailable (then nothing is lost: ask again)."""
    stop_late(desk)
    with desk.turns.alone(digest):
        with desk.ledger.read() as connection:
            entry = approvals.get(connection, digest)
            held = leases.of_plan(connection, digest)
        if entry is None:
            return problem(404, "unknown-plan", "no plan with this digest was submitted here")
        if held is None:
            claimed = _objection(entry, desk=desk) or _claimed(entry, desk=desk, actor=actor)
            if isinstance(claimed, Problem):
                return claimed
            held = claimed
        with desk.turns.alone(held.lease.id):  # nobody ends the lease while its rights are being made
            with desk.ledger.read() as connection:
                held = leases.get(connection, held.lease.id) or held
                entry = approvals.get(connection, digest) or entry
                stopped = switch.stopped_by(connection)
            if held.lease.state == "minting" and stopped is not None:
                return problem(409, "stopped", f"everything was stopped by {stopped}")
            if held.lease.state == "minting" and entry.state != "leased":  # a no came in between
                return problem(409, "not-approved", f"the plan is {entry.state}" + (f": {entry.reason}" if entry.reason else ""))
            return _minted(held, entry, desk=desk)


def _objection(entry: approvals.Entry, *, desk: Desk) -> Problem | None:
    """Whether the approval still holds: in time, under the same policy, by people who still may."""
    digest = entry.plan.digest
    if entry.plan.cluster != desk.cluster.name:
        return problem(409, "wrong-cluster", f"this sidecar governs {desk.cluster.name} only")
    if is_over(entry, desk.ledger.now()):
        with desk.ledger.write() as transaction:
            expire(entry, transaction)
        return problem(409, "expired", "the plan was not answered, or not leased, in time")
    if entry.state != "approved":
        return problem(409, "not-approved", f"the plan is {entry.state}" + (f": {entry.reason}" if entry.reason else ""))
    if wrong := desk.ledger.hours.wrong():
        return problem(409, "clock-unsure", wrong)
    if desk.judge.revision != entry.decision.revision:
        return void(digest, "policy-changed", "the policy is another one since the plan was judged", desk=desk)
    with desk.ledger.read() as connection:
        stopped = switch.stopped_by(connection)
        answers = approvals.answers_to(connection, digest)
    if stopped is not None:
        return problem(409, "stopped", f"everything was stopped by {stopped}")
    if entry.decision.verdict == "review":
        accounts = desk.accounts.standing(answers)
        counted = [given for given in answers if given.verdict == "deny" or accounts.get(given.person, "active") == "active"]
        comes_to = outcome(request_of(entry), counted, who=desk.people.by_name, now=desk.ledger.now())
        if comes_to != "approved" and "unknown" in accounts.values():
            fix = "ask again, or let somebody approve on another channel"
            return problem(503, "approver-unconfirmed", "whether who approved still has their account cannot be seen", fix=fix)
        if comes_to != "approved":
            return void(digest, "approval-lapsed", "whoever approved may no longer do so", desk=desk)
    return None


def _claimed(entry: approvals.Entry, *, desk: Desk, actor: str) -> leases.Entry | Problem:
    """The lease, if the objects are still the same and the policy still agrees. Looks may take their time; whoever was faster
    meanwhile is counted before this one claims."""
    digest = entry.plan.digest
    if (no := _taken(entry, desk=desk)) is not None:
        return no
    looks = Looks(desk.cluster, desk.silencer)
    judged_at = desk.ledger.now()  # looks are no older
    history = history_of(digest, desk=desk)
    facts = desk.facts.gather(entry.plan, history, through=looks)  # first: it looks at all of it at once
    objections, _, effects = examine(entry.plan, through=looks)
    if objections and objections[0].rule == "target-unreadable":
        return problem(503, "cluster-unavailable", objections[0].message)
    if objections or effects != entry.effects:
        detail = objections[0].message if objections else "an object is no longer as it was when the plan was judged"
        return void(digest, "target-changed", detail, desk=desk)
    said = _by_policy(entry, facts, desk=desk)
    if isinstance(said, Problem):
        return said
    if desk.issuer.plan_bound is not None and (missing := desk.issuer.plan_bound.missing()):
        return problem(409, "admission-not-in-place", f"leases could not be held to their plans: {missing}", fix=INSTALL)
    with desk.turns.alone(CLAIMS):
        if (no := _taken(entry, desk=desk)) is not None:
            return no
        lately = history_of(digest, desk=desk)
        if lately != history:
            said = _by_policy(entry, desk.facts.gather(entry.plan, lately, through=looks), desk=desk)
            if isinstance(said, Problem):
                return said
        places = {name: labels_of(name, looks) for name in places_of(step.action for step in entry.plan.steps)}
        return _claim(entry, places=places, holds_until=_holds_until(said, judged_at), desk=desk, actor=actor)


def _holds_until(said: Decision, judged_at: datetime) -> datetime:
    """When a freeze begins, say, or a window closes: the verdict gives no lease a longer time. Facts tell the time in whole
    seconds, so it may have been nearly one later."""
    return judged_at + timedelta(seconds=said.lease_seconds - 1)


def _taken(entry: approvals.Entry, *, desk: Desk) -> Problem | None:
    """Before the policy is asked: it would say no, and the approval would be lost, where waiting is enough."""
    try:
        with desk.ledger.read() as connection:
            leases.check_free(connection, _targets(entry))
    except leases.TargetHeld as exc:
        return _held_by_another(exc)
    return None


def _held_by_another(held: leases.TargetHeld) -> Problem:
    return problem(409, "target-leased", f"another lease holds {held}", fix="try again when it is settled")


def _targets(entry: approvals.Entry) -> list[ObjectRef]:
    return [target for step in entry.plan.steps for target in target_of(step.action)]


def _by_policy(entry: approvals.Entry, facts: Facts, *, desk: Desk) -> Decision | Problem:
    """What the policy says now, if it would have it so with no more people, or others."""
    digest = entry.plan.digest
    again = desk.judge.decide(entry.plan, facts)
    if again.verdict == "deny" and any(reason.rule == "policy-unavailable" for reason in again.reasons):
        return problem(503, "policy-unavailable", again.reasons[0].message, fix="ask again when the policy engine answers")
    if again.revision != entry.decision.revision:  # replaced between the look above and this verdict
        return void(digest, "policy-changed", "the policy is another one since the plan was judged", desk=desk)
    if again.verdict == "deny":
        reason = again.reasons[0] if again.reasons else None
        detail = f"{reason.rule}: {reason.message}" if reason is not None else "the policy says no now"
        return void(digest, "policy-denies", detail, desk=desk)
    if again.verdict == "review" and not _as_strict(entry.decision.approvals, again.approvals):
        return void(digest, "policy-denies", "the policy wants more people, or others, to look at it now", desk=desk)
    return again


def _as_strict(given: ApprovalsWanted | None, wanted: ApprovalsWanted | None) -> bool:
    """Whether what was asked for then is enough for what is asked for now."""
    if given is None or wanted is None:
        return False
    return given.count >= wanted.count and set(given.roles) <= set(wanted.roles)


def void(digest: str, code: str, detail: str, *, desk: Desk) -> Problem:
    """The approval is gone for good: the plan has to be proposed again."""
    with desk.ledger.write() as transaction:
        if approvals.move(transaction.connection, digest, was=("waiting", "approved"), becomes="void", reason=detail):
            transaction.record("plan-void", actor="sidecar", plan=digest, body={"code": code, "reason": detail})
    return problem(409, code, detail, fix="propose the plan again")


def _claim(entry: approvals.Entry, *, places: Labels, holds_until: datetime, desk: Desk, actor: str) -> leases.Entry | Problem:
    """One transaction: the approval is used, the targets are taken, and the record says what will be made."""
    digest = entry.plan.digest
    identifier = f"{digest[:12]}-{secrets.token_hex(3)}"
    with desk.ledger.write() as transaction:
        current = approvals.get(transaction.connection, digest)
        if current is None or current.state != "approved":
            return problem(409, "not-approved", f"the plan is {current.state if current is not None else 'gone'}")
        if is_over(current, transaction.now):  # the looks above may have taken their time
            expire(current, transaction)
            return problem(409, "expired", "the plan was not leased in time")
        if desk.judge.revision != entry.decision.revision:  # the last look; each step looks again
            return problem(409, "policy-changed", "the policy is another one since the plan was judged", fix="ask again")
        expires_at = min(holds_until, transaction.now + timedelta(seconds=entry.decision.lease_seconds))
        if expires_at <= transaction.now:
            return problem(
                409, "policy-denies", "the time for changes ends at this moment", fix="ask again: the policy says when"
            )
        made = Lease(
            id=identifier,
            plan=digest,
            state="minting",
            identity=desk.issuer.identity(identifier),
            rights=rights_for(entry.plan.steps),
            granted_at=transaction.now,
            expires_at=expires_at,
        )
        try:
            leases.put(transaction.connection, made, incident=entry.plan.incident, targets=_targets(entry))
            leases.judge_places(transaction.connection, identifier, places)
        except leases.TargetHeld as exc:
            return _held_by_another(exc)
        if not approvals.move(transaction.connection, digest, was=("approved",), becomes="leased", lease=identifier):
            raise RuntimeError("an approval was claimed twice")  # looked at in this very transaction
        rights: list[Json] = [right.document() for right in made.rights]
        body: dict[str, Json] = {"identity": made.identity, "rights": rights, "expires_at": made.expires_at.isoformat()}
        transaction.record("lease-claimed", actor=actor, plan=digest, lease=identifier, body=body)
    return leases.Entry(lease=made, incident=entry.plan.incident, outcome=None, settlement=None)


def _minted(held: leases.Entry, entry: approvals.Entry, *, desk: Desk) -> Lease | Problem:
    lease_ = held.lease
    if lease_.state != "minting":
        return lease_
    if desk.ledger.now() >= lease_.expires_at:
        return problem(409, "lease-over", "the lease ended before its rights were made")
    if wrong := desk.ledger.hours.wrong():
        return problem(409, "clock-unsure", wrong)
    writes = _writes(held, entry, desk=desk)
    minted = writes if isinstance(writes, Refused) else desk.issuer.mint(lease_, incident=held.incident, writes=writes)
    if isinstance(minted, Refused):
        with desk.ledger.write() as transaction:
            body: dict[str, Json] = {"status": minted.status, "code": minted.code, "detail": minted.detail}
            transaction.record("lease-refused", actor="sidecar", plan=lease_.plan, lease=lease_.id, body=body)
        revoke(held, outcome="not-performed", desk=desk, actor="sidecar", ends="void", why=minted.detail)
        if minted.code == "beyond-ceiling":
            return problem(403, "beyond-ceiling", f"the API server does not grant these rights: {minted.detail}")
        return problem(409, minted.code, minted.detail, fix="propose the plan again")
    with desk.ledger.write() as transaction:
        if leases.move(transaction.connection, lease_.id, was=("minting",), becomes="live"):
            transaction.record(
                "lease-granted", actor="sidecar", plan=lease_.plan, lease=lease_.id, body={"identity": lease_.identity}
            )
        live = leases.get(transaction.connection, lease_.id)
    return live.lease if live is not None else lease_


def _writes(held: leases.Entry, entry: approvals.Entry, *, desk: Desk) -> list[Write] | Refused:
    """What the API server will hold the lease to; on record before it is published. None where leases are not held so."""
    if desk.issuer.plan_bound is None:
        return []
    writes = writes_of(held, entry, desk=desk)
    if not isinstance(writes, Refused):
        named: list[Json] = [str(write) for write in writes]
        documents: list[Json] = [write.document() for write in writes]
        body: dict[str, Json] = {"writes": named, "sha256": digest_of(documents)}
        with desk.ledger.write() as transaction:
            transaction.record("lease-writes", actor="sidecar", plan=held.lease.plan, lease=held.lease.id, body=body)
    return writes
