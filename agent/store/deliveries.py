"""What was delivered where, and what is still to be. Knows neither papers nor places, only their names.

A delivery is worked on by one process at a time: whoever claims it by compare-and-set, until the claim runs out.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal, cast

from sqlalchemy import Column, Index, Integer, Row, String, Table, Text, func, select, update

from agent.store.database import Database
from agent.store.tables import metadata, runs

DeliveryState = Literal["due", "delivered", "failed", "unwanted"]

marks = Table("marks", metadata, Column("name", String(120), primary_key=True), Column("at", String(40), nullable=False))

deliveries = Table(
    "deliveries",
    metadata,
    Column("paper", String(120), primary_key=True),
    Column("place", String(80), primary_key=True),
    Column("state", String(16), nullable=False),
    Column("tries", Integer, nullable=False),
    Column("next_at", String(40), nullable=False),
    Column("note", Text, nullable=False, default=""),
    Column("error", Text, nullable=False, default=""),
    Column("updated_at", String(40), nullable=False),
    Column("owner", String(120), nullable=False, default=""),
    Column("busy_until", String(40), nullable=False, default=""),
)
Index("deliveries_by_state", deliveries.c.state, deliveries.c.next_at)


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """`paper`: a run's id, or "summary-..."; `place` by its name. `note` is what the place keeps between two tries."""

    paper: str
    place: str
    state: DeliveryState
    tries: int
    note: str
    error: str


class SqlDeliveryBook:
    """Every method raises StoreUnavailable when the database cannot."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def now(self) -> datetime:
        return self._database.now()

    async def mark(self, name: str) -> datetime:
        """When something of this name was seen first: what ended before that is not its business."""
        row = self._database.insert(marks).values(name=name, at=_stamp(self._database.now()))
        async with self._database.transaction() as connection:
            await connection.execute(row.on_conflict_do_nothing(index_elements=["name"]))
            found = (await connection.execute(select(marks.c.at).where(marks.c.name == name))).scalar_one()
        return datetime.fromisoformat(found)

    async def undelivered(self, place: str, since: datetime, *, limit: int = 200) -> Sequence[str]:
        """Runs that ended since then and that nothing is noted about for this place, the oldest first."""
        known = select(deliveries.c.paper).where(deliveries.c.paper == runs.c.id, deliveries.c.place == place).exists()
        query = select(runs.c.id).where(runs.c.state == "finished", runs.c.updated_at >= _stamp(since), ~known)
        async with self._database.transaction() as connection:
            found = await connection.execute(query.order_by(runs.c.updated_at).limit(limit))
            return [str(run) for run in found.scalars()]

    async def add(self, paper: str, place: str, *, state: DeliveryState = "due") -> None:
        now = _stamp(self._database.now())
        values = {"paper": paper, "place": place, "state": state, "tries": 0, "next_at": now, "updated_at": now}
        row = self._database.insert(deliveries).values(values | {"note": "", "error": "", "owner": "", "busy_until": ""})
        async with self._database.transaction() as connection:
            await connection.execute(row.on_conflict_do_nothing(index_elements=["paper", "place"]))

    async def due(self, *, limit: int = 50) -> Sequence[Delivery]:
        now = _stamp(self._database.now())
        query = select(deliveries).where(deliveries.c.state == "due", deliveries.c.next_at <= now, deliveries.c.busy_until <= now)
        async with self._database.transaction() as connection:
            return [_delivery(row) for row in await connection.execute(query.order_by(deliveries.c.next_at).limit(limit))]

    async def claim(self, delivery: Delivery, owner: str, *, seconds: float) -> Delivery | None:
        now = self._database.now()
        statement = (
            update(deliveries)
            .where(*_is(delivery), deliveries.c.state == "due", deliveries.c.busy_until <= _stamp(now))
            .values(owner=owner, busy_until=_stamp(now + timedelta(seconds=seconds)), tries=deliveries.c.tries + 1)
        )
        async with self._database.transaction() as connection:
            if (await connection.execute(statement)).rowcount != 1:
                return None
            return _delivery((await connection.execute(select(deliveries).where(*_is(delivery)))).one())

    async def keep_note(self, delivery: Delivery, note: str) -> None:
        async with self._database.transaction() as connection:
            await connection.execute(update(deliveries).where(*_is(delivery)).values(note=note))

    async def end(self, delivery: Delivery, state: DeliveryState, *, error: str = "", again_in: float = 0.0) -> None:
        now = self._database.now()
        values = {
            "state": state,
            "error": error,
            "next_at": _stamp(now + timedelta(seconds=again_in)),
            "updated_at": _stamp(now),
            "busy_until": "",
        }
        async with self._database.transaction() as connection:
            await connection.execute(update(deliveries).where(*_is(delivery)).values(values))

    async def retry(self, since: datetime) -> None:
        """What was given up since then is due again."""
        given_up = (deliveries.c.state == "failed") & (deliveries.c.updated_at >= _stamp(since))
        values = {"state": "due", "tries": 0, "next_at": _stamp(self._database.now()), "busy_until": ""}
        async with self._database.transaction() as connection:
            await connection.execute(update(deliveries).where(given_up).values(values))

    async def told(self, paper: str) -> Sequence[Delivery]:
        query = select(deliveries).where(deliveries.c.paper == paper).order_by(deliveries.c.place)
        async with self._database.transaction() as connection:
            return [_delivery(row) for row in await connection.execute(query)]

    async def ended(self, since: datetime, until: datetime, *, limit: int) -> tuple[Sequence[str], int]:
        """Runs that ended in that time, the oldest first, and how many more there are."""
        span = (runs.c.state == "finished") & (runs.c.updated_at >= _stamp(since)) & (runs.c.updated_at < _stamp(until))
        query = select(runs.c.id).where(span).order_by(runs.c.updated_at).limit(limit)
        async with self._database.transaction() as connection:
            found = [str(run) for run in (await connection.execute(query)).scalars()]
            every = int((await connection.execute(select(func.count()).select_from(runs).where(span))).scalar_one())
        return found, max(0, every - len(found))


def _is(delivery: Delivery) -> tuple[Any, Any]:
    return deliveries.c.paper == delivery.paper, deliveries.c.place == delivery.place


def _delivery(row: Row[Any]) -> Delivery:
    return Delivery(
        paper=row.paper,
        place=row.place,
        state=cast(DeliveryState, row.state),
        tries=row.tries,
        note=row.note,
        error=row.error,
    )


def _stamp(at: datetime) -> str:
    """One width, so that texts compare as times do."""
    return at.isoformat(timespec="microseconds")
