"""What is kept of plans that are over, in the database: they still stand as they were carried out, until they are overwritten.
Works inside the caller's transaction; knows no rule of what may be kept."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, select, update

from sidecar.approvals.store import PLANS
from sidecar.contract import Json, PlanState


@dataclass(frozen=True, slots=True, kw_only=True)
class Over:
    """A plan that is over, with what is kept of it."""

    digest: str
    document: Json
    effects: Json
    previews: list[Json]
    lease: str | None


OVER: tuple[PlanState, ...] = ("denied", "refused", "expired", "settled", "void")


def uncleared(connection: Connection, *, limit: int = 1000) -> list[Over]:
    """Plans that are over and still stand as they were carried out."""
    query = (
        select(PLANS.c.digest, PLANS.c.document, PLANS.c.effects, PLANS.c.previews, PLANS.c.lease)
        .where(PLANS.c.state.in_(OVER), PLANS.c.cleared == 0)
        .limit(limit)
    )
    return [
        Over(
            digest=row.digest,
            document=json.loads(row.document),
            effects=json.loads(row.effects),
            previews=json.loads(row.previews),
            lease=row.lease,
        )
        for row in connection.execute(query)
    ]


def clear(connection: Connection, digest: str, document: Json, *, effects: Json, previews: Sequence[Json]) -> None:
    """Overwrite what is kept of a plan that is over; it goes by its old digest."""
    values = {
        "document": json.dumps(document),
        "effects": json.dumps(effects),
        "previews": json.dumps([*previews]),
        "cleared": 1,
    }
    connection.execute(update(PLANS).where(PLANS.c.digest == digest, PLANS.c.state.in_(OVER)).values(**values))
