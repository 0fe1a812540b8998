"""The kill switch: nothing waits, nothing is approved, no lease lives. It holds until a person lifts it, restarts included."""

from dataclasses import dataclass

from sidecar.approvals import Person
from sidecar.approvals import store as approvals
from sidecar.contract import Json, Lease, Problem, Settlement
from sidecar.credentials import store as leases
from sidecar.gate.desk import Desk, problem
from sidecar.gate.settle import OPEN, revoke

LIFTERS = "operator"  # the role that may lift it; anybody known may stop


@dataclass(frozen=True, slots=True, kw_only=True)
class Stopped:
    """`settlements`: the leases that were live, and what became of them."""

    stopped: bool
    voided: tuple[str, ...]
    settlements: tuple[Settlement, ...]


def stop(person: Person, *, reason: str = "", desk: Desk) -> Stopped:
    """Raises JournalUnavailable."""
    with desk.ledger.write() as transaction:
        approvals.stop(transaction.connection, by=person.name, at=transaction.now, reason=reason)
        waiting = [entry.plan.digest for entry in approvals.listed(transaction.connection, ("waiting", "approved"))]
        for digest in waiting:
            why = f"everything was stopped by {person.name}"
            approvals.move(transaction.connection, digest, was=("waiting", "approved"), becomes="void", reason=why)
        open_leases = list(leases.listed(transaction.connection, OPEN))
        voided: list[Json] = [*waiting]
        ended: list[Json] = [held.lease.id for held in open_leases]
        body: dict[str, Json] = {"reason": reason, "plans": voided, "leases": ended}
        transaction.record("stopped", actor=person.name, body=body)
    settlements = []
    for held in open_leases:
        with desk.turns.alone(held.lease.id):
            settlements.append(end_lease(held, desk=desk, actor=person.name, why="stopped"))
    return Stopped(stopped=True, voided=tuple(waiting), settlements=tuple(settlements))


def lift(person: Person, *, desk: Desk) -> Stopped | Problem:
    if LIFTERS not in person.roles:
        return problem(403, "no-role", f"only a person with the role {LIFTERS} lifts a stop")
    with desk.ledger.write() as transaction:
        approvals.lift(transaction.connection)
        transaction.record("stop-lifted", actor=person.name)
    return Stopped(stopped=False, voided=(), settlements=())


def why_over(lease: Lease, *, desk: Desk) -> str:
    """Why nothing more may be written under this lease, "" while it may: asked before every request of a step.

    Raises JournalUnavailable when another process may be at work on the lease by now.
    """
    desk.turns.assure()
    with desk.ledger.read() as connection:
        held = leases.get(connection, lease.id)
        entry = approvals.get(connection, lease.plan)
        stopped = approvals.stopped_by(connection)
    if stopped is not None:
        return f"everything was stopped by {stopped}"
    if held is None or held.lease.state != "live" or desk.ledger.now() >= held.lease.expires_at:
        return "the lease is over"
    return "" if entry is not None and entry.state == "leased" else "the plan is no longer approved"


def end_lease(held: leases.Entry, *, desk: Desk, actor: str, why: str) -> Settlement:
    """Revoke whatever state the lease is in now; what was seen of its effect is not known."""
    with desk.ledger.read() as connection:
        current = leases.get(connection, held.lease.id) or held
    if current.settlement is not None and current.settlement.state == "settled":
        return current.settlement
    return revoke(current, outcome="unknown", desk=desk, actor=actor, why=why)
