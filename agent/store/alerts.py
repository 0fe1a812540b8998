"""The book of alerts in SQL, and the runs that alerts open and join. Knows nothing of why an alert goes where it goes."""

import asyncio
import secrets
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import Any

import orjson
from sqlalchemy import Connection, func, select, update

from agent.domain.alerting import NEW, OVERFLOW, KnownAlert, Placement, Taken
from agent.domain.document import from_document, to_document
from agent.domain.incident import Alert, Incident
from agent.ports.alerts import Decide, Fold
from agent.store.alert_rows import PORTION, ROWS, alert_of, known_of, open_runs, place_of
from agent.store.alert_words import held_by, lines_of, names_of
from agent.store.database import Database, is_away
from agent.store.events import SqlEventLog, append_in
from agent.store.tables import alerts as book
from agent.store.tables import runs

TOGETHER = 64  # notifications of one transaction
UNHEARD = 2  # tries, one after the other, that the database does not answer
TOLD = 50  # events of one run that tell of alerts; then one says that the book has the rest
KEYS = 300  # words that say where a run's alerts are

_TOLD_OF = select(runs.c.state, runs.c.told, runs.c.incident, runs.c.place, runs.c.priority)


@dataclass(frozen=True, slots=True)
class _Asked:
    """One notification that waits for its transaction."""

    cluster: str
    alerts: tuple[Alert, ...]
    group_key: str
    decide: Decide
    taken: "asyncio.Future[Taken]"


class SqlAlertBook:
    """The AlertBook. Every method raises StoreUnavailable when the database cannot."""

    def __init__(self, database: Database, events: SqlEventLog) -> None:
        self._database = database
        self._events = events
        self._asked: list[_Asked] = []
        self._keeping: asyncio.Task[None] | None = None
        insert = database.insert(book)
        kept = ("name", "severity", "labels", "group_key", "state", "starts_at", "last_seen", "done", "why", "run")
        self._put = insert.on_conflict_do_update(
            index_elements=["cluster", "fingerprint"],
            set_={**{name: insert.excluded[name] for name in kept}, "times": book.c.times + 1},
        )

    async def take(self, cluster: str, alerts: Sequence[Alert], group_key: str, decide: Decide) -> Taken:
        once = tuple({alert.fingerprint: alert for alert in alerts}.values())
        asked = _Asked(cluster, once, group_key, decide, asyncio.get_running_loop().create_future())
        self._asked.append(asked)
        if self._keeping is None or self._keeping.done():
            self._keeping = asyncio.create_task(self._keep())
        return await asked.taken

    async def rehearse(self, cluster: str, notifications: Sequence[Sequence[Alert]], group_key: str, decide: Decide) -> None:
        """As if these had come, one after the other, and nothing of it stays: what is opened and put together for the first time,
        the first alert of a storm shall not wait for."""

        def work(connection: Connection) -> None:
            with connection.begin_nested() as all_of_it:
                for asked in given:
                    self._take_all(connection, together=[asked])
                all_of_it.rollback()

        loop = asyncio.get_running_loop()
        given = [_Asked(cluster, tuple(alerts), group_key, decide, loop.create_future()) for alerts in notifications]
        await self._database.perform(work, alone=True)

    async def _keep(self) -> None:
        """What comes in while a transaction is on its way goes into the next one together: one commit is one wait for a disk."""
        size, unheard = TOGETHER, 0
        while self._asked:
            together, self._asked = self._asked[:size], self._asked[size:]
            try:
                taken = await self._database.perform(partial(self._take_all, together=together), alone=True, first=True)
            except Exception as exc:  # noqa: BLE001  whatever it is, whoever asked is told
                if len(together) > 1:  # one that cannot be kept takes no other with it
                    size = 1
                    self._asked = [*together, *self._asked]
                    continue
                unheard = unheard + 1 if is_away(exc) else 0
                if unheard >= UNHEARD:  # it is the database: who waits behind would wait for each try, and be told the same
                    together, self._asked = [*together, *self._asked], []
                for asked in together:
                    if not asked.taken.done():
                        asked.taken.set_exception(exc)
                continue
            unheard = 0
            self._events.wake()
            for asked, found in zip(together, taken, strict=True):
                if not asked.taken.done():
                    asked.taken.set_result(found)

    def _take_all(self, connection: Connection, together: Sequence["_Asked"]) -> list[Taken]:
        """In a storm most is said again: what only repeats is looked up and counted all at once."""
        now = self._database.now()
        clusters = {asked.cluster: [one.fingerprint for other in together for one in other.alerts] for asked in together}
        known = {cluster: known_of(connection, cluster, list(dict.fromkeys(all_))) for cluster, all_ in clusters.items()}
        repeated: list[tuple[_Asked, Sequence[Placement]]] = []
        taken: list[Taken | None] = []
        changed: set[tuple[str, str]] = set()  # by what came before it: that is not what is known
        for asked in together:
            placed = asked.decide(asked.alerts, known[asked.cluster], None, now)
            about = {(asked.cluster, one.fingerprint) for one in asked.alerts}
            if placed is None or not changed.isdisjoint(about) or not all(one.repeats for one in placed):
                changed |= about
                taken.append(None)
                continue
            taken.append(_taken(placed, ()))
            repeated.append((asked, placed))
        self._write(connection, repeated, now)
        return [done or self._take(connection, asked, now) for asked, done in zip(together, taken, strict=True)]

    def _take(self, connection: Connection, asked: "_Asked", now: datetime) -> Taken:
        known = known_of(connection, asked.cluster, [alert.fingerprint for alert in asked.alerts])
        decided = asked.decide(asked.alerts, known, None, now)
        if decided is None:
            decided = asked.decide(asked.alerts, known, open_runs(connection, asked.cluster, now), now)
        placed = list(decided or ())
        opened = _with_runs(connection, asked.cluster, asked.group_key, placed, now)
        self._write(connection, [(asked, placed)], now)
        for run, of_run in _by_run(placed).items():
            _tell_run(connection, run, of_run, now, is_new=run in opened)
        return _taken(placed, opened)

    async def of_run(self, run: str) -> Sequence[KnownAlert]:
        query = ROWS.where(book.c.run == run).order_by(book.c.first_seen, book.c.fingerprint)
        async with self._database.transaction() as connection:
            return [alert_of(found) for found in await connection.execute(query)]

    async def latest(self, cluster: str, *, limit: int) -> Sequence[KnownAlert]:
        query = ROWS.where(book.c.cluster == cluster).order_by(book.c.last_seen.desc(), book.c.fingerprint).limit(limit)
        async with self._database.transaction() as connection:
            return [alert_of(found) for found in await connection.execute(query)]

    async def close_unasked(self, run: str, outcome: str, headline: str) -> bool:
        def work(connection: Connection) -> bool:
            now = self._database.now()
            closed = _close_queued(connection, run, outcome, headline, now)
            if closed:
                append_in(connection, run, "intake", headline, {"outcome": outcome}, at=now)
            return closed

        closed = await self._database.perform(work, alone=True)
        self._events.wake()
        return closed

    async def fold(self, run: str, cluster: str, decide: Fold) -> str:
        def work(connection: Connection) -> str:
            now = self._database.now()
            placed = decide([one for one in open_runs(connection, cluster, now) if one.id != run])
            if not placed:
                return ""
            fires = select(book.c.fingerprint).where(book.c.run == run, book.c.state == "firing")
            if not {one.alert.fingerprint for one in placed}.issuperset(connection.execute(fires).scalars()):
                return ""  # what came since, or was too much for the run itself to carry, was not looked at
            into, why = placed[0].run, placed[0].why
            headline = f"Run {into} works on it: {why}"
            if not _close_queued(connection, run, "joined", headline, now):
                return ""
            append_in(connection, run, "conclude", headline, {"outcome": "joined", "run": into}, at=now)
            connection.execute(update(book).where(book.c.run == run).values(run=into, done="joined", why=why))
            _tell_run(connection, into, placed, now, is_new=False)
            return into

        into = await self._database.perform(work, alone=True)
        self._events.wake()
        return into

    def _write(self, connection: Connection, taken: Sequence[tuple["_Asked", Sequence[Placement]]], now: datetime) -> None:
        rows = [
            {
                "cluster": asked.cluster,
                "fingerprint": one.alert.fingerprint,
                "name": one.alert.name,
                "severity": one.severity,
                "labels": orjson.dumps(dict(one.alert.labels)).decode(),
                "group_key": asked.group_key,
                "state": "resolved" if one.alert.resolved else "firing",
                "starts_at": _stamp(one.alert.starts_at) if one.alert.starts_at else "",
                "first_seen": _stamp(now),
                "last_seen": _stamp(now),
                "times": 1,
                "done": one.done,
                "why": one.why,
                "run": one.run,
            }
            for asked, placed in taken
            for one in placed
        ]
        for start in range(0, len(rows), PORTION):
            connection.execute(self._put, rows[start : start + PORTION])


def _with_runs(connection: Connection, cluster: str, group_key: str, placed: list[Placement], now: datetime) -> tuple[str, ...]:
    """Open the runs that are wanted and put their ids into the placements."""
    ids: dict[str, str] = {}
    wanted = {one.run: group_key if one.run == NEW else one.run for one in placed if one.run in (NEW, OVERFLOW)}
    for name, group in wanted.items():
        ids[name] = f"run-{secrets.token_hex(6)}"
        incident = Incident(id=f"inc-{secrets.token_hex(6)}", cluster=cluster, opened_at=now, group_key=group)
        values = {
            "id": ids[name],
            "incident": _dump(incident),
            "group_key": group,
            "state": "queued",
            "outcome": "",
            "headline": "",
            "created_at": _stamp(now),
            "updated_at": _stamp(now),
            "cluster": cluster,
            "priority": min(one.priority for one in placed if one.run == name),
        }
        connection.execute(runs.insert().values(values))
    placed[:] = [replace(one, run=ids.get(one.run, one.run)) for one in placed]
    return tuple(ids.values())


def _tell_run(connection: Connection, run: str, placed: Sequence[Placement], now: datetime, *, is_new: bool) -> None:
    """The run as its alerts are now, and an event for what is new about them."""
    fresh = [one for one in placed if not one.repeats]
    if not fresh:
        return
    row = connection.execute(_TOLD_OF.where(runs.c.id == run).with_for_update()).one_or_none()
    if row is None:
        return
    firing = [one for one in fresh if not one.alert.resolved]
    resolved = [one for one in fresh if one.alert.resolved]
    values: dict[str, Any] = {"told": row.told + 1}
    if row.state != "finished":
        incident = from_document(Incident, orjson.loads(row.incident))
        held = held_by(incident.alerts, fresh)
        around = place_of(row.place)
        for one in firing:
            around = around | one.place
        values["incident"] = _dump(replace(incident, alerts=held))
        names = sorted({alert.name for alert in held})[:KEYS]
        values["place"] = orjson.dumps([sorted(around.own)[:KEYS], sorted(around.near)[:KEYS], names]).decode()
        if firing:
            values["last_alert_at"] = _stamp(now)
            values["priority"] = min(row.priority, *(one.priority for one in firing))
    connection.execute(update(runs).where(runs.c.id == run).values(values))
    if row.told < TOLD:
        for text, data in lines_of(firing, resolved, has_ended=row.state == "finished", is_new=is_new):
            append_in(connection, run, "intake", text, data, at=now)
    elif row.told == TOLD:
        append_in(connection, run, "intake", "more alerts come and go; the book of alerts has them all", {}, at=now)
    if resolved and row.state == "queued":
        query = select(func.count()).select_from(book).where(book.c.run == run, book.c.state == "firing")
        if not connection.execute(query).scalar():
            headline = f"Resolved by itself before it was looked into: {names_of(resolved)}"
            if _close_queued(connection, run, "resolved", headline, now):
                append_in(connection, run, "conclude", headline, {"outcome": "resolved"}, at=now)


def _close_queued(connection: Connection, run: str, outcome: str, headline: str, now: datetime) -> bool:
    """Not once somebody has begun: then it goes its way, and says what came."""
    stamp = _stamp(now)
    values = {"state": "finished", "outcome": outcome, "headline": headline, "report": "{}", "updated_at": stamp}
    free = runs.c.owner.is_(None) | (runs.c.claimed_until < stamp)
    done = connection.execute(update(runs).where(runs.c.id == run, runs.c.state == "queued", free).values(values))
    return done.rowcount == 1


def _by_run(placed: Sequence[Placement]) -> dict[str, list[Placement]]:
    found: dict[str, list[Placement]] = {}
    for one in placed:
        if one.run:
            found.setdefault(one.run, []).append(one)
    return found


def _taken(placed: Sequence[Placement], opened: tuple[str, ...]) -> Taken:
    firing = Counter(one.run for one in placed if one.run and not one.alert.resolved)
    run = firing.most_common(1)[0][0] if firing else next((one.run for one in placed if one.run), "")
    words = ["resolved" if one.alert.resolved else "again" if one.repeats else one.done for one in placed]
    why = tuple(dict.fromkeys(one.why for one in placed if not one.alert.resolved or not one.run))[:5]
    return Taken(run=run, is_new=run in opened, counts=dict(Counter(words)), why=why, opened=opened)


def _stamp(at: datetime) -> str:
    return at.isoformat(timespec="microseconds")


def _dump(incident: Incident) -> str:
    return orjson.dumps(to_document(incident)).decode()
