"""The event log of runs, numbered within each run, so that a stream can be taken up again where it broke."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import Connection, Insert, Integer, Row, String, and_, bindparam, func, literal, not_, select
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
            if self._database.is_shared:  # two appends at once would both take the next number; SQLite has no two
                connection.execute(_HELD, {"of": run})
            append_in(connection, run, stage, text, data or {}, at=self._database.now())
            return event_of(connection.execute(_LATEST, {"of": run}).one())

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


def _appending() -> Insert:
    """Put together once: to do so took longer than to carry it out, while nobody else may write."""
    of, by, words = (bindparam(name, type_=String) for name in ("of", "by", "words"))
    last = select(func.max(events.c.seq)).where(events.c.run == of).scalar_subquery()
    told = exists().where(and_(events.c.run == of, events.c.seq == last, events.c.stage == by, events.c.text == words))
    at, kept = bindparam("told_at", type_=String), bindparam("kept", type_=String)
    row = select(of, func.coalesce(last, literal(0, Integer)) + 1, at, by, words, kept).where(not_(told))
    return events.insert().from_select(["run", "seq", "at", "stage", "text", "data"], row)


_APPEND = _appending()
_LATEST = select(events).where(events.c.run == bindparam("of")).order_by(events.c.seq.desc()).limit(1)
_HELD = select(runs.c.id).where(runs.c.id == bindparam("of")).with_for_update()


def append_in(connection: Connection, run: str, stage: str, text: str, data: Mapping[str, Json], *, at: datetime) -> None:
    """Within a transaction of somebody who has the run for themselves."""
    stamp, kept = at.isoformat(timespec="microseconds"), orjson.dumps(dict(data)).decode()
    connection.execute(_APPEND, {"of": run, "told_at": stamp, "by": stage, "words": text, "kept": kept})


def event_of(found: Row[Any]) -> RunEvent:
    return RunEvent(
        seq=found.seq, at=datetime.fromisoformat(found.at), stage=found.stage, text=found.text, data=orjson.loads(found.data)
    )
