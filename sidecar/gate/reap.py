"""Takes away what a crash or a silent cluster left: at the start, and every minute. Safe to run beside everything else."""

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import structlog

from sidecar.approvals import store as approvals
from sidecar.approvals import switch
from sidecar.contract import Json
from sidecar.credentials import store as leases
from sidecar.errors import ClusterUnavailable, JournalUnavailable, SidecarError
from sidecar.gate.desk import Desk
from sidecar.gate.discretion import clear_over
from sidecar.gate.settle import OPEN
from sidecar.gate.standing import standing
from sidecar.gate.stop import end_lease, stop_late

MINTED_WITHIN = timedelta(minutes=1)  # rights that were half made longer ago are nobody's any more
_AT_ONCE = 8
HALTED_SECONDS = 5.0  # between two tries to put a stop on record
log = structlog.get_logger("sidecar.reaper")


def reap_for_ever(desk: Desk, pause: float, ended: threading.Event) -> None:
    """Round after round, `pause` seconds apart, until `ended`."""
    while True:
        try:
            done = reap(desk=desk)
            if done:
                log.info("reaped", done=done)
        except Exception as exc:  # noqa: BLE001  a thread that dies would leave rights lying about
            log.error("the reaper failed, it goes on", error=type(exc).__name__)
        if _paused(desk, pause, ended):
            return


def _paused(desk: Desk, pause: float, ended: threading.Event) -> bool:
    """Whether it is the end. Shorter once there is a stop that is not on record yet: other processes on the same database do
    not know of it."""
    while pause > 0:
        if ended.wait(min(pause, HALTED_SECONDS)):
            return True
        if desk.halt.by is not None:
            return False
        pause -= HALTED_SECONDS
    return False


def reap(*, desk: Desk) -> int:
    """Settle leases that are over, go on with revocations, remove objects that no lease owns. How much was done.

    Never raises: what cannot be done now is done the next time.
    """
    desk.ledger.refusals.flush()
    done = 0
    for work in (stop_late, _expire_plans, _end_leases, _sweep, _clear):
        try:
            done += work(desk)
        except SidecarError as exc:
            log.warning("not done, will be tried again", work=work.__name__.strip("_"), reason=str(exc))
    return done


def _expire_plans(desk: Desk) -> int:
    with desk.ledger.read() as connection:
        overdue = approvals.overdue(connection, desk.ledger.now())
    for digest in overdue:
        standing(digest, desk=desk)
    return 0


def _end_leases(desk: Desk) -> int:
    """A live lease that is not over goes on; everything else that is open is ended."""
    over: list[tuple[leases.Entry, str, str]] = []
    with desk.ledger.read() as connection:
        open_leases = list(leases.listed(connection, OPEN, limit=10_000))
        stopped = switch.stopped_by(connection) is not None
        plans = {held.lease.plan: approvals.get(connection, held.lease.plan) for held in open_leases}
    others: list[leases.Entry] = []
    for held in open_leases:
        why = "stopped" if stopped else _over(held, plans[held.lease.plan], desk)
        half_made = held.lease.state == "minting" and desk.ledger.now() >= held.lease.granted_at + MINTED_WITHIN
        if why:
            over.append((held, why, ""))
        elif half_made:
            over.append((held, "its rights were half made", "minting"))
        else:
            others.append(held)

    def end(one: tuple[leases.Entry, str, str]) -> int:
        held, why, still = one
        return _end(held, why, desk, still=still)

    # A step that hangs at the API server has its lease's turn: the others, which are over too, do not wait for it, nor does
    # any of them wait until it is known what holds those that are not.
    with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="reap") as pool:
        ends = [pool.submit(end, one) for one in over]
        if others and (loose := _no_longer_held(desk)):
            ends += [pool.submit(end, (held, f"no longer held to its plan: {loose}", "")) for held in others]
        return sum(task.result() for task in ends)


def _over(held: leases.Entry, plan: approvals.Entry | None, desk: Desk) -> str:
    over = desk.ledger.now() >= held.lease.expires_at or held.lease.state in ("settling", "revocation_pending")
    refused = plan is not None and plan.state == "refused"  # a no whose revocation was cut short
    return "over" if over or refused else ""


def _end(held: leases.Entry, why: str, desk: Desk, *, still: str) -> int:
    """One whose turn cannot be had now keeps no other waiting. `still`: only if that is its state when its turn comes."""
    try:
        with desk.turns.alone(held.lease.id):
            if still and _state_of(held.lease.id, desk) != still:
                return 0
            end_lease(held, desk=desk, actor="reaper", why=why)
    except SidecarError as exc:
        log.warning("not ended, will be tried again", lease=held.lease.id, reason=str(exc))
        return 0
    return 1


def _no_longer_held(desk: Desk) -> str:
    """What is missing of plan-bound admission where leases are to be held by it; "" where nothing is, or nobody can tell."""
    try:
        return desk.issuer.plan_bound.missing() if desk.issuer.plan_bound is not None else ""
    except ClusterUnavailable:
        return ""


def _state_of(lease: str, desk: Desk) -> str:
    with desk.ledger.read() as connection:
        held = leases.get(connection, lease)
    return held.lease.state if held is not None else ""


def _sweep(desk: Desk) -> int:
    """Objects with a lease's label whose lease is settled; those of a lease that this store does not know (a database that
    was lost or cannot be asked, another sidecar) when they have expired."""
    labelled = desk.issuer.labelled()  # first: whatever is in this list was claimed in the store before it was made
    state: dict[str, leases.Entry | None] = {lease: None for lease, _, _ in labelled}
    try:
        with desk.ledger.read() as connection:
            state = {lease: leases.get(connection, lease) for lease in state}
    except JournalUnavailable as exc:
        log.error("it cannot be asked which leases there are: what has expired goes", reason=str(exc))
    now = desk.ledger.now().timestamp()
    old = [piece for lease, expires, piece in labelled if _is_left_over(state[lease], expires, now)]
    swept: list[Json] = [f"{piece.resource.plural} {piece.namespace}/{piece.name}" for piece in old if desk.issuer.sweep(piece)]
    if swept:
        with desk.ledger.write() as transaction:
            transaction.record("swept", actor="reaper", body={"removed": swept})
    return len(swept)


def _clear(desk: Desk) -> int:
    clear_over(desk.ledger)
    return 0


def _is_left_over(held: leases.Entry | None, expires: int, now: float) -> bool:
    return held.lease.state == "settled" if held is not None else expires < now
