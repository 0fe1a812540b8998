"""Rows of the book of alerts and of open runs, as nouns. Knows nothing of what is done with them."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, cast

import orjson
from sqlalchemy import Connection, Row, bindparam, case, func, select

from agent.domain.alerting import AlertState, ChangeReach, Done, KnownAlert, Neighbourhood, OpenRun
from agent.store.tables import NOT_FINISHED, runs
from agent.store.tables import alerts as book

PORTION = 400  # rows of one statement: databases bound its parameters
MOST_ENDED, LATELY = 100, timedelta(hours=1)  # ended runs that are looked at, by their last alert

ROWS = select(
    book,
    func.coalesce(runs.c.state, "").label("run_state"),
    func.coalesce(runs.c.outcome, "").label("run_outcome"),
    case((runs.c.state == "finished", runs.c.updated_at), else_="").label("run_updated_at"),
).join_from(book, runs, runs.c.id == book.c.run, isouter=True)
_KNOWN = ROWS.where(book.c.cluster == bindparam("cluster"), book.c.fingerprint.in_(bindparam("fingerprints", expanding=True)))
_RUNS = select(
    runs.c.id, runs.c.state, runs.c.outcome, runs.c.priority, runs.c.group_key, runs.c.place, runs.c.last_alert_at, runs.c.change
).where(runs.c.cluster == bindparam("cluster"))
_OPEN = _RUNS.where(NOT_FINISHED).order_by(runs.c.created_at, runs.c.id)
_ENDED = (
    _RUNS.where(runs.c.state == "finished", runs.c.last_alert_at > bindparam("since"))
    .order_by(runs.c.last_alert_at.desc())
    .limit(MOST_ENDED)
)


def known_of(connection: Connection, cluster: str, fingerprints: Sequence[str]) -> dict[str, KnownAlert]:
    found: dict[str, KnownAlert] = {}
    for start in range(0, len(fingerprints), PORTION):
        portion = {"cluster": cluster, "fingerprints": fingerprints[start : start + PORTION]}
        for row in connection.execute(_KNOWN, portion):
            found[row.fingerprint] = alert_of(row)
    return found


def open_runs(connection: Connection, cluster: str, now: datetime) -> list[OpenRun]:
    """Those that are not finished, and those that have ended lately."""
    found = connection.execute(_OPEN, {"cluster": cluster}).all()
    since = (now - LATELY).isoformat(timespec="microseconds")
    ended = connection.execute(_ENDED, {"cluster": cluster, "since": since}).all()
    return [
        OpenRun(
            id=row.id,
            is_running=row.state == "running",
            priority=row.priority,
            group_key=row.group_key,
            place=place_of(row.place),
            last_alert_at=time_of(row.last_alert_at),
            names=names_of(row.place),
            outcome=row.outcome if row.state == "finished" else "",
            change=change_of(row.change),
        )
        for row in (*found, *ended)
    ]


def alert_of(row: Row[Any]) -> KnownAlert:
    return KnownAlert(
        fingerprint=row.fingerprint,
        name=row.name,
        severity=row.severity,
        group_key=row.group_key,
        state=cast(AlertState, row.state),
        starts_at=time_of(row.starts_at),
        first_seen=datetime.fromisoformat(row.first_seen),
        last_seen=datetime.fromisoformat(row.last_seen),
        times=row.times,
        done=cast(Done, row.done),
        why=row.why,
        run=row.run if row.run_state else "",  # a run that is kept no longer has nothing to join, and no page
        run_state=row.run_state,
        run_outcome=row.run_outcome,
        run_updated_at=time_of(row.run_updated_at),
    )


def place_of(text: str) -> Neighbourhood:
    if not text:
        return Neighbourhood()
    own, near = orjson.loads(text)[:2]
    return Neighbourhood(own=frozenset(own), near=frozenset(near))


def change_of(text: str) -> ChangeReach | None:
    if not text:
        return None
    what, at, about = orjson.loads(text)
    return ChangeReach(what=what, at=datetime.fromisoformat(at), about=frozenset(about))


def names_of(text: str) -> frozenset[str]:
    return frozenset(name for names in orjson.loads(text)[2:] for name in names) if text else frozenset()


def time_of(text: str) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
