"""What is kept no longer: old runs with all that hangs on them, and sooner what only the work on them needed. In SQL.

A run that is not finished is never touched, nor anything of it. Every transaction is small: what comes in meanwhile has to wait
for one of them, and not for all. A process that is killed leaves whole runs behind, or none of them.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    Delete,
    MetaData,
    Select,
    Table,
    Text,
    delete,
    exists,
    func,
    inspect,
    select,
    true,
    tuple_,
)

from agent.store.database import Database
from agent.store.deliveries import deliveries
from agent.store.sessions import sessions, turns
from agent.store.slack import questions, threads
from agent.store.tables import (
    NOT_FINISHED,
    alerts,
    blobs,
    events,
    evidence,
    model_calls,
    model_conclusions,
    model_reservations,
    runs,
)

PORTION = 10  # runs of one transaction: each may hold some megabytes
MANY = 400  # rows of one transaction, where they are small
ANSWERING = timedelta(days=1)  # longer than this nobody works on an answer: whoever did has died
SPENDING = timedelta(days=1)  # what models cost for so long stands in their budget, whosever run it was
INCREMENTAL = 2  # of SQLite's kinds of auto_vacuum, the one that waits until it is told to
PAGES, SPARE = 500, 0.25  # of 4 KB, given back in one transaction; the share of the file's pages that may be free
# Of langgraph's savers, by thread (for us: a run): https://github.com/langchain-ai/langgraph/tree/main/libs
_CHECKPOINTS = ("writes", "checkpoint_writes", "checkpoint_blobs", "checkpoints")


@dataclass(frozen=True, slots=True, kw_only=True)
class Pruned:
    """How many were removed, or would be. `timelines`: runs whose events went while the run and its report stay; `checkpoints`:
    runs whose progress went."""

    runs: int = 0
    timelines: int = 0
    checkpoints: int = 0
    alerts: int = 0
    sessions: int = 0
    texts: int = 0


class SqlRetention:
    """Every method raises StoreUnavailable when the database cannot."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def prune(self, *, before: datetime | None, raw_before: datetime | None, only_count: bool = False) -> Pruned:
        """Remove what ended before `before` (None: nothing), and of what ended before `raw_before` the events, the checkpoints
        and the alerts in the book. `only_count`: nothing is removed."""
        raw_before = max(raw_before, before) if raw_before and before else raw_before or before
        tables = await self._checkpoint_tables()
        old = _ended(before)
        raw = _ended(raw_before)
        with_progress = exists().where(_thread("checkpoints") == runs.c.id)
        with_events = exists().where(events.c.run == runs.c.id)
        found: dict[str, int] = {
            "runs": await self._by_run(old, (*tables, *_OF_RUNS), only_count, whole=True),
            "checkpoints": await self._by_run(raw & ~old & with_progress, tables, only_count) if "checkpoints" in tables else 0,
            "timelines": await self._by_run(raw & ~old & with_events, ("events",), only_count),
            "alerts": await self._alerts(raw_before, only_count),
            "sessions": await self._sessions(before, only_count),
            "texts": await self._texts(raw_before, old, only_count),
        }
        if not only_count:
            await self._rest(before, raw_before)
            await self._shrink()
        return Pruned(**found)

    async def _checkpoint_tables(self) -> tuple[str, ...]:
        async with self._database.transaction() as connection:
            there = set(await connection.run_sync(lambda plain: inspect(plain).get_table_names()))
        return tuple(name for name in _CHECKPOINTS if name in there)

    async def _by_run(self, which: ColumnElement[bool], of: Sequence[str], only_count: bool, *, whole: bool = False) -> int:
        """What the tables `of` hold of these runs; `whole`: and the runs themselves."""
        if only_count:
            return await self._count(select(func.count()).select_from(runs).where(which))
        query = select(runs.c.id).where(which).limit(PORTION).with_for_update(skip_locked=True)
        spent = _stamp(self._database.now() - SPENDING)

        def work(connection: Connection) -> int:
            names = list(connection.execute(query).scalars())
            for name in of:
                place = _thread(name) if name in _CHECKPOINTS else _OF_RUNS[name]
                statement = delete(place.table).where(place.in_(names))
                connection.execute(statement.where(model_calls.c.at < spent) if name == "model_calls" else statement)
            if whole:
                connection.execute(delete(runs).where(runs.c.id.in_(names)))
            return len(names)

        return await self._in_portions(work, PORTION)

    async def _alerts(self, before: datetime | None, only_count: bool) -> int:
        if before is None:
            return 0
        is_open = exists().where(runs.c.id == alerts.c.run, NOT_FINISHED)
        old = (alerts.c.last_seen < _stamp(before)) & ~is_open
        if only_count:
            return await self._count(select(func.count()).select_from(alerts).where(old))
        # What is being written just now is not old any more; to wait for it could be to wait for each other.
        query = select(alerts.c.cluster, alerts.c.fingerprint).where(old).limit(MANY)
        query = query.with_for_update(of=alerts, skip_locked=True)

        def work(connection: Connection) -> int:
            names = [tuple(row) for row in connection.execute(query)]
            if names:
                connection.execute(delete(alerts).where(tuple_(alerts.c.cluster, alerts.c.fingerprint).in_(names)))
            return len(names)

        return await self._in_portions(work, MANY)

    async def _sessions(self, before: datetime | None, only_count: bool) -> int:
        if before is None:
            return 0
        is_open = exists().where(turns.c.session == sessions.c.id, turns.c.state == "open")
        at_work = is_open & (sessions.c.updated_at >= _stamp(self._database.now() - ANSWERING))
        old = (sessions.c.updated_at < _stamp(before)) & ~at_work
        if only_count:
            return await self._count(select(func.count()).select_from(sessions).where(old))
        query = select(sessions.c.id).where(old).limit(PORTION).with_for_update(skip_locked=True)

        def work(connection: Connection) -> int:
            names = list(connection.execute(query).scalars())
            connection.execute(delete(turns).where(turns.c.session.in_(names)))
            connection.execute(delete(sessions).where(sessions.c.id.in_(names)))
            return len(names)

        return await self._in_portions(work, PORTION)

    async def _texts(self, before: datetime | None, going: ColumnElement[bool], only_count: bool) -> int:
        """Those that no run's evidence is, or only that of runs that are `going`, and that nobody put there since the oldest run
        that is not finished began: what such a run has noted of them stands in its checkpoint, where only it can read."""
        if before is None:
            return 0
        async with self._database.transaction() as connection:
            oldest = (await connection.execute(select(func.min(runs.c.created_at)).where(NOT_FINISHED))).scalar()
        since = min(_stamp(before), oldest or _stamp(before))
        is_going = exists().where(runs.c.id == evidence.c.run, going)
        unused = ~exists().where(evidence.c.sha256 == blobs.c.sha256, ~is_going if only_count else true())
        dated = (blobs.c.at < since) if oldest is None else (blobs.c.at < since) & (blobs.c.at != "")
        if only_count:
            return await self._count(select(func.count()).select_from(blobs).where(dated, unused))
        async with self._database.transaction() as connection:  # read beside all that is written; gone through once
            names = list((await connection.execute(select(blobs.c.sha256).where(dated, unused))).scalars())
        removed = 0
        for start in range(0, len(names), MANY):
            portion = select(blobs.c.sha256).where(blobs.c.sha256.in_(names[start : start + MANY]), dated, unused)
            removed += await self._database.perform(partial(_delete_texts, portion.with_for_update(skip_locked=True)), soon=True)
        return removed

    async def _rest(self, before: datetime | None, raw_before: datetime | None) -> None:
        """Small rows that no count tells of."""
        statements = []
        if before is not None:
            at = _stamp(before)
            paid = min(at, _stamp(self._database.now() - SPENDING))
            no_run = ~exists().where(runs.c.id == model_calls.c.run)
            statements += [
                delete(model_calls).where(model_calls.c.at < paid, no_run),
                delete(deliveries).where(deliveries.c.updated_at < at, ~exists().where(runs.c.id == deliveries.c.paper)),
                delete(threads).where(threads.c.opened_at < at, ~exists().where(runs.c.id == threads.c.run)),
                delete(questions).where(questions.c.at < at, questions.c.state == "done"),
            ]
        if raw_before is not None:
            statements.append(delete(model_conclusions).where(model_conclusions.c.at < _stamp(raw_before)))
        for statement in statements:
            await self._execute(statement)

    async def _shrink(self) -> None:
        """A SQLite file gives back what it has too much of, in portions too. A part of it stays free, for the next runs."""
        given = 0 if self._database.is_shared else 1
        while given:
            given = await self._database.perform(_given_back, soon=True)
            await asyncio.sleep(0)

    async def _execute(self, statement: Delete) -> int:
        return await self._database.perform(lambda connection: connection.execute(statement).rowcount, soon=True)

    async def _in_portions(self, work: Callable[[Connection], int], most: int) -> int:
        removed = 0
        while True:
            done = await self._database.perform(work, soon=True)
            removed += done
            if done < most:
                return removed
            await asyncio.sleep(0)

    async def _count(self, query: Select[int]) -> int:
        async with self._database.transaction() as connection:
            return (await connection.execute(query)).scalar_one()


# The columns that say whose a row is; what points at runs by a key stands before them.
_OF_RUNS = {
    "events": events.c.run,
    "evidence": evidence.c.run,
    "model_calls": model_calls.c.run,
    "model_reservations": model_reservations.c.run,
    "deliveries": deliveries.c.paper,
    "slack_threads": threads.c.run,
}


def _delete_texts(which: Select[str], connection: Connection) -> int:
    """As with alerts: what is being put there again just now stays."""
    names = list(connection.execute(which).scalars())
    return connection.execute(delete(blobs).where(blobs.c.sha256.in_(names))).rowcount if names else 0


def _given_back(connection: Connection) -> int:
    """Pages. https://www.sqlite.org/pragma.html#pragma_incremental_vacuum"""
    pages, free, kind = (
        int(connection.exec_driver_sql(f"PRAGMA {name}").scalar() or 0)
        for name in ("page_count", "freelist_count", "auto_vacuum")
    )
    if kind != INCREMENTAL or free <= max(PAGES, pages * SPARE):
        return 0
    cursor = connection.connection.cursor()
    cursor.execute(f"PRAGMA incremental_vacuum({PAGES})")
    cursor.fetchall()  # a page each: it goes on for as long as it is asked
    cursor.close()
    return free - int(connection.exec_driver_sql("PRAGMA freelist_count").scalar() or 0)


def _ended(before: datetime | None) -> ColumnElement[bool]:
    return (runs.c.state == "finished") & (runs.c.updated_at < (_stamp(before) if before else ""))


def _thread(name: str) -> Column[str]:
    return Table(name, MetaData(), Column("thread_id", Text)).c.thread_id


def _stamp(at: datetime) -> str:
    """One width, so that texts compare as times do."""
    return at.isoformat(timespec="microseconds")
