"""Runs and their evidence in SQL. Knows nothing of how a run is worked on."""

import hashlib
import secrets
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import cast

import orjson
from sqlalchemy import ColumnElement, Connection, Row, case, func, or_, select, update
from sqlalchemy.exc import IntegrityError

from agent.domain.alerting import ChangeReach
from agent.domain.document import from_document, to_document
from agent.domain.evidence import Evidence
from agent.domain.incident import Incident
from agent.ports.store import RunRow, RunState, Waiting
from agent.store.database import Database
from agent.store.tables import NOT_FINISHED, blobs, evidence, runs
from sidecar.contract import Json

ROW = [column for column in runs.c if column.name != "report"]  # reports are long, and read by name


class SqlRunStore:
    """The RunStore. Every method raises StoreUnavailable when the database cannot."""

    def __init__(self, database: Database) -> None:
        self._database = database
        insert = database.insert(blobs)
        self._put_text = insert.on_conflict_do_update(index_elements=["sha256"], set_={"at": insert.excluded.at})

    async def open(self, incident: Incident) -> tuple[RunRow, bool]:
        now = _stamp(self._database.now())
        values = {
            "id": f"run-{secrets.token_hex(6)}",
            "incident": _dump(to_document(incident)),
            "group_key": incident.group_key,
            "state": "queued",
            "outcome": "",
            "headline": "",
            "created_at": now,
            "updated_at": now,
            "cluster": incident.cluster,
            "priority": 0,  # somebody waits for it
        }

        def work(connection: Connection) -> tuple[RunRow, bool] | None:
            try:
                with connection.begin_nested():
                    connection.execute(runs.insert().values(values))
                return row_of(connection.execute(select(*ROW).where(runs.c.id == values["id"])).one()), True
            except IntegrityError:
                of_group = (runs.c.group_key == incident.group_key) & (runs.c.cluster == incident.cluster)
                joined = connection.execute(select(*ROW).where(of_group, NOT_FINISHED)).first()
                return (row_of(joined), False) if joined is not None else None

        for _ in range(3):  # the run that we collide with may finish before we have read it
            if (found := await self._database.perform(work)) is not None:
                return found
        raise AssertionError("an alert group collided with a run that was never there")

    async def claim(self, run: str, owner: str, *, lease_seconds: int, most: int = 0) -> bool:
        now = self._database.now()
        free = or_(runs.c.owner.is_(None), runs.c.owner == owner, runs.c.claimed_until < _stamp(now))
        statement = (
            update(runs)
            .where(runs.c.id == run, NOT_FINISHED, free)
            .values(
                owner=owner,
                claimed_until=_stamp(now + timedelta(seconds=lease_seconds)),
                state="running",
                updated_at=_stamp(now),
                # Nobody gave it back, and nobody claimed it again: whoever had it is gone.
                deaths=case(((runs.c.owner.is_not(None)) & (runs.c.owner != owner), runs.c.deaths + 1), else_=runs.c.deaths),
            )
        )
        cluster = select(runs.c.cluster).where(runs.c.id == run).scalar_subquery()
        held = (runs.c.state == "running") & (runs.c.claimed_until >= _stamp(now)) & runs.c.owner.is_not(None)
        others = select(func.count()).select_from(runs).where(held, runs.c.id != run, runs.c.cluster == cluster)

        def work(connection: Connection) -> bool:
            if most and connection.execute(others).scalar_one() >= most:
                return False
            return connection.execute(statement).rowcount == 1

        # Two that claim at once would both count one too few. Where a file's machine fails nobody is left who holds anything; a
        # server that forgot a claim would give the run to a second process while the first still works.
        return await self._database.perform(work, alone=bool(most), soon=not self._database.is_shared)

    async def release(self, run: str, owner: str) -> None:
        statement = update(runs).where(runs.c.id == run, runs.c.owner == owner).values(owner=None, claimed_until=None)
        await self._database.perform(lambda connection: connection.execute(statement).rowcount, soon=True)

    async def let_go(self, owner: str) -> int:
        died = {"owner": None, "claimed_until": None, "deaths": runs.c.deaths + 1}
        statement = update(runs).where(runs.c.owner == owner, NOT_FINISHED).values(died)
        return await self._database.perform(lambda connection: connection.execute(statement).rowcount, soon=True)

    async def deaths(self, run: str, step: int) -> int:
        def work(connection: Connection) -> int:
            found = connection.execute(select(runs.c.deaths, runs.c.died_at).where(runs.c.id == run)).first()
            if found is None or not found.deaths or found.died_at == step:
                return found.deaths if found else 0
            connection.execute(update(runs).where(runs.c.id == run).values(deaths=1, died_at=step))
            return 1

        return await self._database.perform(work, soon=True)

    async def unfinished(self, cluster: str = "") -> Sequence[RunRow]:
        query = select(*ROW).where(NOT_FINISHED).order_by(runs.c.priority, runs.c.created_at, runs.c.id)
        async with self._database.transaction() as connection:
            return [row_of(found) for found in await connection.execute(query.where(_of(cluster)) if cluster else query)]

    async def waiting(self, cluster: str, *, limit: int) -> Sequence[tuple[str, int]]:
        free = or_(runs.c.owner.is_(None), runs.c.claimed_until < _stamp(self._database.now()))
        query = select(runs.c.id, runs.c.priority).where(NOT_FINISHED, free, _of(cluster))
        async with self._database.transaction() as connection:
            order = (runs.c.priority, runs.c.deaths, runs.c.created_at, runs.c.id)
            found = await connection.execute(query.order_by(*order).limit(limit))
            return [(row.id, row.priority) for row in found]

    async def queue(self) -> Sequence[Waiting]:
        now = self._database.now()
        free = or_(runs.c.owner.is_(None), runs.c.claimed_until < _stamp(now))
        query = select(runs.c.priority, func.count(), func.min(runs.c.created_at)).where(NOT_FINISHED, free)
        async with self._database.transaction() as connection:
            found = (await connection.execute(query.group_by(runs.c.priority))).all()
        return [
            Waiting(priority=priority, runs=count, oldest_seconds=max(0.0, (now - datetime.fromisoformat(since)).total_seconds()))
            for priority, count, since in found
        ]

    async def same_cause(self, run: str, cause: str) -> str:
        cluster = select(runs.c.cluster).where(runs.c.id == run).scalar_subquery()
        others = (runs.c.id != run) & (runs.c.cause == cause) & (NOT_FINISHED) & (runs.c.cluster == cluster)
        query = select(runs.c.id).where(others).order_by(runs.c.created_at, runs.c.id).limit(1)

        def work(connection: Connection) -> str:
            first = connection.execute(query).scalar()
            connection.execute(update(runs).where(runs.c.id == run).values(cause="" if first else cause))
            return str(first or "")

        return await self._database.perform(work, alone=True, soon=True)  # the checkpoint with the plan comes after it

    async def note_change(self, run: str, change: ChangeReach | None) -> None:
        text = orjson.dumps([change.what, _stamp(change.at), sorted(change.about)]).decode() if change else ""
        statement = update(runs).where(runs.c.id == run).values(change=text)
        await self._database.perform(lambda connection: connection.execute(statement).rowcount, soon=True)

    async def finish(self, run: str, outcome: str, headline: str, report: Mapping[str, Json]) -> None:
        values = {
            "state": "finished",
            "outcome": outcome,
            "headline": headline,
            "report": _dump(dict(report)),
            "owner": None,
            "claimed_until": None,
            "updated_at": _stamp(self._database.now()),
        }
        statement = update(runs).where(runs.c.id == run, NOT_FINISHED).values(values)
        await self._database.perform(lambda connection: connection.execute(statement).rowcount)

    async def row(self, run: str) -> RunRow | None:
        async with self._database.transaction() as connection:
            found = (await connection.execute(select(*ROW).where(runs.c.id == run))).first()
        return row_of(found) if found else None

    async def rows(self, *, limit: int) -> Sequence[RunRow]:
        query = select(*ROW).order_by(runs.c.created_at.desc(), runs.c.id.desc()).limit(limit)
        async with self._database.transaction() as connection:
            return [row_of(found) for found in await connection.execute(query)]

    async def report(self, run: str) -> Mapping[str, Json] | None:
        async with self._database.transaction() as connection:
            text = (await connection.execute(select(runs.c.report).where(runs.c.id == run))).scalar()
        return cast(Mapping[str, Json], orjson.loads(text)) if text else None

    async def put_evidence(self, run: str, pieces: Sequence[Evidence]) -> None:
        if not pieces:
            return
        texts: dict[str, str] = {}
        rows = []
        for piece in pieces:
            digest = piece.sha256 or _sha256(piece.text)
            texts[digest] = piece.text
            body = cast(dict[str, Json], to_document(piece)) | {"text": "", "sha256": digest}
            rows.append({"run": run, "id": piece.id, "place": _place(piece.id), "sha256": digest, "body": _dump(body)})
        insert = self._database.insert(evidence)
        kept = {name: insert.excluded[name] for name in ("sha256", "body", "place")}
        statement = insert.on_conflict_do_update(index_elements=["run", "id"], set_=kept)

        def work(connection: Connection) -> None:
            at = _stamp(self._database.now())
            connection.execute(
                self._put_text, [{"sha256": digest, "text": text, "at": at} for digest, text in sorted(texts.items())]
            )
            connection.execute(statement, rows)

        await self._database.perform(work, soon=True)  # the checkpoint that names it comes after it

    async def evidence(self, run: str) -> Sequence[Evidence]:
        query = (
            select(evidence.c.body, blobs.c.text)
            .join(blobs, blobs.c.sha256 == evidence.c.sha256)
            .where(evidence.c.run == run)
            .order_by(evidence.c.place, evidence.c.id)
        )
        async with self._database.transaction() as connection:
            found = (await connection.execute(query)).all()
        return [from_document(Evidence, orjson.loads(body) | {"text": text}) for body, text in found]

    async def put_blob(self, text: str) -> str:
        digest = _sha256(text)
        row = {"sha256": digest, "text": text, "at": _stamp(self._database.now())}
        await self._database.perform(lambda connection: connection.execute(self._put_text, row).rowcount, soon=True)
        return digest

    async def blob(self, sha256: str) -> str | None:
        async with self._database.transaction() as connection:
            found = (await connection.execute(select(blobs.c.text).where(blobs.c.sha256 == sha256))).scalar()
        return None if found is None else str(found)


def row_of(found: Row[tuple[object, ...]]) -> RunRow:
    values = found._mapping
    return RunRow(
        id=values["id"],
        incident=from_document(Incident, orjson.loads(values["incident"])),
        state=cast(RunState, values["state"]),
        outcome=values["outcome"],
        headline=values["headline"],
        created_at=datetime.fromisoformat(values["created_at"]),
        updated_at=datetime.fromisoformat(values["updated_at"]),
        priority=values["priority"],
        deaths=values["deaths"],
    )


def _of(cluster: str) -> ColumnElement[bool]:
    """Of this cluster, or kept by a version that did not say."""
    return runs.c.cluster.in_((cluster, ""))


def _stamp(at: datetime) -> str:
    """One width, so that texts compare as times do."""
    return at.isoformat(timespec="microseconds")


def _place(identifier: str) -> int:
    """ev-2 stands before ev-10."""
    digits = identifier.rpartition("-")[2]
    return int(digits) if digits.isdigit() else 0


def _dump(document: Json) -> str:
    return orjson.dumps(document).decode()


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
