"""Silences that were asked for and have not come to their end. Knows neither wishes nor plans, only their documents.

Each is worked on by one process at a time, whoever claims it by compare-and-set, until the claim runs out; at its end it is
gone from here: what came of it stands in the events of its run.
"""

import secrets
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import cast

import orjson
from sqlalchemy import Column, Connection, String, Table, Text, delete, func, select, update

from agent.ports.store import RunRow
from agent.store.database import Database
from agent.store.runs import ROW, row_of
from agent.store.tables import metadata, runs
from sidecar.contract import Json

TOO_OLD = timedelta(days=1)
STILL_NEWS = timedelta(hours=1)  # a run that ended longer ago says nothing of what fires now

asked_silences = Table(
    "asked_silences",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("cluster", Text, nullable=False),
    Column("run", String(80), nullable=False),
    Column("wish", Text, nullable=False),
    Column("plans", Text, nullable=False),
    Column("asked_at", String(40), nullable=False),
    Column("owner", String(120), nullable=False),
    Column("busy_until", String(40), nullable=False),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class AskedSilence:
    """`plans` is empty until they were made: with them it is gone on with, and people are not asked a second time."""

    id: str
    run: str
    wish: Json
    plans: tuple[Json, ...] = ()


class SqlSilenceBook:
    """Every method raises StoreUnavailable when the database cannot."""

    def __init__(self, database: Database, cluster: str) -> None:
        self._database = database
        self._cluster = cluster

    async def add(self, run: str, wish: Json, *, owner: str = "", seconds: float = 0.0) -> AskedSilence:
        """Claimed by `owner` for so long; by nobody without one."""
        asked = AskedSilence(id=f"silence-{secrets.token_hex(6)}", run=run, wish=wish)
        values = self._values(asked, owner, seconds)
        await self._write(lambda connection: connection.execute(asked_silences.insert().values(values)).rowcount)
        return asked

    async def unasked(self, outcomes: Collection[str], *, limit: int) -> Sequence[RunRow]:
        """Runs of alerts that ended so of late, and that `ask` was not told of yet."""
        ended = (runs.c.state == "finished") & (runs.c.updated_at >= _stamp(self._database.now() - STILL_NEWS))
        of_alerts = (runs.c.cluster == self._cluster) & (runs.c.group_key != "") & (runs.c.silence_asked == 0)
        query = select(*ROW).where(ended, of_alerts, runs.c.outcome.in_(sorted(outcomes))).order_by(runs.c.updated_at)
        async with self._database.transaction() as connection:
            return [row_of(found) for found in await connection.execute(query.limit(limit))]

    async def ask(self, run: str, wish: Json | None) -> bool:
        """For a run that has ended, once, with or without a wish: kept with it, or not at all. False where it was done."""
        values = self._values(AskedSilence(id=f"silence-{secrets.token_hex(6)}", run=run, wish=wish), "", 0.0)
        first = update(runs).where(runs.c.id == run, runs.c.silence_asked == 0).values(silence_asked=1)

        def work(connection: Connection) -> int:
            if not connection.execute(first).rowcount:
                return 0
            if wish is not None:
                connection.execute(asked_silences.insert().values(values))
            return 1

        return await self._write(work)

    async def take(self, owner: str, *, seconds: float, most: int) -> Sequence[AskedSilence]:
        """The oldest of those that nobody works on, claimed by `owner`; whoever asked too long ago does not wait any more."""
        now = self._database.now()
        free = (asked_silences.c.cluster == self._cluster) & (asked_silences.c.busy_until < _stamp(now))
        query = select(asked_silences).where(free).order_by(asked_silences.c.asked_at).limit(most)
        old = (asked_silences.c.asked_at < _stamp(now - TOO_OLD)) & free
        held = {"owner": owner, "busy_until": _stamp(now + timedelta(seconds=seconds))}

        def work(connection: Connection) -> list[AskedSilence]:
            taken = []
            connection.execute(delete(asked_silences).where(old))
            for row in connection.execute(query).all():
                claim = update(asked_silences).where(asked_silences.c.id == row.id, free).values(held)
                if connection.execute(claim).rowcount == 1:
                    plans = tuple(cast("list[Json]", orjson.loads(row.plans)))
                    taken.append(AskedSilence(id=row.id, run=row.run, wish=orjson.loads(row.wish), plans=plans))
            return taken

        async with self._database.transaction() as connection:  # most looks find nothing, and write nothing
            if not (await connection.execute(select(func.count()).select_from(asked_silences).where(free))).scalar_one():
                return []
        return await self._database.perform(work)

    async def hold(self, asked: str, owner: str, *, seconds: float) -> bool:
        """Claimed for so long from now on (0: given back). False when another has it, or it is at its end."""
        until = _stamp(self._database.now() + timedelta(seconds=seconds)) if seconds else ""
        mine = (asked_silences.c.id == asked) & (asked_silences.c.owner == owner)
        return await self._write(
            lambda connection: connection.execute(update(asked_silences).where(mine).values(busy_until=until)).rowcount
        )

    async def keep(self, asked: str, plans: Sequence[Json]) -> None:
        text = orjson.dumps(list(plans)).decode()
        one = update(asked_silences).where(asked_silences.c.id == asked).values(plans=text)
        await self._write(lambda connection: connection.execute(one).rowcount)

    async def end(self, asked: str) -> None:
        await self._write(
            lambda connection: connection.execute(delete(asked_silences).where(asked_silences.c.id == asked)).rowcount
        )

    def _values(self, asked: AskedSilence, owner: str, seconds: float) -> dict[str, str]:
        now = self._database.now()
        return {
            "id": asked.id,
            "cluster": self._cluster,
            "run": asked.run,
            "wish": orjson.dumps(asked.wish).decode(),
            "plans": "[]",
            "asked_at": _stamp(now),
            "owner": owner,
            "busy_until": _stamp(now + timedelta(seconds=seconds)) if owner else "",
        }

    async def _write(self, work: Callable[[Connection], int]) -> bool:
        return await self._database.perform(work) == 1


def _stamp(at: datetime) -> str:
    """One width, so that texts compare as times do."""
    return at.isoformat(timespec="microseconds")
