"""The end of a step, in the store and in the record: what became of the object, as far as it was seen."""

from dataclasses import dataclass
from datetime import datetime

from sidecar.contract import Json, StepResult
from sidecar.execution import Live
from sidecar.execution import store as steps
from sidecar.execution.effect import REPLICAS, UID
from sidecar.execution.pointer import differences, joined, parts, value_at
from sidecar.facts.fields import managers_of
from sidecar.gate.concealment import result_left
from sidecar.gate.ledger import Transaction
from sidecar.gate.task import No, Task


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """The object as the write's own answer shows it (None where it shows none), and as it was in the version that the write
    was made on (None where that is not at hand)."""

    shown: Json
    was: Json


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """The object as it was found some time after a write whose answer was lost: others may have been at it since, and what
    they did is not the step's."""

    live: Json


def ended(task: Task, came: Stored | Found | No, transaction: Transaction) -> StepResult:
    """The one and only end. A step that has one already keeps it."""
    lease = task.held.lease
    result = _result(task, came, at=transaction.now)
    if not steps.end(transaction.connection, result, direction=task.direction):
        stored = steps.of_lease(transaction.connection, lease.id, task.direction)[task.step.id].result
        return (stored or result).model_copy(update={"repeated": True})
    body: dict[str, Json] = {"direction": task.direction, "result": result_left(result.document())}
    transaction.record(f"step-{result.status}", actor="sidecar", plan=lease.plan, lease=lease.id, body=body)
    return result


def seen_later(task: Task, live: Live, was: Json = None) -> Stored | Found:
    """A write whose answer was lost, by what is there now. `was`: as Stored has it."""
    now = live.made if task.step.action.kind == "rerun_job" else live.target
    # The API server counts every change of a spec: where the write makes one, one since `was` is the write itself.
    changes_spec = any(pointer.startswith("/spec/") for pointer in task.effect.after)
    before, after = value_at(was, ("metadata", "generation")), value_at(now, ("metadata", "generation"))
    alone = changes_spec and isinstance(before, int) and isinstance(after, int) and after == before + 1
    return Stored(shown=now, was=was) if alone else Found(live=now)


def _result(task: Task, came: Stored | Found | No, *, at: datetime) -> StepResult:
    nothing = StepResult(lease=task.held.lease.id, step=task.step.id, status="performed", target=task.step.action.target, at=at)
    if isinstance(came, No):
        return nothing.model_copy(update={"status": came.status, "reason": came.reason, "message": came.message[:500]})
    before, after, version = {**task.effect.before}, {**task.effect.after}, None
    if task.direction == "undo":
        before, after = after, before
    elif isinstance(came, Found):
        after |= _rewritten(task, came.live) | _made(after, came.live)
    else:
        after |= _as_stored(after, came.shown)
        for place in _along(task, came.was, came.shown):
            before[joined(place)], after[joined(place)] = value_at(came.was, place), value_at(came.shown, place)
    if isinstance(came, Stored):
        version = value_at(came.shown, ("metadata", "resourceVersion"))
    sealed = {pointer: f"sha256:{digest}" for pointer, digest in (task.effect.goal or {}).items()}
    return nothing.model_copy(
        update={
            "before": {**before, **{pointer: f"sha256:{task.effect.sealed.get(pointer)}" for pointer in sealed}},
            "after": {**after, **sealed},
            "resource_version": version if isinstance(version, str) else "",
        }
    )


def _along(task: Task, was: Json, came: Json) -> list[tuple[str, ...]]:
    """What the API server changed along with a change of fields: a default that follows from it, an admission plugin. The
    write carried the version of `was`, so nobody else can have done it; undoing takes it back too."""
    if task.step.action.kind != "change_fields" or was is None or came is None:
        return []
    roots = [parts(pointer) for pointer in task.effect.after]
    places = [
        place
        for name in ("spec", "data", "binaryData")
        for place in differences(value_at(was, (name,)), value_at(came, (name,)), (name,))
    ]
    return [place for place in places if not any(place[: len(root)] == root for root in roots)]


def _as_stored(after: dict[str, Json], shown: Json) -> dict[str, Json]:
    """The values as the API server keeps them (it may write 1000m as 1), and the uid of what was made."""
    if shown is None:
        return {}
    return {p: value_at(shown, parts(p)) for p in after if p not in ("", "/pods", REPLICAS)} | _made(after, shown)


def _rewritten(task: Task, live: Json) -> dict[str, Json]:
    """The values of the write as they are kept (1000m as 1), where the API server says that nobody else's hand has been on
    them since: whoever writes a field over takes it away from the field manager of this one write. A value of another shape
    is let be: what somebody took out of it is in nobody's hands."""
    document = live if isinstance(live, dict) else {}
    found = {pointer: value_at(live, parts(pointer)) for pointer in task.effect.after if pointer not in ("", "/pods", REPLICAS)}
    return {
        pointer: value
        for pointer, value in found.items()
        if _alike(value, task.effect.after[pointer])
        and {value_at(hand, ("manager",)) for hand in managers_of(document, list(parts(pointer)))} == {task.manager}
    }


def _alike(one: Json, other: Json) -> bool:
    """Two values of the same shape: names in objects, length of lists, kind of everything else."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_alike(value, other[name]) for name, value in one.items())
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_alike, one, other))
    return one is not None and other is not None and not isinstance(one, dict | list) and not isinstance(other, dict | list)


def _made(after: dict[str, Json], shown: Json) -> dict[str, Json]:
    return {UID: value_at(shown, parts(UID))} if shown is not None and ("" in after or "/metadata/name" in after) else {}
