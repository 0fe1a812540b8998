"""Looking through the book of alerts in SQL: what came in and what was done with it. Knows nothing of why."""

import json
from collections.abc import Sequence

import orjson
from sqlalchemy import ColumnElement, and_, func, or_

from agent.ports.listing import ListedAlert, WantedAlerts
from agent.store.alert_rows import ROWS, alert_of
from agent.store.database import Database
from agent.store.tables import alerts as book
from agent.store.tables import runs

_LISTED = ROWS.add_columns(func.coalesce(runs.c.headline, "").label("run_headline"))


class SqlAlertList:
    """Implements AlertList. Labels are searched as the text that they are kept as."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def find(self, cluster: str, wanted: WantedAlerts, *, limit: int) -> Sequence[ListedAlert]:
        query = _LISTED.where(book.c.cluster == cluster, *_conditions(wanted))
        query = query.order_by(book.c.last_seen.desc(), book.c.fingerprint).limit(limit)
        async with self._database.transaction() as connection:
            return [
                ListedAlert(alert=alert_of(row), labels=orjson.loads(row.labels), run_headline=row.run_headline)
                for row in await connection.execute(query)
            ]


def _conditions(wanted: WantedAlerts) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = []
    if wanted.state:
        found.append(book.c.state == wanted.state)
    if wanted.done:
        found.append(book.c.done.in_(wanted.done))
    if wanted.severity:
        found.append(book.c.severity == wanted.severity.lower())
    if wanted.namespace:
        found.append(book.c.labels.contains(f'"namespace":{json.dumps(wanted.namespace, ensure_ascii=False)}', autoescape=True))
    for word in wanted.words.split()[:10]:
        places = (book.c.fingerprint, book.c.name, book.c.labels, book.c.why, book.c.run)
        found.append(or_(*(func.lower(place).contains(word.lower(), autoescape=True) for place in places)))
    if wanted.before is not None:
        at, fingerprint = wanted.before[0].isoformat(timespec="microseconds"), wanted.before[1]
        found.append(or_(book.c.last_seen < at, and_(book.c.last_seen == at, book.c.fingerprint > fingerprint)))
    return found
