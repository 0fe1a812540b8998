"""What the store knows when a plan comes in, asked for by one statement: most often there is nothing more to be read."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, select

from sidecar.approvals import store as approvals
from sidecar.approvals import switch
from sidecar.credentials import store as leases
from sidecar.execution import store as steps
from sidecar.gate.desk import Desk
from sidecar.gate.lent import lent
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
        state, stopped, performed, held, on_model = _KNOWN.glance(connection, given)
        history = _history(connection, now, since, held=held, but_for=digest) if performed or held else History()
        return Known(state=state, stopped=stopped, history=history, on_model=bool(on_model))


def _history(connection: Connection, now: datetime, since: datetime, *, held: bool, but_for: str) -> History:
    """What is lent is read first: a step that begins meanwhile counts twice then, and never not at all."""
    leased = leases.held(connection, but_for=but_for) if held else []
    may_do = [*lent(connection, now, but_for=but_for)] if held else []
    return History(performed=[*steps.performed_since(connection, since), *may_do], leased=leased)


def history_of(digest: str, *, desk: Desk) -> History:
    """What policy may count of what this sidecar did, or has lent the rights for, but for the plan itself."""
    return known_of(digest, desk=desk).history
