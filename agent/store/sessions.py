"""Conversations in SQL. Knows nothing of what a turn means."""

import secrets
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import Column, ForeignKey, Index, Integer, Row, String, Table, Text, delete, func, select, text, update
from sqlalchemy.exc import IntegrityError

from agent.domain.document import from_document, to_document
from agent.domain.session import OPENING, Marked, Reply, Session, Thread, Turn, TurnState
from agent.store.database import Database
from agent.store.tables import metadata

MOST_SESSIONS = 2000
MOST_TURNS = 100  # of one session: what is older is forgotten
LONGEST_TITLE = 80

sessions = Table(
    "chat_sessions",
    metadata,
    Column("id", String(80), primary_key=True),
    Column("asked_by", Text, nullable=False),
    Column("cluster", Text, nullable=False),
    Column("title", Text, nullable=False),
    Column("thread", Text, nullable=False),
    Column("key", String(64), nullable=False, default=""),
    Column("created_at", String(40), nullable=False),
    Column("updated_at", String(40), nullable=False),
)
Index("sessions_by_key", sessions.c.key)
Index("sessions_by_use", sessions.c.updated_at)

turns = Table(
    "chat_turns",
    metadata,
    Column("session", String(80), ForeignKey("chat_sessions.id"), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("at", String(40), nullable=False),
    Column("said", Text, nullable=False),
    Column("meant", Text, nullable=False, default=""),
    Column("run", String(80), nullable=False, default=""),
    Column("state", String(16), nullable=False),
    Column("reply", Text, nullable=True),
    Column("thread", Text, nullable=False, default=""),
    Column("key", String(64), nullable=False, default=""),
)
Index("turns_by_key", turns.c.key)
# One open turn of a session: the database decides, so that two questions at once cannot both begin.
Index(
    "one_open_turn_per_session",
    turns.c.session,
    unique=True,
    sqlite_where=text("state = 'open'"),
    postgresql_where=text("state = 'open'"),
)


class SqlSessionStore:
    """The SessionStore."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def open(self, *, asked_by: str, cluster: str, title: str) -> Session:
        now = self._database.now()
        made = Session(
            id=f"{OPENING}-{secrets.token_hex(8)}",
            asked_by=asked_by,
            cluster=cluster,
            title=title[:LONGEST_TITLE],
            created_at=now,
            updated_at=now,
        )
        values = {
            "id": made.id,
            "asked_by": made.asked_by,
            "cluster": made.cluster,
            "title": made.title,
            "thread": _dump(made.thread),
            "key": "",
            "created_at": _stamp(now),
            "updated_at": _stamp(now),
        }
        async with self._database.transaction() as connection:
            await connection.execute(sessions.insert().values(values))
            busy = select(turns.c.session).where(turns.c.state == "open")
            oldest = select(sessions.c.id).where(sessions.c.id.not_in(busy)).order_by(sessions.c.updated_at.desc())
            gone = [row.id for row in await connection.execute(oldest.offset(MOST_SESSIONS).limit(100))]
            if gone:
                await connection.execute(delete(turns).where(turns.c.session.in_(gone)))
                await connection.execute(delete(sessions).where(sessions.c.id.in_(gone)))
        return made

    async def load(self, session: str) -> Session | None:
        said = select(turns).where(turns.c.session == session).order_by(turns.c.number)
        async with self._database.transaction() as connection:
            found = (await connection.execute(select(sessions).where(sessions.c.id == session))).first()
            told = (await connection.execute(said)).all() if found else []
        return _session(found, [_turn(row) for row in told]) if found else None

    async def listed(self, *, asked_by: str, limit: int) -> Sequence[Session]:
        query = select(sessions).where(sessions.c.asked_by == asked_by)
        async with self._database.transaction() as connection:
            found = (await connection.execute(query.order_by(sessions.c.updated_at.desc(), sessions.c.id).limit(limit))).all()
        return [_session(row, []) for row in found]

    async def begin(self, session: str, said: str) -> Turn | None:
        now = _stamp(self._database.now())
        async with self._database.transaction() as connection:
            await connection.execute(update(sessions).where(sessions.c.id == session).values(updated_at=now))
            last = select(func.max(turns.c.number)).where(turns.c.session == session)
            number = ((await connection.execute(last)).scalar() or 0) + 1
            values = {"session": session, "number": number, "at": now, "said": said, "meant": "", "run": "", "state": "open"}
            values |= {"thread": "", "key": ""}
            try:
                async with connection.begin_nested():
                    await connection.execute(turns.insert().values(values))
            except IntegrityError:
                return None
            old = (turns.c.session == session) & (turns.c.number <= number - MOST_TURNS)
            await connection.execute(delete(turns).where(old))
        return Turn(number=number, at=datetime.fromisoformat(now), said=said, state="open")

    async def note(self, session: str, number: int, *, meant: str, run: str) -> None:
        async with self._database.transaction() as connection:
            await connection.execute(update(turns).where(_is(session, number)).values(meant=meant, run=run))

    async def end(self, session: str, number: int, state: TurnState, reply: Reply, thread: Thread) -> None:
        ended = {"state": state, "reply": _dump(reply), "run": reply.run, "meant": reply.meant, "thread": _dump(thread)}
        now = _stamp(self._database.now())
        async with self._database.transaction() as connection:
            await connection.execute(update(turns).where(_is(session, number), turns.c.state == "open").values(ended))
            kept = {"thread": _dump(thread), "updated_at": now}
            await connection.execute(update(sessions).where(sessions.c.id == session).values(kept))

    async def forget(self, session: str) -> None:
        async with self._database.transaction() as connection:
            await connection.execute(delete(turns).where(turns.c.session == session))
            await connection.execute(delete(sessions).where(sessions.c.id == session))

    async def named(self, key: str, *, asked_by: str) -> str:
        query = select(sessions.c.id).where(sessions.c.key == key, sessions.c.asked_by == asked_by)
        async with self._database.transaction() as connection:
            found = (await connection.execute(query.order_by(sessions.c.updated_at.desc()).limit(1))).scalar()
        return str(found) if found else ""

    async def name(self, session: str, key: str) -> None:
        async with self._database.transaction() as connection:
            await connection.execute(update(sessions).where(sessions.c.id == session).values(key=key))

    async def mark(self, session: str, number: int, key: str) -> None:
        async with self._database.transaction() as connection:
            await connection.execute(update(turns).where(_is(session, number)).values(key=key))

    async def marked(self, key: str, *, asked_by: str) -> Marked | None:
        query = (
            select(turns.c.session, turns.c.number, turns.c.thread)
            .join(sessions, sessions.c.id == turns.c.session)
            .where(turns.c.key == key, sessions.c.asked_by == asked_by, turns.c.thread != "")
            .order_by(turns.c.at.desc())
            .limit(1)
        )
        async with self._database.transaction() as connection:
            found = (await connection.execute(query)).first()
            if found is None:
                return None
            last = select(func.max(turns.c.number)).where(turns.c.session == found.session)
            number = (await connection.execute(last)).scalar()
        thread = from_document(Thread, orjson.loads(found.thread))
        return Marked(session=found.session, thread=thread, is_last=number == found.number)


def _is(session: str, number: int) -> Any:
    return (turns.c.session == session) & (turns.c.number == number)


def _session(row: Row[Any], told: Sequence[Turn]) -> Session:
    return Session(
        id=row.id,
        asked_by=row.asked_by,
        cluster=row.cluster,
        title=row.title,
        created_at=datetime.fromisoformat(row.created_at),
        updated_at=datetime.fromisoformat(row.updated_at),
        thread=from_document(Thread, orjson.loads(row.thread)),
        turns=tuple(told),
    )


def _turn(row: Row[Any]) -> Turn:
    return Turn(
        number=row.number,
        at=datetime.fromisoformat(row.at),
        said=row.said,
        state=row.state,
        meant=row.meant,
        run=row.run,
        reply=from_document(Reply, orjson.loads(row.reply)) if row.reply else None,
    )


def _dump(noun: Reply | Thread) -> str:
    return orjson.dumps(to_document(noun)).decode()


def _stamp(at: datetime) -> str:
    """One width, so that texts compare as times do."""
    return at.isoformat(timespec="microseconds")
