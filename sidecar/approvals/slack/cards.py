"""Which plan has which card, in the database. Every function works inside the caller's transaction.

A card is worked on by one sidecar at a time: whoever claims it by compare-and-set, until the claim runs out. A plan that
came in a flood has no card of its own but a line in a summary; so has the summary a row, under a key of its own.
Times are seconds since the epoch.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from sqlalchemy import Column, Connection, Float, Integer, MetaData, RowMapping, Table, Text, func, insert, select, update
from sqlalchemy.exc import IntegrityError

Kind = Literal["card", "grouped", "summary"]
metadata = MetaData()

_cards = Table(
    "slack_cards",
    metadata,
    Column("plan", Text, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("summary", Text, nullable=False, index=True),
    Column("channel", Text, nullable=False),
    Column("ts", Text, nullable=False),
    Column("shown", Text, nullable=False),
    Column("filed", Integer, nullable=False),
    Column("over", Integer, nullable=False, index=True),
    Column("asked_at", Float, nullable=False),
    Column("owner", Text, nullable=False),
    Column("busy_until", Float, nullable=False),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """`plan`: its digest, or the key of a summary. `ts`: Slack's name of the message in its channel, "" before it is posted.
    `shown`: fingerprint of what it shows. `summary`: where a grouped plan is listed. `filed`: the whole was uploaded."""

    plan: str
    kind: Kind
    summary: str
    channel: str
    ts: str
    shown: str
    filed: bool
    over: bool
    asked_at: float


def add(connection: Connection, plan: str, *, kind: Kind, channel: str, now: datetime, summary: str = "") -> bool:
    """False when it has a row already: somebody else was faster."""
    values = {
        "plan": plan,
        "kind": kind,
        "summary": summary,
        "channel": channel,
        "ts": "",
        "shown": "",
        "filed": 0,
        "over": 0,
        "asked_at": now.timestamp(),
        "owner": "",
        "busy_until": 0.0,
    }
    try:
        with connection.begin_nested():
            connection.execute(insert(_cards).values(**values))
    except IntegrityError:
        return False
    return True


def get(connection: Connection, plan: str) -> Row | None:
    row = connection.execute(select(_cards).where(_cards.c.plan == plan)).mappings().first()
    return _row(row) if row is not None else None


def without_row(connection: Connection, plans: Sequence[str]) -> list[str]:
    known = set(connection.execute(select(_cards.c.plan).where(_cards.c.plan.in_(plans))).scalars())
    return [plan for plan in plans if plan not in known]


def unfinished(connection: Connection) -> list[Row]:
    """The oldest first."""
    query = select(_cards).where(_cards.c.over == 0).order_by(_cards.c.asked_at)
    return [_row(row) for row in connection.execute(query).mappings()]


def listed_in(connection: Connection, summary: str) -> list[Row]:
    query = select(_cards).where(_cards.c.summary == summary, _cards.c.kind == "grouped").order_by(_cards.c.asked_at)
    return [_row(row) for row in connection.execute(query).mappings()]


def asked_since(connection: Connection, since: float) -> int:
    """How many cards of their own were begun since then."""
    query = select(func.count()).where(_cards.c.kind == "card", _cards.c.asked_at > since)
    return int(connection.execute(query).scalar_one())


def latest_summary(connection: Connection, channel: str, since: float) -> str | None:
    query = select(_cards.c.plan).where(_cards.c.kind == "summary", _cards.c.channel == channel, _cards.c.asked_at > since)
    found = connection.execute(query.order_by(_cards.c.asked_at.desc())).first()
    return str(found.plan) if found is not None else None


def reopen(connection: Connection, plan: str) -> None:
    """There is something to show again, such as a further plan in a summary."""
    connection.execute(update(_cards).where(_cards.c.plan == plan).values(over=0, shown=""))


def close(connection: Connection, plan: str) -> None:
    connection.execute(update(_cards).where(_cards.c.plan == plan).values(over=1))


def unfolded_from(connection: Connection, summary: str) -> int:
    """How many plans of a summary were given a card since."""
    query = select(func.count()).where(_cards.c.summary == summary, _cards.c.kind == "card")
    return int(connection.execute(query).scalar_one())


def unfold(connection: Connection, plan: str) -> bool:
    """A grouped plan gets a card of its own; False when it has one."""
    changed = connection.execute(update(_cards).where(_cards.c.plan == plan, _cards.c.kind == "grouped").values(kind="card"))
    return changed.rowcount == 1


def claim(connection: Connection, plan: str, *, owner: str, now: datetime, seconds: float) -> Row | None:
    """The row as it is now, for `owner` alone until the time runs out; None while somebody works on it."""
    at = now.timestamp()
    free = _cards.c.busy_until <= at
    values = {"owner": owner, "busy_until": at + seconds}
    changed = connection.execute(update(_cards).where(_cards.c.plan == plan, free).values(**values))
    return get(connection, plan) if changed.rowcount == 1 else None


def keep(connection: Connection, plan: str, *, owner: str, ts: str, shown: str, over: bool, filed: bool) -> None:
    """What was posted; the claim ends."""
    values = {"ts": ts, "shown": shown, "over": int(over), "filed": int(filed), "busy_until": 0.0}
    connection.execute(update(_cards).where(_cards.c.plan == plan, _cards.c.owner == owner).values(**values))


def release(connection: Connection, plan: str, *, owner: str) -> None:
    connection.execute(update(_cards).where(_cards.c.plan == plan, _cards.c.owner == owner).values(busy_until=0.0))


def _row(row: RowMapping) -> Row:
    return Row(
        plan=row["plan"],
        kind=row["kind"],
        summary=row["summary"],
        channel=row["channel"],
        ts=row["ts"],
        shown=row["shown"],
        filed=bool(row["filed"]),
        over=bool(row["over"]),
        asked_at=row["asked_at"],
    )
