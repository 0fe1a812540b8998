"""Leases and the targets they hold, in the database. Works inside the caller's transaction; holds no token, ever."""

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
    MetaData,
    RowMapping,
    Table,
    Text,
    UniqueConstraint,
    bindparam,
    delete,
    func,
    insert,
    select,
    update,
)
from sqlalchemy.exc import IntegrityError

from sidecar.contract import Lease, ObjectRef, Right, Settlement
from sidecar.contract.lease import LeaseState
from sidecar.contract.wire import Json
from sidecar.statements import Statement

metadata = MetaData()

_leases = Table(
    "leases",
    metadata,
    Column("id", Text, primary_key=True),
    Column("plan", Text, nullable=False),
    # Of a lease that only takes back: the lease whose steps it undoes. One of each for a plan.
    Column("undoes", Text, nullable=False, default=""),
    Column("incident", Text, nullable=False),
    Column("state", Text, nullable=False, index=True),
    Column("identity", Text, nullable=False),
    Column("rights", Text, nullable=False),
    Column("outcome", Text),
    Column("granted_at", Float, nullable=False),
    Column("expires_at", Float, nullable=False),
    Column("settlement", Text),
    UniqueConstraint("plan", "undoes"),
)
_held = Table(
    "held_targets",
    metadata,
    Column("target", Text, primary_key=True),
    Column("lease", Text, nullable=False, index=True),
    Column("plan", Text, nullable=False),
    Column("document", Text, nullable=False),
)
_suspended = Table(
    "suspended_leases",
    metadata,
    Column("lease", Text, primary_key=True),
    Column("reason", Text, nullable=False),
)
_judged = Table(  # a table of its own: databases that are there already get it at the start
    "judged_places",
    metadata,
    Column("lease", Text, primary_key=True),
    Column("labels", Text, nullable=False),
)
# Made once: verdicts, leases and steps ask for these.
_GET = Statement(select(_leases).where(_leases.c.id == bindparam("wanted")))
_OF_PLAN = Statement(select(_leases).where(_leases.c.plan == bindparam("wanted"), _leases.c.undoes == bindparam("taking_back")))
_TAKEN = Statement(select(_held.c.lease).where(_held.c.target == bindparam("wanted")))
_TAKE, _PUT = Statement(insert(_held)), Statement(insert(_leases))
_JUDGE = Statement(insert(_judged))
_JUDGED = Statement(select(_judged.c.labels).where(_judged.c.lease == bindparam("wanted")))
HELD_BY_OTHERS = select(_held.c.document).where(_held.c.plan != bindparam("but_for"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    lease: Lease
    incident: str
    outcome: str | None
    settlement: Settlement | None
    undoes: str = ""  # the lease whose steps this one takes back; "" for one that performs its plan


class TargetHeld(Exception):
    """Another lease holds one of the targets; the text names it."""


def put(connection: Connection, lease: Lease, *, incident: str, targets: Sequence[ObjectRef], undoes: str = "") -> None:
    """Write a new lease and take its targets, or nothing at all; raises TargetHeld when one of them is not free."""
    with connection.begin_nested():  # whoever is told no goes on with the transaction: no target may stay with nobody
        check_free(connection, targets)
        for key, target in {_key(target): target for target in targets}.items():
            document = json.dumps(target.document())
            try:
                _TAKE.change(connection, {"target": key, "lease": lease.id, "plan": lease.plan, "document": document})
            except IntegrityError as exc:
                raise TargetHeld(str(target)) from exc
        values = {
            "id": lease.id,
            "plan": lease.plan,
            "undoes": undoes,
            "incident": incident,
            "state": lease.state,
            "identity": lease.identity,
            "rights": json.dumps([right.document() for right in lease.rights]),
            "outcome": None,
            "granted_at": lease.granted_at.timestamp(),
            "expires_at": lease.expires_at.timestamp(),
            "settlement": None,
        }
        _PUT.change(connection, values)


def check_free(connection: Connection, targets: Sequence[ObjectRef]) -> None:
    """Raises TargetHeld where a lease holds one of them."""
    for key, target in {_key(target): target for target in targets}.items():
        if _TAKEN.first(connection, {"wanted": key}) is not None:
            raise TargetHeld(str(target))


def get(connection: Connection, lease: str) -> Entry | None:
    row = _GET.mapping(connection, {"wanted": lease})
    return _entry(row) if row is not None else None


def of_plan(connection: Connection, plan: str, *, undoes: str = "") -> Entry | None:
    row = _OF_PLAN.mapping(connection, {"wanted": plan, "taking_back": undoes})
    return _entry(row) if row is not None else None


def listed(connection: Connection, states: Sequence[LeaseState] = (), *, limit: int = 500) -> Iterator[Entry]:
    """The newest first."""
    query = select(_leases).order_by(_leases.c.granted_at.desc()).limit(limit)
    if states:
        query = query.where(_leases.c.state.in_(states))
    for row in connection.execute(query).mappings():
        yield _entry(row)


def move(
    connection: Connection,
    lease: str,
    *,
    was: Sequence[LeaseState],
    becomes: LeaseState,
    outcome: str | None = None,
    settlement: Settlement | None = None,
) -> bool:
    """Compare-and-set of the state; False when it was another."""
    values: dict[str, object] = {"state": becomes}
    if outcome is not None:
        values["outcome"] = outcome
    if settlement is not None:
        values["settlement"] = settlement.model_dump_json()
    changed = connection.execute(update(_leases).where(_leases.c.id == lease, _leases.c.state.in_(was)).values(**values))
    return changed.rowcount == 1


def judge_places(connection: Connection, lease: str, labels: Mapping[str, Json]) -> None:
    """How the namespaces of its plan were labelled when the plan was judged for it."""
    _JUDGE.change(connection, {"lease": lease, "labels": json.dumps(dict(labels))})


def judged_places(connection: Connection, lease: str) -> Mapping[str, Json] | None:
    """None for a lease of which nothing was kept."""
    row = _JUDGED.first(connection, {"wanted": lease})
    found: Json = orjson.loads(row[0]) if row is not None else None
    return found if isinstance(found, dict) else None


def suspend(connection: Connection, lease: str, *, reason: str) -> bool:
    """No further step is performed under it, for good; undoing and settling go on. False when it was already."""
    if why_suspended(connection, lease):
        return False
    connection.execute(insert(_suspended).values(lease=lease, reason=reason))
    return True


def why_suspended(connection: Connection, lease: str) -> str:
    """ "" for a lease that is not."""
    row = connection.execute(select(_suspended.c.reason).where(_suspended.c.lease == lease)).first()
    return str(row.reason) if row is not None else ""


def free(connection: Connection, lease: str) -> None:
    """The targets of this lease may be leased again."""
    connection.execute(delete(_held).where(_held.c.lease == lease))


def is_free(connection: Connection, entry: Entry) -> bool:
    """Whether all of its rights were seen to be gone, whatever else of it is pending: its targets are free since then."""
    held_still = connection.execute(select(_held.c.target).where(_held.c.lease == entry.lease.id)).first() is not None
    return entry.lease.state in ("revocation_pending", "settled") and not held_still


def held(connection: Connection, *, but_for: str = "") -> list[dict[str, Json]]:
    """Targets (ObjectRef documents) under a lease of another plan."""
    return [json.loads(row.document) for row in connection.execute(HELD_BY_OTHERS, {"but_for": but_for})]


def _key(target: ObjectRef) -> str:
    """A later namesake is the same target: the uid is left out."""
    group = target.api_version.rpartition("/")[0]
    return f"{group}/{target.kind}/{target.namespace}/{target.name}"


def counted(connection: Connection) -> dict[str, int]:
    """How many there are in each state."""
    query = select(_leases.c.state, func.count()).group_by(_leases.c.state)
    return {str(state): int(number) for state, number in connection.execute(query)}


def overdue(connection: Connection, now: datetime) -> int:
    """Leases whose time is over and whose rights are not proven gone."""
    query = select(func.count()).where(_leases.c.state != "settled", _leases.c.expires_at < now.timestamp())
    return connection.execute(query).scalar_one()


def _entry(row: Mapping[str, Any] | RowMapping) -> Entry:
    return Entry(
        lease=Lease(
            id=row["id"],
            plan=row["plan"],
            state=row["state"],
            identity=row["identity"],
            rights=tuple(Right.model_validate_json(orjson.dumps(right)) for right in orjson.loads(row["rights"])),
            granted_at=datetime.fromtimestamp(row["granted_at"], UTC),
            expires_at=datetime.fromtimestamp(row["expires_at"], UTC),
        ),
        incident=row["incident"],
        outcome=row["outcome"],
        settlement=Settlement.model_validate_json(row["settlement"]) if row["settlement"] else None,
        undoes=row["undoes"],
    )
