"""How much people are asked, counted in the database. Works inside the caller's transaction; knows no limit."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import Connection, func, select

from sidecar.approvals.store import PLANS

_OLDEST = select(func.min(PLANS.c.requested_at)).where(PLANS.c.state == "waiting")
_WAITING = select(func.count()).select_from(PLANS).where(PLANS.c.state == "waiting")


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A plan that people were asked about."""

    incident: str
    namespaces: frozenset[str]
    at: datetime


def asked_since(connection: Connection, since: datetime, *, limit: int = 2000) -> list[Asked]:
    """What people were asked about, the newest first; what was denied never reached them."""
    query = select(PLANS.c.incident, PLANS.c.document, PLANS.c.decision, PLANS.c.requested_at)
    query = query.where(PLANS.c.requested_at >= since.timestamp(), PLANS.c.state != "denied")
    found = []
    for row in connection.execute(query.order_by(PLANS.c.requested_at.desc()).limit(limit)):
        if json.loads(row.decision)["verdict"] == "review":
            actions = [step["action"] for step in json.loads(row.document)["steps"]]
            touched = [target for action in actions for target in (action["target"], *action.get("pods", ()))]
            spaces = frozenset(target.get("namespace") or "" for target in touched)
            found.append(Asked(incident=row.incident, namespaces=spaces, at=datetime.fromtimestamp(row.requested_at, UTC)))
    return found


def waiting(connection: Connection) -> int:
    """How many plans people have yet to answer."""
    return connection.execute(_WAITING).scalar_one()


def waiting_since(connection: Connection) -> float | None:
    """When the oldest plan that people have yet to answer was asked for, in seconds of the epoch."""
    found: float | None = connection.execute(_OLDEST).scalar()
    return found


def counted(connection: Connection) -> dict[str, int]:
    """How many there are in each state."""
    query = select(PLANS.c.state, func.count()).group_by(PLANS.c.state)
    return {str(state): int(number) for state, number in connection.execute(query)}
