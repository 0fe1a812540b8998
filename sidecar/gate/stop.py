"""The kill switch: nothing waits, nothing is approved, no lease lives. It holds until two people lift it, restarts included."""

from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import structlog

from sidecar.approvals import Person, known_as, switch
from sidecar.approvals import store as approvals
from sidecar.contract import Json, Lease, Problem, Settlement
from sidecar.credentials import store as leases
from sidecar.errors import ClusterUnavailable, JournalUnavailable
from sidecar.execution import escaped
from sidecar.gate.desk import Desk, problem
from sidecar.gate.settle import OPEN, Outcome, revoke

log = structlog.get_logger("sidecar.leases")
LIFTERS = "operator"  # the role that may lift it; anybody known may stop
LIFTING_PEOPLE = 2
LIFT_WITHIN = timedelta(minutes=15)  # between the first who lifts it and the second
PATIENCE_SECONDS = 0.25  # with whoever is at work under a lease that is to be ended
_AT_ONCE = 16  # each waits for the API server most of the time; there are connections for twice as many


@dataclass(frozen=True, slots=True, kw_only=True)
class Stopped:
    """`settlements`: the leases that were live, and what became of them. `lifting`: who wants it lifted, until
    `lifting_until`; one more person has to."""

    stopped: bool
    by: str = ""
    at: datetime | None = None
    reason: str = ""
    lifting: tuple[str, ...] = ()
    lifting_until: datetime | None = None
    voided: tuple[str, ...] = ()
    settlements: tuple[Settlement, ...] = ()


def stop(person: Person, *, reason: str = "", desk: Desk) -> Stopped:
    """Raises JournalUnavailable: then no lease has any right left, as far as the cluster could be reached, and this process
    lends and performs nothing until it is on record, which the reaper sees to; nor does one that is started meanwhile."""
    reason = escaped(reason)[:500]
    try:
        waiting, open_leases = _stopped(person, reason, desk=desk)
    except JournalUnavailable as exc:
        forgotten = desk.halt.hold(person, reason)
        said = "the stop will be on record as soon as there is one" + (f"; {forgotten}" if forgotten else "")
        raise JournalUnavailable(f"{exc}; {_unbound(desk)}; {said}") from exc
    desk.halt.on_record()
    desk.streams.end_all()  # nobody goes on watching a cluster that was taken out of their hands

    def end(held: leases.Entry) -> Settlement | None:
        try:
            with desk.turns.alone(held.lease.id):
                return end_lease(held, desk=desk, actor=person.name, why="stopped")
        except JournalUnavailable as exc:  # it may write nothing any more; the reaper takes its rights
            log.error("not revoked yet", lease=held.lease.id, reason=str(exc))
            return None

    with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="stop") as pool:  # one slow revocation keeps no other waiting
        ends = [pool.submit(end, held) for held in open_leases]
        late = wait(ends, timeout=PATIENCE_SECONDS).not_done
        _cut_off([held for held, task in zip(open_leases, ends, strict=True) if task in late], desk=desk)
        settlements = tuple(settled for task in ends if (settled := task.result()) is not None)
    return replace(state_of_stop(desk=desk), voided=tuple(waiting), settlements=settlements)


def _cut_off(open_leases: list[leases.Entry], *, desk: Desk) -> None:
    """Someone may be at work under these and wait for the API server, perhaps for a webhook of somebody's: they are ended in
    their turn, and have no rights until then."""
    if not open_leases:
        return

    def cut(held: leases.Entry) -> None:
        left = desk.issuer.cut_off(held.lease, incident=held.incident)
        log.warning("its end waits for somebody's turn or the API server: its rights go first", lease=held.lease.id, left=left)

    with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="cut") as pool:
        wait([pool.submit(cut, held) for held in open_leases])


def _stopped(person: Person, reason: str, *, desk: Desk) -> tuple[list[str], list[leases.Entry]]:
    """The plans that nobody may use any more, and the leases that are to be ended."""
    with desk.ledger.write() as transaction:
        switch.stop(transaction.connection, by=person.name, at=transaction.now, reason=reason)
        waiting = approvals.void_unused(transaction.connection, reason=f"everything was stopped by {person.name}")
        open_leases = list(leases.listed(transaction.connection, OPEN, limit=10_000))
        voided: list[Json] = [*waiting]
        ended: list[Json] = [held.lease.id for held in open_leases]
        body: dict[str, Json] = {"reason": reason, "plans": voided, "leases": ended}
        transaction.record("stopped", actor=person.name, body=body)
    return waiting, open_leases


def _unbound(desk: Desk) -> str:
    """Without a record nothing can be stopped for good; the rights that are lent can be taken away all the same."""
    desk.streams.end_all()
    try:
        left = desk.issuer.unbind_all()
    except ClusterUnavailable as exc:
        return f"and the rights of leases could not be taken away ({exc})"
    log.error("a stop could not be put on record; the rights of leases were taken away", left=left)
    return f"these rights may still be there: {', '.join(left)}" if left else "the rights of all leases were taken away"


def stop_late(desk: Desk) -> int:
    """Puts a stop on record that could not be before; how many that were. Not to be called in anybody's turn: every lease is
    ended in its own. Raises JournalUnavailable: there is no record yet, and nothing may be lent or performed."""
    person = desk.halt.by
    if person is None:
        return 0
    stop(person, reason=desk.halt.reason, desk=desk)
    return 1


def lift(person: Person, *, desk: Desk) -> Stopped | Problem:
    """Two different people lift a stop; the first one's word is kept, and lapses. Raises JournalUnavailable."""
    stop_late(desk)
    known = desk.people.by_name(person.name)
    if known is None or known.bot or LIFTERS not in known.roles:
        with desk.ledger.write() as transaction:
            transaction.record("lift-refused", actor=person.name, body={"code": "no-role"})
        return problem(403, "no-role", f"only a person with the role {LIFTERS} lifts a stop")
    with desk.ledger.write() as transaction:
        stopped = switch.stop_of(transaction.connection)
        if stopped is None:
            return Stopped(stopped=False)
        others = _lifting(stopped, transaction.now, desk=desk) - {known_as(known.name)}
        if len(others) >= LIFTING_PEOPLE - 1:
            switch.lift(transaction.connection)
            transaction.record("stop-lifted", actor=known.name, body={"with": [*sorted(others)]})
        else:
            switch.put_lift(transaction.connection, person=known.name, at=transaction.now)
            until: Json = (transaction.now + LIFT_WITHIN).isoformat()
            transaction.record("stop-lift-asked", actor=known.name, body={"until": until})
    return state_of_stop(desk=desk)


def state_of_stop(*, desk: Desk) -> Stopped:
    """Whether everything is stopped, and how far the lifting is."""
    now = desk.ledger.now()
    with desk.ledger.read() as connection:
        stopped = switch.stop_of(connection)
    if stopped is None:
        return Stopped(stopped=False)
    wanted = _lifting(stopped, now, desk=desk)
    lifts = [(person, at) for person, at in stopped.lifts if known_as(person) in wanted]
    return Stopped(
        stopped=True,
        by=stopped.by,
        at=stopped.at,
        reason=stopped.reason,
        lifting=tuple(person for person, _ in lifts),
        lifting_until=max((at for _, at in lifts), default=now) + LIFT_WITHIN if lifts else None,
    )


def _lifting(stopped: switch.Stop, now: datetime, *, desk: Desk) -> set[str]:
    """Who said so lately, and may still say so: each person once, whatever the account."""
    lately = (desk.people.by_name(person) for person, at in stopped.lifts if now - at < LIFT_WITHIN)
    return {known_as(person.name) for person in lately if person is not None and LIFTERS in person.roles and not person.bot}


def why_over(lease: Lease, *, taking_back: bool, desk: Desk) -> str:
    """Why nothing more may be written under this lease, "" while it may: asked before every request of a step. What is done
    wants the policy that it was judged by; what is taken back does not.

    Raises JournalUnavailable when another process may be at work on the lease by now.
    """
    desk.turns.assure()
    with desk.ledger.read() as connection:
        held = leases.get(connection, lease.id)
        entry = approvals.get(connection, lease.plan)
        stopped = switch.stopped_by(connection)
    person = desk.halt.by
    if stopped is not None or person is not None:
        return f"everything was stopped by {person.name if person is not None else stopped}"
    if held is None or held.lease.state != "live" or desk.ledger.now() >= held.lease.expires_at:
        return "the lease is over"
    still = ("leased", "settled") if held.undoes else ("leased",)  # what takes back outlives the plan's own lease
    if entry is None or entry.state not in still:
        return "the plan is no longer approved"
    replaced = not taking_back and desk.judge.revision != entry.decision.revision
    return "the policy is another one since the plan was judged" if replaced else ""


def end_lease(held: leases.Entry, *, desk: Desk, actor: str, why: str) -> Settlement:
    """Revoke whatever state the lease is in now; what was seen of its effect is not known."""
    with desk.ledger.read() as connection:
        current = leases.get(connection, held.lease.id) or held
    if current.settlement is not None and current.settlement.state == "settled":
        return current.settlement
    outcome: Outcome = "not-performed" if current.lease.state == "minting" else "unknown"
    return revoke(current, outcome=outcome, desk=desk, actor=actor, why=why)
