"""What became of each step, in the database: a row is there from before the write until for ever.

Works inside the caller's transaction. A row without a result is a step that began and whose end is not known yet.
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

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
    func,
    insert,
    select,
    update,
)
from sqlalchemy.exc import IntegrityError

from sidecar.contract import Json, StepResult

metadata = MetaData()

_steps = Table(
    "steps",
    metadata,
    Column("lease", Text, primary_key=True),
    Column("step", Text, primary_key=True),
    Column("direction", Text, primary_key=True),
    Column("position", Integer, nullable=False),
    Column("incident", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("target", Text, nullable=False),
    Column("effect", Text, nullable=False),
    Column("status", Text),
    Column("result", Text),
    Column("at", Float, nullable=False, index=True),
)

# Made once: every verdict asks for it. A drain that did not come to its end may have taken pods all the same.
PERFORMED_SINCE = (
    select(_steps.c.at, _steps.c.incident, _steps.c.kind, _steps.c.target, _steps.c.effect)
    .where(_steps.c.at >= bindparam("since"), _steps.c.direction == "do")
    .where((_steps.c.status == "performed") | _steps.c.result.is_(None) | (_steps.c.kind == "drain_node"))
    .order_by(_steps.c.at)
)

Direction = Literal["do", "undo"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """`effect`: what the step changes, as compiled (JSON); `result` None while the end is not known."""

    lease: str
    step: str
    direction: Direction
    kind: str
    effect: dict[str, Json]
    result: StepResult | None
    began_at: datetime

    @property
    def may_have_changed_something(self) -> bool:
        """All but a step that ended without having been done: a drain may end in the middle."""
        return self.result is None or self.result.status == "performed" or self.kind == "drain_node"


def begin(
    connection: Connection,
    *,
    lease: str,
    step: str,
    direction: Direction,
    incident: str,
    kind: str,
    target: dict[str, Json],
    effect: dict[str, Json],
    at: datetime,
) -> bool:
    """Note that the step is about to be tried; False when it was begun before, by whomever."""
    try:
        with connection.begin_nested():
            connection.execute(
                insert(_steps).values(
                    lease=lease,
                    step=step,
                    direction=direction,
                    position=int(step.rpartition("-")[2]),
                    incident=incident,
                    kind=kind,
                    target=json.dumps(target),
                    effect=json.dumps(effect),
                    at=at.timestamp(),
                )
            )
    except IntegrityError:
        return False
    return True


def end(connection: Connection, result: StepResult, *, direction: Direction) -> bool:
    """The one and only end of a begun step; False when it had one already."""
    mine = (_steps.c.lease == result.lease) & (_steps.c.step == result.step) & (_steps.c.direction == direction)
    changed = connection.execute(
        update(_steps)
        .where(mine, _steps.c.result.is_(None))
        .values(status=result.status, result=result.model_dump_json(by_alias=True), at=result.at.timestamp())
    )
    return changed.rowcount == 1


def of_lease(connection: Connection, lease: str, direction: Direction) -> dict[str, Entry]:
    """In the order of the plan."""
    query = select(_steps).where(_steps.c.lease == lease, _steps.c.direction == direction).order_by(_steps.c.position)
    return {row["step"]: _entry(row) for row in connection.execute(query).mappings()}


def rewrite(
    connection: Connection, lease: str, *, effect: Callable[[Json], Json], result: Callable[[dict[str, Json]], Json]
) -> None:
    """Change what is kept of the values of a lease's steps; `result` has to give a StepResult's document again."""
    for entry in [*of_lease(connection, lease, "do").values(), *of_lease(connection, lease, "undo").values()]:
        mine = (_steps.c.lease == lease) & (_steps.c.step == entry.step) & (_steps.c.direction == entry.direction)
        values = {"effect": json.dumps(effect({**entry.effect}))}
        if entry.result is not None:
            values["result"] = json.dumps(result(entry.result.document()))
        connection.execute(update(_steps).where(mine).values(**values))


def unfinished(connection: Connection) -> list[Entry]:
    query = select(_steps).where(_steps.c.result.is_(None)).order_by(_steps.c.at)
    return [_entry(row) for row in connection.execute(query).mappings()]


def performed_since(connection: Connection, since: datetime) -> Iterator[dict[str, Json]]:
    """What policy may count: steps done or perhaps done, oldest first; what they changed by name and number, never by
    value."""
    for row in connection.execute(PERFORMED_SINCE, {"since": since.timestamp()}).mappings():
        at, target, effect = datetime.fromtimestamp(row["at"], UTC), json.loads(row["target"]), json.loads(row["effect"])
        yield as_counted(at, row["incident"], row["kind"], target, effect)


def as_counted(at: datetime, incident: str, kind: str, target: Json, effect: Json) -> dict[str, Json]:
    """One step as policy counts it."""
    when = at.strftime("%Y-%m-%dT%H:%M:%SZ")
    return {"at": when, "incident": incident, "kind": kind, "target": target, **_measured(effect)}


def _measured(effect: Json) -> dict[str, Json]:
    """`pods` that a drain evicted, `replicas` before and after, `fields` that were set (JSON Pointers)."""
    if not isinstance(effect, dict):
        return {}
    before, after = effect.get("before"), effect.get("after")
    if not isinstance(before, dict) or not isinstance(after, dict):
        return {}
    found: dict[str, Json] = {"fields": [pointer for pointer in after if pointer.startswith(("/spec", "/data", "/metadata"))]}
    if "/pods" in before:
        found["pods"] = before["/pods"]
    if "/spec/replicas" in after:
        found["replicas"] = [before.get("/spec/replicas"), after.get("/spec/replicas")]
    return found


def counted(connection: Connection) -> dict[str, int]:
    """How many steps came to which end; "begun" for those without one."""
    query = select(_steps.c.status, func.count()).where(_steps.c.direction == "do").group_by(_steps.c.status)
    return {str(status or "begun"): int(number) for status, number in connection.execute(query)}


def counted_by_kind(connection: Connection) -> dict[tuple[str, str, str], int]:
    """How many steps by kind of action, direction (do, undo) and end ("begun" without one)."""
    columns = (_steps.c.kind, _steps.c.direction, _steps.c.status)
    query = select(*columns, func.count()).group_by(*columns)
    return {(str(kind), str(way), str(status or "begun")): int(number) for kind, way, status, number in connection.execute(query)}


def _entry(row: RowMapping) -> Entry:
    return Entry(
        lease=row["lease"],
        step=row["step"],
        direction=row["direction"],
        kind=row["kind"],
        effect=json.loads(row["effect"]),
        result=StepResult.model_validate_json(row["result"]) if row["result"] else None,
        began_at=datetime.fromtimestamp(row["at"], UTC),
    )
