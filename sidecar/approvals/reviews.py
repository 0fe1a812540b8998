"""What has to be looked at afterwards: each emergency in which the usual approvers were passed by. Works inside the caller's
transaction."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import Column, ColumnElement, Connection, Float, Table, Text, func, insert, select, update

from sidecar.approvals.store import metadata

_reviews = Table(
    "glass_reviews",
    metadata,
    Column("plan", Text, primary_key=True),
    Column("people", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("opened_at", Float, nullable=False),
    Column("closed_by", Text),
    Column("closed_at", Float),
    Column("note", Text, nullable=False),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Review:
    """`people`: who broke the glass, and why; `closed_by` None: still open."""

    plan: str
    people: tuple[str, ...]
    reason: str
    opened_at: datetime
    closed_by: str | None = None
    closed_at: datetime | None = None
    note: str = ""


def open_review(connection: Connection, *, plan: str, people: Sequence[str], reason: str, at: datetime) -> None:
    values = {"people": json.dumps([*people]), "reason": reason, "opened_at": at.timestamp(), "note": ""}
    connection.execute(insert(_reviews).values(plan=plan, **values))


def close(connection: Connection, plan: str, *, by: str, at: datetime, note: str) -> bool:
    """False when it is not there, or closed already."""
    mine = (_reviews.c.plan == plan) & _reviews.c.closed_by.is_(None)
    changed = connection.execute(update(_reviews).where(mine).values(closed_by=by, closed_at=at.timestamp(), note=note))
    return changed.rowcount == 1


def get(connection: Connection, plan: str) -> Review | None:
    return next(iter(_read(connection, _reviews.c.plan == plan)), None)


def listed(connection: Connection, *, closed: bool = False) -> list[Review]:
    """The oldest first; open ones only, unless `closed`."""
    return _read(connection, _reviews.c.plan != "" if closed else _reviews.c.closed_by.is_(None))


def counted(connection: Connection) -> int:
    return connection.execute(select(func.count()).where(_reviews.c.closed_by.is_(None))).scalar_one()


def _read(connection: Connection, where: ColumnElement[bool]) -> list[Review]:
    rows = connection.execute(select(_reviews).where(where).order_by(_reviews.c.opened_at)).mappings()
    return [
        Review(
            plan=row["plan"],
            people=tuple(json.loads(row["people"])),
            reason=row["reason"],
            opened_at=datetime.fromtimestamp(row["opened_at"], UTC),
            closed_by=row["closed_by"],
            closed_at=datetime.fromtimestamp(row["closed_at"], UTC) if row["closed_at"] is not None else None,
            note=row["note"],
        )
        for row in rows
    ]
