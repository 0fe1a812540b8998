"""What was said in Slack and what is asked there, so that a restart neither repeats nor forgets it. Knows no message's text.

A thread is worked on by one process at a time: whoever claims it by compare-and-set, until the claim runs out. An incident that
came in a flood has no message of its own but a line in a summary; the summary has a row too, under a key of its own.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal, cast

from sqlalchemy import Column, Index, Integer, Row, String, Table, Text, case, delete, func, or_, select, update

from agent.store.database import Database
from agent.store.tables import events, metadata, runs

ThreadKind = Literal["thread", "grouped", "summary", "none"]
QuestionState = Literal["open", "done"]

MOST_WATCHED = 2000  # of more threads the oldest are not kept up to date any more

threads = Table(
    "slack_threads",
    metadata,
    Column("run", String(120), primary_key=True),
    Column("kind", String(16), nullable=False),
    Column("summary", String(120), nullable=False, default="", index=True),
    Column("channel", String(40), nullable=False),
    Column("ts", String(40), nullable=False, default=""),
    Column("shown", String(64), nullable=False, default=""),
    Column("filed", Integer, nullable=False, default=0),
    Column("seq", Integer, nullable=False, default=-1),
    Column("opened_at", String(40), nullable=False, index=True),
    Column("owner", String(120), nullable=False, default=""),
    Column("busy_until", String(40), nullable=False, default=""),
)

questions = Table(
    "slack_questions",
    metadata,
    Column("event", String(80), primary_key=True),
    Column("channel", String(40), nullable=False),
    Column("thread", String(40), nullable=False),
    Column("person", String(40), nullable=False),
    Column("text", Text, nullable=False),
    Column("reply", String(40), nullable=False, default=""),
    Column("state", String(16), nullable=False),
    Column("at", String(40), nullable=False),
    Column("owner", String(120), nullable=False, default=""),
    Column("busy_until", String(40), nullable=False, default=""),
)
Index("slack_questions_by_state", questions.c.state, questions.c.at)

_listed = threads.alias("listed")
# How far all runs of a summary are: it grows whenever one is added, begun or ended.
_HOW_FAR = (
    select(func.coalesce(func.sum(case((runs.c.state == "queued", 1), (runs.c.state == "running", 2), else_=3)), 0))
    .select_from(_listed.join(runs, runs.c.id == _listed.c.run))
    .where(_listed.c.kind == "grouped")
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Thread:
    """`run`: the run's id, or the key of a summary. `ts`: Slack's name of the message, "" before it is posted. `shown`: the
    fingerprint of what it shows, `seq` the last event in it; of a summary, how far its runs were. `filed`: chart and report are
    in the thread."""

    run: str
    kind: ThreadKind
    summary: str
    channel: str
    ts: str
    shown: str
    filed: bool
    seq: int
    opened_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A question from Slack. `event` is Slack's id of it, `thread` the ts of the thread's first message, `reply` that of ours."""

    event: str
    channel: str
    thread: str
    person: str
    text: str
    reply: str = ""
    at: datetime | None = None


class SqlSlackBook:
    """Every method raises StoreUnavailable when the database cannot."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def now(self) -> datetime:
        return self._database.now()

    # Threads of incidents

    async def new_runs(self, since: datetime, *, limit: int = 200) -> list[str]:
        """Runs that have no row yet, the oldest first."""
        known = select(threads.c.run).where(threads.c.run == runs.c.id).exists()
        query = select(runs.c.id).where(runs.c.created_at >= _stamp(since), ~known).order_by(runs.c.created_at).limit(limit)
        async with self._database.transaction() as connection:
            return [str(found) for found in (await connection.execute(query)).scalars()]

    async def add(self, run: str, *, kind: ThreadKind, channel: str, most_a_minute: int = 0) -> None:
        """A thread for a run; in a flood, a line in a summary instead."""
        now = self._database.now()
        async with self._database.turn() as connection:
            summary = ""
            if kind == "thread":
                recent = select(func.count()).where(
                    threads.c.kind == "thread", threads.c.opened_at > _stamp(now - timedelta(minutes=1))
                )
                if int((await connection.execute(recent)).scalar_one()) >= most_a_minute:
                    kind = "grouped"
                    open_one = select(threads.c.run).where(
                        threads.c.kind == "summary",
                        threads.c.channel == channel,
                        threads.c.opened_at > _stamp(now - timedelta(minutes=10)),
                    )
                    found = (await connection.execute(open_one.order_by(threads.c.opened_at.desc()))).first()
                    summary = str(found.run) if found else f"summary:{channel}:{int(now.timestamp())}"
                    if found is None:
                        await connection.execute(self._row(summary, "summary", channel, now))
            await connection.execute(self._row(run, kind, channel, now, summary=summary))

    def _row(self, run: str, kind: ThreadKind, channel: str, now: datetime, *, summary: str = "") -> Any:
        values = {"run": run, "kind": kind, "channel": channel, "summary": summary, "opened_at": _stamp(now)}
        rest = {"ts": "", "shown": "", "filed": 0, "seq": -1, "owner": "", "busy_until": ""}
        return self._database.insert(threads).values(values | rest).on_conflict_do_nothing(index_elements=["run"])

    async def changed(self, since: datetime) -> list[Thread]:
        """Threads and summaries about which there is something that they do not say yet; the oldest first."""
        last = func.coalesce(select(func.max(events.c.seq)).where(events.c.run == threads.c.run).scalar_subquery(), 0)
        ended = select(runs.c.id).where(runs.c.id == threads.c.run, runs.c.state == "finished").exists()
        news = (threads.c.kind == "thread") & or_(threads.c.seq != last, (threads.c.filed == 0) & ended)
        how_far = _HOW_FAR.where(_listed.c.summary == threads.c.run).correlate(threads).scalar_subquery()
        moved = (threads.c.kind == "summary") & (threads.c.seq != how_far)
        oldest = select(threads.c.opened_at).order_by(threads.c.opened_at.desc()).offset(MOST_WATCHED).limit(1)
        async with self._database.transaction() as connection:
            cut = (await connection.execute(oldest)).scalar() or ""
            watched = threads.c.opened_at > max(_stamp(since), cut)
            query = select(threads).where(watched, or_(news, moved))
            return [_thread(row) for row in await connection.execute(query.order_by(threads.c.opened_at))]

    async def how_far(self, summary: str) -> int:
        """A number that changes whenever something of a summary's runs does."""
        async with self._database.transaction() as connection:
            return int((await connection.execute(_HOW_FAR.where(_listed.c.summary == summary))).scalar_one())

    async def listed_in(self, summary: str) -> list[str]:
        query = select(threads.c.run).where(threads.c.summary == summary, threads.c.kind == "grouped")
        async with self._database.transaction() as connection:
            return [str(found) for found in (await connection.execute(query.order_by(threads.c.opened_at))).scalars()]

    async def thread(self, run: str) -> Thread | None:
        async with self._database.transaction() as connection:
            found = (await connection.execute(select(threads).where(threads.c.run == run))).first()
        return _thread(found) if found else None

    async def claim(self, run: str, owner: str, *, seconds: float) -> Thread | None:
        """The row as it is now, for `owner` alone until the time runs out; None while another process works on it."""
        now = self._database.now()
        statement = (
            update(threads)
            .where(threads.c.run == run, or_(threads.c.busy_until <= _stamp(now), threads.c.owner == owner))
            .values(owner=owner, busy_until=_stamp(now + timedelta(seconds=seconds)))
        )
        async with self._database.transaction() as connection:
            if (await connection.execute(statement)).rowcount != 1:
                return None
            return _thread((await connection.execute(select(threads).where(threads.c.run == run))).one())

    async def keep(self, run: str, owner: str, *, ts: str, shown: str, filed: bool, seq: int, ended: bool = True) -> None:
        """What is said now; with `ended` the claim is over."""
        values: dict[str, object] = {"ts": ts, "shown": shown, "filed": int(filed), "seq": seq}
        if ended:
            values["busy_until"] = ""
        async with self._database.transaction() as connection:
            await connection.execute(update(threads).where(threads.c.run == run, threads.c.owner == owner).values(values))

    async def release(self, run: str, owner: str) -> None:
        async with self._database.transaction() as connection:
            await connection.execute(update(threads).where(threads.c.run == run, threads.c.owner == owner).values(busy_until=""))

    # Questions

    async def take(self, asked: Asked, *, state: QuestionState = "open") -> bool:
        """Durable before it returns; False when this event was taken before. "done": known, and not to be answered."""
        values = {
            "event": asked.event,
            "channel": asked.channel,
            "thread": asked.thread,
            "person": asked.person,
            "text": asked.text,
            "reply": "",
            "state": state,
            "at": _stamp(self._database.now()),
            "owner": "",
            "busy_until": "",
        }
        statement = self._database.insert(questions).values(values).on_conflict_do_nothing(index_elements=["event"])
        async with self._database.transaction() as connection:
            return (await connection.execute(statement.returning(questions.c.event))).first() is not None

    async def open_questions(self) -> Sequence[Asked]:
        async with self._database.transaction() as connection:
            return [_asked(row) for row in await connection.execute(select(questions).where(questions.c.state == "open"))]

    async def run_of(self, channel: str, ts: str) -> str:
        """The run whose thread this is, "" for none."""
        query = select(threads.c.run).where(threads.c.channel == channel, threads.c.ts == ts, threads.c.kind == "thread")
        async with self._database.transaction() as connection:
            found = (await connection.execute(query)).first()
        return str(found.run) if found else ""

    async def waiting(self, *, limit: int = 100) -> Sequence[Asked]:
        """Questions that nobody answers just now, the oldest first."""
        free = questions.c.busy_until <= _stamp(self._database.now())
        query = select(questions).where(questions.c.state == "open", free).order_by(questions.c.at).limit(limit)
        async with self._database.transaction() as connection:
            return [_asked(row) for row in await connection.execute(query)]

    async def claim_question(self, event: str, owner: str, *, seconds: float) -> Asked | None:
        now = self._database.now()
        free = or_(questions.c.busy_until <= _stamp(now), questions.c.owner == owner)
        statement = (
            update(questions)
            .where(questions.c.event == event, questions.c.state == "open", free)
            .values(owner=owner, busy_until=_stamp(now + timedelta(seconds=seconds)))
        )
        async with self._database.transaction() as connection:
            if (await connection.execute(statement)).rowcount != 1:
                return None
            return _asked((await connection.execute(select(questions).where(questions.c.event == event))).one())

    async def keep_question(self, event: str, *, reply: str = "", state: QuestionState = "open", free: bool = False) -> None:
        values: dict[str, object] = {"state": state}
        if reply:
            values["reply"] = reply
        if free:
            values["busy_until"] = ""
        async with self._database.transaction() as connection:
            await connection.execute(update(questions).where(questions.c.event == event).values(values))

    async def forget(self, before: datetime) -> None:
        """Questions that were answered long ago: Slack sends none of them again."""
        async with self._database.transaction() as connection:
            await connection.execute(delete(questions).where(questions.c.state == "done", questions.c.at < _stamp(before)))


def _thread(row: Row[Any]) -> Thread:
    return Thread(
        run=row.run,
        kind=cast(ThreadKind, row.kind),
        summary=row.summary,
        channel=row.channel,
        ts=row.ts,
        shown=row.shown,
        filed=bool(row.filed),
        seq=row.seq,
        opened_at=datetime.fromisoformat(row.opened_at),
    )


def _asked(row: Row[Any]) -> Asked:
    return Asked(
        event=row.event,
        channel=row.channel,
        thread=row.thread,
        person=row.person,
        text=row.text,
        reply=row.reply,
        at=datetime.fromisoformat(row.at),
    )


def _stamp(at: datetime) -> str:
    """One width, so that texts compare as times do."""
    return at.isoformat(timespec="microseconds")
