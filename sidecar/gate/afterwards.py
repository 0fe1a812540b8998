"""Undoing after the time of a lease: the sidecar takes back what it did itself, under a fresh and short lease of its own.

Whoever is on call at night wants the way back that was approved with the way there, also when the lease ran out while
everybody still looked whether it had helped. It is safe because it is bounded: only what was performed, only while the
objects are as the steps left them, under the same approval, once, within an hour, and never after a person's no or a stop.
"""

import secrets
from collections.abc import Sequence
from datetime import timedelta

from sidecar.approvals import store as approvals
from sidecar.approvals import switch
from sidecar.contract import Json, Lease, Step, target_of
from sidecar.credentials import Refused, rights_for
from sidecar.credentials import store as leases
from sidecar.gate.desk import Desk
from sidecar.gate.settle import Outcome, revoke
from sidecar.gate.task import No

UNDO_WITHIN = timedelta(hours=1)  # after the lease's own time
UNDO_TIME = timedelta(minutes=5)


def lease_to_undo(
    held: leases.Entry, entry: approvals.Entry, left: Sequence[Step], *, desk: Desk, actor: str
) -> leases.Entry | No:
    """Rights to take `left` back after `held` is over, live; the same ones again while they live.

    Raises JournalUnavailable, ClusterUnavailable (then ask again).
    """
    if held.lease.state != "settled":
        revoke(held, outcome="unknown", desk=desk, actor=actor, why="over")  # its rights go before there are others
    with desk.ledger.read() as connection:
        held = leases.get(connection, held.lease.id) or held
        entry = approvals.get(connection, held.lease.plan) or entry
        gone = held.lease.state == "settled" or leases.is_free(connection, held)
        late = leases.of_plan(connection, held.lease.plan, undoes=held.lease.id)
        stopped = switch.stopped_by(connection)
    if not gone:
        why = f"the lease is {held.lease.state}: nothing is undone before its rights are seen to be gone"
    else:
        why = _why_not(held, entry, late, stopped, desk=desk)
    if why:
        return No(status="refused", reason="lease-over", message=why)
    claimed = late if late is not None else _claim(held, left, desk=desk, actor=actor)
    if isinstance(claimed, No):
        return claimed
    with desk.turns.alone(claimed.lease.id):  # nobody ends it while its rights are being made
        with desk.ledger.read() as connection:
            claimed = leases.get(connection, claimed.lease.id) or claimed
            stopped = switch.stopped_by(connection)
        if stopped is not None or claimed.lease.state not in ("minting", "live"):
            why = f"everything was stopped by {stopped}" if stopped is not None else f"the lease is {claimed.lease.state}"
            return No(status="refused", reason="lease-over", message=why)
        return _minted(claimed, desk=desk)


def end_of(late: leases.Entry, *, complete: bool, desk: Desk, actor: str) -> None:
    """Its rights go as soon as there is nothing left to take back. Raises JournalUnavailable."""
    outcome: Outcome = "undone" if complete else "unknown"
    revoke(late, outcome=outcome, desk=desk, actor=actor, why="undone after its time")


def _why_not(held: leases.Entry, entry: approvals.Entry, late: leases.Entry | None, stopped: str | None, *, desk: Desk) -> str:
    """Why a person has to look, "" when the sidecar may go back by itself."""
    now = desk.ledger.now()
    if stopped is not None:
        return f"everything was stopped by {stopped}"
    if wrong := desk.ledger.hours.wrong():
        return wrong
    if held.undoes:
        return "this lease only took back"
    if now < held.lease.expires_at or held.outcome in ("helped", "undone", "not-performed"):
        return f"the lease was settled ({held.outcome}): nothing can be undone under it"
    if entry.state != "settled":
        return f"the plan is {entry.state}: nothing is undone under it"
    if now >= held.lease.expires_at + UNDO_WITHIN:
        return "the lease has been over for too long: a person has to look"
    if desk.issuer.plan_bound is not None:
        return "the API server holds leases to their plans here, and this one is over: a person has to look"
    if late is not None and (late.lease.state not in ("minting", "live") or now >= late.lease.expires_at):
        return "the time for undoing is over too: a person has to look"
    return ""


def _claim(held: leases.Entry, left: Sequence[Step], *, desk: Desk, actor: str) -> leases.Entry | No:
    """The record says what will be made before anything is made; the targets are taken again."""
    identifier = f"{held.lease.plan[:12]}-{secrets.token_hex(3)}"
    targets = [target for step in left for target in target_of(step.action)]
    with desk.ledger.write() as transaction:
        if (stopped := switch.stopped_by(transaction.connection)) is not None:  # since the look
            return No(status="refused", reason="lease-over", message=f"everything was stopped by {stopped}")
        made = Lease(
            id=identifier,
            plan=held.lease.plan,
            state="minting",
            identity=desk.issuer.identity(identifier),
            rights=rights_for(left),
            granted_at=transaction.now,
            expires_at=transaction.now + UNDO_TIME,
        )
        try:
            leases.put(transaction.connection, made, incident=held.incident, targets=targets, undoes=held.lease.id)
        except leases.TargetHeld as exc:
            return No(
                status="refused", reason="target-leased", message=f"another lease holds {exc}: try again when it is settled"
            )
        rights: list[Json] = [right.document() for right in made.rights]
        body: dict[str, Json] = {
            "identity": made.identity,
            "rights": rights,
            "expires_at": made.expires_at.isoformat(),
            "undoes": held.lease.id,
        }
        transaction.record("lease-claimed", actor=actor, plan=made.plan, lease=identifier, body=body)
    return leases.Entry(lease=made, incident=held.incident, outcome=None, settlement=None, undoes=held.lease.id)


def _minted(late: leases.Entry, *, desk: Desk) -> leases.Entry | No:
    lease = late.lease
    if lease.state == "live":
        return late
    minted = desk.issuer.mint(lease, incident=late.incident)
    if isinstance(minted, Refused):
        with desk.ledger.write() as transaction:
            body: dict[str, Json] = {"status": minted.status, "code": minted.code, "detail": minted.detail}
            transaction.record("lease-refused", actor="sidecar", plan=lease.plan, lease=lease.id, body=body)
        revoke(late, outcome="not-performed", desk=desk, actor="sidecar", why=minted.detail)
        return No(status="refused", reason="forbidden", message=f"the API server does not grant these rights: {minted.detail}")
    with desk.ledger.write() as transaction:
        if leases.move(transaction.connection, lease.id, was=("minting",), becomes="live"):
            body = {"identity": lease.identity, "undoes": late.undoes}
            transaction.record("lease-granted", actor="sidecar", plan=lease.plan, lease=lease.id, body=body)
        return leases.get(transaction.connection, lease.id) or late
