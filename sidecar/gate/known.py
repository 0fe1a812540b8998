"""What the store knows when a plan comes in, asked for by one statement: most often there is nothing more to be read."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, select

from sidecar.approvals import store as approvals
from sidecar.approvals import switch
from sidecar.contract import Json
from sidecar.credentials import store as leases
from sidecar.execution import store as steps
from sidecar.gate.desk import Desk
from sidecar.ports import History
from sidecar.statements import Statement

COUNTED = timedelta(hours=24)  # how far back policy may count

_KNOWN = Statement(
    select(
        approvals.STATE.scalar_subquery().label("state"),
        switch.STOPPED.limit(1).scalar_subquery().label("stopped"),
        steps.PERFORMED_SINCE.exists().label("performed"),
        leases.HELD_BY_OTHERS.exists().label("held"),
        approvals.ON_MODEL.exists().label("on_model"),
    )
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """`state`: of the plan, None for one that was never put; it may have expired since. `stopped`: by whom everything was.
    `on_model`: whether another plan of its incident said that it rests on a model."""

    state: str | None
    stopped: str | None
    history: History
    on_model: bool


def known_of(digest: str, incident: str = "", *, desk: Desk) -> Known:
    now = desk.ledger.now()
    since = now - COUNTED
    with desk.ledger.read() as connection:
        given = {"wanted": digest, "but_for": digest, "since": since.timestamp(), "incident": incident}
        state, stopped, performed, held, on_model = _KNOWN.one(connection, given)
        return Known(
            state=state,
            stopped=stopped,
            history=History(
                performed=[
                    *(steps.performed_since(connection, since) if performed else ()),
                    *(_lent(connection, now, but_for=digest) if held else ()),
                ],
                leased=leases.held(connection, but_for=digest) if held else [],
            ),
            on_model=bool(on_model),
        )


def _lent(connection: Connection, now: datetime, *, but_for: str) -> Iterator[dict[str, Json]]:
    """Steps that other plans' leases may perform yet: they count as done, or many leases taken out before the first step of
    any would together do what no budget allows."""
    for held in leases.listed(connection, ("minting", "live"), limit=10_000):
        if held.undoes or held.lease.plan == but_for or held.lease.expires_at <= now:
            continue
        entry = approvals.get(connection, held.lease.plan)
        if entry is None or entry.state != "leased":
            continue
        begun = steps.of_lease(connection, held.lease.id, "do")
        for step in entry.plan.steps:
            if step.id not in begun:
                target, effect = step.action.target.document(), entry.effects.get(step.id)
                yield steps.as_counted(held.lease.granted_at, held.incident, step.action.kind, target, effect)


def history_of(digest: str, *, desk: Desk) -> History:
    """What policy may count of what this sidecar did, or has lent the rights for, but for the plan itself."""
    return known_of(digest, desk=desk).history
