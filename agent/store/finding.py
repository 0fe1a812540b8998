"""Looking through the runs in SQL. Reports are never read for it: they are long, and what a list shows stands beside them."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, cast

import orjson
from sqlalchemy import ColumnElement, Row, and_, func, or_, select

from agent.domain.document import from_document
from agent.domain.incident import Incident
from agent.ports.listing import Wanted
from agent.ports.store import RunEvent, RunRow, RunState
from agent.store.database import Database
from agent.store.events import event_of
from agent.store.tables import NOT_FINISHED, events, runs

_SHOWN = [runs.c[name] for name in ("id", "incident", "state", "outcome", "headline", "created_at", "updated_at", "priority")]


class SqlRunList:
    """Implements RunList. The incident's document is searched as the text that it is kept as."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def find(self, wanted: Wanted, *, limit: int) -> Sequence[RunRow]:
        query = select(*_SHOWN).where(*_conditions(wanted)).order_by(runs.c.created_at.desc(), runs.c.id.desc()).limit(limit)
        async with self._database.transaction() as connection:
            return [_row(found) for found in await connection.execute(query)]

    async def latest(self, runs: Sequence[str]) -> Mapping[str, RunEvent]:
        if not runs:
            return {}
        told = select(events.c.run, func.max(events.c.seq).label("seq")).where(events.c.run.in_(runs), events.c.stage != "intake")
        last = told.group_by(events.c.run).subquery()
        query = select(events).join(last, and_(events.c.run == last.c.run, events.c.seq == last.c.seq))
        async with self._database.transaction() as connection:
            return {found.run: event_of(found) for found in await connection.execute(query)}


def _conditions(wanted: Wanted) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = []
    if wanted.state:
        found.append((runs.c.state == "finished") if wanted.state == "finished" else NOT_FINISHED)
    if wanted.outcome:
        found.append(runs.c.outcome == wanted.outcome)
    if wanted.namespace:
        # A headline calls an object "Kind namespace/name".
        found.append(
            or_(_labelled("namespace", wanted.namespace), runs.c.headline.contains(f" {wanted.namespace}/", autoescape=True))
        )
    if wanted.severity:
        found.append(_labelled("severity", wanted.severity))
    for word in wanted.words.split()[:10]:
        places = (runs.c.id, runs.c.headline, runs.c.incident)
        found.append(or_(*(func.lower(place).contains(word.lower(), autoescape=True) for place in places)))
    if wanted.before is not None:
        at, run = wanted.before[0].isoformat(timespec="microseconds"), wanted.before[1]
        found.append(or_(runs.c.created_at < at, and_(runs.c.created_at == at, runs.c.id < run)))
    return found


def _labelled(name: str, value: str) -> ColumnElement[bool]:
    """A label of an alert, as it stands in the incident's document."""
    return runs.c.incident.contains(f'"{name}":{json.dumps(value, ensure_ascii=False)}', autoescape=True)


def _row(found: Row[Any]) -> RunRow:
    return RunRow(
        id=found.id,
        incident=from_document(Incident, orjson.loads(found.incident)),
        state=cast(RunState, found.state),
        outcome=found.outcome,
        headline=found.headline,
        created_at=datetime.fromisoformat(found.created_at),
        updated_at=datetime.fromisoformat(found.updated_at),
        priority=found.priority,
    )
