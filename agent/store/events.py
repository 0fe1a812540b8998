"""The event log of runs, numbered within each run, so that a stream can be taken up again where it broke."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import Connection, Integer, Row, and_, func, literal, not_, select
from sqlalchemy.sql.expression import exists

from agent.ports.store import RunEvent
from agent.store.database import Database
from agent.store.tables import events, runs
from sidecar.contract import Json


class SqlEventLog:
    """The EventLog. Every method raises StoreUnavailable when the database cannot.

    A stage that runs again after a crash tells its last line again: the same text right after itself is one event.
    """

    def __init__(self, database: Database, *, look_seconds: float = 0.5) -> None:
        self._database = database
        self._look_seconds = look_seconds  # other processes append too; our own appends wake followers at once
        self._appended = asyncio.Event()
        self._listener: Callable[[], None] | None = None

    async def append(self, run: str, stage: str, text: str, data: Mapping[str, Json] | None = None) -> RunEvent:
        def work(connection: Connection) -> RunEvent:
            # Two appends at once would both take the next number; of SQLite's transactions there are no two.
            connection.execute(select(runs.c.id).where(runs.c.id == run).with_for_update())
            append_in(connection, run, stage, text, data or {}, at=self._database.now())
            query = select(events).where(events.c.run == run).order_by(events.c.seq.desc()).limit(1)
            return event_of(connection.execute(query).one())

        appended = await self._database.perform(work, soon=True)
        self.wake()
        return appended

    def wake(self) -> None:
        """Followers look again: something was appended in another transaction, or by another process that says so."""
        self._appended.set()
        if self._listener is not None:
            self._listener()

    def heard_by(self, listener: Callable[[], None]) -> None:
        self._listener = listener

    async def told(self, run: str) -> list[RunEvent]:
        """What there is now, without waiting for more."""
        async with self._database.transaction() as connection:
            query = select(events).where(events.c.run == run).order_by(events.c.seq)
            return [event_of(row) for row in await connection.execute(query)]

    async def follow(self, run: str, *, after: int = 0) -> AsyncIterator[RunEvent]:
        while True:
            self._appended.clear()
            async with self._database.transaction() as connection:
                state = (await connection.execute(select(runs.c.state).where(runs.c.id == run))).scalar()
                query = select(events).where(events.c.run == run, events.c.seq > after).order_by(events.c.seq)
                found = (await connection.execute(query)).all()
            for row in found:
                event = event_of(row)
                after = event.seq
                yield event
            if not found and state in ("finished", None):
                return
            if not found:
                await self._wait()

    async def _wait(self) -> None:
        try:
            async with asyncio.timeout(self._look_seconds):
                await self._appended.wait()
        except TimeoutError:
            return


def append_in(connection: Connection, run: str, stage: str, text: str, data: Mapping[str, Json], *, at: datetime) -> None:
    """Within a transaction of somebody who has the run for themselves."""
    last = select(func.max(events.c.seq)).where(events.c.run == run).scalar_subquery()
    told = exists().where(and_(events.c.run == run, events.c.seq == last, events.c.stage == stage, events.c.text == text))
    row = select(
        literal(run),
        func.coalesce(last, literal(0, Integer)) + 1,
        literal(at.isoformat(timespec="microseconds")),
        literal(stage),
        literal(text),
        literal(orjson.dumps(dict(data)).decode()),
    ).where(not_(told))
    connection.execute(events.insert().from_select(["run", "seq", "at", "stage", "text", "data"], row))


def event_of(found: Row[Any]) -> RunEvent:
    return RunEvent(
        seq=found.seq, at=datetime.fromisoformat(found.at), stage=found.stage, text=found.text, data=orjson.loads(found.data)
    )
