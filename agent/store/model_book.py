"""What was asked of models, in SQL: answers by run and request, a day's sum, what is reserved of it, and conclusions by finding
fingerprint."""

from datetime import datetime

from sqlalchemy import Connection, func, select, text, union_all

from agent.ports.model import PaidCall, Spent
from agent.store.database import Database
from agent.store.tables import model_calls, model_conclusions, model_reservations

_ALONE = text("SELECT pg_advisory_xact_lock(6114095)")


class SqlModelBook:
    """The ModelBook. Every method raises StoreUnavailable when the database cannot."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def paid(self, run: str, request: str) -> str | None:
        query = select(model_calls.c.reply).where(model_calls.c.run == run, model_calls.c.request == request)
        async with self._database.transaction() as connection:
            found = (await connection.execute(query)).scalar()
        return None if found is None else str(found)

    async def enter(self, call: PaidCall) -> None:
        values = {
            "run": call.run,
            "request": call.request,
            "reply": call.reply,
            "tokens": call.tokens,
            "cost": call.cost,
            "at": _stamp(self._database.now()),
        }
        keep = self._database.insert(model_calls).values(values).on_conflict_do_nothing()  # the first answer stands

        def work(connection: Connection) -> None:
            connection.execute(model_reservations.delete().where(model_reservations.c.run == call.run))
            connection.execute(keep)

        await self._database.perform(work)

    async def spent_since(self, since: datetime) -> Spent:
        async with self._database.transaction() as connection:
            return await connection.run_sync(_spent, since)

    async def reserve(self, run: str, wanted: Spent, *, most: Spent, since: datetime, until: datetime) -> bool:
        theirs = model_reservations.c
        over = (theirs.run == run) | (theirs.until <= _stamp(self._database.now()))
        row = {"run": run, "tokens": wanted.tokens, "cost": wanted.cost, "until": _stamp(until)}

        def work(connection: Connection) -> bool:
            if self._database.is_shared:
                connection.execute(_ALONE)
            # SQLite lets one write at a time, and whoever has begun to write reads what nobody changes until the end.
            connection.execute(model_reservations.delete().where(over))
            taken = _taken(connection, since)
            if taken.tokens + wanted.tokens > most.tokens or taken.cost + wanted.cost > most.cost:
                return False
            connection.execute(model_reservations.insert().values(row))
            return True

        return await self._database.perform(work)

    async def give_back(self, run: str) -> None:
        statement = model_reservations.delete().where(model_reservations.c.run == run)
        await self._database.perform(lambda connection: connection.execute(statement).rowcount)

    async def concluded(self, fingerprint: str, since: datetime) -> str | None:
        query = select(model_conclusions.c.text).where(
            model_conclusions.c.fingerprint == fingerprint, model_conclusions.c.at >= _stamp(since)
        )
        async with self._database.transaction() as connection:
            found = (await connection.execute(query)).scalar()
        return None if found is None else str(found)

    async def conclude(self, fingerprint: str, text: str) -> None:
        values = {"fingerprint": fingerprint, "text": text, "at": _stamp(self._database.now())}
        insert = self._database.insert(model_conclusions).values(values)
        kept = {name: insert.excluded[name] for name in ("text", "at")}
        statement = insert.on_conflict_do_update(index_elements=["fingerprint"], set_=kept)
        await self._database.perform(lambda connection: connection.execute(statement).rowcount)


def _spent(connection: Connection, since: datetime) -> Spent:
    query = select(func.sum(model_calls.c.tokens), func.sum(model_calls.c.cost)).where(model_calls.c.at >= _stamp(since))
    tokens, cost = connection.execute(query).one()
    return Spent(tokens=int(tokens or 0), cost=float(cost or 0.0))


def _taken(connection: Connection, since: datetime) -> Spent:
    """What is spent and what is reserved, in one statement: an answer that comes between two would be in neither."""
    spent = select(model_calls.c.tokens, model_calls.c.cost).where(model_calls.c.at >= _stamp(since))
    both = union_all(spent, select(model_reservations.c.tokens, model_reservations.c.cost)).subquery()
    tokens, cost = connection.execute(select(func.sum(both.c.tokens), func.sum(both.c.cost))).one()
    return Spent(tokens=int(tokens or 0), cost=float(cost or 0.0))


def _stamp(at: datetime) -> str:
    """One width, so that texts compare as times do."""
    return at.isoformat(timespec="microseconds")
