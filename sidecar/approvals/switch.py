"""The kill switch in the database: who stopped everything, and who said that it may be lifted. Works inside the caller's
transaction; knows no rule, and nothing of plans."""

from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import Column, Connection, Float, MetaData, Table, Text, insert, select

from sidecar.statements import Statement

metadata = MetaData()

_lifts = Table("stop_lifts", metadata, Column("person", Text, primary_key=True), Column("at", Float, nullable=False))
_switch = Table("stops", metadata, Column("by", Text, primary_key=True), Column("at", Float), Column("reason", Text))
STOPPED = select(_switch.c.by)
_STOPPED = Statement(STOPPED)


def stopped_by(connection: Connection) -> str | None:
    """Who stopped everything, None when nobody did."""
    row = _STOPPED.first(connection, {})
    return str(row[0]) if row is not None else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Stop:
    """`lifts`: who said that it may be lifted, and when."""

    by: str
    at: datetime
    reason: str
    lifts: tuple[tuple[str, datetime], ...]


def stop_of(connection: Connection) -> Stop | None:
    row = connection.execute(select(_switch)).mappings().first()
    if row is None:
        return None
    lifts = tuple(
        (str(lift.person), datetime.fromtimestamp(lift.at, UTC))
        for lift in connection.execute(select(_lifts).order_by(_lifts.c.at))
    )
    return Stop(by=row["by"], at=datetime.fromtimestamp(row["at"], UTC), reason=row["reason"], lifts=lifts)


def put_lift(connection: Connection, *, person: str, at: datetime) -> None:
    connection.execute(_lifts.delete().where(_lifts.c.person == person))
    connection.execute(insert(_lifts).values(person=person, at=at.timestamp()))


def stop(connection: Connection, *, by: str, at: datetime, reason: str) -> None:
    lift(connection)
    connection.execute(insert(_switch).values(by=by, at=at.timestamp(), reason=reason))


def lift(connection: Connection) -> None:
    connection.execute(_switch.delete())
    connection.execute(_lifts.delete())
