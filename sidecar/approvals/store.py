"""Plans, decisions and answers in the database. Every function works inside the caller's transaction.

Knows no rule: it keeps what it is given. Times are seconds since the epoch, documents are JSON text.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import orjson
from sqlalchemy import (
    Column,
    Connection,
    Float,
    Integer,
    MetaData,
    RowMapping,
    Table,
    Text,
    bindparam,
    insert,
    select,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite

from sidecar.contract import Answer, ChangePreview, Decision, Json, Plan, PlanState
from sidecar.errors import JournalUnavailable
from sidecar.statements import Statement

metadata = MetaData()

PLANS = Table(
    "plans",
    metadata,
    Column("digest", Text, primary_key=True),
    Column("incident", Text, nullable=False, index=True),
    Column("document", Text, nullable=False),
    Column("decision", Text, nullable=False),
    Column("state", Text, nullable=False, index=True),
    Column("reason", Text, nullable=False),
    Column("previews", Text, nullable=False),
    Column("effects", Text, nullable=False),
    Column("requested_at", Float, nullable=False, index=True),
    Column("expires_at", Float, nullable=False),
    Column("lease", Text),
    Column("shown", Text, nullable=False),
    Column("cleared", Integer, nullable=False, default=0),
)
_answers = Table(
    "answers",
    metadata,
    Column("plan", Text, primary_key=True),
    Column("person", Text, primary_key=True),
    Column("verdict", Text, nullable=False),
    Column("document", Text, nullable=False),
    Column("at", Float, nullable=False),
)


def _put(statement: postgresql.Insert | sqlite.Insert) -> postgresql.Insert | sqlite.Insert:
    anew = {column.name: statement.excluded[column.name] for column in PLANS.columns if not column.primary_key}
    return statement.on_conflict_do_update(index_elements=[PLANS.c.digest], set_=anew, where=PLANS.c.state == "denied")


_PUT = Statement({"postgresql": _put(postgresql.insert(PLANS)), "sqlite": _put(sqlite.insert(PLANS))})
_GET = Statement(select(PLANS).where(PLANS.c.digest == bindparam("wanted")))
STATE = select(PLANS.c.state).where(PLANS.c.digest == bindparam("wanted"))
_ANSWERS = Statement(select(_answers.c.document).where(_answers.c.plan == bindparam("wanted")).order_by(_answers.c.at))
ON_MODEL = select(PLANS.c.document).where(PLANS.c.incident == bindparam("incident"), PLANS.c.document.contains('"basis":'))


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """What was seen when the plan came in, for people to read: see ApprovalView for what the fields mean."""

    environment: str = ""
    observed: tuple[str, ...] = ()
    blast_radius: tuple[str, ...] = ()
    dry_run: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A plan as it stands. `effects`: what each step reads and writes, as the approvers saw it (JSON, by step).

    `expires_at`: until when people may answer, or until when an approved plan may be leased.
    """

    plan: Plan
    decision: Decision
    state: PlanState
    reason: str
    previews: tuple[ChangePreview, ...]
    effects: dict[str, Json]
    requested_at: datetime
    expires_at: datetime
    lease: str | None
    shown: Shown = Shown()


def put(connection: Connection, entry: Entry) -> None:
    """Write a new plan, or a denied one again after it was judged again; raises JournalUnavailable for any other."""
    values = {
        "digest": entry.plan.digest,
        "incident": entry.plan.incident,
        "document": entry.plan.canonical().decode(),
        "decision": entry.decision.model_dump_json(by_alias=True),
        "state": entry.state,
        "reason": entry.reason,
        "previews": json.dumps([preview.document() for preview in entry.previews]),
        "effects": orjson.dumps(entry.effects).decode(),
        "requested_at": entry.requested_at.timestamp(),
        "expires_at": entry.expires_at.timestamp(),
        "lease": entry.lease,
        "cleared": 0,
        "shown": orjson.dumps(entry.shown).decode(),
    }
    if _PUT.change(connection, values) != 1:
        raise JournalUnavailable("another sidecar put this plan meanwhile: ask again")


def get(connection: Connection, digest: str) -> Entry | None:
    row = _GET.mapping(connection, {"wanted": digest})
    return _entry(row) if row is not None else None


def listed(connection: Connection, states: Sequence[PlanState] = (), *, limit: int = 200) -> Iterator[Entry]:
    """The newest first."""
    query = select(PLANS).order_by(PLANS.c.requested_at.desc()).limit(limit)
    if states:
        query = query.where(PLANS.c.state.in_(states))
    for row in connection.execute(query).mappings():
        yield _entry(row)


def overdue(connection: Connection, now: datetime) -> list[str]:
    """Digests of plans that were not answered, or not leased, in time; looked for without reading any plan."""
    too_late = PLANS.c.state.in_(("waiting", "approved")) & (PLANS.c.expires_at <= now.timestamp())
    return [str(row.digest) for row in connection.execute(select(PLANS.c.digest).where(too_late))]


def of_incident(connection: Connection, incident: str) -> list[str]:
    """Digests of the plans of one incident, the oldest first."""
    query = select(PLANS.c.digest).where(PLANS.c.incident == incident).order_by(PLANS.c.requested_at)
    return [str(row.digest) for row in connection.execute(query)]


def on_model(connection: Connection, incident: str) -> list[Plan]:
    """The plans of one incident that said of themselves that they rest on a model. The usual basis is never written down."""
    found = (Plan.model_validate_json(row.document) for row in connection.execute(ON_MODEL, {"incident": incident}))
    return [plan for plan in found if plan.basis == "model"]


def move(
    connection: Connection,
    digest: str,
    *,
    was: Sequence[PlanState],
    becomes: PlanState,
    reason: str = "",
    lease: str | None = None,
    expires_at: datetime | None = None,
) -> bool:
    """Compare-and-set of the state; False when it was another: somebody else was faster."""
    values: dict[str, object] = {"state": becomes, "reason": reason}
    if lease is not None:
        values["lease"] = lease
    if expires_at is not None:
        values["expires_at"] = expires_at.timestamp()
    changed = connection.execute(update(PLANS).where(PLANS.c.digest == digest, PLANS.c.state.in_(was)).values(**values))
    return changed.rowcount == 1


def void_unused(connection: Connection, *, reason: str) -> list[str]:
    """Nobody may approve or use any plan that stands now; their digests, the newest first. The caller writes alone."""
    unused = PLANS.c.state.in_(("waiting", "approved"))
    query = select(PLANS.c.digest).where(unused).order_by(PLANS.c.requested_at.desc())
    found = [str(row.digest) for row in connection.execute(query)]
    connection.execute(update(PLANS).where(unused).values(state="void", reason=reason))
    return found


def shorten(connection: Connection, digest: str, *, lease_seconds: int) -> None:
    """Whatever was decided, the lease will be no longer than this. What was decided stands in the journal."""
    row = connection.execute(select(PLANS.c.decision).where(PLANS.c.digest == digest)).one()
    decision = Decision.model_validate_json(row.decision)
    shorter = decision.model_copy(update={"lease_seconds": min(decision.lease_seconds, lease_seconds)})
    text = shorter.model_dump_json(by_alias=True)
    connection.execute(update(PLANS).where(PLANS.c.digest == digest).values(decision=text))


def answers_to(connection: Connection, digest: str) -> tuple[Answer, ...]:
    found = _ANSWERS.all(connection, {"wanted": digest})
    return tuple(Answer.model_validate_json(document) for (document,) in found)


def put_answer(connection: Connection, digest: str, answer: Answer) -> None:
    """One answer a person; a later one replaces it (the rules see to it that a deny is never replaced)."""
    values = {"verdict": answer.verdict, "document": answer.model_dump_json(), "at": answer.at.timestamp()}
    mine = (_answers.c.plan == digest) & (_answers.c.person == answer.person)
    if connection.execute(update(_answers).where(mine).values(**values)).rowcount == 0:
        connection.execute(insert(_answers).values(plan=digest, person=answer.person, **values))


def _entry(row: Mapping[str, Any] | RowMapping) -> Entry:
    plan = Plan.model_validate_json(row["document"])
    if row["cleared"]:
        plan.__dict__["digest"] = row["digest"]  # a cached property: of what was written, not of what is left of it
    return Entry(
        plan=plan,
        decision=Decision.model_validate_json(row["decision"]),
        state=row["state"],
        reason=row["reason"],
        previews=tuple(ChangePreview.model_validate(preview) for preview in json.loads(row["previews"])),
        effects=json.loads(row["effects"]),
        requested_at=datetime.fromtimestamp(row["requested_at"], UTC),
        expires_at=datetime.fromtimestamp(row["expires_at"], UTC),
        lease=row["lease"],
        shown=_shown(json.loads(row["shown"])),
    )


def _shown(document: dict[str, Any]) -> Shown:
    """Lists of JSON are tuples here."""
    plain: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in document.items()}
    return Shown(**plain)
