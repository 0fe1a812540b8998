"""The end of a lease: rights are taken back, the old token is tried until it is refused, and the record says so.

A lease is `settled` only when everything was seen to be gone; until then it is `revocation_pending`, and the reaper goes on.
"""

from typing import Literal

import structlog

from sidecar.approvals import store as approvals
from sidecar.contract import Json, PlanState, Problem, Settlement
from sidecar.credentials import Proof
from sidecar.credentials import store as leases
from sidecar.errors import JournalUnavailable
from sidecar.execution import store as steps
from sidecar.execution.pointer import value_at
from sidecar.gate.desk import Desk, problem
from sidecar.gate.observation import observe
from sidecar.gate.silenced import end_silences

log = structlog.get_logger("sidecar.leases")
Outcome = Literal["helped", "did-not-help", "undone", "not-performed", "unknown"]
OPEN: tuple[Literal["minting", "live", "settling", "revocation_pending"], ...] = (
    "minting",
    "live",
    "settling",
    "revocation_pending",
)


def settle(lease: str, outcome: Outcome, *, desk: Desk, actor: str = "agent") -> Settlement | Problem:
    """`outcome` is what the agent saw; "not-performed" is the sidecar's own word where it performed nothing.

    Raises JournalUnavailable.
    """
    with desk.turns.alone(lease):
        with desk.ledger.read() as connection:
            held = leases.get(connection, lease)
            done = steps.of_lease(connection, lease, "do")
        if held is None:
            return problem(404, "unknown-lease", "no such lease")
        if held.settlement is not None and held.settlement.state == "settled":
            return held.settlement
        touched = any(entry.may_have_changed_something for entry in done.values())
        return revoke(held, outcome=outcome if touched else "not-performed", desk=desk, actor=actor)


def revoke(
    held: leases.Entry, *, outcome: Outcome, desk: Desk, actor: str, ends: PlanState = "settled", why: str = ""
) -> Settlement:
    """Take the rights back and keep the proof; safe to repeat. The first outcome said stands.

    Raises JournalUnavailable. Rights go even then: to lend them needs a record first, to take them back does not.
    """
    lease = held.lease
    was_live = lease.state != "minting"
    try:
        current = _ending(held, outcome, desk=desk, actor=actor, why=why)
    except JournalUnavailable:
        left = desk.issuer.revoke(lease, incident=held.incident, prove=False).pending
        log.error("rights were taken back, and it is not on record yet", lease=lease.id, plan=lease.plan, left=list(left))
        raise
    desk.streams.end_of(held.incident)  # they outlive every revocation: an open watch goes on by itself
    proof = desk.issuer.revoke(lease, incident=held.incident, prove=was_live)
    pending = (*proof.pending, *end_silences(held, current.outcome or outcome, desk=desk, actor=actor))
    known = _as_before(current, proof, pending, desk=desk)
    if known is not None:
        log.error("revocation still pending", lease=lease.id, plan=lease.plan, identity=lease.identity, left=list(pending))
        return known
    seen = observe(held, current.outcome or outcome, desk=desk)
    earlier = current.settlement if not proof.refusal else None  # seen before, when something else was still pending
    with desk.ledger.write() as transaction:
        settlement = Settlement(
            lease=lease.id,
            plan=lease.plan,
            state="revocation_pending" if pending else "settled",
            outcome=_outcome(current.outcome or outcome),
            refused_after_ms=earlier.refused_after_ms if earlier is not None else proof.refused_after_ms,
            refusal=earlier.refusal if earlier is not None else proof.refusal,
            settled_at=transaction.now,
            observed=tuple(f"{step} is {state}" for step, state in seen.steps.items()) + seen.subject if seen is not None else (),
            contradictions=seen.contradictions if seen is not None else (),
        )
        leases.move(
            transaction.connection,
            lease.id,
            was=("settling", "revocation_pending"),
            becomes=settlement.state,
            settlement=settlement,
        )
        if not proof.pending:  # a silence that still stands keeps nobody from repairing what it is about
            leases.free(transaction.connection, lease.id)
        approvals.move(transaction.connection, lease.plan, was=("leased",), becomes=ends, reason=why)
        body: dict[str, Json] = {
            "settlement": settlement.document(),
            "pending": [*pending],
            "observed": seen.document() if seen is not None else None,
        }
        transaction.record(f"lease-{settlement.state.replace('_', '-')}", actor=actor, plan=lease.plan, lease=lease.id, body=body)
    desk.tallies.revoked(settlement)
    if pending:  # somebody has to know before the next incident: rights may still be there
        log.error("revocation pending", lease=lease.id, plan=lease.plan, identity=lease.identity, left=list(pending))
    return settlement


def _as_before(current: leases.Entry, proof: Proof, pending: tuple[str, ...], *, desk: Desk) -> Settlement | None:
    """What is on record already, where this try came to the same: the reaper tries each minute, for days if need be."""
    earlier = current.settlement
    if not pending or earlier is None or earlier.state != "revocation_pending" or proof.refusal not in ("", earlier.refusal):
        return None
    on_record = desk.ledger.latest(limit=1, about=current.lease.id)
    same = on_record and value_at(on_record[0], ("body", "pending")) == [*pending]
    return earlier if same else None


def _ending(held: leases.Entry, outcome: Outcome, *, desk: Desk, actor: str, why: str) -> leases.Entry:
    """Nothing more is performed under it, and the record says why."""
    lease = held.lease
    with desk.ledger.write() as transaction:
        if leases.move(transaction.connection, lease.id, was=("minting", "live"), becomes="settling", outcome=outcome):
            requests, read_bytes = desk.runs.of(held.incident)
            reads: Json = {"requests": requests, "bytes": read_bytes}
            body: dict[str, Json] = {"outcome": outcome, "why": why, "reads": reads}
            transaction.record("lease-ending", actor=actor, plan=lease.plan, lease=lease.id, body=body)
        return leases.get(transaction.connection, lease.id) or held


def _outcome(text: str) -> Outcome:
    match text:
        case "helped" | "did-not-help" | "undone" | "not-performed":
            return text
        case _:
            return "unknown"
